package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os/user"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
)

// Role is what a user may do; each may do what those before it may.
type Role int

// Roles.
const (
	Nobody   Role = iota
	Viewer        // sees everything but secrets
	Operator      // changes everything but users, and destroys nothing
	Admin
)

// parseRole reads a role as documents name it.
func parseRole(s string) Role {
	switch s {
	case "admin":
		return Admin
	case "operator":
		return Operator
	case "viewer":
		return Viewer
	}
	return Nobody
}

func (r Role) String() string {
	return [...]string{"nobody", "viewer", "operator", "admin"}[r]
}

// principal is who asks.
type principal struct {
	name    string
	role    Role
	from    string // address, or "socket"
	addr    netip.Addr
	local   bool   // over the Unix socket
	account string // the user of the machine that the document gives its role
	session string // the token of the login session it came with, if it did
}

type principalKey struct{}

// asker returns who asks; nobody if authenticate did not run.
func asker(ctx context.Context) principal {
	p, _ := ctx.Value(principalKey{}).(principal)
	return p
}

type connKey struct{}

// withConn keeps the connection for authenticate to see where it came from.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// identify finds out who asks. The error is a *v1.Problem for the asker.
func (s *Server) identify(r *http.Request) (principal, error) {
	if c, ok := r.Context().Value(connKey{}).(*net.UnixConn); ok {
		return s.peer(c)
	}
	addr := remote(r)
	p := principal{from: addr.String(), addr: addr}
	header := r.Header.Get("Authorization")
	if header == "" {
		return p, nil
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return p, problem(http.StatusUnauthorized, v1.ProblemLogin, "only bearer tokens are accepted: send Authorization: Bearer TOKEN, with one from `esos token create` or POST /api/v1/login")
	}
	if wait, ok := s.limiter.take(addr); !ok {
		return p, tooMany(wait)
	}
	name, role, ok := s.whose(strings.TrimSpace(token))
	if !ok {
		s.audit(p, request(r), "token refused")
		return p, problem(http.StatusUnauthorized, v1.ProblemLogin, "the token is not valid: it was revoked, or the session ended; log in again or ask an administrator for a token")
	}
	s.limiter.giveBack(addr)
	p.name, p.role = name, role
	if strings.HasPrefix(token, sessionPrefix) {
		p.session = token
	}
	return p, nil
}

// whose returns the user a token belongs to, with the role it has now.
func (s *Server) whose(token string) (string, Role, bool) {
	users := s.settings.Load().Users
	if strings.HasPrefix(token, sessionPrefix) {
		name, password, ok := s.logins.find(token)
		for _, u := range users {
			if ok && u.Name == name && string(u.Password) == password {
				return u.Name, parseRole(u.Role), true
			}
		}
		return "", Nobody, false
	}
	hash := hashToken(token)
	var found *config.APIUser
	for i, u := range users { // all of them: how long it takes tells nothing
		for _, t := range u.Tokens {
			if sameHash(string(t.Hash), hash) {
				found = &users[i]
			}
		}
	}
	if found == nil {
		return "", Nobody, false
	}
	return found.Name, parseRole(found.Role), true
}

// peer is who is at the other end of the Unix socket; the kernel says who. Root
// and our own user are administrators; others that the socket's mode lets in
// have the role that the document gives them.
func (s *Server) peer(c *net.UnixConn) (principal, error) {
	p := principal{from: "socket", local: true}
	raw, err := c.SyscallConn()
	if err != nil {
		return p, fmt.Errorf("look at the socket's peer: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return p, fmt.Errorf("ask the kernel for the socket's peer: %w", errors.Join(err, credErr))
	}
	uid := int(cred.Uid)
	p.name = "uid" + strconv.Itoa(uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		p.name = u.Username
	}
	if uid == 0 || uid == unix.Geteuid() {
		p.role = Admin
		return p, nil
	}
	if p.role, err = s.roleAtSocket(uid, p.name); err != nil {
		return p, err
	}
	p.account = p.name
	return p, nil
}

func remote(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	return ap.Addr().Unmap()
}

// login checks a password and opens a session.
func (s *Server) login(ctx context.Context, in v1.Login) (v1.LoggedIn, error) {
	p := asker(ctx)
	if p.local {
		return v1.LoggedIn{}, problem(http.StatusConflict, v1.ProblemInvalid, fmt.Sprintf("the socket needs no session: you are %s already", p.role))
	}
	addr := p.addr
	p = principal{name: in.Name, from: p.from}
	if wait, ok := s.limiter.take(addr); !ok {
		return v1.LoggedIn{}, tooMany(wait)
	}
	// A hash costs 64 MiB while it is computed: few at a time.
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return v1.LoggedIn{}, ctx.Err()
	}
	var u config.APIUser
	for _, x := range s.settings.Load().Users {
		if x.Name == in.Name && x.Password != "" {
			u = x
		}
	}
	hash := string(u.Password)
	if hash == "" {
		hash = s.decoy // as slow for a name that does not exist
	}
	ok, err := password.Verify(hash, in.Password)
	if err != nil {
		s.log.Error("a user's password hash cannot be read", "user", in.Name, "err", err)
	}
	if !ok || u.Name == "" {
		s.audit(p, "login", "refused")
		return v1.LoggedIn{}, problem(http.StatusUnauthorized, v1.ProblemLogin, "name or password is wrong")
	}
	s.limiter.giveBack(addr)
	token, until := s.logins.start(u.Name, string(u.Password))
	s.audit(p, "login", "ok")
	return v1.LoggedIn{Token: token, Role: u.Role, Until: until}, nil
}

func tooMany(wait time.Duration) error {
	seconds := int(math.Ceil(wait.Seconds()))
	p := problem(http.StatusTooManyRequests, v1.ProblemBusy, fmt.Sprintf("too many failed logins from your address; try again in %d s", seconds))
	p.header = http.Header{"Retry-After": {strconv.Itoa(seconds)}}
	return p
}

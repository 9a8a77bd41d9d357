package iscsi

import (
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// session is an initiator that is logged in. It has one connection.
type session struct {
	server *Server
	tsih   uint16
	login  login.Result
	portal string
	remote net.Addr
	since  time.Time

	target *target     // nil in a discovery session
	nexus  *scsi.Nexus // nil in a discovery session

	window       uint32
	pingInterval time.Duration
	pingTimeout  time.Duration

	conn  *connection
	ready atomic.Bool   // nexus is set
	over  chan struct{} // closed when nothing of the session is left
}

// sessionKey is what makes two sessions the same: a new one ends the old one
// (RFC 7143 6.3.5).
type sessionKey struct {
	initiator string
	isid      wire.ISID
	target    string // empty: a discovery session
	group     uint16
}

func (s *session) key() sessionKey {
	k := sessionKey{initiator: s.login.Initiator, isid: s.login.ISID, group: s.login.Group}
	if !s.login.Discovery {
		k.target = s.login.Target
	}
	return k
}

// id names the session towards administrators.
func (s *session) id() string { return fmt.Sprintf("%04x", s.tsih) }

// SessionInfo tells of a session.
type SessionInfo struct {
	ID        string // for CloseSession
	Discovery bool
	Target    string
	Group     string // host group; "" is the target's default map
	Initiator string
	Alias     string // InitiatorAlias, as it was at login
	ISID      [6]byte
	TSIH      uint16
	User      string // CHAP name; empty if none was asked for
	Address   string // of the initiator
	Portal    string // name
	PortalTag uint16 // target portal group tag
	Since     time.Time
	LUNs      int
	Active    int // commands under way
	Counters  scsi.Counters

	HeaderDigest bool
	DataDigest   bool
}

// info takes no lock of the connection's: it answers while a device hangs.
func (s *session) info() SessionInfo {
	l := &s.login
	i := SessionInfo{ID: s.id(), Discovery: l.Discovery, Target: l.Target, Initiator: l.Initiator, Alias: l.Alias, ISID: l.ISID, TSIH: s.tsih,
		User: l.User, Address: s.remote.String(), Portal: s.portal, PortalTag: l.Group, Since: s.since,
		HeaderDigest: l.HeaderDigest, DataDigest: l.DataDigest}
	if s.nexus == nil {
		return i
	}
	i.Group = s.nexus.Group()
	for _, p := range s.nexus.Paths() {
		i.LUNs++
		i.Active += p.Active()
		i.Counters.Add(p.Counters())
	}
	return i
}

// Sessions lists the sessions, discovery sessions too.
func (s *Server) Sessions() []SessionInfo {
	var all []SessionInfo
	for _, x := range s.list() {
		all = append(all, x.info())
	}
	return all
}

// CloseSession ends a session without asking its initiator, which usually
// logs in again.
func (s *Server) CloseSession(id string) error {
	for _, x := range s.list() {
		if x.id() == id {
			x.conn.kick("closed by the administrator")
			return nil
		}
	}
	return fmt.Errorf("close session %s: %w", id, ErrNoSession)
}

// list copies the table of sessions.
func (s *Server) list() []*session {
	return s.those(func(x *session) bool { return x.ready.Load() })
}

// those copies the sessions that want says yes to. It is called with the
// server's lock held.
func (s *Server) those(want func(*session) bool) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []*session
	for _, x := range s.sessions {
		if want(x) {
			some = append(some, x)
		}
	}
	slices.SortFunc(some, func(a, b *session) int { return int(a.tsih) - int(b.tsih) })
	return some
}

// dropOthers ends the other sessions of x's target.
func (s *Server) dropOthers(x *session, why string) {
	for _, other := range s.those(func(o *session) bool { return o.target == x.target && o != x }) {
		other.conn.kick(why)
	}
}

// open makes a session of a login that has ended well. A session of the same
// initiator port and target port that is there already is ended first: its
// tasks have ended when open returns (RFC 7143 6.3.5).
func (s *Server) open(x *session) *login.Refusal {
	for {
		old, refusal := s.enroll(x)
		if old == nil {
			return refusal
		}
		old.conn.kick("the initiator logged in anew")
		select {
		case <-old.over:
		case <-time.After(s.options.LoginTimeout):
			return &login.Refusal{Status: wire.LoginTargetError, Reason: "tasks of the session before do not end"}
		}
	}
}

// enroll puts x into the table, or returns the session that it replaces.
func (s *Server) enroll(x *session) (*session, *login.Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, &login.Refusal{Status: wire.LoginServiceUnavailable, Reason: "the server shuts down"}
	}
	if old := s.byKey[x.key()]; old != nil {
		return old, nil
	}
	if t := x.target; t != nil {
		if s.targets[t.config.Name] != t {
			return nil, &login.Refusal{Status: wire.LoginTargetRemoved, Reason: "the target was removed meanwhile"}
		}
		if limit := t.config.MaxSessions; limit > 0 && t.sessions >= limit {
			return nil, &login.Refusal{Status: wire.LoginOutOfResources, Reason: fmt.Sprintf("the target has its %d sessions", limit)}
		}
	}
	if len(s.sessions) >= s.options.MaxSessions {
		return nil, &login.Refusal{Status: wire.LoginOutOfResources, Reason: fmt.Sprintf("the server has its %d sessions", s.options.MaxSessions)}
	}
	if x.target == nil {
		// They ask for no password, as a rule: they get no place of a session
		// that may have had to give one.
		discoveries := 0
		for _, o := range s.sessions {
			if o.target == nil {
				discoveries++
			}
		}
		if limit := max(s.options.MaxSessions/8, 1); discoveries >= limit {
			return nil, &login.Refusal{Status: wire.LoginOutOfResources, Reason: fmt.Sprintf("the server has its %d discovery sessions", limit)}
		}
	}
	for x.tsih = s.lastTSIH + 1; x.tsih == 0 || s.sessions[x.tsih] != nil; x.tsih++ {
	}
	s.lastTSIH = x.tsih
	s.sessions[x.tsih] = x
	s.byKey[x.key()] = x
	if x.target != nil {
		x.target.sessions++
	}
	return nil, nil
}

// forget takes x from the table: nothing of it is left.
func (s *Server) forget(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x.tsih)
	delete(s.byKey, x.key())
	if x.target != nil {
		x.target.sessions--
	}
	close(x.over)
}

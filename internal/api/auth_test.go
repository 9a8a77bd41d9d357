package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// TestLoginSession logs in, works, and sees the session end in each of the
// ways that it can.
func TestLoginSession(t *testing.T) {
	a := newArray(t)
	login := func() string {
		t.Helper()
		l, _ := must[v1.LoggedIn](a, http.StatusOK, call{method: "POST", path: "/login", body: v1.Login{Name: "admin", Password: adminPassword}})
		if l.Role != "admin" || !strings.HasPrefix(l.Token, sessionPrefix) {
			t.Fatalf("logged in: role %s", l.Role)
		}
		return l.Token
	}
	works := func(token string) bool {
		return a.do(call{token: token, method: "GET", path: "/status"}).Code == http.StatusOK
	}
	token := login()
	if !works(token) {
		t.Error("a new session does not work")
	}
	must[struct{}](a, http.StatusNoContent, call{token: token, method: "POST", path: "/logout"})
	if works(token) {
		t.Error("a session works after logout")
	}
	token = login()
	a.clock.Add(sessionIdle + time.Second)
	if works(token) {
		t.Error("an idle session works")
	}
	token = login()
	for range sessionLife/sessionIdle + 1 {
		a.clock.Add(sessionIdle - time.Minute)
		works(token)
	}
	a.clock.Add(sessionIdle)
	if works(token) {
		t.Error("a session never ends")
	}
	// Many sessions: the one unused for longest gives way.
	first := login()
	for range maxSessions {
		a.clock.Add(time.Second)
		login()
	}
	if works(first) {
		t.Error("there is no bound to a user's sessions")
	}
	// Another password ends the sessions that the old one opened.
	token = login()
	w := a.do(call{role: Admin, method: "GET", path: "/users/admin"})
	if strings.Contains(w.Body.String(), "argon2id") {
		t.Errorf("the hash is shown: %s", w.Body)
	}
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "PUT", path: "/users/admin", match: w.Header().Get("ETag"),
		body: v1.User{Name: "admin", Role: "admin", Password: "another password", Tokens: []string{"t"}}})
	a.finish(op)
	if works(token) {
		t.Error("a session works after its password was changed")
	}
	p, _ := must[v1.Problem](a, http.StatusUnauthorized, call{method: "POST", path: "/login", body: v1.Login{Name: "admin", Password: adminPassword}})
	if p.Type != v1.ProblemLogin {
		t.Errorf("the refusal: %+v", p)
	}
}

// TestFailedLoginsAreLimited guesses from one address until it is refused,
// while another one still gets in.
func TestFailedLoginsAreLimited(t *testing.T) {
	a := newArray(t)
	guess := func(from string) (int, http.Header) {
		w := a.do(call{method: "GET", path: "/status", token: "esos_wrong", from: from})
		return w.Code, w.Header()
	}
	for i := range loginBurst {
		if code, _ := guess("192.0.2.66:1000"); code != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i, code)
		}
	}
	code, header := guess("192.0.2.66:1001")
	if code != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("one guess more: %d, Retry-After %q", code, header.Get("Retry-After"))
	}
	// Right credentials do not get in either until then: the limit would be
	// none if a guess that hits were exempt.
	if w := a.do(call{role: Admin, method: "GET", path: "/status", from: "192.0.2.66:1002"}); w.Code != http.StatusTooManyRequests {
		t.Errorf("a right token from there: %d", w.Code)
	}
	if w := a.do(call{method: "POST", path: "/login", body: v1.Login{Name: "admin", Password: adminPassword}, from: "192.0.2.66:1002"}); w.Code != http.StatusTooManyRequests {
		t.Errorf("a right password from there: %d", w.Code)
	}
	for range 50 { // who is right is not limited
		if w := a.do(call{role: Viewer, method: "GET", path: "/config/schema", from: "192.0.2.67:1000"}); w.Code != http.StatusOK {
			t.Fatalf("a right token from elsewhere: %d", w.Code)
		}
	}
	a.clock.Add(loginRefill + time.Second)
	if code, _ := guess("192.0.2.66:1003"); code != http.StatusUnauthorized {
		t.Errorf("after a while: %d", code)
	}
	if n := len(a.noted("audit")); n < loginBurst {
		t.Errorf("%d refusals are in the audit log", n)
	}
}

func TestLoginLimiterIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLoginLimiter(func() time.Time { return now })
	hardest := netip.MustParseAddr("2001:db8::1")
	for range loginBurst {
		l.take(hardest)
	}
	for i := range 3 * loginAddresses {
		l.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(l.buckets) > loginAddresses {
		t.Errorf("%d addresses are remembered", len(l.buckets))
	}
	if _, ok := l.take(netip.MustParseAddr("2001:db8::2")); ok {
		t.Error("a neighbour in the same /64 begins anew, or the one who tried hardest was forgotten")
	}
	now = now.Add(time.Hour)
	l.evict(now)
	if n := len(l.buckets); n > loginAddresses-evictSample {
		t.Errorf("%d addresses are remembered after those that owe nothing could be forgotten", n)
	}
}

// TestUsersAndTokens makes a user and a token, uses and revokes it.
func TestUsersAndTokens(t *testing.T) {
	a := newArray(t)
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "POST", path: "/users", body: v1.User{Name: "ann", Role: "viewer"}})
	a.finish(op)
	made, header := must[v1.MadeToken](a, http.StatusAccepted, call{role: Admin, method: "POST", path: "/users/ann/tokens", body: v1.NewToken{Name: "laptop"}})
	must[v1.Operation](a, http.StatusOK, call{role: Viewer, method: "GET", path: strings.TrimPrefix(header.Get("Location"), v1.Prefix) + "?wait=5"})
	if w := a.do(call{token: made.Token, method: "GET", path: "/status"}); w.Code != http.StatusOK {
		t.Errorf("the new token: %d", w.Code)
	}
	if w := a.do(call{token: made.Token, method: "POST", path: "/devices", body: "{}"}); w.Code != http.StatusForbidden {
		t.Errorf("a viewer's token changes: %d", w.Code)
	}
	doc, _, err := a.app.Document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u, err := findUser(doc, "ann"); err != nil || len(u.Tokens) != 1 || strings.Contains(string(u.Tokens[0].Hash), made.Token) {
		t.Errorf("the token is not kept as its hash: %v", err)
	}
	must[v1.Problem](a, http.StatusConflict, call{role: Admin, method: "POST", path: "/users/ann/tokens", body: v1.NewToken{Name: "laptop"}})
	w := a.do(call{role: Admin, method: "GET", path: "/users/ann"})
	op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "PUT", path: "/users/ann", match: w.Header().Get("ETag"), body: v1.User{Name: "ann", Role: "viewer"}})
	a.finish(op)
	if w := a.do(call{token: made.Token, method: "GET", path: "/status"}); w.Code != http.StatusUnauthorized {
		t.Errorf("the revoked token: %d", w.Code)
	}
	w = a.do(call{role: Admin, method: "GET", path: "/users/ann"})
	op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "DELETE", path: "/users/ann", match: w.Header().Get("ETag")})
	a.finish(op)
	all, _ := must[[]v1.User](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/users"})
	if len(all) != 3 {
		t.Errorf("users: %+v", all)
	}
}

// TestNoSecretLeavesTraces does everything that has to do with secrets and
// looks for them in the log and the events.
func TestNoSecretLeavesTraces(t *testing.T) {
	a := newArray(t)
	const password = "a new password that is long"
	l, _ := must[v1.LoggedIn](a, http.StatusOK, call{method: "POST", path: "/login", body: v1.Login{Name: "admin", Password: adminPassword}})
	a.do(call{method: "POST", path: "/login", body: v1.Login{Name: "admin", Password: password}})
	a.do(call{method: "POST", path: "/login", body: `{"name": 5, "password": "` + password + `"}`})
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "POST", path: "/users", body: v1.User{Name: "ann", Role: "viewer", Password: password}})
	a.finish(op)
	made, _ := must[v1.MadeToken](a, http.StatusAccepted, call{role: Admin, method: "POST", path: "/users/ann/tokens", body: v1.NewToken{Name: "laptop"}})
	// An answer that refuses a body does not repeat it.
	w := a.do(call{role: Operator, method: "POST", path: "/targets", body: `{"name": "iqn.2026-11.com.example:x", "auth": {"users": [{"name": "h", "secret": ["` + chapSecret + `"]}]}}`})
	if w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a secret that is a list: %d %s", w.Code, w.Body)
	}
	a.do(call{role: Viewer, method: "GET", path: "/events?follow=false"})
	seen := a.log.String()
	for _, e := range a.noted("audit") {
		seen += fmt.Sprint(e.Event)
	}
	for _, secret := range []string{chapSecret, adminPassword, password, l.Token, made.Token, a.tokens[Admin], "argon2id", hashToken(made.Token)} {
		if strings.Contains(seen, secret) {
			t.Errorf("%q is in the log or the events", secret)
		}
	}
	if !strings.Contains(seen, "POST /api/v1/users/ann/tokens") {
		t.Error("what was done is not in the log")
	}
}

// TestCertificate makes a pair, keeps it to itself and finds it again.
func TestCertificate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "api")
	first, err := loadCertificate("", "", dir, "array1", "192.0.2.10:8443")
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadCertificate("", "", dir, "array1", "192.0.2.10:8443")
	if err != nil || Fingerprint(first.Certificate[0]) != Fingerprint(again.Certificate[0]) {
		t.Errorf("another pair the second time, or %v", err)
	}
	if leaf, err := x509.ParseCertificate(first.Certificate[0]); err != nil || leaf.VerifyHostname("192.0.2.10") != nil || leaf.VerifyHostname("array1") != nil {
		t.Errorf("the certificate does not name the array: %v", err)
	}
	if ips := addresses(":8443"); len(ips) < 2 {
		t.Errorf("a certificate for every address names %v", ips)
	}
	for name, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, "api.pem"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, want %v (%v)", name, info.Mode(), want, err)
		}
	}
	if _, err := loadCertificate("missing.pem", "missing.key", dir, "array1", "192.0.2.10:8443"); err == nil || !strings.Contains(err.Error(), "missing.pem") {
		t.Errorf("a pair that is missing: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "api.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadCertificate("", "", dir, "array1", "192.0.2.10:8443"); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a broken pair: %v", err)
	}
}

// TestListenTCP turns the listener on and off by the document.
func TestListenTCP(t *testing.T) {
	a := newArray(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		a.stop()
	})
	set := func(listen string) v1.Status {
		t.Helper()
		doc, _, err := a.app.Document(ctx)
		if err != nil {
			t.Fatal(err)
		}
		doc.API.Listen = listen
		w := a.do(call{role: Admin, method: "PUT", path: "/config", body: marshal(t, doc), match: "*"})
		if w.Code != http.StatusAccepted {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for range 200 { // the listener follows
			s, _ := must[v1.Status](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/status"})
			if (s.API != "") == (listen != "") && s.State == "ok" {
				return s
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("the listener did not follow api.listen %q", listen)
		return v1.Status{}
	}
	s := set(freeAddress(t))
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.API, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	state := conn.ConnectionState()
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if state.Version != tls.VersionTLS13 || Fingerprint(state.PeerCertificates[0].Raw) != s.Fingerprint {
		t.Errorf("TLS %x with the certificate %s, status says %s", state.Version, Fingerprint(state.PeerCertificates[0].Raw), s.Fingerprint)
	}
	if c, err := tls.Dial("tcp", strings.TrimPrefix(s.API, "https://"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		_ = c.Close()
		t.Error("TLS 1.2 was taken")
	}
	// A place that is taken is told, and the old one is given up.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	doc, _, err := a.app.Document(ctx)
	if err != nil {
		t.Fatal(err)
	}
	doc.API.Listen = taken.Addr().String()
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "PUT", path: "/config", body: marshal(t, doc), match: "*"})
	a.finish(op)
	for try := 0; ; try++ {
		st, _ := must[v1.Status](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/status"})
		if st.State == "degraded" && strings.Contains(fmt.Sprint(st.Problems), "api.listen") {
			break
		}
		if try == 200 {
			t.Fatalf("status does not tell that the place is taken: %+v", st)
		}
		time.Sleep(20 * time.Millisecond)
	}
	set("")
	if c, err := net.Dial("tcp", strings.TrimPrefix(s.API, "https://")); err == nil {
		_ = c.Close()
		t.Error("it still listens")
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestSocketIsForItsOwner looks at the socket's mode, and who one is over it.
func TestSocketIsForItsOwner(t *testing.T) {
	a := newArray(t)
	path := filepath.Join(t.TempDir(), "run", "api.sock")
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v (%v)", info.Mode(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.ServeUnix(ctx, l) }()
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	resp, err := hc.Get("http://esos" + v1.Prefix + "/config?reveal=true")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the administrator at the socket gets %s", resp.Status)
	}
	if _, err := ListenUnix(path); err == nil || !strings.Contains(err.Error(), "another daemon") {
		t.Errorf("a second daemon takes the socket: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := len(a.noted("audit")); n != 1 {
		t.Errorf("%d audit events of the revealed secrets", n)
	}
}

// TestOnlyBearerTokens refuses other schemes.
func TestOnlyBearerTokens(t *testing.T) {
	a := newArray(t)
	r := httptest.NewRequest("GET", v1.Prefix+"/status", nil)
	r.SetBasicAuth("admin", adminPassword)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "Bearer") {
		t.Errorf("basic authentication: %d %s", w.Code, w.Body)
	}
}

package api

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// TestOnlyAdminsNameFiles has an operator export files of the machine: the
// daemon would open them as root.
func TestOnlyAdminsNameFiles(t *testing.T) {
	a := newArray(t)
	secrets := config.Device{Name: "x", Handler: config.CDROM, Path: "/etc/shadow"}
	doc := a.do(call{role: Admin, method: "GET", path: "/config", accept: "application/yaml"})
	tag := doc.Header().Get("ETag")
	text := strings.Replace(doc.Body.String(), "devices:\n", "devices:\n  - {name: x, handler: vcdrom, path: /etc/shadow}\n", 1)
	for _, c := range []call{
		{role: Operator, method: "POST", path: "/devices", body: secrets},
		{role: Operator, method: "PUT", path: "/config", body: text, match: tag},
		{role: Operator, method: "POST", path: "/config/plan", body: text},
		{role: Viewer, method: "POST", path: "/config/plan", body: text},
	} {
		if p, _ := must[v1.Problem](a, http.StatusForbidden, c); !strings.Contains(p.Detail, "/etc/shadow") {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
	}
	// What an admin gave out, operators go on working with.
	iso := config.Device{Name: "x", Handler: config.CDROM, Path: filepath.Join(t.TempDir(), "a.iso")}
	if err := os.WriteFile(iso.Path, make([]byte, 2048), 0o600); err != nil {
		t.Fatal(err)
	}
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "POST", path: "/devices", body: iso})
	a.finish(op)
	empty := config.Device{Name: "y", Handler: config.CDROM}
	op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "POST", path: "/devices", body: empty})
	a.finish(op)
}

// TestStrangersLeaveTheLogAlone sends what is refused, again and again: that
// must not push out what is known about others.
func TestStrangersLeaveTheLogAlone(t *testing.T) {
	a := newArray(t)
	before := len(a.noted("audit"))
	for range 50 {
		if w := a.do(call{method: "DELETE", path: "/devices/" + strings.Repeat("x", 5000), match: "*"}); w.Code != http.StatusUnauthorized {
			t.Fatalf("a stranger: %d", w.Code)
		}
	}
	if n := len(a.noted("audit")); n != before {
		t.Errorf("%d events", n-before)
	}
	a.do(call{token: "esos_wrong", method: "DELETE", path: "/devices/" + strings.Repeat("x", 5000), match: "*"})
	a.do(call{method: "POST", path: "/login", body: v1.Login{Name: strings.Repeat("n", 5000), Password: "p"}})
	for _, e := range a.noted("audit") {
		if len(e.Event.Message) > 600 {
			t.Errorf("an event of %d bytes: %.100s", len(e.Event.Message), e.Event.Message)
		}
	}
}

// TestOneAddressCannotTakeAllPlaces opens connections from one address until no
// more are let in; another address still gets one.
func TestOneAddressCannotTakeAllPlaces(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLimitedListener(inner)
	accepted := make(chan net.Conn, maxConnections)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	var last net.Conn
	for range maxFromOne + 1 {
		last = dial("127.0.0.2")
	}
	if _, err := last.Read(make([]byte, 1)); err == nil {
		t.Error("the last one was not closed")
	}
	dial("127.0.0.3")
	var conns []net.Conn
	for range maxFromOne + 1 {
		conns = append(conns, <-accepted)
	}
	if got := conns[maxFromOne].RemoteAddr().(*net.TCPAddr).IP.String(); got != "127.0.0.3" {
		t.Errorf("the last that was let in is from %s", got)
	}
	for _, c := range conns { // who leaves makes room
		_ = c.Close()
	}
	dial("127.0.0.2")
	_ = (<-accepted).Close()
	_ = inner.Close()
	<-ended
	if len(l.from) > 0 || len(l.places) > 0 {
		t.Errorf("%d addresses and %d places are still held", len(l.from), len(l.places))
	}
}

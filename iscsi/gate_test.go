package iscsi

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/iscsi/wire"
)

// told says what a gate tells the poller now.
func told(t *testing.T, g *gate) bool {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(g.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// say has eight bytes arrive at c.
func say(t *testing.T, far net.Conn, c *connection) {
	t.Helper()
	if _, err := far.Write(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	p := []unix.PollFd{{Fd: int32(c.sock.fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(p, 5000); n != 1 || err != nil {
		t.Fatalf("nothing arrived: %v", err)
	}
}

func TestGate(t *testing.T) {
	c, far := waiting(t)
	g := c.sock.in
	hear := func() {
		t.Helper()
		var p [64]byte
		if n, e := c.sock.recv(p[:]); n <= 0 || e != 0 {
			t.Fatalf("received %d bytes, %v", n, e)
		}
	}
	if told(t, g) {
		t.Error("told of nothing")
	}
	say(t, far, c)
	if !told(t, g) {
		t.Error("an open gate told nothing")
	}
	hear()
	g.shut()
	say(t, far, c)
	if told(t, g) {
		t.Error("a shut gate told what came")
	}
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	hear()
	say(t, far, c)
	if !told(t, g) {
		t.Error("a gate that is open again told nothing")
	}
	hear()
	g.shut()
	c.sock.shutdown()
	if !told(t, g) {
		t.Error("a shut gate did not tell of the end")
	}
}

// What comes while the gate is shut is received though the poller never heard
// of it: here between the last look and going to sleep.
func TestSleepMissesNothing(t *testing.T) {
	c, far := waiting(t)
	say(t, far, c)
	c.sock.in.shut()
	c.drained = true
	if c.step(0) {
		t.Fatal(c.err)
	}
	if c.w-c.r != 8 {
		t.Errorf("went to sleep with %d of 8 bytes received", c.w-c.r)
	}
	if c.sock.in.isShut {
		t.Error("went to sleep with the gate shut")
	}
}

// Sessions, and logins that are refused when all else is done, give their
// descriptors back.
func TestDescriptors(t *testing.T) {
	r := newRig(t, Options{})
	open := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	soon := func(is func() bool) bool {
		for range 500 {
			if is() {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
		return false
	}
	before := open()
	c := r.config
	c.MaxSessions = 1
	if err := r.server.PutTarget(c); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		i := r.login(1)
		other := r.dial()
		if s := other.login(2, "Normal"); s != wire.LoginOutOfResources {
			t.Fatalf("second session: %s", s)
		}
		other.closed()
		_, _ = other.conn.Close(), i.conn.Close()
		if !soon(func() bool { return len(r.server.Sessions()) == 0 }) {
			t.Fatal("the session stays") // and leaves no room for the next one
		}
	}
	if !soon(func() bool { return open() <= before }) {
		t.Errorf("%d descriptors are open, %d before", open(), before)
	}
}

package iscsi

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waiting is a connection that nothing was sent on yet, with its initiator.
func waiting(t *testing.T) (*connection, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	sock, err := newSocket(near)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{began: time.Now().Add(-time.Second), pools: newPools(64 << 10), vigils: 1}
	c := &connection{server: s, sock: sock}
	c.tx = newTransmitter(&c.mu, sock, 64<<10)
	t.Cleanup(sock.close)
	c.params.maxReceive = 8192
	c.in = get(&s.pools.receive)
	return c, far
}

// A connection that waits in vain sleeps through more and more waits; one that
// does not is awake each time.
func TestVigil(t *testing.T) {
	c, far := waiting(t)
	s, v := c.server, &c.vigil
	asleep := func() bool { // whether a wait was slept through from its beginning
		before := v.vain
		n, e, _ := c.keepVigil()
		if e != unix.EAGAIN {
			t.Fatalf("received %d bytes, %v", n, e)
		}
		return v.vain == before
	}
	if !asleep() {
		t.Error("a new connection stays awake")
	}
	wake := func() { // from a short sleep, to a long turn
		v.dry = s.clock()
		c.slept()
		v.woke += int64(time.Minute)
	}
	if wake(); s.lively.Load() != 1 {
		t.Error("a short sleep does not make a connection lively")
	}
	for _, sleeps := range []int{1, 2, 4, 8} {
		if wake(); asleep() {
			t.Errorf("a lively connection slept; %d vigils in vain", sleeps-1)
		}
		for i := range sleeps {
			if !asleep() {
				t.Errorf("stayed awake %d waits after a vigil in vain, want %d", i, sleeps)
			}
		}
	}
	if _, err := far.Write([]byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	for c.w == 0 { // it may take a moment to arrive
		wake()
		if n, e, _ := c.keepVigil(); e == 0 && n != 3 {
			t.Errorf("received %d bytes", n)
		}
	}
	v.sleep = 0 // it may have come in a wait that was slept through
	if wake(); v.vain != 0 || asleep() {
		t.Error("sleeps though something came in time")
	}
	v.sleep, v.woke = 0, s.clock()-2*turn
	if !asleep() {
		t.Error("stays awake beyond its turn")
	}
	v.dry = s.clock() - 2*soon
	if c.slept(); s.lively.Load() != 0 || v.vain != 0 {
		t.Errorf("after a long sleep: lively %d, vain %d", s.lively.Load(), v.vain)
	}
}

// Nobody stays awake where as many others as there are processors would, too.
func TestNoVigilAmongMany(t *testing.T) {
	c, _ := waiting(t)
	s := c.server
	var other vigil
	c.vigil.woke = s.clock() + int64(time.Minute)
	s.enliven(&c.vigil)
	s.enliven(&other)
	s.enliven(&other)
	if s.lively.Load() != 2 {
		t.Errorf("%d are lively, want 2", s.lively.Load())
	}
	if _, _, _ = c.keepVigil(); c.vigil.vain != 0 {
		t.Error("it stayed awake")
	}
	s.calm(&other)
	s.calm(&other)
	if _, _, _ = c.keepVigil(); c.vigil.vain != 1 {
		t.Error("it slept")
	}
}

// TestIdleIsCalm: who was lively and went away holds nobody else up.
func TestIdleIsCalm(t *testing.T) {
	r := newRig(t, Options{})
	l := newLoad(r, 1, false, 1, 1)
	calm := func(what string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); r.server.lively.Load() != 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d lively connections", what, r.server.lively.Load())
			}
		}
	}
	lively := func() {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); r.server.lively.Load() != 1; {
			if err := l.round(); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(end) {
				t.Fatal("I/Os one behind the other make nobody lively")
			}
		}
	}
	lively()
	calm("idle")
	lively()
	l.i.conn.Close()
	calm("gone")
}

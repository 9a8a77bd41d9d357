package iscsi

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// vigil is how a connection waits for its initiator: for a moment it asks the
// socket again and again, then it sleeps.
//
// To sleep and to be woken costs both sides some tens of microseconds, many
// times what an I/O itself takes, on a processor that has gone to rest. An
// initiator with few commands outstanding pays for that on each of them. So a
// connection whose initiator tends to come back soon stays awake that long.
// One that was awake in vain does so less and less often, an idle one never
// does, and none does while there are as many of the kind as processors: those
// have something better to do then.
//
// Sleep is also what hands the processor on: the scheduler looks for sockets
// that have something only when nobody runs. So a connection that has run for
// its turn sleeps once, and the others are heard.
type vigil struct {
	woke  int64  // when the connection slept last, on the server's clock
	dry   int64  // when the socket was found empty, likewise; 0: it is not
	sleep uint32 // so many waits are slept through from their beginning
	vain  uint32 // what sleep is set to after the next vigil in vain

	owed bool // something was sent since something was received: more is to come

	// lively says that the last wait was short; Server.lively counts these.
	lively atomic.Bool
}

const (
	// awake is how long a connection stays awake at most: longer than an
	// initiator takes that has to be woken itself.
	awake = 100_000 // ns
	// turn is how long a connection runs before it sleeps once.
	turn = 4_000_000 // ns
	// soon is how short a wait has to be, sleep and wake-up included, for the
	// connection to count as lively. Longer than a turn: what waits for others
	// to end theirs is lively, too.
	soon = 10_000_000 // ns
	// maxVain bounds how many waits are slept through after a vigil in vain.
	maxVain = 1024
	// asks is how often the socket is asked between two looks at the clock.
	asks = 8
)

// slept notes that the connection goes on after it slept.
func (c *connection) slept() {
	v := &c.vigil
	if v.dry == 0 {
		return
	}
	v.woke = c.server.clock()
	if v.woke-v.dry <= soon {
		c.server.enliven(v)
	} else {
		c.server.calm(v)
		v.vain = 0
	}
	v.dry = 0
}

// keepVigil receives like fill, as soon as something comes. EAGAIN says that
// nothing came soon enough, or that it was not worth waiting: sleep. Commands
// that were away are welcomed meanwhile; returned says that some were.
func (c *connection) keepVigil() (n int, e syscall.Errno, returned bool) {
	v := &c.vigil
	v.dry = c.server.clock()
	if c.away.out > 0 && !v.owed {
		return 0, unix.EAGAIN, false // the initiator waits for what is away
	}
	if !v.lively.Load() || c.server.crowded() || v.dry-v.woke > turn {
		return 0, unix.EAGAIN, false
	}
	if v.sleep > 0 {
		v.sleep--
		return 0, unix.EAGAIN, false
	}
	c.sock.in.shut()
	for {
		for range asks {
			n, e = c.fill()
			if returned = e == unix.EAGAIN && c.welcome(false); returned || e != unix.EAGAIN {
				v.vain, v.dry = 0, 0
				return n, e, returned
			}
		}
		if c.server.clock()-v.dry > awake {
			v.vain = min(max(2*v.vain, 1), maxVain)
			v.sleep = v.vain
			return 0, unix.EAGAIN, false
		}
	}
}

// crowded says that more connections are lively than may stay awake.
func (s *Server) crowded() bool { return int(s.lively.Load()) > s.vigils }

func (s *Server) enliven(v *vigil) {
	if !v.lively.Load() && v.lively.CompareAndSwap(false, true) {
		s.lively.Add(1)
	}
}

func (s *Server) calm(v *vigil) {
	if v.lively.Load() && v.lively.CompareAndSwap(true, false) {
		s.lively.Add(-1)
	}
}

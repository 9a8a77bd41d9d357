package disk

import (
	"slices"
	"sync"
	"sync/atomic"
)

// gate orders commands that must be atomic (COMPARE AND WRITE, ORWRITE, WRITE
// ATOMIC) among all others that touch the same bytes, through whatever path
// they come.
//
// Invariants:
//   - While closed is zero, a shared holder is counted in a stripe, and that
//     is all that is known of it.
//   - While closed is not zero, no stripe grows: whoever comes puts itself into
//     the queue. A holder in the queue may go on when no earlier one in it
//     conflicts: overlaps, and one of the two is exclusive. So nobody starves.
//   - An exclusive holder first waits until all stripes are empty. What they
//     counted began before it and waits for nothing, so this ends.
//
// One RWMutex would do the same, but its reader count is one cache line that
// all cores write to for each I/O, and a writer would hold up the I/O to all
// other blocks too.
type gate struct {
	closed  atomic.Int32  // exclusive holders, in the queue or on their way to it
	grants  atomic.Uint64 // exclusive holders that there were
	stripes [stripes]stripe

	isShut atomic.Bool // an exclusive holder took all, for long

	mu    sync.Mutex
	freed sync.Cond
	queue []*hold
	// past are the ranges of the last grants, by their number modulo its
	// length; nil until there is one.
	past []span
}

// stripes is how many counters there are of those who use bytes beside others.
const stripes = 16

// span is a range of bytes.
type span struct{ off, end int64 }

func (s span) overlaps(off, end int64) bool { return s.off < end && off < s.end }

// remembered is how many grants a reader may miss and still learn whether they
// concerned it.
const remembered = 256

type stripe struct {
	n atomic.Int32
	_ [60]byte // a cache line each
}

// hold is a place in the queue.
type hold struct {
	off, end  int64
	exclusive bool
	all       bool // it will take long: nobody is to wait for it
}

// pass is what enter gives and leave takes back.
type pass struct {
	hold   *hold // nil: counted in the stripe
	stripe uint8
}

func (g *gate) init() { g.freed.L = &g.mu }

// enter takes n bytes at off for use beside others. Without wait it gives up,
// with false, where it would have to wait. It also does while the gate is shut.
func (g *gate) enter(off int64, n int, wait bool) (pass, bool) {
	if p, ok := g.slip(off); ok {
		return p, true
	}
	return g.wait(&hold{off: off, end: off + int64(n)}, wait)
}

// slip is enter where nobody wants bytes for itself.
func (g *gate) slip(off int64) (pass, bool) {
	p := passAt(off)
	g.stripes[p.stripe].n.Add(1)
	if g.closed.Load() == 0 {
		return p, true
	}
	g.leave(p)
	return pass{}, false
}

// passAt is the pass that slip gives for off.
func passAt(off int64) pass {
	return pass{stripe: uint8(uint64(off) >> 16 % stripes)}
}

// exclude takes n bytes at off for use alone. It waits, and gives up, with
// false, if the gate is shut.
func (g *gate) exclude(off, n int64) (pass, bool) {
	g.closed.Add(1)
	return g.wait(&hold{off: off, end: off + n, exclusive: true}, true)
}

// shut takes all of n bytes for use alone, for long. Who waits gives up.
func (g *gate) shut(n int64) pass {
	g.closed.Add(1)
	g.isShut.Store(true)
	g.mu.Lock()
	g.freed.Broadcast()
	g.mu.Unlock()
	p, _ := g.wait(&hold{end: n, exclusive: true, all: true}, true)
	return p
}

func (g *gate) wait(h *hold, wait bool) (pass, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !wait && g.conflicts(h) {
		return pass{}, false
	}
	g.queue = append(g.queue, h)
	for g.conflicts(h) || h.exclusive && !g.drained() {
		if g.isShut.Load() && !h.all {
			g.drop(h)
			return pass{}, false
		}
		g.freed.Wait()
	}
	if h.exclusive {
		if g.past == nil {
			g.past = make([]span, remembered)
		}
		n := g.grants.Load()
		g.past[n%remembered] = span{h.off, h.end}
		g.grants.Store(n + 1)
	}
	return pass{hold: h}, true
}

// split says whether one of those who were granted exclusive use since there
// had been n of them had bytes both of [off, mid) and of [mid, end). The caller
// has entered the gate for all of it.
func (g *gate) split(n uint64, off, mid, end int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.grants.Load()
	if now-n > remembered {
		return true // nobody knows any more
	}
	for ; n < now; n++ {
		if s := g.past[n%remembered]; s.overlaps(off, mid) && s.overlaps(mid, end) {
			return true
		}
	}
	return false
}

// conflicts says whether one before h in the queue stands in its way.
func (g *gate) conflicts(h *hold) bool {
	for _, q := range g.queue {
		if q == h {
			return false
		}
		if (q.exclusive || h.exclusive) && q.off < h.end && h.off < q.end {
			return true
		}
	}
	return false
}

func (g *gate) drained() bool {
	for i := range g.stripes {
		if g.stripes[i].n.Load() != 0 {
			return false
		}
	}
	return true
}

func (g *gate) leave(p pass) {
	if p.hold == nil {
		// The order matters: whoever closes the gate does so before it looks
		// at the stripes, so one of the two sees the other.
		if g.stripes[p.stripe].n.Add(-1) == 0 && g.closed.Load() != 0 {
			g.mu.Lock()
			g.freed.Broadcast()
			g.mu.Unlock()
		}
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(p.hold)
}

// drop takes h from the queue. The caller holds mu.
func (g *gate) drop(h *hold) {
	g.queue = slices.DeleteFunc(g.queue, func(q *hold) bool { return q == h })
	if h.all {
		g.isShut.Store(false)
	}
	if h.exclusive {
		g.closed.Add(-1)
	}
	g.freed.Broadcast()
}

package disk

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newGate() *gate {
	g := &gate{}
	g.init()
	return g
}

func TestGateOpenCostsNoQueue(t *testing.T) {
	g := newGate()
	a, _ := g.enter(0, 512, false)
	b, _ := g.enter(0, 512, false)
	if a.hold != nil || b.hold != nil || len(g.queue) != 0 {
		t.Error("sharers queue though nobody excludes them")
	}
	g.leave(a)
	g.leave(b)
	if !g.drained() {
		t.Error("a stripe is not empty")
	}
}

func TestGateExcludesOnlyWhatOverlaps(t *testing.T) {
	g := newGate()
	x, _ := g.exclude(1000, 1000)
	for _, c := range []struct {
		off  int64
		n    int
		free bool
	}{{0, 1000, true}, {2000, 1, true}, {1000, 0, true}, {999, 2, false}, {1999, 1, false}, {0, 5000, false}} {
		p, ok := g.enter(c.off, c.n, false)
		if ok != c.free {
			t.Errorf("enter(%d, %d) = %v", c.off, c.n, ok)
		}
		if ok {
			g.leave(p)
		}
	}
	y, ok := g.exclude(0, 1000)
	if !ok {
		t.Fatal("two that do not overlap exclude each other")
	}
	g.leave(y)
	g.leave(x)
	if g.closed.Load() != 0 || len(g.queue) != 0 || !g.drained() {
		t.Errorf("left behind: closed %d, queue %d", g.closed.Load(), len(g.queue))
	}
}

// An exclusive holder waits for those before it, and holds up those after it.
func TestGateOrder(t *testing.T) {
	g := newGate()
	first, _ := g.enter(0, 512, true)
	var got atomic.Bool
	done := make(chan struct{})
	go func() {
		p, _ := g.exclude(0, 512)
		got.Store(true)
		g.leave(p)
		close(done)
	}()
	for g.closed.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for {
		g.mu.Lock()
		n := len(g.queue)
		g.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if _, ok := g.enter(0, 512, false); ok {
		t.Error("a newcomer overtook an exclusive holder that waits")
	}
	if got.Load() {
		t.Error("it did not wait for the one before it")
	}
	g.leave(first)
	<-done
}

func TestGateShut(t *testing.T) {
	g := newGate()
	s := g.shut(1 << 20)
	if _, ok := g.enter(0, 512, true); ok {
		t.Error("entered a gate that is shut")
	}
	if _, ok := g.exclude(0, 512); ok {
		t.Error("excluded others from a gate that is shut")
	}
	g.leave(s)
	p, ok := g.enter(0, 512, false)
	if !ok {
		t.Fatal("it stays shut")
	}
	g.leave(p)
	if g.closed.Load() != 0 || len(g.queue) != 0 {
		t.Errorf("left behind: closed %d, queue %d", g.closed.Load(), len(g.queue))
	}
}

// Sharers see a pair of counters equal; exclusive holders make them unequal for
// a while. The race detector watches too.
func TestGateUnderLoad(t *testing.T) {
	const blocks = 8
	g := newGate()
	var pairs [blocks][2]int
	var wg sync.WaitGroup
	var writes atomic.Int64
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for range 2000 {
				b := rng.IntN(blocks)
				if rng.IntN(4) == 0 {
					p, _ := g.exclude(int64(b)<<16, 512)
					pairs[b][0]++
					pairs[b][1]++
					writes.Add(1)
					g.leave(p)
					continue
				}
				p, ok := g.enter(int64(b)<<16, 512, rng.IntN(2) == 0)
				if !ok {
					continue
				}
				if pairs[b][0] != pairs[b][1] {
					t.Error("saw a write half done")
				}
				g.leave(p)
			}
		}()
	}
	wg.Wait()
	sum := 0
	for _, p := range pairs {
		sum += p[0]
	}
	if int64(sum) != writes.Load() || g.closed.Load() != 0 || len(g.queue) != 0 || !g.drained() {
		t.Errorf("%d writes of %d; closed %d, queue %d", sum, writes.Load(), g.closed.Load(), len(g.queue))
	}
}

package scsi

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// admit brings a task as far as the transport would before its data is there.
func (h *host) admit(attr TaskAttr) *Task {
	h.t.Helper()
	t := &Task{CDB: make([]byte, 16), Attr: attr, Transfer: &inBuffer{}, MayBlock: true}
	t.CDB[0] = 0x2a
	if !h.Admit(t) {
		h.t.Fatalf("not admitted: %s", ending(t))
	}
	return t
}

func (h *host) took() []*Task {
	h.tr.mu.Lock()
	defer h.tr.mu.Unlock()
	r := h.tr.resumed
	h.tr.resumed = nil
	return r
}

func TestOrdered(t *testing.T) {
	h := newHost(t, "iqn.2026-01.org.example:a", 1, 1, NewUnit(testIdentity, &fakeDevice{})).calm()
	p := h.Paths()[0]
	old1, old2 := h.admit(Simple), h.admit(Untagged)
	ordered := h.admit(Ordered)
	young := h.admit(Simple)
	if h.Execute(ordered) || h.Execute(young) || ordered.WouldBlock {
		t.Fatal("an ORDERED task or one after it ran before older ones had ended")
	}
	if !h.Execute(old2) || len(h.took()) != 0 {
		t.Fatal("an older task was held back, or the ORDERED one was not")
	}
	head := h.admit(HeadOfQueue)
	if !h.Execute(head) { // it does not wait for anybody
		t.Fatal("a HEAD OF QUEUE task was held back")
	}
	h.Execute(old1)
	if r := h.took(); len(r) != 1 || r[0] != ordered {
		t.Fatalf("resumed %v", r)
	}
	later := h.admit(Simple)
	if h.Execute(later) {
		t.Fatal("a younger task ran beside an ORDERED one")
	}
	if !h.Execute(ordered) {
		t.Fatal("resumed and held back again")
	}
	if r := h.took(); len(r) != 2 || r[0] != young || r[1] != later {
		t.Fatalf("resumed %v", r)
	}
	if !h.Execute(young) || !h.Execute(later) || p.gate.Load() != 0 || p.Active() != 0 {
		t.Errorf("left behind: gate %#x, %d tasks", p.gate.Load(), p.Active())
	}
}

func TestHeadOfQueueHoldsYounger(t *testing.T) {
	h := newHost(t, "iqn.2026-01.org.example:a", 1, 1, NewUnit(testIdentity, &fakeDevice{})).calm()
	head := h.admit(HeadOfQueue)
	young := h.admit(Simple)
	if h.Execute(young) {
		t.Fatal("a younger task ran before a HEAD OF QUEUE one had ended")
	}
	h.Execute(head)
	if r := h.took(); len(r) != 1 || !h.Execute(young) {
		t.Fatalf("resumed %v", r)
	}
}

func TestDrop(t *testing.T) {
	h := newHost(t, "iqn.2026-01.org.example:a", 1, 1, NewUnit(testIdentity, &fakeDevice{})).calm()
	p := h.Paths()[0]
	old, ordered, young := h.admit(Simple), h.admit(Ordered), h.admit(Simple)
	h.Execute(young)
	h.Drop(ordered)
	if r := h.took(); len(r) != 1 || r[0] != young {
		t.Fatalf("resumed %v", r)
	}
	h.Drop(old)
	h.Drop(young)
	if p.gate.Load() != 0 || p.Active() != 0 {
		t.Errorf("left behind: gate %#x, %d tasks", p.gate.Load(), p.Active())
	}
	h.admit(Ordered) // a CDB that fails later leaves as well
	bad := &Task{CDB: make([]byte, 16), Attr: Ordered}
	bad.CDB[0], bad.CDB[1], bad.CDB[9] = 0x2a, 0, 4
	if h.Admit(bad) || p.Active() != 1 {
		t.Errorf("%d tasks after one that was refused", p.Active())
	}
}

// Any sequence of admissions, executions and drops keeps SAM-5's order, holds
// nobody back for ever and leaves nothing behind.
func TestOrderProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h := newHost(t, "iqn.2026-01.org.example:a", 1, 1, NewUnit(testIdentity, &fakeDevice{})).calm()
		var live []*Task // in the order of admission
		held := map[*Task]bool{}
		remove := func(x *Task) {
			for i, l := range live {
				if l == x {
					live = append(live[:i:i], live[i+1:]...)
				}
			}
			delete(held, x)
		}
		settle := func() {
			for _, x := range h.took() {
				if !held[x] {
					r.Fatal("resumed a task that was not held back")
				}
				delete(held, x)
			}
		}
		mayRun := func(x *Task) bool {
			if x.Attr == HeadOfQueue {
				return true
			}
			older := true
			for _, l := range live {
				switch {
				case l == x:
					older = false
				case older && (x.Attr == Ordered || l.Attr == Ordered || l.Attr == HeadOfQueue):
					return false
				}
			}
			return true
		}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			if len(live) == 0 || rapid.Bool().Draw(r, "admit") {
				attr := rapid.SampledFrom([]TaskAttr{Simple, Simple, Simple, Ordered, HeadOfQueue}).Draw(r, "attr")
				live = append(live, h.admit(attr))
			} else {
				x := rapid.SampledFrom(live).Draw(r, "task")
				switch {
				case rapid.IntRange(0, 5).Draw(r, "drop") == 0:
					h.Drop(x)
					remove(x)
				case held[x]:
				default:
					may := mayRun(x)
					ran := h.Execute(x)
					if ran && !may {
						r.Fatalf("a task ran out of turn: %s", describe(live, x))
					}
					if !ran && may && !laterHead(live, x) {
						r.Fatalf("a task was held back in its turn: %s", describe(live, x))
					}
					if ran {
						remove(x)
					} else {
						held[x] = true
					}
				}
			}
			settle()
		}
		for len(live) > 0 { // everybody gets a turn
			n := len(live)
			for _, x := range append([]*Task(nil), live...) {
				if !held[x] && h.Execute(x) {
					remove(x)
				} else {
					held[x] = true
				}
				settle()
			}
			if len(live) == n && len(held) == n {
				r.Fatalf("stuck: %s", describe(live, nil))
			}
		}
		p := h.Paths()[0]
		if p.gate.Load() != 0 || p.Active() != 0 {
			r.Fatalf("left behind: gate %#x, %d tasks", p.gate.Load(), p.Active())
		}
	})
}

// laterHead says whether a HEAD OF QUEUE task came after x and has not ended: x waits for it.
func laterHead(live []*Task, x *Task) bool {
	for _, l := range live {
		if l != x && l.Attr == HeadOfQueue {
			return true
		}
	}
	return false
}

func describe(live []*Task, x *Task) string {
	var b strings.Builder
	for _, l := range live {
		mark := ""
		if l == x {
			mark = "*"
		}
		fmt.Fprintf(&b, "%d%s ", l.Attr, mark)
	}
	return b.String()
}

// chaserTransport executes what it is given back on goroutines, as a
// transport's workers do.
type chaserTransport struct {
	n  *Nexus
	wg sync.WaitGroup
}

func (c *chaserTransport) AbortTasks(LUN, *Task) {}
func (c *chaserTransport) Resume(t *Task) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		c.n.Execute(t)
	}()
}

func TestOrderConcurrent(t *testing.T) {
	tr := &chaserTransport{}
	n := NewNexus(InitiatorID{Name: "iqn.2026-01.org.example:a"}, &Port{ID: 1}, tr)
	tr.n = n
	n.SetLUNs([]Mapping{{LUN: 0, Unit: NewUnit(testIdentity, &fakeDevice{})}})
	(&host{Nexus: n}).calm()
	for i := range 20000 {
		task := &Task{CDB: make([]byte, 16), Attr: Simple, Transfer: &inBuffer{}, MayBlock: true}
		task.CDB[0] = 0x2a
		switch i % 17 {
		case 5:
			task.Attr = Ordered
		case 11:
			task.Attr = HeadOfQueue
		}
		if !n.Admit(task) {
			t.Fatal(ending(task))
		}
		tr.wg.Add(1)
		go func() {
			defer tr.wg.Done()
			n.Execute(task)
		}()
	}
	tr.wg.Wait()
	if p := n.Paths()[0]; p.Active() != 0 || p.gate.Load() != 0 {
		t.Errorf("left behind: gate %#x, %d tasks", p.gate.Load(), p.Active())
	}
}

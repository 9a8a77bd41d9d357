package scsi

import "sync"

// guests count who uses a path's unit for a task that was not sent to it: a
// third party copy. Nobody aborts such a task for what becomes of the path, so
// whoever has waited for the path's own tasks waits for its guests as well.
type guests struct {
	mu   sync.Mutex
	n    int
	left *sync.Cond // nil until somebody waits
}

// Borrow lets a third party copy use p's unit for an access of a, if p's
// reservations, access state and write protection allow it now (Allows), until
// Return. That is to be soon: reservations that are preempted, resets and
// changes of the LUN map wait for it.
func (p *Path) Borrow(a Access) bool {
	g := &p.guests
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
	// Whoever shuts the gate does so before it looks for guests: one of the
	// two sees the other.
	if p.Allows(a) {
		return true
	}
	p.Return()
	return false
}

// Return ends what Borrow began.
func (p *Path) Return() {
	g := &p.guests
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.left != nil {
		g.left.Broadcast()
	}
}

// abortTasks aborts the path's tasks but one, and waits until none of them nor
// a guest uses the unit.
func (p *Path) abortTasks(except *Task) {
	p.Nexus.transport.AbortTasks(p.LUN, except)
	g := &p.guests
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left == nil {
		g.left = sync.NewCond(&g.mu)
	}
	for g.n > 0 {
		g.left.Wait()
	}
}

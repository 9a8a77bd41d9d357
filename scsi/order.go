package scsi

import (
	"slices"
	"sync"
)

// The order of tasks (SAM-5 8.6, 8.7). Each I_T nexus has a task set of its
// own (TST is 001b), so order is a matter of a path.
//
// SIMPLE tasks may run in any order among themselves (QUEUE ALGORITHM MODIFIER
// is 1), so all that they cost is Path.inflight. An ORDERED task waits until
// all older ones have ended, and all younger ones wait for it; a HEAD OF QUEUE
// task runs at once, and younger ones wait for it. While there is one of
// these, gateOrder sends every newcomer through the line.
//
// Nothing gets lost between the two ways: a task counts itself in inflight
// before it reads the gate, and out before it reads the gate again; an ORDERED
// task sets the gate before it reads inflight. One of the two sees the other.
type line struct {
	mu      sync.Mutex
	waiting []*Task // held back, oldest first; all are counted in inflight
	alone   *Task   // an ORDERED task whose turn it is
	heads   int     // HEAD OF QUEUE tasks that have not ended
}

// place is where a task of a line is.
type place uint8

const (
	placeNone    place = iota
	placeQueued        // in waiting; Execute was not called for it
	placeWanting       // in waiting; Execute was called: Resume it
	placeRunning       // may run
)

// join takes t into the line.
func (l *line) join(p *Path, t *Task) {
	l.mu.Lock()
	t.lined, t.place = true, placeRunning
	p.setGate(gateOrder, gateOrder)
	if t.Attr == HeadOfQueue {
		l.heads++
	} else {
		t.place = placeQueued
		l.waiting = append(l.waiting, t)
	}
	// Between counting itself and getting here t looked like an older task to
	// those who wait: one of them may be due now.
	due := l.advance(p)
	l.mu.Unlock()
	p.resume(due)
}

// resume gives held tasks back to the transport.
func (p *Path) resume(due []*Task) {
	for _, d := range due {
		p.Nexus.transport.Resume(d)
	}
}

// enter says whether t may run now; if not, it will be resumed.
func (l *line) enter(t *Task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.place == placeRunning {
		return true
	}
	t.place = placeWanting
	return false
}

// leave tells the line that a task of the path has ended.
func (l *line) leave(p *Path, t *Task) {
	l.mu.Lock()
	if t.lined {
		switch {
		case l.alone == t:
			l.alone = nil
		case t.place != placeRunning:
			l.waiting = slices.DeleteFunc(l.waiting, func(w *Task) bool { return w == t })
		case t.Attr == HeadOfQueue:
			l.heads--
		}
		t.lined = false
	}
	due := l.advance(p)
	l.mu.Unlock()
	p.resume(due)
}

// advance lets those run whose turn it is and returns the ones to resume.
func (l *line) advance(p *Path) (due []*Task) {
	for len(l.waiting) > 0 && l.alone == nil && l.heads == 0 {
		first := l.waiting[0]
		if first.Attr == Ordered {
			if int(p.inflight.Load()) > len(l.waiting) {
				break // older ones have not ended
			}
			l.alone = first
		}
		l.waiting = slices.Delete(l.waiting, 0, 1)
		if first.place == placeWanting {
			due = append(due, first)
		}
		first.place = placeRunning
	}
	if len(l.waiting) == 0 && l.alone == nil && l.heads == 0 {
		p.setGate(gateOrder, 0)
	}
	return due
}

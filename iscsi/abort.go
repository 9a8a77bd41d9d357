package iscsi

import (
	"github.com/esos-project/esos/scsi"
)

// AbortTasks implements scsi.Transport. It is called without the connection's
// lock: by task management, by PREEMPT AND ABORT of any initiator, and when
// the LUN map changes.
func (c *connection) AbortTasks(lun scsi.LUN, except *scsi.Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortTasks(lun, except)
	for c.busy(lun, except) {
		c.ended.Wait()
	}
}

// abortTasks aborts without waiting. The lock is held.
func (c *connection) abortTasks(lun scsi.LUN, except *scsi.Task) {
	for _, t := range c.tasks.slots {
		if t != nil && &t.Task != except && (lun == scsi.AllLUNs || t.Task.LUN == lun) {
			c.abort(t)
		}
	}
	c.tx.space.Broadcast() // who waits to send Data-In of an aborted task need not
}

// abort marks t as aborted and takes it back, if nobody else has it. A task
// that is queued or runs is taken back by its worker.
func (c *connection) abort(t *command) {
	t.Abort()
	switch t.state.Load() {
	case gathering, starved:
		if t.admitted {
			t.admitted = false
			c.session.nexus.Drop(&t.Task)
		}
		if c.landing.cmd == t {
			// Its buffer is being received into. It goes when that is done.
			t.state.Store(dead)
			return
		}
		c.release(t)
	case lined:
		c.dropLined(t)
	}
}

// dropLined takes back a task that Execute held back, unless it was resumed
// meanwhile: then its worker does it.
func (c *connection) dropLined(t *command) {
	if !t.state.CompareAndSwap(lined, dead) {
		return
	}
	c.session.nexus.Drop(&t.Task)
	// A Resume may be on its way all the same, so the command must not be
	// used again.
	c.tasks.remove(t)
	c.dropBuffer(t)
	if !t.immediate {
		c.inflight--
	}
	c.ended.Broadcast()
}

// forget takes back an aborted task that waited for a worker.
func (c *connection) forget(t *command) {
	if t.admitted {
		t.admitted = false
		c.session.nexus.Drop(&t.Task)
	}
	c.release(t)
	c.ended.Broadcast()
}

// busy says whether an aborted task for lun may still touch its unit.
func (c *connection) busy(lun scsi.LUN, except *scsi.Task) bool {
	for _, t := range c.tasks.slots {
		if t == nil || &t.Task == except || !t.Aborted() || t.Detached() || lun != scsi.AllLUNs && t.Task.LUN != lun {
			continue
		}
		if s := t.state.Load(); s == running || s == queued {
			return true
		}
	}
	return false
}

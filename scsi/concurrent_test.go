package scsi

import (
	"sync"
	"testing"
	"time"
)

// workingTransport executes tasks on goroutines and aborts them as a real
// transport does: it waits for those that run.
type workingTransport struct {
	mu    sync.Mutex
	ended *sync.Cond
	tasks map[*Task]bool
}

func newWorkingTransport() *workingTransport {
	w := &workingTransport{tasks: map[*Task]bool{}}
	w.ended = sync.NewCond(&w.mu)
	return w
}

func (w *workingTransport) AbortTasks(l LUN, except *Task) {
	// A task becomes Detached without a word to us; a real transport sees that
	// when it looks again, this one looks every now and then.
	tick := time.AfterFunc(time.Millisecond, w.ended.Broadcast)
	defer tick.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	mine := map[*Task]bool{}
	for t := range w.tasks {
		if t != except && (l == AllLUNs || t.LUN == l) {
			t.Abort()
			mine[t] = true
		}
	}
	for t := range mine {
		for w.tasks[t] && !t.Detached() {
			tick.Reset(time.Millisecond)
			w.ended.Wait()
		}
	}
}

func (w *workingTransport) Resume(*Task) {}

func (w *workingTransport) run(n *Nexus, t *Task) {
	w.mu.Lock()
	w.tasks[t] = true
	w.mu.Unlock()
	if n.Admit(t) {
		t.Out = make([]byte, t.OutLen)
		if t.OutLen >= 24 {
			t.Out[7], t.Out[15] = t.CDB[14], t.CDB[15] // the keys, hidden in the CDB's padding
		}
		n.Execute(t)
	}
	w.mu.Lock()
	delete(w.tasks, t)
	w.mu.Unlock()
	w.ended.Broadcast()
}

// Initiators that preempt and reset one another at once all come to an end.
func TestMutualAborts(t *testing.T) {
	u := NewUnit(testIdentity, &fakeDevice{})
	var all sync.WaitGroup
	stop := time.Now().Add(300 * time.Millisecond)
	for i := range 3 {
		w := newWorkingTransport()
		n := NewNexus(InitiatorID{Name: "iqn.a:x", ISID: [6]byte{byte(i)}}, &Port{ID: 1}, w)
		n.SetLUNs([]Mapping{{LUN: 0, Unit: u}})
		defer n.Close()
		all.Go(func() {
			own, other := byte(i+1), byte((i+1)%3+1)
			send := func(action, key, newKey byte) {
				cdb := []byte{opPersistentOut, action, byte(exclusiveAccess), 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, key, newKey}
				w.run(n, &Task{CDB: cdb, Attr: Simple, Transfer: &inBuffer{}, MayBlock: true})
			}
			for time.Now().Before(stop) {
				send(byte(actionRegisterAndIgnore), 0, own)
				send(byte(actionReserve), own, 0)
				send(byte(actionPreemptAndAbort), own, other)
				send(byte(actionPreemptAndAbort), own, own)
				if i == 0 {
					n.ManageTask(LogicalUnitReset, 0)
				}
			}
		})
	}
	all.Wait()
}

// I/O goes on while LUN maps, access states, mode pages and reservations
// change; the race detector looks on.
func TestChangesUnderLoad(t *testing.T) {
	u, v := NewUnit(Identity{Name: "u"}, &modalDevice{}), NewUnit(Identity{Name: "v"}, &fakeDevice{})
	tg := NewTarget("iqn.a:array")
	if err := tg.PutLUN("", Mapping{LUN: 0, Unit: u}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	stop := time.Now().Add(200 * time.Millisecond)
	loop := func(f func()) {
		all.Go(func() {
			for time.Now().Before(stop) {
				f()
			}
		})
	}
	for i := range 2 {
		w := newWorkingTransport()
		n := tg.NewNexus(InitiatorID{Name: "iqn.a:x", ISID: [6]byte{byte(i)}}, &Port{ID: uint16(i + 1)}, w)
		defer n.Close()
		loop(func() {
			for _, op := range []byte{0x28, 0x2a, 0x12, 0xa0, 0x16, 0x17, 0x1a, 0x03} {
				cdb := make([]byte, 16)
				cdb[0] = op
				for _, l := range []LUN{0, 1} {
					task := &Task{CDB: cdb, LUN: l, Attr: Simple, Transfer: &inBuffer{}, MayBlock: true}
					w.run(n, task)
					if task.Path != nil {
						task.Path.Count(task.Kind(), 512, time.Microsecond, task.Status == Good)
					}
				}
			}
		})
	}
	loop(func() {
		if err := tg.PutLUN("", Mapping{LUN: 1, Unit: v, ReadOnly: true}); err != nil {
			t.Error(err)
		}
		tg.DeleteLUN("", 1)
	})
	loop(func() {
		u.SetAccess([]PortGroup{{ID: 1, State: Standby, Ports: []uint16{2}}})
		u.SetAccess(nil)
		u.CapacityChanged()
		u.reset(BusDeviceReset)
		tg.Counters()
		tg.Resolve("iqn.a:x")
	})
	loop(func() { // sessions come and go
		n := tg.NewNexus(InitiatorID{Name: "iqn.a:y"}, &Port{ID: 1}, newWorkingTransport())
		n.Close()
	})
	all.Wait()
	tg.DeleteLUN("", 0)
	if len(u.snapshot())+len(v.snapshot()) != 0 {
		t.Error("paths are left")
	}
}

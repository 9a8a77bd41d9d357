package disk

import (
	"bytes"
	"testing"
	"time"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

// slowSink is a Transfer of an initiator that reads slowly: after the first
// piece it has to be waited for.
type slowSink struct {
	sink
	waits bool
	begun chan struct{} // Room was called where it has to wait
	go_on chan struct{} // closed when the initiator reads
}

func newSlowSink(piece int) *slowSink {
	return &slowSink{sink: sink{piece: piece}, begun: make(chan struct{}, 100), go_on: make(chan struct{})}
}

func (s *slowSink) TryRoom(n int) ([]byte, bool) {
	if s.waits {
		return nil, true
	}
	return s.sink.Room(n), false
}

func (s *slowSink) Room(n int) []byte {
	if s.waits {
		s.begun <- struct{}{}
		<-s.go_on
		s.waits = false
	}
	return s.sink.Room(n)
}

func (s *slowSink) Sent(n int) {
	s.sink.Sent(n)
	s.waits = true
}

// stalled starts a READ of 16 blocks whose initiator took four of them, and
// returns a function that has it read on.
func stalled(t *testing.T, r *rig) (finish func() *scsi.Task, to *slowSink) {
	t.Helper()
	to = newSlowSink(4 * 512)
	task := &scsi.Task{CDB: cdb10(0x28, 0, 0, 16), Transfer: to, Expected: 16 * 512}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.execute(task, nil)
	}()
	<-to.begun
	return func() *scsi.Task {
		close(to.go_on)
		<-done
		return task
	}, to
}

// quickly fails the test if f takes long.
func quickly(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the initiator of another command")
	}
}

// An initiator that does not read holds up nobody else's atomic commands, and
// no SANITIZE.
func TestSlowReaderHoldsUpNobody(t *testing.T) {
	r := newRig(t, 1<<20, Options{Volatile: true})
	same := make([]byte, 2*512)
	for name, f := range map[string]func(){
		"COMPARE AND WRITE of blocks that were sent":      func() { r.good(t, cawCDB(0, 1), same) },
		"COMPARE AND WRITE of blocks to come":             func() { r.good(t, cawCDB(12, 1), same) },
		"COMPARE AND WRITE of other blocks":               func() { r.good(t, cawCDB(100, 1), same) },
		"WRITE ATOMIC of both: the read fails, see below": func() { r.good(t, atomicCDB(100, 2), same) },
	} {
		t.Run(name, func(t *testing.T) {
			finish, to := stalled(t, r)
			quickly(t, f)
			if task := finish(); task.Status != scsi.Good || len(to.in) != 16*512 {
				t.Errorf("the read ended with status %#x and %d bytes", task.Status, len(to.in))
			}
		})
	}
	finish, _ := stalled(t, r)
	quickly(t, func() { r.good(t, cdb10(0x48, 0x01, 0, 8), []byte{1, 0, 0, 4, 1, 2, 3, 4}) })
	if task := finish(); task.Status != scsi.CheckCondition || task.Sense.Key != scsi.AbortedCommand {
		t.Errorf("a read on both sides of a SANITIZE ended with status %#x, sense %+v", task.Status, task.Sense)
	}
}

// A READ returns all or nothing of what is written atomically (SBC-4 4.29). One
// that was between two pieces meanwhile, and cannot, says so.
func TestSlowReadIsNotTorn(t *testing.T) {
	r := newRig(t, 1<<20, Options{Volatile: true})
	whole := bytes.Repeat([]byte{7}, 8*512)
	finish, to := stalled(t, r)
	r.good(t, atomicCDB(0, 8), whole)
	task := finish()
	if task.Status != scsi.CheckCondition || task.Sense.Key != scsi.AbortedCommand {
		t.Errorf("torn read: status %#x, sense %+v", task.Status, task.Sense)
	}
	if len(to.in) != 4*512 || to.in[0] != 0 {
		t.Errorf("%d bytes were sent", len(to.in))
	}
	// More atomic writes than are remembered: to be on the safe side it fails.
	finish, _ = stalled(t, r)
	for range remembered + 1 {
		r.good(t, atomicCDB(500, 1), whole[:512])
	}
	if task := finish(); task.Status != scsi.CheckCondition || task.Sense.Key != scsi.AbortedCommand {
		t.Errorf("status %#x, sense %+v", task.Status, task.Sense)
	}
	// The other way round all is well.
	finish, _ = stalled(t, r)
	for range remembered {
		r.good(t, atomicCDB(500, 1), whole[:512])
	}
	if task := finish(); task.Status != scsi.Good {
		t.Errorf("status %#x, sense %+v", task.Status, task.Sense)
	}
}

// A read that a worker carries on counts what was sent before it had it.
func TestReadIsNotTornBetweenGoroutines(t *testing.T) {
	store := &halfCached{Memory: backing.NewMemory(1 << 20)}
	r := rigOn(t, store, Options{Volatile: true})
	task := &scsi.Task{CDB: cdb10(0x28, 0, 0, 16), Transfer: &sink{piece: 4 * 512}, Expected: 16 * 512}
	row := r.find(task.CDB)
	row.Parse(task)
	row.Do(task)
	if !task.WouldBlock || task.Moved != 4*512 {
		t.Fatalf("moved %d bytes, would block: %v", task.Moved, task.WouldBlock)
	}
	r.good(t, atomicCDB(0, 8), make([]byte, 8*512))
	task.WouldBlock, task.MayBlock = false, true
	row.Do(task)
	if task.Status != scsi.CheckCondition || task.Sense.Key != scsi.AbortedCommand {
		t.Errorf("torn read: status %#x, sense %+v", task.Status, task.Sense)
	}
}

// halfCached is a store whose first 2 KiB are in the page cache.
type halfCached struct{ *backing.Memory }

func (h *halfCached) TryReadAt(p []byte, off int64) (int, error) {
	if off >= 2048 {
		return 0, backing.ErrWouldBlock
	}
	return h.Memory.ReadAt(p, off)
}

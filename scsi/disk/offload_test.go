package disk

import (
	"testing"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

// asyncStore is memory whose I/O somebody else may carry out.
type asyncStore struct {
	*backing.Memory
	syncs int
}

func (s *asyncStore) TryReadAt([]byte, int64) (int, error)  { return 0, backing.ErrWouldBlock }
func (s *asyncStore) TryWriteAt([]byte, int64) (int, error) { return 0, backing.ErrWouldBlock }
func (s *asyncStore) Sync() error                           { s.syncs++; return nil }

func (s *asyncStore) Direct(off int64, n int, _ bool) (int, bool) {
	return 7, off%4096 == 0 && n%4096 == 0
}

// offloaded begins a command as a transport does that carries out I/O of up to
// 64 KiB.
func offloaded(r *rig, cdb, out []byte) *scsi.Task {
	t := &scsi.Task{CDB: cdb, Transfer: &sink{}, Expected: uint32(len(out)), MaxOffload: 64 << 10}
	t.Command = r.find(cdb)
	t.Command.Parse(t)
	t.Out = out[:min(len(out), t.OutLen)]
	t.Command.Do(t)
	return t
}

func TestOffload(t *testing.T) {
	store := &asyncStore{Memory: backing.NewMemory(1 << 20)}
	r := rigOn(t, store, Options{})
	for _, c := range []struct {
		name string
		cdb  []byte
		out  int
		want scsi.Offload // none if its length is 0
	}{
		{"read", cdb10(0x28, 0, 8, 16), 0, scsi.Offload{FD: 7, Off: 4096, Len: 8192}},
		{"write", cdb10(0x2a, 0, 8, 8), 4096, scsi.Offload{FD: 7, Off: 4096, Len: 4096, Write: true}},
		{"write with FUA", cdb10(0x2a, 8, 8, 8), 4096, scsi.Offload{FD: 7, Off: 4096, Len: 4096, Write: true}},
		{"read with FUA: what is in the cache comes first", cdb10(0x28, 8, 8, 8), 0, scsi.Offload{}},
		{"read, too long", cdb10(0x28, 0, 0, 136), 0, scsi.Offload{}},
		{"read, not aligned", cdb10(0x28, 0, 1, 8), 0, scsi.Offload{}},
		{"write, not all of it came", cdb10(0x2a, 0, 8, 8), 1000, scsi.Offload{}},
		{"read nothing", cdb10(0x28, 0, 8, 0), 0, scsi.Offload{}},
	} {
		task := offloaded(r, c.cdb, make([]byte, c.out))
		if task.Offload != c.want || task.WouldBlock != (c.name != "read nothing") || task.Status != scsi.Good {
			t.Errorf("%s: %+v, would block %t, status %#x; want %+v", c.name, task.Offload, task.WouldBlock, task.Status, c.want)
		}
		if c.want.Len == 0 {
			continue
		}
		if r.gate.drained() {
			t.Errorf("%s: out of the gate while it is carried out", c.name)
		}
		task.WouldBlock, task.Offload = false, scsi.Offload{}
		task.Command.Finish(task, true)
		if !r.gate.drained() {
			t.Errorf("%s: still in the gate", c.name)
		}
		if wait := c.name == "write with FUA"; task.WouldBlock != wait || task.Moved != c.want.Len {
			t.Errorf("%s: would block %t, moved %d", c.name, task.WouldBlock, task.Moved)
		}
		if task.WouldBlock {
			task.WouldBlock, task.MayBlock = false, true
			if task.Command.Do(task); store.syncs != 1 || task.WouldBlock {
				t.Errorf("%s: %d syncs", c.name, store.syncs)
			}
		}
	}
}

// What was not carried out is begun anew by who may wait.
func TestOffloadNotMoved(t *testing.T) {
	store := &asyncStore{Memory: backing.NewMemory(1 << 20)}
	r := rigOn(t, store, Options{})
	out := make([]byte, 4096)
	out[17] = 5
	task := offloaded(r, cdb10(0x2a, 0, 8, 8), out)
	task.WouldBlock, task.Offload = false, scsi.Offload{}
	task.Command.Finish(task, false)
	if !task.WouldBlock || task.Moved != 0 || !r.gate.drained() {
		t.Fatalf("would block %t, moved %d", task.WouldBlock, task.Moved)
	}
	task.WouldBlock, task.MayBlock = false, true
	if task.Command.Do(task); task.Status != scsi.Good || task.Offload.Len != 0 || r.bytes(t, 4096+17, 1)[0] != 5 {
		t.Errorf("status %#x, offload %+v", task.Status, task.Offload)
	}
}

// Who wants bytes for itself waits for what is carried out, and nothing is
// offloaded past it.
func TestOffloadMindsTheGate(t *testing.T) {
	r := rigOn(t, &asyncStore{Memory: backing.NewMemory(1 << 20)}, Options{})
	pass, ok := r.gate.exclude(1<<19, 512)
	if !ok {
		t.Fatal("the gate is shut")
	}
	if task := offloaded(r, cdb10(0x28, 0, 8, 8), nil); task.Offload.Len != 0 || !task.WouldBlock {
		t.Errorf("offloaded though others want the gate: %+v", task.Offload)
	}
	r.gate.leave(pass)
	task := offloaded(r, cdb10(0x28, 0, 8, 8), nil)
	done := make(chan bool)
	go func() {
		p, ok := r.gate.exclude(4096, 512)
		r.gate.leave(p)
		done <- ok
	}()
	for r.gate.closed.Load() == 0 {
	}
	select {
	case <-done:
		t.Fatal("alone with bytes that are being read")
	default:
	}
	task.WouldBlock = false
	task.Command.Finish(task, true)
	if !<-done {
		t.Error("it gave up")
	}
}

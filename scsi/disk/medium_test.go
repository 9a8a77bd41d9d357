package disk

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

var (
	eject = []byte{0x1b, 0, 0, 0, 0x02, 0}
	load  = []byte{0x1b, 0, 0, 0, 0x03, 0}
)

func TestEjectAndLoad(t *testing.T) {
	r := newRig(t, mib, Options{Removable: true, Thin: true, Volatile: true})
	block, two := make([]byte, 512), make([]byte, 1024)
	r.good(t, eject, nil)
	if s, out := r.Condition(); !out || s.Key != scsi.NotReady || s.Code != scsi.MediumNotPresentTrayOpen {
		t.Errorf("condition %+v", s)
	}
	for _, c := range []struct{ cdb, out []byte }{
		{cdb10(0x28, 0, 0, 1), nil}, {cdb12(0xa8, 0, 0, 1), nil}, {cdb16(0x88, 0, 0, 1), nil}, {cdb6(0x08, 0, 1), nil},
		{cdb10(0x2a, 0, 0, 1), block}, {cdb12(0xaa, 0, 0, 1), block}, {cdb16(0x8a, 0, 0, 1), block},
		{cdb10(0x2e, 2, 0, 1), block}, {cdb10(0x2f, 2, 0, 1), block}, {cdb10(0x41, 0, 0, 1), block}, {cdb16(0x93, 0, 0, 1), block},
		{cdb16(0x8b, 0, 0, 1), block}, {cawCDB(0, 1), two}, {atomicCDB(0, 1), block}, {unmapCDB(24), unmapOf(0, 1)},
		{cdb10(0x35, 0, 0, 1), nil}, {cdb16(0x91, 2, 0, 1), nil}, {cdb10(0x34, 0, 0, 1), nil}, {cdb16(0x90, 2, 0, 1), nil},
		{cdb10(0x25, 0, 0, 0), nil}, {cdb16(0x9e, 0x10, 0, 32), nil}, {cdb16(0x9e, 0x12, 0, 24), nil},
		{cdb10(0x37, 0, 0, 4), nil}, {cdb16(0x83, 0, 0, 16), make([]byte, 16)},
	} {
		r.fails(t, c.cdb, c.out, scsi.NotReady, scsi.MediumNotPresentTrayOpen)
	}
	r.good(t, eject, nil)
	r.good(t, load, nil)
	r.good(t, cdb10(0x28, 0, 0, 1), nil)
	// Neither a stop nor a power condition ejects.
	for b4 := range 256 {
		if b4&0xf0 == 0 && b4&0x02 != 0 {
			continue
		}
		r.good(t, []byte{0x1b, 1, 0, 0, byte(b4), 0}, nil)
		if _, out := r.Condition(); out {
			t.Fatalf("byte 4 = %#x ejects", b4)
		}
	}
}

func TestPreventRemoval(t *testing.T) {
	r := newRig(t, mib, Options{Removable: true})
	a, b := &scsi.Path{}, &scsi.Path{}
	prevent := func(p *scsi.Path, v byte) {
		t.Helper()
		task := &scsi.Task{CDB: []byte{0x1e, 0, 0, 0, v, 0}, Path: p}
		if r.execute(task, nil); task.Status != scsi.Good {
			t.Fatalf("sense %+v", task.Sense)
		}
	}
	held := func(want bool) {
		t.Helper()
		if want {
			r.fails(t, eject, nil, scsi.IllegalRequest, scsi.MediumRemovalPrevented)
			r.fails(t, load, nil, scsi.IllegalRequest, scsi.MediumRemovalPrevented)
			return
		}
		r.good(t, eject, nil)
		r.good(t, load, nil)
	}
	held(false)
	prevent(a, 1)
	held(true)
	prevent(b, 1)
	prevent(a, 0)
	held(true)
	prevent(b, 0)
	held(false)
	prevent(a, 1)
	r.NexusLost(b)
	held(true)
	r.NexusLost(a)
	held(false)
	prevent(a, 1)
	r.Reset()
	held(false)
	r.fails(t, []byte{0x1e, 0, 0, 0, 2, 0}, nil, scsi.IllegalRequest, scsi.InvalidFieldInCDB)
}

func sanitizeCDB(b1 byte, n uint16) []byte {
	b := make([]byte, 10)
	b[0], b[1] = 0x48, b1
	binary.BigEndian.PutUint16(b[7:], n)
	return b
}

func overwriteList(b0 byte, length int, p []byte) []byte {
	return append([]byte{b0, 0, byte(length >> 8), byte(length)}, p...)
}

func TestSanitize(t *testing.T) {
	const size = 3*mib + 512
	full := func(p []byte) []byte {
		b := make([]byte, 0, size)
		for len(b) < size {
			block := make([]byte, 512)
			for i := 0; i < 512; i += copy(block[i:], p) {
			}
			b = append(b, block...)
		}
		return b
	}
	inverted := []byte{0x55 ^ 0xff}
	for _, c := range []struct {
		name   string
		cdb    []byte
		list   []byte
		thin   bool
		leaves []byte
	}{
		{"a block's pattern", sanitizeCDB(1, 516), overwriteList(1, 512, pattern(512, 3)), false, full(pattern(512, 3))},
		{"three bytes' pattern", sanitizeCDB(1, 7), overwriteList(1, 3, []byte("abc")), true, full([]byte("abc"))},
		{"three passes, inverted", sanitizeCDB(1, 5), overwriteList(0x83, 1, []byte{0x55}), false, full([]byte{0x55})},
		{"two passes, inverted", sanitizeCDB(1, 5), overwriteList(0x82, 1, []byte{0x55}), false, full(inverted)},
		{"block erase", sanitizeCDB(2, 0), nil, true, full([]byte{0})},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, size, Options{Thin: c.thin})
			r.good(t, cdb16(0x8a, 0, 0, 2048), pattern(mib, 1))
			r.good(t, c.cdb, c.list)
			if i := difference(r.bytes(t, 0, size), c.leaves); i >= 0 {
				t.Errorf("byte %d is not what SANITIZE was to leave", i)
			}
			if c.list == nil && c.thin {
				if allocated, n, err := r.store.Extent(0, size); allocated || n != size || err != nil {
					t.Errorf("blocks are still mapped after a block erase: %v %d %v", allocated, n, err)
				}
			}
			r.good(t, cdb10(0x28, 0, 0, 1), nil)
		})
	}
}

func TestSanitizeRefusals(t *testing.T) {
	r := newRig(t, mib, Options{Thin: true})
	block := make([]byte, 600)
	refuse := func(cdb, out []byte, code uint16) {
		t.Helper()
		r.fails(t, cdb, out, scsi.IllegalRequest, code)
	}
	for n := range uint16(5) {
		refuse(sanitizeCDB(1, n), block[:n], scsi.InvalidFieldInCDB)
	}
	refuse(sanitizeCDB(1, 517), block[:517], scsi.InvalidFieldInCDB)
	refuse(sanitizeCDB(2, 8), block[:8], scsi.InvalidFieldInCDB)
	refuse(sanitizeCDB(0x1f, 8), block[:8], scsi.InvalidFieldInCDB)
	refuse(sanitizeCDB(1, 516), overwriteList(0, 512, block[:512]), scsi.InvalidFieldInParameterList)
	refuse(sanitizeCDB(1, 516), overwriteList(1, 0, block[:512]), scsi.InvalidFieldInParameterList)
	refuse(sanitizeCDB(1, 516), overwriteList(1, 516, block[:512]), scsi.InvalidFieldInParameterList)
	refuse(sanitizeCDB(1, 5), overwriteList(1, 2, block[:1]), scsi.InvalidFieldInParameterList)
	refuse(sanitizeCDB(1, 5), overwriteList(0x21, 1, block[:1]), scsi.InvalidFieldInParameterList)
	refuse(sanitizeCDB(0x42, 0), nil, scsi.InvalidFieldInCDB)
	for i := 2; i < 7; i++ {
		cdb := sanitizeCDB(2, 0)
		cdb[i] = 1
		refuse(cdb, nil, scsi.InvalidFieldInCDB)
	}
	for action := range byte(0x20) { // CRYPTOGRAPHIC ERASE is not ours, the rest is nobody's
		if row := r.find(sanitizeCDB(action, 0)); (row != nil) != (action == 1 || action == 2 || action == 0x1f) {
			t.Errorf("service action %#x: %v", action, row)
		}
	}
	if row := newRig(t, mib, Options{}).find(sanitizeCDB(2, 0)); row != nil {
		t.Error("BLOCK ERASE of a disk that unmaps nothing")
	}
}

// stuck is a store whose writes wait until they may, and may then fail.
type stuck struct {
	*backing.Memory
	release chan struct{}
	err     atomic.Pointer[error]
}

func (s *stuck) WriteAt(p []byte, off int64) (int, error) {
	<-s.release
	if err := s.err.Load(); err != nil {
		return 0, *err
	}
	return s.Memory.WriteAt(p, off)
}

func TestSanitizeInProgress(t *testing.T) {
	store := &stuck{Memory: backing.NewMemory(mib), release: make(chan struct{})}
	r := rigOn(t, store, Options{Thin: true})
	r.good(t, sanitizeCDB(0x81, 5), overwriteList(1, 1, []byte{7})) // IMMED
	runs := func() {
		t.Helper()
		s := r.fails(t, cdb10(0x28, 0, 0, 1), nil, scsi.NotReady, ascSanitizeRuns)
		if !s.HasProgress {
			t.Error("no progress is told")
		}
		r.fails(t, cdb10(0x2a, 0, 0, 1), make([]byte, 512), scsi.NotReady, ascSanitizeRuns)
		r.fails(t, []byte{0x1b, 1, 0, 0, 0x10, 0}, nil, scsi.NotReady, ascSanitizeRuns)
		r.fails(t, sanitizeCDB(2, 0), nil, scsi.NotReady, ascSanitizeRuns)
		if s, not := r.Condition(); !not || s.Code != ascSanitizeRuns {
			t.Errorf("condition %+v", s)
		}
	}
	runs()
	r.Reset() // it goes on
	runs()
	close(store.release)
	waitReady(t, r)
	if got := r.good(t, cdb10(0x28, 0, 0, 1), nil); got[0] != 7 || got[511] != 7 {
		t.Error("not overwritten")
	}
}

func waitReady(t *testing.T, r *rig) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); r.state.Load()&sanitizeRuns != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("SANITIZE does not end")
		}
	}
}

// A command that was let in before a SANITIZE, but runs after it started, must
// neither wait for it nor touch what it wrote.
func TestSanitizeAndOlderTasks(t *testing.T) {
	store := &stuck{Memory: backing.NewMemory(mib), release: make(chan struct{})}
	r := rigOn(t, store, Options{})
	task := &scsi.Task{CDB: cdb10(0x2a, 0, 0, 1), Transfer: &sink{}}
	row := r.find(task.CDB)
	row.Parse(task)
	task.Out = bytes.Repeat([]byte{1}, 512)
	caw := &scsi.Task{CDB: cawCDB(0, 1), Transfer: &sink{}, Expected: 1024, MayBlock: true}
	r.find(caw.CDB).Parse(caw)
	caw.Out = make([]byte, 1024)

	r.good(t, sanitizeCDB(0x81, 5), overwriteList(1, 1, []byte{7}))
	queued := func() bool {
		r.gate.mu.Lock()
		defer r.gate.mu.Unlock()
		return len(r.gate.queue) > 0
	}
	for !queued() {
		time.Sleep(time.Millisecond)
	}
	row.Do(task)
	if task.WouldBlock {
		task.WouldBlock, task.MayBlock = false, true
		row.Do(task)
	}
	r.find(caw.CDB).Do(caw)
	for _, x := range []*scsi.Task{task, caw} {
		if x.Status != scsi.CheckCondition || x.Sense.Code != ascSanitizeRuns {
			t.Errorf("status %#x, sense %+v", x.Status, x.Sense)
		}
	}
	close(store.release)
	waitReady(t, r)
}

func TestSanitizeThatFails(t *testing.T) {
	for _, mayExit := range []bool{false, true} {
		store := &stuck{Memory: backing.NewMemory(mib), release: make(chan struct{})}
		close(store.release)
		fault := error(unix.EIO)
		store.err.Store(&fault)
		var heard atomic.Int32
		r := rigOn(t, store, Options{Failed: func(string, int64, error) { heard.Add(1) }})
		cdb := sanitizeCDB(1, 5)
		if mayExit {
			cdb[1] |= 0x20 // AUSE
		}
		r.fails(t, cdb, overwriteList(1, 1, []byte{7}), scsi.MediumError, ascSanitizeFailed)
		r.fails(t, cdb10(0x28, 0, 0, 1), nil, scsi.MediumError, ascSanitizeFailed)
		if heard.Load() != 1 {
			t.Errorf("told of %d failures", heard.Load())
		}
		exit := sanitizeCDB(0x1f, 0)
		if mayExit {
			r.good(t, exit, nil)
		} else {
			r.fails(t, exit, nil, scsi.IllegalRequest, scsi.InvalidFieldInCDB)
			r.fails(t, cdb10(0x28, 0, 0, 1), nil, scsi.MediumError, ascSanitizeFailed)
			store.err.Store(nil)
			r.good(t, cdb, overwriteList(1, 1, []byte{7})) // another one heals
		}
		r.good(t, cdb10(0x28, 0, 0, 1), nil)
		r.good(t, exit, nil)
	}
}

// Close ends a SANITIZE that runs.
func TestCloseWhileSanitizing(t *testing.T) {
	d, err := New(backing.NewMemory(1<<28), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Disk: d, rows: rowsOf(d)}
	r.good(t, sanitizeCDB(0x81, 5), overwriteList(31, 1, []byte{7}))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d.state.Load() != sanitizeFailed {
		t.Errorf("state %#x: half a SANITIZE counts as one", d.state.Load())
	}
	if err := d.Close(); err == nil {
		t.Error("closed twice without an error")
	}
}

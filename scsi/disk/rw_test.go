package disk

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

const mib = 1 << 20

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i) ^ seed
	}
	return b
}

func TestReadWrite(t *testing.T) {
	for _, bs := range []int{512, 4096} {
		for _, piece := range []int{0, 100} {
			t.Run(fmt.Sprintf("%d/%d", bs, piece), func(t *testing.T) {
				r := newRig(t, mib, Options{BlockSize: bs})
				r.piece = piece
				pairs := []struct{ write, read []byte }{
					{cdb6(0x0a, 3, 2), cdb6(0x08, 3, 2)},
					{cdb10(0x2a, 0, 5, 2), cdb10(0x28, 0, 5, 2)},
					{cdb12(0xaa, 0, 7, 2), cdb12(0xa8, 0, 7, 2)},
					{cdb16(0x8a, 0, 9, 2), cdb16(0x88, 0, 9, 2)},
					{cdb10(0x2a, 0x18, 11, 2), cdb10(0x28, 0x18, 11, 2)}, // DPO, FUA
					{cdb16(0x8a, 0x08, 13, 2), cdb16(0x88, 0x08, 13, 2)},
				}
				for i, p := range pairs {
					want := pattern(2*bs, byte(i+1))
					if in := r.good(t, p.write, want); len(in) != 0 {
						t.Errorf("% x: Data-In from a write", p.write)
					}
					if got := r.good(t, p.read, nil); !bytes.Equal(got, want) {
						t.Errorf("% x: read something else than was written", p.read)
					}
					if got := r.bytes(t, (3+2*i)*bs, 2*bs); !bytes.Equal(got, want) {
						t.Errorf("% x: written to the wrong place", p.write)
					}
				}
			})
		}
	}
}

func TestReadSixOfZeroBlocksIs256(t *testing.T) {
	r := newRig(t, mib, Options{})
	if got := r.good(t, cdb6(0x08, 0, 0), nil); len(got) != 256*512 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestCommandsThatNameWhatIsNotThere(t *testing.T) {
	r := newRig(t, mib, Options{Thin: true, Volatile: true}) // 2048 blocks
	block := make([]byte, 512)
	oob := func(cdb, out []byte) {
		t.Helper()
		r.fails(t, cdb, out, scsi.IllegalRequest, scsi.LBAOutOfRange)
	}
	for _, lba := range []uint64{2048, 1 << 31, 1<<32 - 1} {
		for _, op := range []byte{0x28, 0x2a, 0x2f, 0x2e, 0x34, 0x35, 0x41} {
			oob(cdb10(op, 0, uint32(lba), 1), block)
		}
		for _, op := range []byte{0xa8, 0xaa, 0xaf, 0xae} {
			oob(cdb12(op, 0, uint32(lba), 1), block)
		}
	}
	for _, lba := range []uint64{2048, 1 << 31, 1 << 63, 1<<64 - 1, 1<<55 - 1, 1 << 55} {
		for _, op := range []byte{0x88, 0x8a, 0x8f, 0x8e, 0x8b, 0x90, 0x91, 0x93} {
			oob(cdb16(op, 0, lba, 1), block)
		}
		oob(cawCDB(lba, 1), make([]byte, 1024))
		oob(atomicCDB(lba, 1), block)
		oob(cdb16(0x9e, 0x12, lba, 24), nil)
		oob(unmapCDB(24), unmapOf(lba, 1))
	}
	// The last block and one more; no blocks, but one place too far.
	oob(cdb10(0x28, 0, 2047, 2), nil)
	oob(cdb16(0x8a, 0, 2047, 2), make([]byte, 1024))
	oob(cdb10(0x28, 0, 2049, 0), nil)
	oob(cdb16(0x9c, 0, 2049, 0), nil)
	for _, op := range []byte{0x28, 0x2a, 0x2f, 0x2e, 0x34, 0x35} {
		r.good(t, cdb10(op, 0, 2047, 1), block)
		r.good(t, cdb10(op, 0, 0, 0), nil)
	}
}

func TestFieldsThatAreRefused(t *testing.T) {
	thin := newRig(t, 64*mib, Options{Thin: true, Volatile: true})
	thick := newRig(t, 64*mib, Options{})
	block, two := make([]byte, 512), make([]byte, 1024)
	at := func(b []byte, i int, v byte) []byte { b[i] = v; return b }
	for _, c := range []struct {
		name string
		r    *rig
		cdb  []byte
		out  []byte
		code uint16
	}{
		{"RDPROTECT", thin, cdb10(0x28, 0x20, 0, 1), nil, scsi.InvalidFieldInCDB},
		{"RDPROTECT 16", thin, cdb16(0x88, 0xe0, 0, 1), nil, scsi.InvalidFieldInCDB},
		{"WRPROTECT", thin, cdb10(0x2a, 0x20, 0, 1), block, scsi.InvalidFieldInCDB},
		{"WRPROTECT of WRITE SAME", thin, cdb16(0x93, 0x40, 0, 1), block, scsi.InvalidFieldInCDB},
		{"WRPROTECT of ORWRITE", thin, cdb16(0x8b, 0x20, 0, 1), block, scsi.InvalidFieldInCDB},
		{"WRPROTECT of WRITE ATOMIC", thin, at(atomicCDB(0, 1), 1, 0x20), block, scsi.InvalidFieldInCDB},
		{"WRPROTECT of COMPARE AND WRITE", thin, at(cawCDB(0, 1), 1, 0x20), two, scsi.InvalidFieldInCDB},
		{"VRPROTECT", thin, cdb10(0x2f, 0x20, 0, 1), nil, scsi.InvalidFieldInCDB},
		{"BYTCHK 2", thin, cdb10(0x2f, 0x04, 0, 1), nil, scsi.InvalidFieldInCDB},
		{"BYTCHK 3 of WRITE AND VERIFY", thin, cdb10(0x2e, 0x06, 0, 1), block, scsi.InvalidFieldInCDB},
		{"a read beyond MAXIMUM TRANSFER LENGTH", thin, cdb12(0xa8, 0, 0, maxTransfer/512+1), nil, scsi.InvalidFieldInCDB},
		{"a WRITE SAME beyond its maximum", thin, cdb16(0x93, 0, 0, maxWriteSame/512+1), block, scsi.InvalidFieldInCDB},
		{"ANCHOR", thin, cdb16(0x93, 0x18, 0, 1), block, scsi.InvalidFieldInCDB},
		{"ANCHOR alone", thin, cdb10(0x41, 0x10, 0, 1), block, scsi.InvalidFieldInCDB},
		{"PBDATA", thin, cdb16(0x93, 0x04, 0, 1), block, scsi.InvalidFieldInCDB},
		{"UNMAP of WRITE SAME, thick", thick, cdb16(0x93, 0x08, 0, 1), block, scsi.InvalidFieldInCDB},
		{"half a block for WRITE SAME", thin, cdb16(0x93, 0, 0, 1), block[:256], scsi.InvalidFieldInCDB},
		{"two blocks for WRITE SAME", thin, cdb16(0x93, 0, 0, 1), two, scsi.InvalidFieldInCDB},
		{"too much for COMPARE AND WRITE", thin, cawCDB(0, 1), make([]byte, 2048), scsi.InvalidFieldInCDB},
		{"too little for COMPARE AND WRITE", thin, cawCDB(0, 3), make([]byte, 2048), scsi.InvalidFieldInCDB},
		{"ATOMIC BOUNDARY", thin, at(atomicCDB(0, 1), 11, 1), block, scsi.InvalidFieldInCDB},
		{"more than can be atomic", thin, atomicCDB(0, maxAtomic/512+1), nil, scsi.InvalidFieldInCDB},
		{"UNMAP, thick", thick, unmapCDB(24), unmapOf(0, 1), scsi.InvalidCommandOperationCode},
		{"ANCHOR of UNMAP", thin, at(unmapCDB(24), 1, 1), unmapOf(0, 1), scsi.InvalidFieldInCDB},
		{"WRITE ATOMIC that could tear", thick, atomicCDB(0, 1), block, scsi.InvalidCommandOperationCode},
		{"an LBA for READ CAPACITY (10)", thin, cdb10(0x25, 0, 1, 0), nil, scsi.InvalidFieldInCDB},
		{"LOEJ on a fixed disk", thin, []byte{0x1b, 0, 0, 0, 0x02, 0}, nil, scsi.InvalidFieldInCDB},
		{"PREVENT on a fixed disk", thin, []byte{0x1e, 0, 0, 0, 1, 0}, nil, scsi.InvalidFieldInCDB},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.r.fails(t, c.cdb, c.out, scsi.IllegalRequest, c.code)
		})
	}
}

func TestReadOnly(t *testing.T) {
	r := newRig(t, mib, Options{ReadOnly: true, Thin: true, Volatile: true})
	block, two := make([]byte, 512), make([]byte, 1024)
	for _, c := range []struct{ cdb, out []byte }{
		{cdb6(0x0a, 0, 1), block}, {cdb10(0x2a, 0, 0, 1), block}, {cdb12(0xaa, 0, 0, 1), block}, {cdb16(0x8a, 0, 0, 1), block},
		{cdb10(0x2e, 0, 0, 1), block}, {cdb12(0xae, 0, 0, 1), block}, {cdb16(0x8e, 0, 0, 1), block},
		{cdb10(0x41, 0, 0, 1), block}, {cdb10(0x41, 0x08, 0, 1), nil}, {cdb16(0x93, 0, 0, 1), block}, {cdb16(0x93, 0x09, 0, 1), nil},
		{cdb16(0x8b, 0, 0, 1), block}, {cawCDB(0, 1), two}, {atomicCDB(0, 1), block}, {unmapCDB(24), unmapOf(0, 1)},
		{[]byte{0x48, 0x02, 0, 0, 0, 0, 0, 0, 0, 0}, nil},
	} {
		r.fails(t, c.cdb, c.out, scsi.DataProtect, scsi.WriteProtected)
	}
	r.good(t, cdb10(0x28, 0, 0, 1), nil)
	r.good(t, cdb10(0x35, 0, 0, 0), nil)
	if r.ModeParameter()&0x80 == 0 {
		t.Error("WP is not told")
	}
}

// A command whose initiator makes less room, or sends less, than its CDB says.
func TestResiduals(t *testing.T) {
	r := newRig(t, mib, Options{})
	old, new := pattern(1024, 1), pattern(1024, 2)
	r.good(t, cdb10(0x2a, 0, 0, 2), old)
	for _, n := range []int{0, 200, 512, 700} {
		r.good(t, cdb10(0x2a, 0, 0, 2), old)
		r.good(t, cdb10(0x2a, 0, 0, 2), new[:n])
		if got := r.bytes(t, 0, 1024); !bytes.Equal(got[:n], new[:n]) || !bytes.Equal(got[n:], old[n:]) {
			t.Errorf("%d bytes of Data-Out changed others", n)
		}
	}
	to := &sink{limit: 200}
	task := &scsi.Task{CDB: cdb10(0x28, 0, 0, 1), Transfer: to}
	r.execute(task, nil)
	if task.Status != scsi.Good || len(to.in) != 200 || task.InLen != 512 {
		t.Errorf("status %#x, %d of %d bytes", task.Status, len(to.in), task.InLen)
	}
}

// slow is a store that can never tell at once, or only the first half.
type slow struct {
	backing.Store
	half bool
}

func (s slow) TryReadAt(p []byte, off int64) (int, error) {
	if !s.half || len(p) < 2 {
		return 0, backing.ErrWouldBlock
	}
	n, err := s.ReadAt(p[:len(p)/2], off)
	if err == nil {
		err = backing.ErrWouldBlock
	}
	return n, err
}

func (s slow) TryWriteAt(p []byte, off int64) (int, error) {
	if !s.half || len(p) < 2 {
		return 0, backing.ErrWouldBlock
	}
	n, err := s.WriteAt(p[:len(p)/2], off)
	if err == nil {
		err = backing.ErrWouldBlock
	}
	return n, err
}

func TestTasksThatWouldBlock(t *testing.T) {
	plain := struct{ backing.Store }{backing.NewMemory(mib)} // no Prompt at all
	for name, store := range map[string]backing.Store{
		"none":    plain,
		"nothing": slow{Store: backing.NewMemory(mib)},
		"half":    slow{Store: backing.NewMemory(mib), half: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := rigOn(t, store, Options{})
			want := pattern(64*512, 9)
			task := &scsi.Task{CDB: cdb10(0x2a, 0, 0, 64), Transfer: &sink{}}
			row := r.find(task.CDB)
			row.Parse(task)
			task.Out = want
			if row.Do(task); !task.WouldBlock {
				t.Fatal("a store that waits was waited for")
			}
			task.WouldBlock, task.MayBlock = false, true
			if row.Do(task); task.WouldBlock || task.Status != scsi.Good {
				t.Fatalf("status %#x, sense %+v", task.Status, task.Sense)
			}
			if got := r.good(t, cdb10(0x28, 0, 0, 64), nil); !bytes.Equal(got, want) {
				t.Error("read something else than was written")
			}
		})
	}
}

// broken is a store in which one operation fails at one place.
type broken struct {
	*backing.Memory
	op  string
	at  int64
	err error
}

func (b *broken) fails(op string, off, n int64) bool {
	return b.op == op && (op == "sync" || off <= b.at && b.at < off+n)
}

func (b *broken) ReadAt(p []byte, off int64) (int, error) {
	if b.fails("read", off, int64(len(p))) {
		n, _ := b.Memory.ReadAt(p[:b.at-off], off)
		return n, b.err
	}
	return b.Memory.ReadAt(p, off)
}

func (b *broken) WriteAt(p []byte, off int64) (int, error) {
	if b.fails("write", off, int64(len(p))) {
		n, _ := b.Memory.WriteAt(p[:b.at-off], off)
		return n, b.err
	}
	return b.Memory.WriteAt(p, off)
}

func (b *broken) TryReadAt(p []byte, off int64) (int, error)  { return b.ReadAt(p, off) }
func (b *broken) TryWriteAt(p []byte, off int64) (int, error) { return b.WriteAt(p, off) }

func (b *broken) Sync() error {
	if b.op == "sync" {
		return b.err
	}
	return nil
}

func (b *broken) Zero(off, n int64, deallocate bool) error {
	if b.fails("unmap", off, n) {
		return b.err
	}
	return b.Memory.Zero(off, n, deallocate)
}

func TestErrorsOfTheStore(t *testing.T) {
	eio := fmt.Errorf("read: %w", unix.EIO)
	for _, c := range []struct {
		name string
		op   string
		err  error
		cdb  []byte
		out  []byte
		key  scsi.SenseKey
		code uint16
		lba  int64
	}{
		{"read", "read", eio, cdb10(0x28, 0, 0, 16), nil, scsi.MediumError, scsi.UnrecoveredReadError, 9},
		{"cut short", "read", io.ErrUnexpectedEOF, cdb10(0x28, 0, 0, 16), nil, scsi.MediumError, scsi.UnrecoveredReadError, 9},
		{"verify", "read", eio, cdb10(0x2f, 0, 0, 16), nil, scsi.MediumError, scsi.UnrecoveredReadError, 9},
		{"write", "write", unix.EIO, cdb10(0x2a, 0, 0, 16), pattern(8192, 1), scsi.MediumError, scsi.WriteError, 9},
		{"no space", "write", fmt.Errorf("write: %w", unix.ENOSPC), cdb10(0x2a, 0, 0, 16), pattern(8192, 1), scsi.DataProtect, scsi.SpaceAllocationFailed, 9},
		{"no space for WRITE SAME", "write", unix.ENOSPC, cdb16(0x93, 0, 0, 16), pattern(512, 1), scsi.DataProtect, scsi.SpaceAllocationFailed, 9},
		{"quota", "write", unix.EDQUOT, cawCDB(8, 2), append(make([]byte, 1024), pattern(1024, 1)...), scsi.DataProtect, scsi.SpaceAllocationFailed, 9},
		{"read-only underneath", "write", unix.EROFS, cdb10(0x2a, 0, 0, 16), pattern(8192, 1), scsi.DataProtect, scsi.WriteProtected, 9},
		{"gone", "write", unix.ENXIO, cdb10(0x2a, 0, 0, 16), pattern(8192, 1), scsi.HardwareError, scsi.InternalTargetFailure, 9},
		{"sync", "sync", unix.EIO, cdb10(0x35, 0, 0, 0), nil, scsi.MediumError, scsi.WriteError, -1},
		{"FUA", "sync", unix.EIO, cdb10(0x2a, 0x08, 0, 1), pattern(512, 1), scsi.MediumError, scsi.WriteError, -1},
		{"unmap", "unmap", unix.EIO, unmapCDB(24), unmapOf(9, 1), scsi.MediumError, scsi.WriteError, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			var heard []string
			store := &broken{Memory: backing.NewMemory(mib), op: c.op, at: 9*512 + 3, err: c.err}
			r := rigOn(t, store, Options{Thin: true, Failed: func(op string, off int64, err error) {
				heard = append(heard, fmt.Sprint(op, " ", err))
			}})
			s := r.fails(t, c.cdb, c.out, c.key, c.code)
			if c.lba >= 0 && (!s.HasInfo || s.Info != uint64(c.lba)) || c.lba < 0 && s.HasInfo {
				t.Errorf("INFORMATION %v %d, want LBA %d", s.HasInfo, s.Info, c.lba)
			}
			if len(heard) != 1 || heard[0] != fmt.Sprint(c.op, " ", c.err) {
				t.Errorf("told of %q", heard)
			}
		})
	}
}

// counted counts syncs.
type counted struct {
	*backing.Memory
	syncs int
}

func (c *counted) Sync() error { c.syncs++; return nil }

func TestStability(t *testing.T) {
	block := make([]byte, 512)
	for _, c := range []struct {
		name          string
		cdb           []byte
		out           []byte
		back, through int // syncs of a write-back and of a write-through disk
	}{
		{"write", cdb10(0x2a, 0, 0, 1), block, 0, 1},
		{"FUA", cdb10(0x2a, 0x08, 0, 1), block, 1, 1},
		{"DPO", cdb10(0x2a, 0x10, 0, 1), block, 0, 1},
		{"WRITE (6)", cdb6(0x0a, 0, 1), block, 0, 1},
		{"WRITE SAME", cdb16(0x93, 0, 0, 1), block, 0, 1},
		{"UNMAP", unmapCDB(24), unmapOf(0, 1), 0, 1},
		{"COMPARE AND WRITE", cawCDB(0, 1), make([]byte, 1024), 0, 1},
		{"ORWRITE", cdb16(0x8b, 0x08, 0, 1), block, 1, 1},
		{"WRITE AND VERIFY", cdb10(0x2e, 0, 0, 1), block, 1, 1},
		{"SYNCHRONIZE CACHE (10)", cdb10(0x35, 0, 0, 0), nil, 1, 1},
		{"SYNCHRONIZE CACHE (16), IMMED", cdb16(0x91, 0x02, 0, 0), nil, 1, 1},
		{"STOP", []byte{0x1b, 0, 0, 0, 0, 0}, nil, 1, 1},
		{"STOP, NO_FLUSH", []byte{0x1b, 0, 0, 0, 4, 0}, nil, 0, 0},
		{"START", []byte{0x1b, 0, 0, 0, 1, 0}, nil, 0, 0},
		{"read, FUA", cdb10(0x28, 0x08, 0, 1), nil, 1, 0},
		{"read", cdb10(0x28, 0, 0, 1), nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for through, want := range map[bool]int{false: c.back, true: c.through} {
				store := &counted{Memory: backing.NewMemory(mib)}
				r := rigOn(t, store, Options{Thin: true, WriteThrough: through})
				if r.good(t, c.cdb, c.out); store.syncs != want {
					t.Errorf("write-through %v: %d syncs, want %d", through, store.syncs, want)
				}
			}
		})
	}
}

func TestReadAndWriteAllocateNothing(t *testing.T) {
	r := newRig(t, mib, Options{})
	out := make([]byte, 4096)
	to := &once{b: make([]byte, 4096)}
	for _, cdb := range [][]byte{cdb10(0x28, 0, 8, 8), cdb10(0x2a, 0, 8, 8), cdb16(0x88, 0, 8, 8), cdb16(0x8a, 0, 8, 8)} {
		row := r.find(cdb)
		var task scsi.Task
		if n := testing.AllocsPerRun(100, func() {
			task.Reset()
			task.CDB, task.Transfer = cdb, to
			row.Parse(&task)
			task.Out = out[:task.OutLen]
			row.Do(&task)
		}); n != 0 {
			t.Errorf("% x: %v allocations", cdb, n)
		}
		if task.Status != scsi.Good || task.WouldBlock || task.Moved != 4096 {
			t.Errorf("% x: status %#x, moved %d", cdb, task.Status, task.Moved)
		}
	}
}

// once is a Transfer with a single buffer.
type once struct{ b []byte }

func (o *once) Room(n int) []byte { return o.b[:n] }
func (o *once) Sent(int)          {}

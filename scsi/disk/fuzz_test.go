package disk

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

func newRigStore(size int64) backing.Store { return backing.NewMemory(size) }

// FuzzCDB gives a disk any CDB and any Data-Out. It must not panic, must not
// change blocks that the CDB does not name, and must not send more Data-In than
// it said it would.
func FuzzCDB(f *testing.F) {
	for _, k := range kinds {
		d, err := New(backing.NewMemory(mib), k.opt)
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range d.Commands() {
			cdb := bytes.Clone(c.Usage)
			clear(cdb[1:])
			cdb[1] = byte(c.Action)
			f.Add(cdb, make([]byte, 512), uint8(0))
			f.Add(append(cdb[:2:2], c.Usage[2:]...), []byte{1, 2, 3}, uint8(1))
		}
		d.Close()
	}
	f.Add(cdb10(0x2a, 0x08, 5, 3), pattern(1500, 1), uint8(2))
	f.Add(cdb16(0x93, 0x09, 5, 3), []byte{}, uint8(1))
	f.Add(cawCDB(3, 1), make([]byte, 1024), uint8(1))
	f.Add(unmapCDB(24), unmapOf(3, 4), uint8(1))
	f.Add(sanitizeCDB(1, 5), overwriteList(1, 1, []byte{9}), uint8(1))
	before := pattern(mib, 0xa5)
	f.Fuzz(func(t *testing.T, cdb, out []byte, kind uint8) {
		if len(cdb) < 6 || len(cdb) > 260 {
			return
		}
		opt := kinds[int(kind)%len(kinds)].opt
		d, err := New(backing.NewMemory(mib), opt)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r := &rig{Disk: d, rows: rowsOf(d), piece: 10_000}
		if _, err := d.store.WriteAt(before, 0); err != nil {
			t.Fatal(err)
		}
		to := &sink{piece: r.piece}
		task := &scsi.Task{CDB: cdb, Transfer: to, Expected: uint32(len(out))}
		r.execute(task, out)
		if task.Status != scsi.Good && task.Status != scsi.CheckCondition || task.WouldBlock {
			t.Errorf("status %#x, would block %v", task.Status, task.WouldBlock)
		}
		if task.Status == scsi.CheckCondition && task.Sense.Key == scsi.NoSense {
			t.Error("a failure without a reason")
		}
		if len(to.in) > task.InLen {
			t.Errorf("%d bytes of Data-In, announced were %d", len(to.in), task.InLen)
		}
		if task.OutLen > maxTransfer {
			t.Errorf("asks for %d bytes of Data-Out", task.OutLen)
		}
		if cdb[0] == 0x48 {
			return // SANITIZE means all blocks
		}
		after := r.bytes(t, 0, mib)
		named := r.named(cdb, out)
		for bs, off := d.opt.BlockSize, 0; off < mib; off += bs {
			if !bytes.Equal(after[off:off+bs], before[off:off+bs]) && !named.has(uint64(off/bs)) {
				t.Fatalf("block %d changed, which % x does not name", off/bs, cdb)
			}
		}
	})
}

// runs are ranges of blocks: LBA and length.
type runs [][2]uint64

func (r runs) has(lba uint64) bool {
	for _, x := range r {
		if lba >= x[0] && lba-x[0] < x[1] {
			return true
		}
	}
	return false
}

// named is what a CDB may write to, worked out apart from the code under test.
func (r *rig) named(cdb, out []byte) runs {
	be := binary.BigEndian
	switch cdb[0] {
	case 0x0a:
		n := uint64(cdb[4])
		if n == 0 {
			n = 256
		}
		return runs{{uint64(be.Uint32(cdb) & 0x1fffff), n}}
	}
	if len(cdb) < 10 {
		return nil
	}
	switch cdb[0] {
	case 0x2a, 0x2e, 0x41:
		n := uint64(be.Uint16(cdb[7:]))
		if n == 0 && cdb[0] == 0x41 {
			n = 1 << 63
		}
		return runs{{uint64(be.Uint32(cdb[2:])), n}}
	case 0x42:
		var all runs
		for i := 8; i+16 <= len(out); i += 16 {
			all = append(all, [2]uint64{be.Uint64(out[i:]), uint64(be.Uint32(out[i+8:]))})
		}
		return all
	}
	if len(cdb) < 12 {
		return nil
	}
	if cdb[0] == 0xaa || cdb[0] == 0xae {
		return runs{{uint64(be.Uint32(cdb[2:])), uint64(be.Uint32(cdb[6:]))}}
	}
	if len(cdb) < 16 {
		return nil
	}
	lba := be.Uint64(cdb[2:])
	switch cdb[0] {
	case 0x8a, 0x8b, 0x8e, 0x93:
		n := uint64(be.Uint32(cdb[10:]))
		if n == 0 && cdb[0] == 0x93 {
			n = 1 << 63
		}
		return runs{{lba, n}}
	case 0x89:
		return runs{{lba, uint64(cdb[13])}}
	case 0x9c:
		return runs{{lba, uint64(be.Uint16(cdb[12:]))}}
	}
	return nil
}

// FuzzUnmapList: whatever comes, the descriptors are within the list.
func FuzzUnmapList(f *testing.F) {
	f.Add(unmapOf())
	f.Add(unmapOf(1, 2, 3, 4))
	f.Add(append(unmapOf(1, 2), 9, 9))
	f.Fuzz(func(t *testing.T, p []byte) {
		l, bad := unmapList(p)
		if bad.Key != scsi.NoSense {
			if l.len() != 0 {
				t.Error("descriptors of a list that is wrong")
			}
			return
		}
		if l.len() > maxUnmapDescs || 8+l.len()*16 > len(p) {
			t.Errorf("%d descriptors in %d bytes", l.len(), len(p))
		}
		for i := range l.len() {
			lba, n := l.at(i)
			if lba != binary.BigEndian.Uint64(p[8+16*i:]) || n != binary.BigEndian.Uint32(p[16+16*i:]) {
				t.Errorf("descriptor %d: %d %d", i, lba, n)
			}
		}
	})
}

// FuzzCopyList: a list that is taken is within its limits, and its segments
// are where the list has them.
func FuzzCopyList(f *testing.F) {
	target := make([]byte, 32)
	target[0] = targetID
	f.Add(list(1, 0, [][]byte{target}, [][]byte{segment(0, 0, 8, 1, 2)}))
	f.Add(list(0, 3, [][]byte{target, target}, [][]byte{segmentBytes(0, 1, 512, 1, 2), segment(1, 0, 1, 0, 0)}))
	f.Add(list(2, 2, nil, nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		l, bad := parseCopyList(p)
		if bad.Key != scsi.NoSense {
			return
		}
		if len(l.targets) > maxCopyTargets || len(l.segments) > maxCopySegments {
			t.Errorf("%d targets, %d segments", len(l.targets), len(l.segments))
		}
		for _, s := range l.segments {
			if s.at+28 > len(p) || p[s.at] != segBlocks && p[s.at] != segBytes {
				t.Errorf("segment at %d of %d bytes", s.at, len(p))
			}
		}
		for _, x := range l.targets {
			if x.at+copyTargetLen > len(p) || p[x.at] != targetID || x.designator[3] > 20 {
				t.Errorf("target at %d of %d bytes", x.at, len(p))
			}
		}
	})
}

// FuzzSanitizeList: the parameter list of SANITIZE (OVERWRITE).
func FuzzSanitizeList(f *testing.F) {
	f.Add(overwriteList(1, 1, []byte{9}))
	f.Add(overwriteList(0x83, 512, pattern(512, 1)))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < 5 || len(p) > 516 { // refused by the CDB
			return
		}
		var j sanitizeJob
		task := &scsi.Task{Out: p}
		if !j.parse(task, 512) {
			if task.Status != scsi.CheckCondition {
				t.Error("refused without saying so")
			}
			return
		}
		if j.passes < 1 || j.passes > 31 || len(j.pattern) != 512 || j.pattern[0] != p[4] {
			t.Errorf("%d passes, pattern of %d bytes", j.passes, len(j.pattern))
		}
	})
}

// FuzzJournal: a journal with anything in it is taken up or refused, and
// nothing is written beyond the disk.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(journalMagic), uint64(0), uint32(512), false)
	f.Add([]byte(journalMagic), uint64(1<<63), uint32(512), true)
	f.Add([]byte{}, uint64(0), uint32(0), true)
	f.Fuzz(func(t *testing.T, head []byte, off uint64, n uint32, sealed bool) {
		j := &journal{buf: make([]byte, JournalSize)}
		copy(j.buf[:journalOff], head)
		binary.BigEndian.PutUint64(j.buf[journalOff:], off)
		binary.BigEndian.PutUint32(j.buf[journalLen:], n)
		if sealed && n <= maxAtomic {
			binary.BigEndian.PutUint32(j.buf[journalSum:], j.sum(j.buf[journalHeader:][:n]))
		}
		log := backing.NewMemory(JournalSize)
		if _, err := log.WriteAt(j.buf, 0); err != nil {
			t.Fatal(err)
		}
		if d, err := New(backing.NewMemory(mib), Options{Journal: log}); err == nil {
			d.Close()
		}
	})
}

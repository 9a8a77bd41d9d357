package disk

import (
	"encoding/binary"
	"sync"

	"github.com/esos-project/esos/scsi"
)

// scratch holds buffers for what has to be read before it can be compared,
// changed, or written elsewhere.
var scratch = sync.Pool{New: func() any {
	b := make([]byte, scratchSize)
	return &b
}}

const scratchSize = 1 << 20

// exact checks that the initiator sends exactly the Data-Out that the CDB asks
// for in its byte field. Commands that must do all or nothing cannot take less.
func exact(t *scsi.Task, field int) bool {
	if int64(t.Expected) != int64(t.OutLen) {
		t.Fail(scsi.InvalidField(field))
		return false
	}
	return true
}

// whole checks that all Data-Out arrived; Do is not called with less, but for
// a transport that lost some.
func whole(t *scsi.Task) bool {
	if len(t.Out) != t.OutLen {
		t.Fail(scsi.Sense{Key: scsi.AbortedCommand, Code: ascInvalidInformation})
		return false
	}
	return true
}

func (d *Disk) parseCompareAndWrite(t *scsi.Task) {
	if !d.writable(t) || !d.ready(t) || !plain(t) {
		return
	}
	lba, blocks := binary.BigEndian.Uint64(t.CDB[2:]), uint64(t.CDB[13])
	if !d.fits(t, lba, blocks) {
		return
	}
	t.OutLen = int(blocks) << d.shift * 2
	exact(t, 13)
}

// compareAndWrite serves COMPARE AND WRITE (SBC-4 5.3): if the blocks hold the
// first half of the Data-Out, they get the second, with nothing in between.
func (d *Disk) compareAndWrite(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	if !whole(t) || len(t.Out) == 0 {
		return
	}
	off := int64(binary.BigEndian.Uint64(t.CDB[2:]) << d.shift)
	if d.swap(t, t.Out[:len(t.Out)/2], t.Out[len(t.Out)/2:], off) {
		d.stable(t) // with the gate open again: it may take long
	}
}

// swap writes next to off if expect is there. It returns false when the task
// ended.
func (d *Disk) swap(t *scsi.Task, expect, next []byte, off int64) bool {
	pass, ok := d.exclude(t, off, len(next))
	if !ok {
		return false
	}
	defer d.gate.leave(pass)
	if t.Aborted() || !d.compare(t, expect, off) {
		return false
	}
	if n, err := d.store.WriteAt(next, off); err != nil {
		t.Fail(d.failure("write", off+int64(n), err))
		return false
	}
	return true
}

// compare compares p with what is at off and ends the task at the first
// difference, with its offset in p (SBC-4 5.3, 5.36).
func (d *Disk) compare(t *scsi.Task, p []byte, off int64) bool {
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	for done := 0; done < len(p); {
		b := (*buf)[:min(len(p)-done, scratchSize)]
		if n, err := d.store.ReadAt(b, off+int64(done)); err != nil {
			t.Fail(d.failure("read", off+int64(done+n), err))
			return false
		}
		if i := difference(b, p[done:done+len(b)]); i >= 0 {
			t.Fail(scsi.Sense{Key: scsi.Miscompare, Code: scsi.MiscompareDuringVerify, Info: uint64(done + i), HasInfo: true})
			return false
		}
		done += len(b)
	}
	return true
}

// difference is the index of the first byte in which a and b, of one length,
// differ; -1 if none does.
func difference(a, b []byte) int {
	if string(a) == string(b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

func (d *Disk) parseOrWrite(t *scsi.Task) {
	if d.parseWrite(t); t.Status == scsi.Good {
		exact(t, lengthField(t.CDB))
	}
}

// orWrite serves ORWRITE (16) (SBC-4 5.12).
func (d *Disk) orWrite(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	if !whole(t) || len(t.Out) == 0 {
		return
	}
	lba, _ := extent(t.CDB)
	if d.merge(t, t.Out, int64(lba<<d.shift)) {
		d.stable(t)
	}
}

// merge sets the bits at off that are set in p. It returns false when the task
// ended.
func (d *Disk) merge(t *scsi.Task, p []byte, off int64) bool {
	pass, ok := d.exclude(t, off, len(p))
	if !ok {
		return false
	}
	defer d.gate.leave(pass)
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	for len(p) > 0 {
		b := (*buf)[:min(len(p), scratchSize)]
		if n, err := d.store.ReadAt(b, off); err != nil {
			t.Fail(d.failure("read", off+int64(n), err))
			return false
		}
		for i := range b {
			b[i] |= p[i]
		}
		if n, err := d.store.WriteAt(b, off); err != nil {
			t.Fail(d.failure("write", off+int64(n), err))
			return false
		}
		p, off = p[len(b):], off+int64(len(b))
	}
	return true
}

// maxAtomic is the MAXIMUM ATOMIC TRANSFER LENGTH in blocks.
func (d *Disk) maxAtomic() uint32 { return maxAtomic >> d.shift }

func (d *Disk) parseWriteAtomic(t *scsi.Task) {
	if !d.writable(t) || !d.ready(t) || !plain(t) {
		return
	}
	lba, blocks := binary.BigEndian.Uint64(t.CDB[2:]), uint64(binary.BigEndian.Uint16(t.CDB[12:]))
	if !d.fits(t, lba, blocks) {
		return
	}
	if blocks > uint64(d.maxAtomic()) {
		t.Fail(scsi.InvalidField(12))
		return
	}
	if binary.BigEndian.Uint16(t.CDB[10:]) != 0 { // MAXIMUM ATOMIC BOUNDARY SIZE is 0
		t.Fail(scsi.InvalidField(10))
		return
	}
	t.OutLen = int(blocks) << d.shift
	exact(t, 12)
}

// writeAtomic serves WRITE ATOMIC (16) (SBC-4 4.29, 5.46). Others see all of
// the write or none, and so does a reader after a power cut. The latter is
// what databases drop their own double writes for, so it takes a journal, or a
// store of which nothing is left then; a disk with neither has no such command.
func (d *Disk) writeAtomic(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	if !whole(t) || len(t.Out) == 0 {
		return
	}
	off := int64(binary.BigEndian.Uint64(t.CDB[2:]) << d.shift)
	pass, ok := d.exclude(t, off, len(t.Out))
	if !ok {
		return
	}
	defer d.gate.leave(pass)
	if t.Aborted() {
		return
	}
	if d.journal != nil {
		if err := d.journal.write(d.store, t.Out, off); err != nil {
			t.Fail(d.failure("write", off, err))
		}
		return
	}
	if n, err := d.store.WriteAt(t.Out, off); err != nil {
		t.Fail(d.failure("write", off+int64(n), err))
		return
	}
	d.stable(t)
}

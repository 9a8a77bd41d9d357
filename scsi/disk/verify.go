package disk

import (
	"github.com/esos-project/esos/scsi"
)

// byteCheck is the BYTCHK field: 0 verifies the medium, 1 compares with the
// Data-Out, 3 compares each block with the one block of Data-Out.
func byteCheck(cdb []byte) byte { return cdb[1] >> 1 & 0x03 }

func (d *Disk) parseVerify(t *scsi.Task) {
	n, ok := d.admit(t)
	if !ok {
		return
	}
	switch byteCheck(t.CDB) {
	case 0:
	case 1:
		t.OutLen = n
	case 3:
		if n > 0 {
			t.OutLen = d.opt.BlockSize
		}
	default:
		t.Fail(badBit(1, 2))
	}
}

// verify serves VERIFY (10), (12) and (16) (SBC-4 5.36).
func (d *Disk) verify(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	if !whole(t) {
		return
	}
	lba, blocks := extent(t.CDB)
	d.check(t, int64(lba<<d.shift), int(blocks)<<d.shift)
}

// check verifies n bytes at off as BYTCHK says.
func (d *Disk) check(t *scsi.Task, off int64, n int) {
	pass, ok := d.enter(t, off, n)
	if !ok {
		return
	}
	defer d.gate.leave(pass)
	switch byteCheck(t.CDB) {
	case 1:
		d.compare(t, t.Out, off)
	case 3:
		for end := off + int64(n); off < end && !t.Aborted(); off += int64(len(t.Out)) {
			if !d.compare(t, t.Out, off) {
				return
			}
		}
	default:
		d.readable(t, off, n)
	}
}

// readable reads n bytes at off for the sake of it.
func (d *Disk) readable(t *scsi.Task, off int64, n int) {
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	for done := 0; done < n && !t.Aborted(); {
		b := (*buf)[:min(n-done, scratchSize)]
		m, err := d.store.ReadAt(b, off+int64(done))
		if err != nil {
			t.Fail(d.failure("read", off+int64(done+m), err))
			return
		}
		done += len(b)
	}
}

func (d *Disk) parseWriteAndVerify(t *scsi.Task) {
	if d.parseWrite(t); t.Status != scsi.Good {
		return
	}
	if byteCheck(t.CDB) > 1 {
		t.Fail(badBit(1, 2))
	}
}

// writeAndVerify serves WRITE AND VERIFY (10), (12) and (16) (SBC-4 5.47): what
// is verified is the medium, so the data is made stable first.
func (d *Disk) writeAndVerify(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	lba, _ := extent(t.CDB)
	off := int64(lba << d.shift)
	if !d.put(t, off) || !d.sync(t) {
		return
	}
	d.check(t, off, len(t.Out))
}

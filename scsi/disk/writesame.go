package disk

import (
	"bytes"

	"github.com/esos-project/esos/scsi"
)

// sameBits are what WRITE SAME has in byte 1 of its CDB.
type sameBits byte

func (b sameBits) anchor() bool { return b&0x10 != 0 }
func (b sameBits) unmap() bool  { return b&0x08 != 0 }

// noData is NDOB: blocks of zeroes, and no Data-Out. WRITE SAME (10) has no
// such bit.
func noData(cdb []byte) bool { return cdb[0] == 0x93 && cdb[1]&0x01 != 0 }

// sameExtent is extent with zero blocks meaning all up to the end.
func (d *Disk) sameExtent(cdb []byte) (lba, blocks uint64) {
	lba, n := extent(cdb)
	if blocks = uint64(n); blocks == 0 {
		if all := d.Blocks(); lba <= all {
			blocks = all - lba
		}
	}
	return lba, blocks
}

func (d *Disk) parseWriteSame(t *scsi.Task) {
	if !d.writable(t) || !d.ready(t) || !plain(t) {
		return
	}
	b := sameBits(t.CDB[1])
	switch {
	case b&0x06 != 0: // PBDATA, LBDATA: obsolete
		t.Fail(badBit(1, 2))
		return
	case b.anchor():
		t.Fail(badBit(1, 4))
		return
	case b.unmap() && !d.opt.Thin:
		t.Fail(badBit(1, 3))
		return
	}
	lba, blocks := d.sameExtent(t.CDB)
	if !d.fits(t, lba, blocks) {
		return
	}
	if blocks<<d.shift > maxWriteSame {
		t.Fail(scsi.InvalidField(lengthField(t.CDB)))
		return
	}
	if !noData(t.CDB) {
		t.OutLen = d.opt.BlockSize
		exact(t, lengthField(t.CDB))
	}
}

// writeSame serves WRITE SAME (10) and (16) (SBC-4 5.48). UNMAP = 1 unmaps,
// and so leaves zeroes, whatever the block of Data-Out holds: initiators that
// set it mean that, libiscsi's tests ask for it, and other targets do it. Those
// that care send zeroes, and for them it is one.
func (d *Disk) writeSame(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	if !whole(t) {
		return
	}
	lba, blocks := d.sameExtent(t.CDB)
	off, n := int64(lba<<d.shift), int64(blocks<<d.shift)
	if unmap := sameBits(t.CDB[1]).unmap(); unmap || allZero(t.Out) {
		if !d.zero(t, off, n, unmap) {
			return
		}
	} else if !d.fill(t, t.Out, off, n) {
		return
	}
	if d.through.Load() {
		d.sync(t)
	}
}

// fill writes pattern over n bytes at off, again and again.
func (d *Disk) fill(t *scsi.Task, pattern []byte, off, n int64) bool {
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	b := (*buf)[:min(n, scratchSize)]
	for i := 0; i < len(b); {
		i += copy(b[i:], pattern)
	}
	pass, ok := d.enter(t, off, int(n))
	if !ok {
		return false
	}
	defer d.gate.leave(pass)
	for n > 0 {
		if t.Aborted() {
			return false
		}
		m, err := d.store.WriteAt(b[:min(n, int64(len(b)))], off)
		if err != nil {
			t.Fail(d.failure("write", off+int64(m), err))
			return false
		}
		off, n = off+int64(m), n-int64(m)
	}
	return true
}

var zeroes [4096]byte

func allZero(p []byte) bool {
	for len(p) > len(zeroes) {
		if !bytes.Equal(p[:len(zeroes)], zeroes[:]) {
			return false
		}
		p = p[len(zeroes):]
	}
	return bytes.Equal(p, zeroes[:len(p)])
}

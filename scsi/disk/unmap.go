package disk

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

const (
	unmapHeader     = 8
	unmapDescriptor = 16
)

func (d *Disk) parseUnmap(t *scsi.Task) {
	if !d.writable(t) || !d.ready(t) {
		return
	}
	if t.CDB[1]&1 != 0 { // ANCHOR
		t.Fail(badBit(1, 0))
		return
	}
	n := int(binary.BigEndian.Uint16(t.CDB[7:]))
	if n > 0 && n < unmapHeader {
		t.Fail(scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.ParameterListLengthError})
		return
	}
	t.OutLen = n
}

// unmap serves UNMAP (SBC-4 5.35). The whole list is checked before any block
// of it is unmapped.
func (d *Disk) unmap(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	if t.OutLen == 0 {
		return
	}
	list, bad := unmapList(t.Out)
	if bad.Key != 0 {
		t.Fail(bad)
		return
	}
	total := uint64(0)
	for i := range list.len() {
		lba, blocks := list.at(i)
		if blocks == 0 {
			continue // nothing is unmapped, wherever it is (SBC-4 5.35.2)
		}
		if !d.fits(t, lba, uint64(blocks)) {
			return
		}
		if total += uint64(blocks); total > maxUnmap {
			t.Fail(scsi.InvalidParameter(unmapHeader + i*unmapDescriptor + 8))
			return
		}
	}
	for i := range list.len() {
		lba, blocks := list.at(i)
		if t.Aborted() || !d.zero(t, int64(lba<<d.shift), int64(blocks)<<d.shift, true) {
			return
		}
	}
	if d.through.Load() {
		d.sync(t)
	}
}

// zero makes n bytes at off read as zeroes.
func (d *Disk) zero(t *scsi.Task, off, n int64, deallocate bool) bool {
	if n == 0 {
		return true
	}
	pass, ok := d.enter(t, off, int(n))
	if !ok {
		return false
	}
	defer d.gate.leave(pass)
	if err := d.store.Zero(off, n, deallocate); err != nil {
		t.Fail(d.failure("unmap", off, err))
		return false
	}
	return true
}

// descriptors are the block descriptors of an UNMAP parameter list.
type descriptors []byte

func (l descriptors) len() int { return len(l) / unmapDescriptor }

func (l descriptors) at(i int) (lba uint64, blocks uint32) {
	b := l[i*unmapDescriptor:]
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
}

// unmapList checks an UNMAP parameter list (SBC-4 table 145) and returns its
// descriptors.
func unmapList(p []byte) (descriptors, scsi.Sense) {
	short := scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.ParameterListLengthError}
	if len(p) < unmapHeader {
		return nil, short
	}
	n := int(binary.BigEndian.Uint16(p[2:]))
	if n > len(p)-unmapHeader {
		return nil, short
	}
	l := descriptors(p[unmapHeader:][:n-n%unmapDescriptor]) // the rest of one is ignored
	if l.len() > maxUnmapDescs {
		return nil, scsi.InvalidParameter(2)
	}
	return l, scsi.Sense{}
}

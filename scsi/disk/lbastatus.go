package disk

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

// Provisioning status (SBC-4 table 55).
const (
	mapped      = 0
	deallocated = 1
)

// maxStatus bounds the descriptors of one answer, since each can take a search
// through the file's extents.
const maxStatus = 256

func (d *Disk) parseGetLBAStatus(t *scsi.Task) {
	if !d.ready(t) {
		return
	}
	lba := binary.BigEndian.Uint64(t.CDB[2:])
	if lba >= d.Blocks() {
		t.Fail(scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.LBAOutOfRange})
		return
	}
	t.InLen = int(min(binary.BigEndian.Uint32(t.CDB[10:]), 8+16*maxStatus))
}

// getLBAStatus serves GET LBA STATUS (16) (SBC-4 5.6).
func (d *Disk) getLBAStatus(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	lba, all := binary.BigEndian.Uint64(t.CDB[2:]), d.Blocks()
	// At least one descriptor: the length field tells how long the answer
	// would be, whatever the initiator made room for.
	want := max(1, (t.InLen-8)/16)
	b := make([]byte, 8, 8+16*want)
	for len(b) < cap(b) && lba < all && !t.Aborted() {
		n, status, err := d.status(lba, min(all-lba, 0xffffffff))
		if err != nil {
			t.Fail(d.failure("read", int64(lba<<d.shift), err))
			return
		}
		b = binary.BigEndian.AppendUint64(b, lba)
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		b = append(b, status, 0, 0, 0)
		lba += n
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	t.Reply(b, t.InLen)
}

// status tells how lba is provisioned and for how many blocks, at most n, that
// holds for certain. A block of which any byte has space is mapped.
func (d *Disk) status(lba, n uint64) (uint64, byte, error) {
	if !d.opt.Thin {
		return n, mapped, nil
	}
	size := int64(d.opt.BlockSize)
	allocated, length, err := d.store.Extent(int64(lba<<d.shift), int64(n<<d.shift))
	switch {
	case err != nil:
		return 0, 0, err
	case allocated:
		return min(n, uint64(max(1, (length+size-1)/size))), mapped, nil
	case length < size: // a hole, but data further on in the block
		return 1, mapped, nil
	}
	return uint64(length / size), deallocated, nil
}

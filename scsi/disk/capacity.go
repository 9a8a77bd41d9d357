package disk

import (
	"encoding/binary"
	"math/bits"

	"github.com/esos-project/esos/scsi"
)

func (d *Disk) parseReadCapacity10(t *scsi.Task) {
	if !d.ready(t) {
		return
	}
	// A LOGICAL BLOCK ADDRESS without PMI; both are obsolete since SBC-3.
	if t.CDB[8]&1 == 0 && binary.BigEndian.Uint32(t.CDB[2:]) != 0 {
		t.Fail(scsi.InvalidField(2))
		return
	}
	t.InLen = 8
}

// readCapacity10 serves READ CAPACITY (10) (SBC-4 5.20).
func (d *Disk) readCapacity10(t *scsi.Task) {
	var b [8]byte
	binary.BigEndian.PutUint32(b[0:], uint32(min(d.Blocks()-1, 0xffffffff)))
	binary.BigEndian.PutUint32(b[4:], uint32(d.opt.BlockSize))
	t.Reply(b[:], len(b))
}

func (d *Disk) parseReadCapacity16(t *scsi.Task) {
	if d.ready(t) {
		t.InLen = min(32, int(binary.BigEndian.Uint32(t.CDB[10:])))
	}
}

// readCapacity16 serves READ CAPACITY (16) (SBC-4 5.21).
func (d *Disk) readCapacity16(t *scsi.Task) {
	var b [32]byte
	binary.BigEndian.PutUint64(b[0:], d.Blocks()-1)
	binary.BigEndian.PutUint32(b[8:], uint32(d.opt.BlockSize))
	b[13] = byte(bits.TrailingZeros(uint(d.opt.PhysicalBlockSize)) - int(d.shift))
	if d.opt.Thin {
		b[14] = 0x80 | 0x40 // LBPME, LBPRZ
	}
	t.Reply(b[:], t.InLen)
}

func (d *Disk) parseReadDefects10(t *scsi.Task) {
	if d.ready(t) {
		t.InLen = min(4, int(binary.BigEndian.Uint16(t.CDB[7:])))
	}
}

// readDefects10 serves READ DEFECT DATA (10) (SBC-4 5.23): both lists there,
// and nothing in them.
func (d *Disk) readDefects10(t *scsi.Task) {
	t.Reply([]byte{0, t.CDB[2] & 0x1f, 0, 0}, t.InLen)
}

func (d *Disk) parseReadDefects12(t *scsi.Task) {
	if d.ready(t) {
		t.InLen = min(8, int(binary.BigEndian.Uint32(t.CDB[6:])))
	}
}

// readDefects12 serves READ DEFECT DATA (12) (SBC-4 5.24).
func (d *Disk) readDefects12(t *scsi.Task) {
	t.Reply([]byte{0, t.CDB[1] & 0x1f, 0, 0, 0, 0, 0, 0}, t.InLen)
}

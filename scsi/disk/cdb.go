package disk

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

// extent decodes the LOGICAL BLOCK ADDRESS and TRANSFER LENGTH fields where
// READ and WRITE have them, and with them most commands of SBC-4. The CDB's
// length was checked when the command was found.
func extent(cdb []byte) (lba uint64, blocks uint32) {
	switch cdb[0] >> 5 {
	case 0: // 6 bytes: 21 bits, and zero blocks mean 256 (SBC-4 5.15)
		lba, blocks = uint64(cdb[1]&0x1f)<<16|uint64(cdb[2])<<8|uint64(cdb[3]), uint32(cdb[4])
		if blocks == 0 {
			blocks = 256
		}
	case 1, 2: // 10 bytes
		lba, blocks = uint64(binary.BigEndian.Uint32(cdb[2:])), uint32(binary.BigEndian.Uint16(cdb[7:]))
	case 5: // 12 bytes
		lba, blocks = uint64(binary.BigEndian.Uint32(cdb[2:])), binary.BigEndian.Uint32(cdb[6:])
	default: // 16 bytes
		lba, blocks = binary.BigEndian.Uint64(cdb[2:]), binary.BigEndian.Uint32(cdb[10:])
	}
	return lba, blocks
}

// lengthField is where the CDB has its TRANSFER LENGTH.
func lengthField(cdb []byte) int {
	switch cdb[0] >> 5 {
	case 0:
		return 4
	case 1, 2:
		return 7
	case 5:
		return 6
	}
	return 10
}

// fua is the FUA bit of all CDBs that have one.
func fua(cdb []byte) bool { return cdb[0]>>5 != 0 && cdb[1]&0x08 != 0 }

// fits checks that a range of blocks is on the medium (SBC-4 4.5).
func (d *Disk) fits(t *scsi.Task, lba, blocks uint64) bool {
	all := d.blocks.Load()
	if lba > all || blocks > all-lba {
		t.Fail(scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.LBAOutOfRange})
		return false
	}
	return true
}

// plain checks that RDPROTECT, WRPROTECT or VRPROTECT is zero: there is no
// protection information (SBC-4 4.21).
func plain(t *scsi.Task) bool {
	if t.CDB[0]>>5 != 0 && t.CDB[1]&0xe0 != 0 {
		t.Fail(badBit(1, 7))
		return false
	}
	return true
}

// badBit is the sense for a bit of the CDB that cannot be served.
func badBit(field int, bit byte) scsi.Sense {
	s := scsi.InvalidField(field)
	s.Bit, s.HasBit = bit, true
	return s
}

// usage makes CDB usage data of n bytes that starts with b and ends with the
// CONTROL byte, of which NACA is looked at (scsi.Unit).
func usage(n int, b ...byte) []byte {
	u := make([]byte, n)
	copy(u, b)
	u[n-1] = 0x04
	return u
}

// usageExtent is the usage data of a command with LBA and length where READ
// has them; first is byte 1.
func usageExtent(op, first byte) []byte {
	switch op >> 5 {
	case 0:
		return usage(6, op, 0x1f, 0xff, 0xff, 0xff)
	case 1, 2:
		return usage(10, op, first, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff)
	case 5:
		return usage(12, op, first, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	}
	return usage(16, op, first, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
}

package scsi

import "encoding/binary"

// LUN is a logical unit number in its simple form: 0 to 16383, or one of the
// special values below. Its form on the wire is eight bytes (SAM-5 4.7); see
// ParseLUN and AppendLUN.
type LUN uint16

// LUNs that are not a place in a LUN map.
const (
	// ReportLUNsWLUN is the REPORT LUNS well known logical unit (SPC-5 8.2).
	ReportLUNsWLUN LUN = 0xc101
	// AllLUNs stands for every LUN of a nexus.
	AllLUNs LUN = 0xfffe
	// NoLUN is an address that no LUN map of ours has.
	NoLUN LUN = 0xffff
)

// MaxLUN is the highest LUN of a LUN map.
const MaxLUN LUN = 16383

// ParseLUN reads the eight byte form of a LUN: the peripheral device and the
// flat space addressing methods (SAM-5 4.7.4, 4.7.5) of a single level, and
// the well known logical unit for REPORT LUNS. Everything else, also a slice
// that is shorter than eight bytes, is NoLUN and false.
func ParseLUN(b []byte) (LUN, bool) {
	if len(b) < 8 || binary.BigEndian.Uint64(b)<<16 != 0 {
		return NoLUN, false
	}
	v := binary.BigEndian.Uint16(b)
	switch {
	case v < 0x100: // peripheral device addressing, bus identifier 0
		return LUN(v), true
	case v>>14 == 1: // flat space addressing
		return LUN(v & 0x3fff), true
	case v == uint16(ReportLUNsWLUN):
		return ReportLUNsWLUN, true
	}
	return NoLUN, false
}

// AppendLUN appends the eight byte form of l to b: peripheral device
// addressing up to 255, flat space addressing above, as initiators expect it.
func AppendLUN(b []byte, l LUN) []byte {
	v := uint16(l)
	if l > 0xff && l <= MaxLUN {
		v |= 0x4000
	}
	return append(b, byte(v>>8), byte(v), 0, 0, 0, 0, 0, 0)
}

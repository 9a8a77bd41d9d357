package disk

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

// Limits of an EXTENDED COPY, told by RECEIVE COPY RESULTS and VPD page 8Fh.
const (
	maxCopyTargets     = 64
	maxCopySegments    = 64
	maxCopyDescriptors = maxCopyTargets*copyTargetLen + maxCopySegments*28 // bytes
	maxCopySegment     = 64 << 20                                          // bytes that one segment copies
	maxConcurrent      = 255                                               // told only: workers are the bound

	copyHeader    = 16
	copyTargetLen = 32
)

// Descriptor type codes (SPC-4 tables 132, 133).
const (
	segBlocks = 0x02 // block device to block device
	segBytes  = 0x0a // the same with a length in bytes and offsets
	targetID  = 0xe4 // identification descriptor
)

// Additional sense codes of third party copies (SPC-5 annex F).
const (
	ascOperationInProgress    uint16 = 0x0016
	ascUnreachableCopyTarget  uint16 = 0x0804
	ascThirdPartyFailure      uint16 = 0x0d01
	ascTooManyTargets         uint16 = 0x2606
	ascUnsupportedTargetType  uint16 = 0x2607
	ascTooManySegments        uint16 = 0x2608
	ascUnsupportedSegmentType uint16 = 0x2609
	ascInexactSegment         uint16 = 0x260a
)

// copyList is the parameter list of EXTENDED COPY (LID1) (SPC-4 6.4.2).
type copyList struct {
	id       byte
	keep     bool // its status can be asked for
	targets  []copyTarget
	segments []copySegment
}

// copyTarget names a logical unit by a designator of its VPD page 83h.
type copyTarget struct {
	designator [4 + 20]byte // a designation descriptor (SPC-5 7.7.6.1), padded
	blockSize  int          // as the initiator believes; 0: it does not say
	at         int          // offset in the list
}

// copySegment is what to copy. Lengths and places are still in the units of
// the initiator: they can be told only when the targets are known.
type copySegment struct {
	source, target   int    // indexes of targets
	from, to         uint64 // LBAs
	blocks           int    // of the source, or with byTarget of the target
	byTarget         bool
	bytes            int // instead of blocks, if inBytes
	inBytes          bool
	fromByte, toByte int // offsets in the first block
	at               int // offset in the list
}

func copyError(code uint16) scsi.Sense {
	return scsi.Sense{Key: scsi.IllegalRequest, Code: code}
}

// parseCopyList takes a parameter list apart. Nothing is copied if any of it
// is wrong in itself.
func parseCopyList(p []byte) (copyList, scsi.Sense) {
	if len(p) < copyHeader {
		return copyList{}, copyError(scsi.ParameterListLengthError)
	}
	l := copyList{id: p[0]}
	switch p[1] >> 3 & 3 { // LIST ID USAGE
	case 0:
		l.keep = true
	case 1:
		return l, scsi.InvalidParameter(1)
	case 3:
		if l.id != 0 {
			return l, scsi.InvalidParameter(0)
		}
	}
	targets := uint64(binary.BigEndian.Uint16(p[2:]))
	segments := uint64(binary.BigEndian.Uint32(p[8:]))
	inline := binary.BigEndian.Uint32(p[12:])
	if targets+segments > maxCopyDescriptors || inline != 0 || copyHeader+targets+segments > uint64(len(p)) {
		return l, copyError(scsi.ParameterListLengthError)
	}
	if s := l.parseTargets(p, copyHeader, copyHeader+int(targets)); s.Key != 0 {
		return l, s
	}
	s := l.parseSegments(p, copyHeader+int(targets), copyHeader+int(targets+segments))
	return l, s
}

func (l *copyList) parseTargets(p []byte, at, end int) scsi.Sense {
	for ; at < end; at += copyTargetLen {
		if len(l.targets) == maxCopyTargets {
			return copyError(ascTooManyTargets)
		}
		if p[at] != targetID {
			return copyError(ascUnsupportedTargetType)
		}
		if end-at < copyTargetLen {
			return copyError(scsi.ParameterListLengthError)
		}
		b := p[at : at+copyTargetLen]
		if b[1]&0x1f != 0 { // PERIPHERAL DEVICE TYPE: block devices only
			return scsi.InvalidParameter(at + 1)
		}
		if b[7] > 20 {
			return scsi.InvalidParameter(at + 7)
		}
		t := copyTarget{at: at, blockSize: int(b[29])<<16 | int(b[30])<<8 | int(b[31])}
		copy(t.designator[:], b[4:28])
		l.targets = append(l.targets, t)
	}
	return scsi.Sense{}
}

func (l *copyList) parseSegments(p []byte, at, end int) scsi.Sense {
	for at < end {
		if len(l.segments) == maxCopySegments {
			return copyError(ascTooManySegments)
		}
		length := 28
		switch p[at] {
		case segBlocks:
		case segBytes:
			length = 32
		default:
			return copyError(ascUnsupportedSegmentType)
		}
		if end-at < length {
			return copyError(scsi.ParameterListLengthError)
		}
		b := p[at : at+length]
		if int(binary.BigEndian.Uint16(b[2:])) != length-4 {
			return scsi.InvalidParameter(at + 2)
		}
		s := copySegment{
			source: int(binary.BigEndian.Uint16(b[4:])),
			target: int(binary.BigEndian.Uint16(b[6:])),
			from:   binary.BigEndian.Uint64(b[12:]),
			to:     binary.BigEndian.Uint64(b[20:]),
			at:     at,
		}
		if p[at] == segBlocks {
			s.blocks = int(binary.BigEndian.Uint16(b[10:]))
			s.byTarget = b[1]&0x02 != 0 // DC
		} else {
			s.inBytes = true
			s.bytes = int(binary.BigEndian.Uint32(b[8:]))
			s.fromByte = int(binary.BigEndian.Uint16(b[28:]))
			s.toByte = int(binary.BigEndian.Uint16(b[30:]))
		}
		l.segments = append(l.segments, s)
		at += length
	}
	return scsi.Sense{}
}

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Types of additional header segments (RFC 7143 11.2.2.1).
const (
	AHSExtendedCDB = 1
	AHSBidiRead    = 2
)

// MaxCDBLength is the length of the longest CDB (SPC-5 4.2.3).
const MaxCDBLength = 260

// ErrAHS says that additional header segments are malformed: the PDU is to be
// rejected.
var ErrAHS = errors.New("malformed additional header segment")

// AHS is what the additional header segments of a SCSI Command say.
type AHS struct {
	ExtendedCDB []byte // bytes of the CDB from its 17th on; nil if there are none
	BidiRead    bool   // BidiReadLength is there
	// BidiReadLength is the expected read data length of a bidirectional command.
	BidiReadLength uint32
}

// ParseAHS reads the additional header segments p: what stands between the
// basic header and its digest, BHS.AHSLength bytes. The result shares p's
// memory. Segments of unknown types, a type that comes twice and segments that
// do not fit are errors that wrap ErrAHS.
func ParseAHS(p []byte) (AHS, error) {
	var a AHS
	for len(p) > 0 {
		// Length of the rest, type, and one byte that the length counts.
		if len(p) < 4 {
			return AHS{}, fmt.Errorf("%w: %d bytes left", ErrAHS, len(p))
		}
		n, kind := int(binary.BigEndian.Uint16(p)), p[2]
		end := 3 + n
		if n == 0 || end > len(p) {
			return AHS{}, fmt.Errorf("%w: type %d of %d bytes where %d are left", ErrAHS, kind, n, len(p)-3)
		}
		body := p[4:end]
		switch kind {
		case AHSExtendedCDB:
			if a.ExtendedCDB != nil || len(body) == 0 || len(body) > MaxCDBLength-16 {
				return AHS{}, fmt.Errorf("%w: extended CDB of %d bytes", ErrAHS, len(body))
			}
			a.ExtendedCDB = body
		case AHSBidiRead:
			if a.BidiRead || len(body) != 4 {
				return AHS{}, fmt.Errorf("%w: bidirectional read length of %d bytes", ErrAHS, len(body))
			}
			a.BidiRead, a.BidiReadLength = true, binary.BigEndian.Uint32(body)
		default:
			return AHS{}, fmt.Errorf("%w: unknown type %d", ErrAHS, kind)
		}
		p = p[min(end+Padding(end), len(p)):]
	}
	return a, nil
}

// AppendExtendedCDB appends to dst the segment for the part of a CDB behind
// its 16th byte, padded.
func AppendExtendedCDB(dst, rest []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(rest)+1))
	dst = append(dst, AHSExtendedCDB, 0)
	dst = append(dst, rest...)
	return append(dst, make([]byte, Padding(len(rest)))...)
}

// AppendBidiRead appends to dst the segment with the expected read data length
// of a bidirectional command.
func AppendBidiRead(dst []byte, length uint32) []byte {
	dst = append(dst, 0, 5, AHSBidiRead, 0)
	return binary.BigEndian.AppendUint32(dst, length)
}

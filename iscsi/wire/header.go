// Package wire is the layout of iSCSI PDUs (RFC 7143 11): headers as views on
// the bytes of a buffer, additional header segments, digests, key=value text,
// and the numbers that stand in them. Reading and writing a header neither
// allocates nor checks more than the header's own length; what a stranger may
// claim in it is the caller's to limit.
package wire

import "encoding/binary"

// BHS is a basic header segment (RFC 7143 11.2.1): the first 48 bytes of every
// PDU. View turns the bytes of a buffer into one without a copy. Which of its
// fields mean anything depends on the opcode; the getters say which PDUs have
// them. Fields are big-endian.
type BHS [HeaderLength]byte

// HeaderLength is the length of a basic header segment.
const HeaderLength = 48

// Longest segments that the length fields of a header can claim.
const (
	MaxAHSLength  = 255 * 4
	MaxDataLength = 1<<24 - 1
)

// NoTag is the value of an initiator or target task tag that is no tag
// (RFC 7143 11.19).
const NoTag = 0xffffffff

// Offsets of fields in the header. Several PDUs put different things at the
// same place: the comments say which.
const (
	offOpcode     = 0
	offFlags      = 1
	offVersionMax = 2  // login; byte 2 is also the response code and the reject reason
	offResponse   = 2  // responses
	offVersionMin = 3  // login request; version active in the response
	offStatus     = 3  // SCSI Response, Data-In
	offAHSLength  = 4  // in words of 4 bytes
	offDataLength = 5  // 3 bytes
	offLUN        = 8  // 8 bytes
	offISID       = 8  // login: 6 bytes
	offTSIH       = 14 // login
	offITT        = 16
	offTTT        = 20
	offEDTL       = 20 // SCSI Command
	offRefTag     = 20 // task management request
	offCID        = 20 // login and logout requests: 2 bytes
	offSNACKTag   = 20 // SCSI Response
	offCmdSN      = 24 // requests
	offStatSN     = 24 // responses
	offExpStatSN  = 28 // requests
	offExpCmdSN   = 28 // responses
	offCDB        = 32 // SCSI Command: 16 bytes
	offRefCmdSN   = 32 // task management request
	offMaxCmdSN   = 32 // responses
	offDataSN     = 36 // Data-In, Data-Out; R2TSN of an R2T; ExpDataSN of a SCSI Response, Reject and TMF
	offClass      = 36 // login response; async event
	offDetail     = 37 // login response; async vendor code
	offParameter1 = 38 // async: 3 times 2 bytes
	offOffset     = 40 // Data-In, Data-Out, R2T; BegRun of a SNACK
	offBidiResid  = 40 // SCSI Response
	offTime2Wait  = 40 // logout response: 2 bytes
	offTime2Keep  = 42 // logout response: 2 bytes
	offResidual   = 44 // SCSI Response, Data-In
	offDesired    = 44 // R2T; RunLength of a SNACK
)

// View returns the header at the start of p, which must be HeaderLength bytes
// long or longer. It shares p's memory.
func View(p []byte) *BHS { return (*BHS)(p) }

// Opcode returns what kind of PDU this is.
func (h *BHS) Opcode() Opcode { return Opcode(h[offOpcode] & 0x3f) }

// Immediate returns the I bit of a request: it is to be carried out at once
// and takes no CmdSN.
func (h *BHS) Immediate() bool { return h[offOpcode]&0x40 != 0 }

// Final returns the F bit; in login PDUs it is the T (transit) bit.
func (h *BHS) Final() bool { return h[offFlags]&FlagFinal != 0 }

// Flags returns byte 1 as it stands. Its bits depend on the opcode.
func (h *BHS) Flags() byte { return h[offFlags] }

// AHSLength returns the length of the additional header segments in bytes: 0
// to MaxAHSLength.
func (h *BHS) AHSLength() int { return int(h[offAHSLength]) * 4 }

// DataLength returns the length of the data segment in bytes, without padding
// and digest: 0 to MaxDataLength.
func (h *BHS) DataLength() int {
	return int(h[offDataLength])<<16 | int(h[offDataLength+1])<<8 | int(h[offDataLength+2])
}

// SetDataLength sets the length of the data segment.
func (h *BHS) SetDataLength(n int) {
	h[offDataLength], h[offDataLength+1], h[offDataLength+2] = byte(n>>16), byte(n>>8), byte(n)
}

// LUN returns the eight byte logical unit number (SAM-5 4.7) as a number.
func (h *BHS) LUN() uint64 { return binary.BigEndian.Uint64(h[offLUN:]) }

// ITT returns the initiator task tag.
func (h *BHS) ITT() uint32 { return h.u32(offITT) }

// TTT returns the target transfer tag (Data-Out, Data-In, R2T, NOP, Text, SNACK).
func (h *BHS) TTT() uint32 { return h.u32(offTTT) }

// CmdSN returns a request's CmdSN. Data-Out and SNACK have none.
func (h *BHS) CmdSN() uint32 { return h.u32(offCmdSN) }

// ExpStatSN returns a request's ExpStatSN.
func (h *BHS) ExpStatSN() uint32 { return h.u32(offExpStatSN) }

// StatSN returns a response's StatSN.
func (h *BHS) StatSN() uint32 { return h.u32(offStatSN) }

// ExpCmdSN returns a response's ExpCmdSN.
func (h *BHS) ExpCmdSN() uint32 { return h.u32(offExpCmdSN) }

// MaxCmdSN returns a response's MaxCmdSN.
func (h *BHS) MaxCmdSN() uint32 { return h.u32(offMaxCmdSN) }

// Length returns the length of the whole PDU on the wire.
func (h *BHS) Length(headerDigest, dataDigest bool) int {
	n := HeaderLength + h.AHSLength()
	if headerDigest {
		n += DigestLength
	}
	if d := h.DataLength(); d > 0 {
		n += d + Padding(d)
		if dataDigest {
			n += DigestLength
		}
	}
	return n
}

// Padding returns how many bytes of padding follow n bytes of data: segments
// end on a multiple of 4 (RFC 7143 11.1).
func Padding(n int) int { return -n & 3 }

func (h *BHS) u16(off int) uint16       { return binary.BigEndian.Uint16(h[off : off+2]) }
func (h *BHS) u32(off int) uint32       { return binary.BigEndian.Uint32(h[off : off+4]) }
func (h *BHS) put16(off int, v uint16)  { binary.BigEndian.PutUint16(h[off:off+2], v) }
func (h *BHS) put32(off int, v uint32)  { binary.BigEndian.PutUint32(h[off:off+4], v) }
func (h *BHS) putLUN(v uint64)          { binary.BigEndian.PutUint64(h[offLUN:offLUN+8], v) }
func (h *BHS) start(op Opcode, fl byte) { *h = BHS{byte(op), fl} }

func (h *BHS) startRequest(op Opcode, immediate bool, fl byte) {
	if immediate {
		op |= 0x40
	}
	h.start(op, fl)
}

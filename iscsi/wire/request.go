package wire

// SCSICommand is the header of a SCSI Command PDU (RFC 7143 11.3). A CDB of
// more than 16 bytes goes on in an extended CDB segment (see AppendExtendedCDB).
type SCSICommand struct {
	Immediate  bool
	Flags      byte // FlagFinal, FlagRead, FlagWrite, task attribute
	AHSLength  int  // bytes, a multiple of 4
	DataLength int  // of immediate data
	LUN        uint64
	ITT        uint32
	Expected   uint32 // expected data transfer length
	CmdSN      uint32
	ExpStatSN  uint32
	CDB        [16]byte
}

// Put writes the header to h.
func (c SCSICommand) Put(h *BHS) {
	h.startRequest(OpSCSICommand, c.Immediate, c.Flags)
	h[offAHSLength] = byte(c.AHSLength / 4)
	h.putRequest(c.DataLength, c.ITT, c.CmdSN, c.ExpStatSN)
	h.putLUN(c.LUN)
	h.put32(offEDTL, c.Expected)
	copy(h[offCDB:], c.CDB[:])
}

// Expected returns a SCSI Command's expected data transfer length.
func (h *BHS) Expected() uint32 { return h.u32(offEDTL) }

// CDB returns the 16 bytes of CDB in a SCSI Command's header. It shares h's
// memory.
func (h *BHS) CDB() []byte { return h[offCDB : offCDB+16] }

// TaskAttr returns a SCSI Command's task attribute: 0 untagged, 1 simple, 2
// ordered, 3 head of queue, 4 ACA.
func (h *BHS) TaskAttr() byte { return h[offFlags] & MaskAttr }

// DataOut is the header of a SCSI Data-Out PDU (RFC 7143 11.7).
type DataOut struct {
	Final      bool
	DataLength int
	LUN        uint64
	ITT        uint32
	TTT        uint32 // NoTag for unsolicited data
	ExpStatSN  uint32
	DataSN     uint32
	Offset     uint32
}

// Put writes the header to h.
func (d DataOut) Put(h *BHS) {
	h.start(OpDataOut, final(d.Final))
	h.putRequest(d.DataLength, d.ITT, 0, d.ExpStatSN)
	h.putLUN(d.LUN)
	h.put32(offTTT, d.TTT)
	h.put32(offDataSN, d.DataSN)
	h.put32(offOffset, d.Offset)
}

// DataSN returns the DataSN of a Data-Out or Data-In.
func (h *BHS) DataSN() uint32 { return h.u32(offDataSN) }

// BufferOffset returns the buffer offset of a Data-Out, Data-In or R2T.
func (h *BHS) BufferOffset() uint32 { return h.u32(offOffset) }

// TMFRequest is the header of a Task Management Function Request (RFC 7143
// 11.5).
type TMFRequest struct {
	Immediate bool
	Function  TMF
	LUN       uint64
	ITT       uint32
	RefTag    uint32 // NoTag unless the function is about one task
	CmdSN     uint32
	ExpStatSN uint32
	RefCmdSN  uint32
	ExpDataSN uint32
}

// Put writes the header to h.
func (r TMFRequest) Put(h *BHS) {
	h.startRequest(OpTMFRequest, r.Immediate, FlagFinal|byte(r.Function))
	h.putRequest(0, r.ITT, r.CmdSN, r.ExpStatSN)
	h.putLUN(r.LUN)
	h.put32(offRefTag, r.RefTag)
	h.put32(offRefCmdSN, r.RefCmdSN)
	h.put32(offDataSN, r.ExpDataSN)
}

// Function returns the function that a Task Management Function Request asks.
func (h *BHS) Function() TMF { return TMF(h[offFlags] & 0x7f) }

// RefTag returns the referenced task tag of a task management request.
func (h *BHS) RefTag() uint32 { return h.u32(offRefTag) }

// RefCmdSN returns the CmdSN of the task that a task management request is about.
func (h *BHS) RefCmdSN() uint32 { return h.u32(offRefCmdSN) }

// TextRequest is the header of a Text Request (RFC 7143 11.10).
type TextRequest struct {
	Immediate  bool
	Final      bool
	Continue   bool
	DataLength int
	LUN        uint64
	ITT        uint32
	TTT        uint32 // NoTag in the first of a sequence
	CmdSN      uint32
	ExpStatSN  uint32
}

// Put writes the header to h.
func (r TextRequest) Put(h *BHS) {
	h.startRequest(OpTextRequest, r.Immediate, textFlags(r.Final, r.Continue))
	h.putRequest(r.DataLength, r.ITT, r.CmdSN, r.ExpStatSN)
	h.putLUN(r.LUN)
	h.put32(offTTT, r.TTT)
}

// Continue returns the C bit of a login or text PDU: its text goes on in the
// next one.
func (h *BHS) Continue() bool { return h[offFlags]&FlagContinue != 0 }

// LoginRequest is the header of a Login Request (RFC 7143 11.12).
type LoginRequest struct {
	Transit    bool
	Continue   bool
	Current    Stage
	Next       Stage // only with Transit
	VersionMax byte
	VersionMin byte
	DataLength int
	ISID       ISID
	TSIH       uint16
	ITT        uint32
	CID        uint16
	CmdSN      uint32
	ExpStatSN  uint32
}

// Put writes the header to h.
func (r LoginRequest) Put(h *BHS) {
	h.startRequest(OpLoginRequest, true, textFlags(r.Transit, r.Continue)|byte(r.Current&3)<<2|byte(r.Next&3))
	h.putRequest(r.DataLength, r.ITT, r.CmdSN, r.ExpStatSN)
	h[offVersionMax], h[offVersionMin] = r.VersionMax, r.VersionMin
	copy(h[offISID:], r.ISID[:])
	h.put16(offTSIH, r.TSIH)
	h.put16(offCID, r.CID)
}

// ISID is the initiator's part of a session identifier (RFC 7143 11.12.5).
type ISID [6]byte

// ISID returns the initiator session ID of a login PDU.
func (h *BHS) ISID() ISID { return ISID(h[offISID : offISID+6]) }

// TSIH returns the target session identifying handle of a login PDU; 0 asks
// for a new session.
func (h *BHS) TSIH() uint16 { return h.u16(offTSIH) }

// CID returns the connection ID of a login or logout request.
func (h *BHS) CID() uint16 { return h.u16(offCID) }

// CurrentStage returns the CSG field of a login PDU.
func (h *BHS) CurrentStage() Stage { return Stage(h[offFlags] >> 2 & 3) }

// NextStage returns the NSG field of a login PDU; it counts only when Final
// (the transit bit) is set.
func (h *BHS) NextStage() Stage { return Stage(h[offFlags] & 3) }

// VersionMax returns the highest version that a login PDU's sender speaks.
func (h *BHS) VersionMax() byte { return h[offVersionMax] }

// VersionMin returns the lowest version of a Login Request; in a Login
// Response it is the version in use.
func (h *BHS) VersionMin() byte { return h[offVersionMin] }

// LogoutRequest is the header of a Logout Request (RFC 7143 11.14).
type LogoutRequest struct {
	Immediate bool
	Reason    byte // LogoutCloseSession...
	ITT       uint32
	CID       uint16
	CmdSN     uint32
	ExpStatSN uint32
}

// Put writes the header to h.
func (r LogoutRequest) Put(h *BHS) {
	h.startRequest(OpLogout, r.Immediate, FlagFinal|r.Reason&0x7f)
	h.putRequest(0, r.ITT, r.CmdSN, r.ExpStatSN)
	h.put16(offCID, r.CID)
}

// Reason returns a Logout Request's reason.
func (h *BHS) Reason() byte { return h[offFlags] & 0x7f }

// SNACK is the header of a SNACK Request (RFC 7143 11.16).
type SNACK struct {
	Type      byte // SNACKDataOrR2T...
	LUN       uint64
	ITT       uint32
	TTT       uint32
	ExpStatSN uint32
	BegRun    uint32
	RunLength uint32
}

// Put writes the header to h.
func (s SNACK) Put(h *BHS) {
	h.start(OpSNACK, FlagFinal|s.Type&0x0f)
	h.putRequest(0, s.ITT, 0, s.ExpStatSN)
	h.putLUN(s.LUN)
	h.put32(offTTT, s.TTT)
	h.put32(offOffset, s.BegRun)
	h.put32(offDesired, s.RunLength)
}

// NOPOut is the header of a NOP-Out (RFC 7143 11.18).
type NOPOut struct {
	Immediate  bool
	DataLength int
	LUN        uint64
	ITT        uint32 // NoTag: no answer is wanted
	TTT        uint32 // NoTag unless it answers a NOP-In
	CmdSN      uint32
	ExpStatSN  uint32
}

// Put writes the header to h.
func (n NOPOut) Put(h *BHS) {
	h.startRequest(OpNOPOut, n.Immediate, FlagFinal)
	h.putRequest(n.DataLength, n.ITT, n.CmdSN, n.ExpStatSN)
	h.putLUN(n.LUN)
	h.put32(offTTT, n.TTT)
}

func (h *BHS) putRequest(data int, itt, cmdSN, expStatSN uint32) {
	h.SetDataLength(data)
	h.put32(offITT, itt)
	h.put32(offCmdSN, cmdSN)
	h.put32(offExpStatSN, expStatSN)
}

func final(f bool) byte {
	if f {
		return FlagFinal
	}
	return 0
}

func textFlags(f, c bool) byte {
	if c {
		return final(f) | FlagContinue
	}
	return final(f)
}

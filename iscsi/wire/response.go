package wire

// Sequence is the numbering that every response of a target carries
// (RFC 7143 4.2.2). Where a PDU takes no StatSN of its own (R2T, Data-In
// without status, a NOP-In that asks), StatSN is as that PDU's rules say.
type Sequence struct {
	StatSN   uint32
	ExpCmdSN uint32
	MaxCmdSN uint32
}

// SCSIResponse is the header of a SCSI Response (RFC 7143 11.4). Its data
// segment, if there is one, is sense data behind its length in two bytes.
type SCSIResponse struct {
	Flags        byte // FlagOverflow, FlagUnderflow, FlagBidi...; FlagFinal is added
	Response     byte // ResponseCompleted or ResponseTargetFailure
	Status       byte // SCSI status
	DataLength   int
	ITT          uint32
	SNACKTag     uint32
	Seq          Sequence
	ExpDataSN    uint32 // number of Data-In and R2T PDUs sent for the command
	BidiResidual uint32
	Residual     uint32
}

// Put writes the header to h.
func (r SCSIResponse) Put(h *BHS) {
	h.start(OpSCSIResponse, FlagFinal|r.Flags)
	h[offResponse], h[offStatus] = r.Response, r.Status
	h.putResponse(r.DataLength, r.ITT, r.Seq)
	h.put32(offSNACKTag, r.SNACKTag)
	h.put32(offDataSN, r.ExpDataSN)
	h.put32(offBidiResid, r.BidiResidual)
	h.put32(offResidual, r.Residual)
}

// Response returns byte 2 of a SCSI Response, task management response or
// logout response.
func (h *BHS) Response() byte { return h[offResponse] }

// Status returns the SCSI status of a SCSI Response, or of a Data-In with
// FlagStatus.
func (h *BHS) Status() byte { return h[offStatus] }

// Residual returns the residual count of a SCSI Response or Data-In.
func (h *BHS) Residual() uint32 { return h.u32(offResidual) }

// ExpDataSN returns the ExpDataSN of a SCSI Response.
func (h *BHS) ExpDataSN() uint32 { return h.u32(offDataSN) }

// DataIn is the header of a SCSI Data-In (RFC 7143 11.7).
type DataIn struct {
	Flags      byte // FlagFinal, FlagStatus, FlagOverflow, FlagUnderflow
	Status     byte // with FlagStatus
	DataLength int
	LUN        uint64 // only with FlagAcknowledge
	ITT        uint32
	TTT        uint32   // NoTag without FlagAcknowledge
	Seq        Sequence // StatSN only with FlagStatus, else 0
	DataSN     uint32
	Offset     uint32
	Residual   uint32 // with FlagStatus
}

// Put writes the header to h.
func (d DataIn) Put(h *BHS) {
	h.start(OpDataIn, d.Flags)
	h[offStatus] = d.Status
	h.putResponse(d.DataLength, d.ITT, d.Seq)
	h.putLUN(d.LUN)
	h.put32(offTTT, d.TTT)
	h.put32(offDataSN, d.DataSN)
	h.put32(offOffset, d.Offset)
	h.put32(offResidual, d.Residual)
}

// R2T is the header of a Ready To Transfer (RFC 7143 11.8).
type R2T struct {
	LUN     uint64
	ITT     uint32
	TTT     uint32
	Seq     Sequence // StatSN is the next one, not taken
	R2TSN   uint32
	Offset  uint32
	Desired uint32 // bytes asked for
}

// Put writes the header to h.
func (r R2T) Put(h *BHS) {
	h.start(OpR2T, FlagFinal)
	h.putResponse(0, r.ITT, r.Seq)
	h.putLUN(r.LUN)
	h.put32(offTTT, r.TTT)
	h.put32(offDataSN, r.R2TSN)
	h.put32(offOffset, r.Offset)
	h.put32(offDesired, r.Desired)
}

// R2TSN returns an R2T's sequence number.
func (h *BHS) R2TSN() uint32 { return h.u32(offDataSN) }

// Desired returns how many bytes an R2T asks for.
func (h *BHS) Desired() uint32 { return h.u32(offDesired) }

// TMFResponse is the header of a Task Management Function Response (RFC 7143
// 11.6).
type TMFResponse struct {
	Response byte // TMFComplete...
	ITT      uint32
	Seq      Sequence
}

// Put writes the header to h.
func (r TMFResponse) Put(h *BHS) {
	h.start(OpTMFResponse, FlagFinal)
	h[offResponse] = r.Response
	h.putResponse(0, r.ITT, r.Seq)
}

// TextResponse is the header of a Text Response (RFC 7143 11.11).
type TextResponse struct {
	Final      bool
	Continue   bool
	DataLength int
	LUN        uint64
	ITT        uint32
	TTT        uint32 // NoTag with Final
	Seq        Sequence
}

// Put writes the header to h.
func (r TextResponse) Put(h *BHS) {
	h.start(OpTextResponse, textFlags(r.Final, r.Continue))
	h.putResponse(r.DataLength, r.ITT, r.Seq)
	h.putLUN(r.LUN)
	h.put32(offTTT, r.TTT)
}

// LoginResponse is the header of a Login Response (RFC 7143 11.13).
type LoginResponse struct {
	Transit       bool
	Continue      bool
	Current       Stage
	Next          Stage // only with Transit
	VersionMax    byte
	VersionActive byte
	DataLength    int
	ISID          ISID
	TSIH          uint16 // 0 until the last response of a successful login
	ITT           uint32
	Seq           Sequence // StatSN counts only with LoginSuccess
	Status        LoginStatus
}

// Put writes the header to h.
func (r LoginResponse) Put(h *BHS) {
	h.start(OpLoginResponse, textFlags(r.Transit, r.Continue)|byte(r.Current&3)<<2|byte(r.Next&3))
	h.putResponse(r.DataLength, r.ITT, r.Seq)
	h[offVersionMax], h[offVersionMin] = r.VersionMax, r.VersionActive
	copy(h[offISID:], r.ISID[:])
	h.put16(offTSIH, r.TSIH)
	h[offClass], h[offDetail] = r.Status.Class(), r.Status.Detail()
}

// LoginStatus returns the status of a Login Response.
func (h *BHS) LoginStatus() LoginStatus { return LoginStatus(h.u16(offClass)) }

// SetSequence overwrites the numbering of a response that was put before it
// was known.
func (h *BHS) SetSequence(s Sequence) {
	h.put32(offStatSN, s.StatSN)
	h.put32(offExpCmdSN, s.ExpCmdSN)
	h.put32(offMaxCmdSN, s.MaxCmdSN)
}

// SetTSIH overwrites the TSIH of a Login Response.
func (h *BHS) SetTSIH(tsih uint16) { h.put16(offTSIH, tsih) }

// LogoutResponse is the header of a Logout Response (RFC 7143 11.15).
type LogoutResponse struct {
	Response    byte // LogoutDone...
	ITT         uint32
	Seq         Sequence
	Time2Wait   uint16 // seconds
	Time2Retain uint16 // seconds
}

// Put writes the header to h.
func (r LogoutResponse) Put(h *BHS) {
	h.start(OpLogoutResponse, FlagFinal)
	h[offResponse] = r.Response
	h.putResponse(0, r.ITT, r.Seq)
	h.put16(offTime2Wait, r.Time2Wait)
	h.put16(offTime2Keep, r.Time2Retain)
}

// NOPIn is the header of a NOP-In (RFC 7143 11.19).
type NOPIn struct {
	DataLength int
	LUN        uint64 // as in the NOP-Out answered, or for a TTT of ours
	ITT        uint32 // NoTag when it asks
	TTT        uint32 // NoTag unless an answer is wanted
	Seq        Sequence
}

// Put writes the header to h.
func (n NOPIn) Put(h *BHS) {
	h.start(OpNOPIn, FlagFinal)
	h.putResponse(n.DataLength, n.ITT, n.Seq)
	h.putLUN(n.LUN)
	h.put32(offTTT, n.TTT)
}

// Async is the header of an Asynchronous Message (RFC 7143 11.9).
type Async struct {
	Event      byte // AsyncSCSIEvent...
	VendorCode byte
	DataLength int
	LUN        uint64 // only of a SCSI event
	Seq        Sequence
	Parameters [3]uint16
}

// Put writes the header to h.
func (a Async) Put(h *BHS) {
	h.start(OpAsync, FlagFinal)
	h.putResponse(a.DataLength, NoTag, a.Seq)
	h.putLUN(a.LUN)
	h[offClass], h[offDetail] = a.Event, a.VendorCode
	for i, p := range a.Parameters {
		h.put16(offParameter1+2*i, p)
	}
}

// AsyncEvent returns the event of an Asynchronous Message.
func (h *BHS) AsyncEvent() byte { return h[offClass] }

// AsyncParameter returns parameter n (1 to 3) of an Asynchronous Message.
func (h *BHS) AsyncParameter(n int) uint16 { return h.u16(offParameter1 + 2*(n-1)) }

// Reject is the header of a Reject (RFC 7143 11.17). Its data segment is the
// header that was rejected.
type Reject struct {
	Reason     RejectReason
	DataLength int // HeaderLength, plus the AHS when it was rejected too
	Seq        Sequence
	DataSN     uint32 // DataSN or R2TSN, only of a rejected SNACK
}

// Put writes the header to h.
func (r Reject) Put(h *BHS) {
	h.start(OpReject, FlagFinal)
	h[offResponse] = byte(r.Reason)
	h.putResponse(r.DataLength, NoTag, r.Seq)
	h.put32(offDataSN, r.DataSN)
}

// RejectReason returns why a Reject was sent.
func (h *BHS) RejectReason() RejectReason { return RejectReason(h[offResponse]) }

func (h *BHS) putResponse(data int, itt uint32, s Sequence) {
	h.SetDataLength(data)
	h.put32(offITT, itt)
	h.SetSequence(s)
}

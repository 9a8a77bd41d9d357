package wire

import "fmt"

// Opcode is what kind of PDU a header starts (RFC 7143 11.2.1.2).
type Opcode byte

// Opcodes of requests, from the initiator.
const (
	OpNOPOut       Opcode = 0x00
	OpSCSICommand  Opcode = 0x01
	OpTMFRequest   Opcode = 0x02
	OpLoginRequest Opcode = 0x03
	OpTextRequest  Opcode = 0x04
	OpDataOut      Opcode = 0x05
	OpLogout       Opcode = 0x06
	OpSNACK        Opcode = 0x10
)

// Opcodes of responses, from the target.
const (
	OpNOPIn          Opcode = 0x20
	OpSCSIResponse   Opcode = 0x21
	OpTMFResponse    Opcode = 0x22
	OpLoginResponse  Opcode = 0x23
	OpTextResponse   Opcode = 0x24
	OpDataIn         Opcode = 0x25
	OpLogoutResponse Opcode = 0x26
	OpR2T            Opcode = 0x31
	OpAsync          Opcode = 0x32
	OpReject         Opcode = 0x3f
)

// String returns the PDU's name as RFC 7143 writes it.
func (o Opcode) String() string {
	switch o {
	case OpNOPOut:
		return "NOP-Out"
	case OpSCSICommand:
		return "SCSI Command"
	case OpTMFRequest:
		return "Task Management Function Request"
	case OpLoginRequest:
		return "Login Request"
	case OpTextRequest:
		return "Text Request"
	case OpDataOut:
		return "SCSI Data-Out"
	case OpLogout:
		return "Logout Request"
	case OpSNACK:
		return "SNACK Request"
	case OpNOPIn:
		return "NOP-In"
	case OpSCSIResponse:
		return "SCSI Response"
	case OpTMFResponse:
		return "Task Management Function Response"
	case OpLoginResponse:
		return "Login Response"
	case OpTextResponse:
		return "Text Response"
	case OpDataIn:
		return "SCSI Data-In"
	case OpLogoutResponse:
		return "Logout Response"
	case OpR2T:
		return "Ready To Transfer"
	case OpAsync:
		return "Asynchronous Message"
	case OpReject:
		return "Reject"
	}
	return fmt.Sprintf("opcode 0x%02x", byte(o))
}

// Bits of byte 1. Which apply depends on the opcode.
const (
	FlagFinal    = 0x80 // F; T (transit) in login PDUs
	FlagContinue = 0x40 // C: login and text PDUs, the text goes on in the next one

	FlagRead  = 0x40 // SCSI Command: Data-In is expected
	FlagWrite = 0x20 // SCSI Command: Data-Out is expected
	MaskAttr  = 0x07 // SCSI Command: task attribute (RFC 7143 11.3.1)

	FlagAcknowledge   = 0x40 // Data-In: A, wants a DataACK SNACK (never at error recovery level 0)
	FlagBidiOverflow  = 0x10 // SCSI Response: o
	FlagBidiUnderflow = 0x08 // SCSI Response: u
	FlagOverflow      = 0x04 // SCSI Response, Data-In: O
	FlagUnderflow     = 0x02 // SCSI Response, Data-In: U
	FlagStatus        = 0x01 // Data-In: S, carries the command's status
)

// Responses of a SCSI Response PDU (RFC 7143 11.4.3).
const (
	ResponseCompleted     = 0x00 // the status byte counts
	ResponseTargetFailure = 0x01
)

// TMF is a task management function (RFC 7143 11.5.1, RFC 7144 4.3).
type TMF byte

// Task management functions.
const (
	TMFAbortTask       TMF = 1
	TMFAbortTaskSet    TMF = 2
	TMFClearACA        TMF = 3
	TMFClearTaskSet    TMF = 4
	TMFLUNReset        TMF = 5
	TMFTargetWarmReset TMF = 6
	TMFTargetColdReset TMF = 7
	TMFTaskReassign    TMF = 8
	TMFQueryTask       TMF = 9  // from here on only with iSCSIProtocolLevel 2
	TMFQueryTaskSet    TMF = 10 //
	TMFNexusReset      TMF = 11 //
	TMFQueryAsyncEvent TMF = 12 //
)

// String returns the function's name in SAM's writing.
func (f TMF) String() string {
	names := [...]string{TMFAbortTask: "ABORT TASK", TMFAbortTaskSet: "ABORT TASK SET", TMFClearACA: "CLEAR ACA",
		TMFClearTaskSet: "CLEAR TASK SET", TMFLUNReset: "LOGICAL UNIT RESET", TMFTargetWarmReset: "TARGET WARM RESET",
		TMFTargetColdReset: "TARGET COLD RESET", TMFTaskReassign: "TASK REASSIGN", TMFQueryTask: "QUERY TASK",
		TMFQueryTaskSet: "QUERY TASK SET", TMFNexusReset: "I_T NEXUS RESET", TMFQueryAsyncEvent: "QUERY ASYNCHRONOUS EVENT"}
	if int(f) < len(names) && names[f] != "" {
		return names[f]
	}
	return fmt.Sprintf("task management function %d", byte(f))
}

// Responses of a task management response (RFC 7143 11.6.1, RFC 7144 4.4).
const (
	TMFComplete             = 0
	TMFNoTask               = 1
	TMFNoLUN                = 2
	TMFStillAllegiant       = 3
	TMFReassignNotSupported = 4
	TMFNotSupported         = 5
	TMFNotAuthorized        = 6
	TMFSucceeded            = 7 // RFC 7144 only
	TMFRejected             = 255
)

// Reasons of a Logout Request (RFC 7143 11.14.1).
const (
	LogoutCloseSession    = 0
	LogoutCloseConnection = 1
	LogoutForRecovery     = 2
)

// Responses of a Logout Response (RFC 7143 11.15.1).
const (
	LogoutDone                 = 0
	LogoutNoCID                = 1
	LogoutRecoveryNotSupported = 2
	LogoutCleanupFailed        = 3
)

// Types of a SNACK Request (RFC 7143 11.16.1).
const (
	SNACKDataOrR2T = 0
	SNACKStatus    = 1
	SNACKDataACK   = 2
	SNACKRData     = 3
)

// Events of an Asynchronous Message (RFC 7143 11.9.1).
const (
	AsyncSCSIEvent          = 0 // the data segment is sense data
	AsyncLogoutRequest      = 1 // Parameter3: seconds to do it in
	AsyncDropConnection     = 2 // Parameter1: CID; 2 and 3: Time2Wait, Time2Retain
	AsyncDropAllConnections = 3 // Parameter2 and 3: Time2Wait, Time2Retain
	AsyncNegotiationRequest = 4 // Parameter3: seconds to do it in
	AsyncTasksTerminated    = 5
)

// RejectReason says why a PDU was rejected (RFC 7143 11.17.1).
type RejectReason byte

// Reject reasons.
const (
	RejectDataDigest      RejectReason = 0x02
	RejectSNACK           RejectReason = 0x03
	RejectProtocolError   RejectReason = 0x04
	RejectNotSupported    RejectReason = 0x05
	RejectTooManyImmed    RejectReason = 0x06
	RejectTaskInProgress  RejectReason = 0x07
	RejectInvalidDataACK  RejectReason = 0x08
	RejectInvalidField    RejectReason = 0x09
	RejectLongOperation   RejectReason = 0x0a // no target transfer tag to be had
	RejectWaitingToLogout RejectReason = 0x0c
)

// String names the reason.
func (r RejectReason) String() string {
	switch r {
	case RejectDataDigest:
		return "data digest error"
	case RejectSNACK:
		return "SNACK rejected"
	case RejectProtocolError:
		return "protocol error"
	case RejectNotSupported:
		return "command not supported"
	case RejectTooManyImmed:
		return "too many immediate commands"
	case RejectTaskInProgress:
		return "task in progress"
	case RejectInvalidDataACK:
		return "invalid data ACK"
	case RejectInvalidField:
		return "invalid PDU field"
	case RejectLongOperation:
		return "out of target transfer tags"
	case RejectWaitingToLogout:
		return "waiting for logout"
	}
	return fmt.Sprintf("reject reason 0x%02x", byte(r))
}

// Stage is a stage of the login phase (RFC 7143 11.12.3).
type Stage byte

// Login stages.
const (
	StageSecurity    Stage = 0
	StageOperational Stage = 1
	StageFullFeature Stage = 3
)

// String names the stage.
func (s Stage) String() string {
	switch s {
	case StageSecurity:
		return "SecurityNegotiation"
	case StageOperational:
		return "LoginOperationalNegotiation"
	case StageFullFeature:
		return "FullFeaturePhase"
	}
	return fmt.Sprintf("stage %d", byte(s))
}

// LoginStatus is a login response's status: its class in the high byte, its
// detail in the low one (RFC 7143 11.13.5).
type LoginStatus uint16

// Login statuses.
const (
	LoginSuccess            LoginStatus = 0x0000
	LoginMovedTemporarily   LoginStatus = 0x0101
	LoginMovedPermanently   LoginStatus = 0x0102
	LoginInitiatorError     LoginStatus = 0x0200
	LoginAuthFailed         LoginStatus = 0x0201
	LoginForbidden          LoginStatus = 0x0202
	LoginNotFound           LoginStatus = 0x0203
	LoginTargetRemoved      LoginStatus = 0x0204
	LoginUnsupportedVersion LoginStatus = 0x0205
	LoginTooManyConnections LoginStatus = 0x0206
	LoginMissingParameter   LoginStatus = 0x0207
	LoginCannotInclude      LoginStatus = 0x0208
	LoginSessionTypeNotSupp LoginStatus = 0x0209
	LoginNoSession          LoginStatus = 0x020a
	LoginInvalidRequest     LoginStatus = 0x020b
	LoginTargetError        LoginStatus = 0x0300
	LoginServiceUnavailable LoginStatus = 0x0301
	LoginOutOfResources     LoginStatus = 0x0302
)

// Class returns the status class: 0 success, 1 redirection, 2 initiator error,
// 3 target error.
func (s LoginStatus) Class() byte { return byte(s >> 8) }

// Detail returns the status detail.
func (s LoginStatus) Detail() byte { return byte(s) }

// String returns the status as RFC 7143 words it.
func (s LoginStatus) String() string {
	switch s {
	case LoginSuccess:
		return "success"
	case LoginMovedTemporarily:
		return "target moved temporarily"
	case LoginMovedPermanently:
		return "target moved permanently"
	case LoginInitiatorError:
		return "initiator error"
	case LoginAuthFailed:
		return "authentication failure"
	case LoginForbidden:
		return "authorization failure"
	case LoginNotFound:
		return "not found"
	case LoginTargetRemoved:
		return "target removed"
	case LoginUnsupportedVersion:
		return "unsupported version"
	case LoginTooManyConnections:
		return "too many connections"
	case LoginMissingParameter:
		return "missing parameter"
	case LoginCannotInclude:
		return "cannot include in session"
	case LoginSessionTypeNotSupp:
		return "session type not supported"
	case LoginNoSession:
		return "session does not exist"
	case LoginInvalidRequest:
		return "invalid during login"
	case LoginTargetError:
		return "target error"
	case LoginServiceUnavailable:
		return "service unavailable"
	case LoginOutOfResources:
		return "out of resources"
	}
	return fmt.Sprintf("login status 0x%04x", uint16(s))
}

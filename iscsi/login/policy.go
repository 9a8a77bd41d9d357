package login

import (
	"log/slog"

	"github.com/esos-project/esos/iscsi/wire"
)

// Policy says who may log in. Implementations are called from many goroutines.
type Policy interface {
	// Admit is asked once a login, when the first request has told who wants to
	// go where, and before anything of it is proved.
	Admit(r Request) Access
}

// Request is what an initiator claims and wants.
type Request struct {
	Initiator string // normalized, a valid iSCSI name
	ISID      wire.ISID
	TSIH      uint16 // not 0: the initiator wants to add a connection to this session
	CID       uint16
	Discovery bool
	Target    string // normalized; may be empty when Discovery
	Group     uint16 // target portal group of the portal that the connection came through
}

// Access is a Policy's answer.
type Access struct {
	// Admitted: the initiator may go on, and prove itself if Auth wants that.
	Admitted bool
	// Status is what an initiator that is not Admitted is told:
	// wire.LoginNotFound, wire.LoginForbidden, wire.LoginTargetRemoved,
	// wire.LoginServiceUnavailable, wire.LoginOutOfResources, or
	// wire.LoginMovedTemporarily and wire.LoginMovedPermanently with Redirect.
	// Zero stands for wire.LoginForbidden.
	Status wire.LoginStatus
	// Reason says why not, for the event log; empty stands for Status in words.
	Reason string
	// Redirect is the TargetAddress of a redirection: host, host:port or
	// [v6]:port, with ",group" if that is known (RFC 7143 13.8).
	Redirect string
	// Alias is told to the initiator as TargetAlias, if there is one.
	Alias string
	Auth  Auth
	Offer Offer
	// SessionExists: Request.TSIH is of a live session of this initiator, ISID
	// and target.
	SessionExists bool
}

// Auth is what an initiator and a target have to prove.
type Auth struct {
	// Required: the initiator proves one of Users by CHAP. A required Auth
	// without users lets nobody in. Without Required, Users are not looked at.
	Required bool
	// Users are those that this initiator may be.
	Users []User
	// Mutual is what the target proves when the initiator asks; nil refuses
	// such initiators. Its secret must not be that of any of Users.
	Mutual *User
	// Algorithms are those allowed; all of Algorithms() when empty. Which one is
	// taken is the initiator's preference (RFC 7143 6.2.1).
	Algorithms []Algorithm
}

// User is a CHAP name and secret.
type User struct {
	Name   string
	Secret Secret
}

// Length of a CHAP secret in bytes. RFC 7143 12.1.3 wants 96 bits at least.
const (
	MinSecretLength = 12
	MaxSecretLength = 255
)

// Secret is a CHAP secret. It prints and logs as "(secret)".
type Secret string

// String hides the secret.
func (s Secret) String() string { return "(secret)" }

// GoString hides the secret.
func (s Secret) GoString() string { return "(secret)" }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

// Offer is the target's side of the operational negotiation. What is zero or
// out of the RFC's range is set to a default or to the range's end; start from
// DefaultOffer.
type Offer struct {
	// HeaderDigest and DataDigest are what is allowed: DigestNone, DigestCRC32C;
	// both when empty. Among the allowed ones the initiator's preference counts.
	HeaderDigest []string
	DataDigest   []string
	// MaxRecvDataSegmentLength is the most data of a PDU that the target takes.
	MaxRecvDataSegmentLength uint32
	MaxBurstLength           uint32
	FirstBurstLength         uint32
	MaxOutstandingR2T        uint32
	InitialR2T               bool // true: no unsolicited Data-Out PDUs
	ImmediateData            bool // false: no immediate data
	DefaultTime2Wait         uint32
	DefaultTime2Retain       uint32
	// Window is how many commands the initiator may have outstanding: the
	// MaxCmdSN of the login responses is made of it. At most 65535.
	Window uint32
}

// Values of HeaderDigest and DataDigest.
const (
	DigestNone   = "None"
	DigestCRC32C = "CRC32C"
)

// DefaultOffer returns what a target offers that is configured no further.
func DefaultOffer() Offer {
	return Offer{
		MaxRecvDataSegmentLength: 256 << 10,
		MaxBurstLength:           1 << 20,
		FirstBurstLength:         256 << 10,
		MaxOutstandingR2T:        8,
		ImmediateData:            true,
		Window:                   128,
	}
}

// completed returns o with every value legal.
func (o Offer) completed() Offer {
	d := DefaultOffer()
	length := func(v *uint32, def uint32) {
		if *v == 0 {
			*v = def
		}
		*v = min(max(*v, minLength), maxLength)
	}
	length(&o.MaxRecvDataSegmentLength, d.MaxRecvDataSegmentLength)
	length(&o.MaxBurstLength, d.MaxBurstLength)
	length(&o.FirstBurstLength, d.FirstBurstLength)
	o.FirstBurstLength = min(o.FirstBurstLength, o.MaxBurstLength)
	if o.Window == 0 {
		o.Window = d.Window
	}
	o.Window = min(o.Window, maxCount)
	o.MaxOutstandingR2T = min(max(o.MaxOutstandingR2T, 1), maxCount)
	o.DefaultTime2Wait = min(o.DefaultTime2Wait, maxTime)
	o.DefaultTime2Retain = min(o.DefaultTime2Retain, maxTime)
	if len(o.HeaderDigest) == 0 {
		o.HeaderDigest = []string{DigestNone, DigestCRC32C}
	}
	if len(o.DataDigest) == 0 {
		o.DataDigest = []string{DigestNone, DigestCRC32C}
	}
	return o
}

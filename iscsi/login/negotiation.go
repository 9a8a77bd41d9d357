// Package login is the login phase of an iSCSI connection as a target sees it
// (RFC 7143 6.3), and the text negotiation that goes on after it: a state
// machine without sockets, clocks or goroutines. It is fed Login Requests and
// answers each with one Login Response, until the connection is in full feature
// phase or refused. Who may log in, with which secrets and parameters, it asks
// a Policy.
package login

import (
	"fmt"
	"io"

	"github.com/esos-project/esos/iscsi/wire"
)

const (
	// MaxRequestLength is the longest data segment of a Login Request: in the
	// login phase MaxRecvDataSegmentLength has its default (RFC 7143 13.12).
	// A server drops a connection that claims more before reading it.
	MaxRequestLength = 8192
	// maxRequests bounds the Login Requests of one login. The longest exchange
	// that makes sense has about ten.
	maxRequests = 64
)

// Negotiation is the login phase of one connection. It is for one goroutine.
type Negotiation struct {
	policy Policy
	rand   io.Reader
	group  uint16

	started  bool // the first request's text was seen
	requests int
	done     bool
	refusal  *Refusal

	// What must stay the same from request to request.
	isid wire.ISID
	tsih uint16
	itt  uint32
	cid  uint16

	stage   wire.Stage
	statSN  uint32          // of the next response
	partial []byte          // text of requests with the C bit
	unsent  []byte          // text of our response that did not fit
	seen    map[string]bool // keys that came

	access   Access
	security security
	terms    terms
	declared bool // our own declarations are sent
	result   Result
}

// Result is what a login agreed on.
type Result struct {
	Initiator string // name, normalized
	Alias     string // InitiatorAlias, for people
	ISID      wire.ISID
	TSIH      uint16 // as requested; always 0 for a session that may be opened
	CID       uint16
	Discovery bool
	Target    string // name, normalized; may be empty when Discovery
	Group     uint16 // target portal group tag
	User      string // CHAP name that was proved, empty if none was asked for
	Mutual    bool   // the target proved itself too
	// CmdSN is what the first command that is not immediate will carry.
	CmdSN uint32
	// StatSN is what the first response of the full feature phase carries.
	StatSN uint32
	Parameters
}

// Reply is a Login Response. Its data is not padded and has no digests: there
// are none in the login phase.
type Reply struct {
	Header wire.BHS
	Data   []byte
}

// New starts the login phase of a connection that came in through a portal of
// the group (target portal group tag) given. CHAP challenges are read from
// rand, which must be cryptographically secure: crypto/rand.Reader outside of
// tests.
func New(policy Policy, group uint16, rand io.Reader) *Negotiation {
	return &Negotiation{policy: policy, rand: rand, group: group, seen: map[string]bool{}, statSN: 1, terms: newTerms()}
}

// Feed takes a Login Request: its header and its data segment without padding.
// The reply is to be sent in every case. With an error, which is always a
// *Refusal, the login has failed: the connection is to be closed after the
// reply. Otherwise the login goes on, or Done says that it ended well.
//
// The last reply carries a TSIH of 0: the server opens the session (which may
// end an old one) and puts its TSIH with Header.SetTSIH before sending, or
// has the reply that Refuse makes sent instead.
func (n *Negotiation) Feed(h *wire.BHS, data []byte) (Reply, error) {
	reply, err := n.feed(h, data)
	if err != nil {
		return n.fail(h, err)
	}
	return reply, nil
}

// Refuse gives up a login, also one that is Done but whose last reply was not
// sent. h is the last request.
func (n *Negotiation) Refuse(h *wire.BHS, status wire.LoginStatus, reason string) (Reply, error) {
	return n.fail(h, refuse(status, "%s", reason))
}

// Done says that the login ended well: the reply just made is the last one,
// and Result counts.
func (n *Negotiation) Done() bool { return n.done }

// Result returns what was agreed on. Before Done, only the names are there, as
// far as they are known.
func (n *Negotiation) Result() Result { return n.result }

func (n *Negotiation) feed(h *wire.BHS, data []byte) (Reply, *Refusal) {
	if n.refusal != nil || n.done {
		return Reply{}, refuse(wire.LoginInvalidRequest, "a request came after the end of the login phase")
	}
	if err := n.checkHeader(h, data); err != nil {
		return Reply{}, err
	}
	if len(n.unsent) > 0 {
		// Our text goes on; the initiator only asks for it (RFC 7143 6.2).
		if h.Continue() || len(data) > 0 {
			return Reply{}, refuse(wire.LoginInitiatorError, "text was sent before ours had ended")
		}
		return n.answer(h)
	}
	if len(n.partial)+len(data) > wire.MaxTextLength {
		return Reply{}, refuse(wire.LoginInitiatorError, "more than %d bytes of text", wire.MaxTextLength)
	}
	if h.Continue() {
		n.partial = append(n.partial, data...)
		return n.answer(h)
	}
	if len(n.partial) > 0 {
		data = append(n.partial, data...)
		n.partial = nil
	}
	text, err := wire.ParseText(data)
	if err != nil {
		return Reply{}, refuse(wire.LoginInitiatorError, "%v", err)
	}
	answer, refusal := n.negotiate(text)
	if refusal != nil {
		return Reply{}, refusal
	}
	n.unsent = answer.Append(nil)
	return n.answer(h)
}

// checkHeader checks a request's header against the rules of RFC 7143 11.12
// and against the requests before it.
func (n *Negotiation) checkHeader(h *wire.BHS, data []byte) *Refusal {
	n.requests++
	switch {
	case h.Opcode() != wire.OpLoginRequest:
		return refuse(wire.LoginInvalidRequest, "a %s came in the login phase", h.Opcode())
	case h.VersionMin() > version:
		return refuse(wire.LoginUnsupportedVersion, "the initiator speaks version %d at least, this target %d", h.VersionMin(), version)
	case h.AHSLength() != 0:
		return refuse(wire.LoginInitiatorError, "a Login Request has an additional header segment")
	case len(data) > MaxRequestLength:
		return refuse(wire.LoginInitiatorError, "a Login Request has %d bytes of data; %d are allowed", len(data), MaxRequestLength)
	case n.requests > maxRequests:
		return refuse(wire.LoginInitiatorError, "the login did not end within %d requests", maxRequests)
	case h.Final() && h.Continue():
		return refuse(wire.LoginInitiatorError, "a Login Request has both the T and the C bit")
	}
	if n.requests == 1 {
		n.isid, n.tsih, n.itt, n.cid = h.ISID(), h.TSIH(), h.ITT(), h.CID()
		n.stage = h.CurrentStage()
		n.result.ISID, n.result.TSIH, n.result.CID, n.result.Group = n.isid, n.tsih, n.cid, n.group
	}
	n.result.CmdSN = h.CmdSN()
	switch {
	case h.ISID() != n.isid || h.TSIH() != n.tsih || h.ITT() != n.itt || h.CID() != n.cid:
		return refuse(wire.LoginInitiatorError, "ISID, TSIH, CID or initiator task tag changed within the login")
	case n.stage != wire.StageSecurity && n.stage != wire.StageOperational:
		return refuse(wire.LoginInitiatorError, "the login begins in %s", n.stage)
	case h.CurrentStage() != n.stage:
		return refuse(wire.LoginInitiatorError, "a request for %s came in %s", h.CurrentStage(), n.stage)
	case h.Final() && (h.NextStage() <= n.stage || h.NextStage() == 2):
		return refuse(wire.LoginInitiatorError, "a request wants to go from %s to %s", n.stage, h.NextStage())
	}
	return nil
}

// negotiate answers the whole text of a request, continued ones joined.
func (n *Negotiation) negotiate(text wire.Text) (wire.Text, *Refusal) {
	for _, p := range text {
		// RFC 7143 6.3: no key twice within a login. A declaration of what one
		// can receive may be made anew.
		if n.seen[p.Key] && p.Key != keyMaxRecv {
			return nil, refuse(wire.LoginInitiatorError, "key %s came more than once", p.Key)
		}
		n.seen[p.Key] = true
	}
	if len(n.seen) > wire.MaxTextPairs {
		return nil, refuse(wire.LoginInitiatorError, "more than %d keys", wire.MaxTextPairs)
	}
	var answer wire.Text
	if !n.started {
		n.started = true
		if err := n.introduce(text, &answer); err != nil {
			return nil, err
		}
	}
	err := n.negotiateStage(text, &answer)
	return answer, err
}

func (n *Negotiation) negotiateStage(text wire.Text, answer *wire.Text) *Refusal {
	if n.stage == wire.StageSecurity {
		return n.negotiateSecurity(text, answer)
	}
	return n.negotiateOperation(text, answer)
}

// negotiateOperation answers the text of a request in the stage
// LoginOperationalNegotiation.
func (n *Negotiation) negotiateOperation(text wire.Text, answer *wire.Text) *Refusal {
	if err := n.authorized(); err != nil {
		return err
	}
	var terms wire.Text
	for _, p := range text {
		known, err := n.introduction(p)
		switch {
		case err != nil:
			return err
		case known:
		case isSecurity(p.Key):
			return refuse(wire.LoginInitiatorError, "%s came in %s", p.Key, n.stage)
		default:
			terms = append(terms, p)
		}
	}
	if err := n.terms.negotiate(terms, &n.access.Offer, n.result.Discovery, answer); err != nil {
		return err
	}
	if !n.declared {
		n.declared = true
		n.terms.declare(&n.access.Offer, answer)
	}
	return nil
}

// authorized checks that nothing is missing for the initiator to go on to the
// operational stage or to full feature phase.
func (n *Negotiation) authorized() *Refusal {
	if n.access.Auth.Required && !n.security.proved {
		return refuse(wire.LoginAuthFailed, "the target wants CHAP and the initiator did without")
	}
	if n.tsih == 0 {
		return nil
	}
	// Only one connection a session. The initiator learns which it is only
	// after it has proved who it is (RFC 7143 11.13.5).
	if !n.access.SessionExists {
		return refuse(wire.LoginNoSession, "there is no session with TSIH %d of this initiator, ISID and target", n.tsih)
	}
	return refuse(wire.LoginTooManyConnections, "session %d has its one connection already", n.tsih)
}

// version is the only version there is (RFC 7143 11.12.4).
const version = 0

// answer makes the response to h with as much of the unsent text as fits, and
// moves on to the next stage if the initiator wants to and nothing is open
// here.
func (n *Negotiation) answer(h *wire.BHS) (Reply, *Refusal) {
	data := n.unsent[:min(len(n.unsent), MaxRequestLength)]
	n.unsent = n.unsent[len(data):]
	r := n.response(h)
	r.DataLength = len(data)
	r.Continue = len(n.unsent) > 0
	security := n.stage == wire.StageSecurity
	r.Transit = h.Final() && !r.Continue && (!security || n.security.settled())
	if r.Transit {
		if err := n.authorized(); err != nil {
			return Reply{}, err
		}
		n.stage, r.Next = h.NextStage(), h.NextStage()
	}
	reply := Reply{Data: data}
	r.Put(&reply.Header)
	n.statSN++
	if n.stage == wire.StageFullFeature {
		n.done = true
		n.result.StatSN = n.statSN
		n.result.Parameters = n.terms.agreed()
	}
	return reply, nil
}

// fail makes the last response to a login that is refused.
func (n *Negotiation) fail(h *wire.BHS, err *Refusal) (Reply, error) {
	if n.refusal == nil {
		err.Initiator, err.Target, err.Discovery = n.result.Initiator, n.result.Target, n.result.Discovery
		n.refusal = err
	}
	n.done = false
	var reply Reply
	if err.Redirect != "" {
		reply.Data = wire.Text{{Key: keyTargetAddress, Value: err.Redirect}}.Append(nil)
	}
	r := n.response(h)
	r.Status, r.DataLength = n.refusal.Status, len(reply.Data)
	r.Put(&reply.Header)
	return reply, n.refusal
}

func (n *Negotiation) response(h *wire.BHS) wire.LoginResponse {
	window := max(n.access.Offer.Window, 1) // none before the policy was asked
	return wire.LoginResponse{
		Current:       h.CurrentStage(),
		VersionMax:    version,
		VersionActive: version,
		ISID:          h.ISID(),
		ITT:           h.ITT(),
		Seq:           wire.Sequence{StatSN: n.statSN, ExpCmdSN: h.CmdSN(), MaxCmdSN: h.CmdSN() + window - 1},
	}
}

// Refusal is why a login failed. It is an error; its text is for the event log.
type Refusal struct {
	Status wire.LoginStatus // what the initiator is told
	Reason string           // for people; never with a secret
	// As far as they are known.
	Initiator string
	Target    string
	Discovery bool
	// Redirect is the address that the initiator is sent to.
	Redirect string
}

// Error returns the refusal in one sentence.
func (r *Refusal) Error() string {
	object := r.Target
	if r.Discovery {
		object = "discovery"
	}
	return fmt.Sprintf("login of initiator %q to %q refused (%s): %s", r.Initiator, object, r.Status, r.Reason)
}

func refuse(status wire.LoginStatus, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Reason: fmt.Sprintf(format, args...)}
}

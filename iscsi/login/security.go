package login

import (
	"slices"
	"strings"

	"github.com/esos-project/esos/iscsi/wire"
)

// Keys and values of the stage SecurityNegotiation (RFC 7143 12).
const (
	keyAuthMethod = "AuthMethod"
	keyAlgorithm  = "CHAP_A"
	keyIdentifier = "CHAP_I"
	keyChallenge  = "CHAP_C"
	keyName       = "CHAP_N"
	keyResponse   = "CHAP_R"

	methodNone = "None"
	methodCHAP = "CHAP"
)

// security is how far the stage SecurityNegotiation is.
type security struct {
	step      step
	algorithm Algorithm
	id        byte
	challenge []byte
	proved    bool
}

// step is the step of CHAP that comes next.
type step int

const (
	stepMethod    step = iota // the initiator names the methods that it can
	stepAlgorithm             // ... the algorithms
	stepResponse              // ... its name, the response, and perhaps a challenge
	stepOver                  // nothing: settled
)

// settled says whether the stage may be left: either nothing was begun (an
// initiator may leave it without a word) or all of it was done.
func (s *security) settled() bool { return s.step == stepMethod || s.step == stepOver }

// negotiateSecurity answers the text of a request in the stage
// SecurityNegotiation.
func (n *Negotiation) negotiateSecurity(text wire.Text, answer *wire.Text) *Refusal {
	var chap wire.Text
	for _, p := range text {
		known, err := n.introduction(p)
		switch {
		case err != nil:
			return err
		case known:
		case p.Key == keyAuthMethod:
			if err := n.chooseMethod(p.Value, answer); err != nil {
				return err
			}
		case isSecurity(p.Key):
			chap = append(chap, p)
		case p.Key == keyMaxRecv: // may be declared at any time
			if err := n.terms.setMaxSend(p.Value); err != nil {
				return err
			}
		case isOperational(p.Key):
			return refuse(wire.LoginInitiatorError, "%s came in %s", p.Key, n.stage)
		case !isAnswer(p.Value):
			answer.Add(p.Key, wire.NotUnderstood)
		}
	}
	if len(chap) == 0 {
		return nil
	}
	switch n.security.step {
	case stepAlgorithm:
		return n.challenge(chap, answer)
	case stepResponse:
		return n.verify(chap, answer)
	}
	return refuse(wire.LoginAuthFailed, "%s came where no CHAP was agreed on", chap[0].Key)
}

// chooseMethod takes the initiator's list of authentication methods. It comes
// once: a key that comes twice was refused before.
func (n *Negotiation) chooseMethod(list string, answer *wire.Text) *Refusal {
	method := methodNone
	if n.access.Auth.Required {
		method = methodCHAP
	}
	if !slices.Contains(strings.Split(list, ","), method) {
		return refuse(wire.LoginAuthFailed, "the initiator offers AuthMethod %.80q, the target wants %s", list, method)
	}
	answer.Add(keyAuthMethod, method)
	n.security.step = stepOver
	if method == methodCHAP {
		n.security.step = stepAlgorithm
	}
	return nil
}

// isSecurity says whether a key belongs to the stage SecurityNegotiation.
func isSecurity(key string) bool {
	return key == keyAuthMethod || strings.HasPrefix(key, "CHAP_")
}

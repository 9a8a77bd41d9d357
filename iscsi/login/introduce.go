package login

import (
	"strconv"

	"github.com/esos-project/esos/iscsi/wire"
)

// Keys that are not negotiated (RFC 7143 13.4 to 13.9, 13.21).
const (
	keyInitiatorName  = "InitiatorName"
	keyInitiatorAlias = "InitiatorAlias"
	keyTargetName     = "TargetName"
	keyTargetAlias    = "TargetAlias"
	keyTargetAddress  = "TargetAddress"
	keyTargetGroup    = "TargetPortalGroupTag"
	keySessionType    = "SessionType"
	keySendTargets    = "SendTargets"
)

// introduce reads from the first request who wants to go where, asks the
// policy, and introduces the target.
func (n *Negotiation) introduce(text wire.Text, answer *wire.Text) *Refusal {
	kind, there := text.Get(keySessionType)
	switch {
	case !there || kind == "Normal":
	case kind == "Discovery":
		n.result.Discovery = true
	default:
		return refuse(wire.LoginSessionTypeNotSupp, "session type %q", kind)
	}

	initiator, there := text.Get(keyInitiatorName)
	if !there {
		return refuse(wire.LoginMissingParameter, "the first request has no InitiatorName")
	}
	if err := wire.CheckName(initiator); err != nil {
		return refuse(wire.LoginInitiatorError, "InitiatorName: %v", err)
	}
	n.result.Initiator = wire.NormalizeName(initiator)

	target, there := text.Get(keyTargetName)
	switch {
	case there:
		// A name that is none cannot be found; nothing is told of why.
		if err := wire.CheckName(target); err != nil {
			return refuse(wire.LoginNotFound, "TargetName: %v", err)
		}
		n.result.Target = wire.NormalizeName(target)
	case !n.result.Discovery:
		return refuse(wire.LoginMissingParameter, "the first request has no TargetName")
	}

	n.access = n.policy.Admit(Request{Initiator: n.result.Initiator, ISID: n.isid, TSIH: n.tsih, CID: n.cid,
		Discovery: n.result.Discovery, Target: n.result.Target, Group: n.group})
	n.access.Offer = n.access.Offer.completed()
	if !n.access.Admitted {
		s := n.access.Status
		if s == wire.LoginSuccess {
			s = wire.LoginForbidden
		}
		r := refuse(s, "%s", n.access.Reason)
		if r.Reason == "" {
			r.Reason = s.String()
		}
		if s.Class() == 1 {
			r.Redirect = n.access.Redirect
		}
		return r
	}
	// RFC 7143 13.9: in the first response of a normal session.
	if !n.result.Discovery {
		answer.Add(keyTargetGroup, strconv.Itoa(int(n.group)))
		if n.access.Alias != "" {
			answer.Add(keyTargetAlias, n.access.Alias)
		}
	}
	return nil
}

// introduction takes a key of introduce, or an alias. It says whether p is one.
func (n *Negotiation) introduction(p wire.Pair) (bool, *Refusal) {
	switch p.Key {
	case keyInitiatorName, keySessionType, keyTargetName:
		// In the first request introduce read it; later there is nothing to
		// name any more: what the session is was settled.
		return true, nil
	case keyInitiatorAlias:
		n.result.Alias = p.Value
		return true, nil
	case keyTargetAlias, keyTargetAddress, keyTargetGroup:
		if isAnswer(p.Value) {
			return true, nil
		}
		return true, refuse(wire.LoginInitiatorError, "the initiator declares %s, which is the target's to declare", p.Key)
	case keySendTargets:
		return true, refuse(wire.LoginInitiatorError, "SendTargets came in the login phase")
	}
	return false, nil
}

// isAnswer says whether v stands for the answer to a key of ours that means
// nothing to the initiator.
func isAnswer(v string) bool {
	return v == wire.Rejected || v == wire.Irrelevant || v == wire.NotUnderstood
}

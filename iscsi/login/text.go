package login

import (
	"strconv"

	"github.com/esos-project/esos/iscsi/wire"
)

// Record is a target as discovery tells of it (RFC 7143 appendix C).
type Record struct {
	Name      string
	Addresses []Address // the portals that it can be reached through; never none
}

// Address is a portal as discovery tells of it.
type Address struct {
	HostPort string // host:port, [v6]:port
	Group    uint16 // target portal group tag
}

// AnswerText answers the text of a Text Request in the full feature phase of
// the session that r is of (RFC 7143 6.4). What the initiator may declare anew
// is set in r: MaxSendDataSegmentLength and Alias.
//
// find returns the targets that the initiator may see: all of them, or the one
// of that name (which is normalized) if it is among them.
func AnswerText(text wire.Text, r *Result, find func(name string) []Record) wire.Text {
	var answer wire.Text
	for _, p := range text {
		switch {
		case p.Key == keySendTargets:
			sendTargets(p.Value, r, find, &answer)
		case isAnswer(p.Value):
		case p.Key == keyMaxRecv:
			n, ok := wire.ParseNumber(p.Value, minLength, maxLength)
			if !ok {
				answer.Add(p.Key, wire.Rejected)
				continue
			}
			r.MaxSendDataSegmentLength = n
		case p.Key == keyInitiatorAlias:
			r.Alias = p.Value
		case isOperational(p.Key) || isSecurity(p.Key) || isIntroduction(p.Key):
			answer.Add(p.Key, wire.Rejected) // only in the login phase
		default:
			answer.Add(p.Key, wire.NotUnderstood)
		}
	}
	return answer
}

// sendTargets answers SendTargets=value. All is of discovery sessions; a
// normal one hears only of the target that it is logged in to.
func sendTargets(value string, r *Result, find func(string) []Record, answer *wire.Text) {
	name := wire.NormalizeName(value)
	switch {
	case r.Discovery && value == "All":
		name = ""
	case r.Discovery && value == "": // has no meaning there
		answer.Add(keySendTargets, wire.Rejected)
		return
	case !r.Discovery && (value == "" || name == r.Target):
		name = r.Target
	case !r.Discovery:
		answer.Add(keySendTargets, wire.Rejected)
		return
	}
	for _, t := range find(name) {
		answer.Add(keyTargetName, t.Name)
		for _, a := range t.Addresses {
			answer.Add(keyTargetAddress, a.HostPort+","+strconv.Itoa(int(a.Group)))
		}
	}
}

// Chunk splits text, the data of an answer, into what fits into a Text
// Response for an initiator that takes limit bytes, and the rest. As long as
// there is a rest, the response has the C bit and not the F bit, and the
// initiator asks for more with an empty Text Request (RFC 7143 6.2).
func Chunk(text []byte, limit uint32) (chunk, rest []byte) {
	n := min(len(text), int(limit))
	return text[:n], text[n:]
}

// isIntroduction says whether a key is only of the login phase, or only the
// target's to declare.
func isIntroduction(key string) bool {
	switch key {
	case keyInitiatorName, keyTargetName, keyTargetAlias, keyTargetAddress, keyTargetGroup, keySessionType:
		return true
	}
	return false
}

package login

import (
	"slices"
	"strings"

	"github.com/esos-project/esos/iscsi/wire"
)

// Parameters are what holds on a connection and its session after login
// (RFC 7143 13). Lengths are in bytes, times in seconds.
type Parameters struct {
	HeaderDigest bool // CRC32C in both directions
	DataDigest   bool
	// MaxRecvDataSegmentLength is the most data of a PDU that the initiator
	// may send, MaxSendDataSegmentLength the most that it takes.
	MaxRecvDataSegmentLength uint32
	MaxSendDataSegmentLength uint32
	MaxBurstLength           uint32
	FirstBurstLength         uint32 // never more than MaxBurstLength
	MaxOutstandingR2T        uint32
	InitialR2T               bool
	ImmediateData            bool
	DataPDUInOrder           bool // always true
	DataSequenceInOrder      bool // always true
	DefaultTime2Wait         uint32
	DefaultTime2Retain       uint32
	ErrorRecoveryLevel       uint32 // always 0
	MaxConnections           uint32 // always 1
	ProtocolLevel            uint32 // 0 or 1: RFC 7143
}

// DefaultParameters returns what holds where nothing was negotiated
// (RFC 7143 13).
func DefaultParameters() Parameters {
	return Parameters{
		MaxRecvDataSegmentLength: 8192,
		MaxSendDataSegmentLength: 8192,
		MaxBurstLength:           262144,
		FirstBurstLength:         65536,
		MaxOutstandingR2T:        1,
		InitialR2T:               true,
		ImmediateData:            true,
		DataPDUInOrder:           true,
		DataSequenceInOrder:      true,
		DefaultTime2Wait:         2,
		DefaultTime2Retain:       20,
		MaxConnections:           1,
		ProtocolLevel:            1,
	}
}

// Ranges of values (RFC 7143 13).
const (
	minLength = 512
	maxLength = 1<<24 - 1
	maxCount  = 65535
	maxTime   = 3600
)

// Keys whose rules have something of their own.
const (
	keyMaxRecv    = "MaxRecvDataSegmentLength"
	keyFirstBurst = "FirstBurstLength"
)

// terms is what the operational negotiation has come to so far.
type terms struct {
	p Parameters
}

func newTerms() terms { return terms{p: DefaultParameters()} }

// agreed returns the outcome.
func (t *terms) agreed() Parameters {
	p := t.p
	// A MaxBurstLength that was agreed on after FirstBurstLength, or without
	// it, bounds it all the same (RFC 7143 13.14).
	p.FirstBurstLength = min(p.FirstBurstLength, p.MaxBurstLength)
	return p
}

// declare tells what the target can receive.
func (t *terms) declare(o *Offer, answer *wire.Text) {
	t.p.MaxRecvDataSegmentLength = o.MaxRecvDataSegmentLength
	answer.Add(keyMaxRecv, formatNumber(o.MaxRecvDataSegmentLength))
}

// setMaxSend takes the initiator's declaration of what it can receive.
func (t *terms) setMaxSend(value string) *Refusal {
	n, ok := wire.ParseNumber(value, minLength, maxLength)
	if !ok {
		return refuse(wire.LoginInitiatorError, "%s=%.80q is out of range", keyMaxRecv, value)
	}
	t.p.MaxSendDataSegmentLength = n
	return nil
}

// negotiate answers the initiator's offers. A value that is none is answered
// with Reject and what held before goes on to hold; only where the two sides
// cannot come together does the login end (RFC 7143 7.13).
func (t *terms) negotiate(text wire.Text, o *Offer, discovery bool, answer *wire.Text) *Refusal {
	var late []wire.Pair
	for _, p := range text {
		switch {
		case isAnswer(p.Value): // to a key of ours; there is nothing to say to it
		case p.Key == keyMaxRecv:
			if err := t.setMaxSend(p.Value); err != nil {
				return err
			}
		case discovery && irrelevantInDiscovery(p.Key):
			answer.Add(p.Key, wire.Irrelevant)
		case p.Key == keyFirstBurst:
			late = append(late, p) // it depends on others that may stand behind it
		default:
			a, err := t.term(p, o)
			if err != nil {
				return err
			}
			answer.Add(p.Key, a)
		}
	}
	for _, p := range late {
		answer.Add(p.Key, t.firstBurst(p.Value, o))
	}
	return nil
}

// term answers one offer.
func (t *terms) term(p wire.Pair, o *Offer) (string, *Refusal) {
	if k, ok := t.number(p.Key, o); ok {
		v, ok := wire.ParseNumber(p.Value, k.low, k.high)
		if !ok {
			return wire.Rejected, nil
		}
		*k.place = k.result(v, k.offer)
		return formatNumber(*k.place), nil
	}
	if k, ok := t.boolean(p.Key, o); ok {
		v, ok := wire.ParseBool(p.Value)
		if !ok {
			return wire.Rejected, nil
		}
		*k.place = k.result(v, k.offer)
		return wire.FormatBool(*k.place), nil
	}
	switch p.Key {
	case "HeaderDigest":
		return chooseDigest(p, o.HeaderDigest, &t.p.HeaderDigest)
	case "DataDigest":
		return chooseDigest(p, o.DataDigest, &t.p.DataDigest)
	case "TaskReporting":
		// Only the tasks' end as RFC 3720 had it; it is the default (13.23).
		if slices.Contains(strings.Split(p.Value, ","), "RFC3720") {
			return "RFC3720", nil
		}
		return wire.Rejected, nil
	case "IFMarker", "OFMarker":
		// RFC 7143 13.25: No or Reject, never NotUnderstood; initiators of
		// RFC 3720 take a No for what it is.
		return "No", nil
	case "IFMarkInt", "OFMarkInt":
		return wire.Rejected, nil
	}
	return wire.NotUnderstood, nil
}

// firstBurst answers FirstBurstLength when all it depends on is known.
func (t *terms) firstBurst(value string, o *Offer) string {
	if t.p.InitialR2T && !t.p.ImmediateData {
		return wire.Irrelevant
	}
	v, ok := wire.ParseNumber(value, minLength, maxLength)
	if !ok {
		return wire.Rejected
	}
	t.p.FirstBurstLength = min(v, o.FirstBurstLength, t.p.MaxBurstLength)
	return formatNumber(t.p.FirstBurstLength)
}

// chooseDigest takes the first digest of the initiator's list that is allowed.
func chooseDigest(p wire.Pair, allowed []string, crc *bool) (string, *Refusal) {
	for item := range strings.SplitSeq(p.Value, ",") {
		if (item == DigestNone || item == DigestCRC32C) && slices.Contains(allowed, item) {
			*crc = item == DigestCRC32C
			return item, nil
		}
	}
	return "", refuse(wire.LoginInitiatorError, "the initiator offers %s %.80q, the target allows %s", p.Key, p.Value, strings.Join(allowed, ","))
}

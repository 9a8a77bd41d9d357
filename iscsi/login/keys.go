package login

import (
	"strconv"
)

// numberKey is how a numerical key is negotiated: the range that values may
// be of, the target's value, and the result function of the two sides' values.
type numberKey struct {
	low, high uint32
	offer     uint32
	result    func(theirs, ours uint32) uint32
	place     *uint32
}

// booleanKey is how a boolean key is negotiated.
type booleanKey struct {
	offer  bool
	result func(theirs, ours bool) bool
	place  *bool
}

// number returns the rules of a numerical key. FirstBurstLength is not among
// them: see firstBurst.
func (t *terms) number(key string, o *Offer) (numberKey, bool) {
	p := &t.p
	switch key {
	case "MaxConnections": // 13.2
		return numberKey{1, maxCount, 1, lower, &p.MaxConnections}, true
	case "MaxBurstLength": // 13.13
		return numberKey{minLength, maxLength, o.MaxBurstLength, lower, &p.MaxBurstLength}, true
	case "DefaultTime2Wait": // 13.15
		return numberKey{0, maxTime, o.DefaultTime2Wait, higher, &p.DefaultTime2Wait}, true
	case "DefaultTime2Retain": // 13.16
		return numberKey{0, maxTime, o.DefaultTime2Retain, lower, &p.DefaultTime2Retain}, true
	case "MaxOutstandingR2T": // 13.17
		return numberKey{1, maxCount, o.MaxOutstandingR2T, lower, &p.MaxOutstandingR2T}, true
	case "ErrorRecoveryLevel": // 13.20
		return numberKey{0, 2, 0, lower, &p.ErrorRecoveryLevel}, true
	case "iSCSIProtocolLevel": // 13.24
		return numberKey{0, 31, 1, lower, &p.ProtocolLevel}, true
	}
	return numberKey{}, false
}

// boolean returns the rules of a boolean key.
func (t *terms) boolean(key string, o *Offer) (booleanKey, bool) {
	p := &t.p
	switch key {
	case "InitialR2T": // 13.10
		return booleanKey{o.InitialR2T, or, &p.InitialR2T}, true
	case "ImmediateData": // 13.11
		return booleanKey{o.ImmediateData, and, &p.ImmediateData}, true
	case "DataPDUInOrder": // 13.18
		return booleanKey{true, or, &p.DataPDUInOrder}, true
	case "DataSequenceInOrder": // 13.19
		return booleanKey{true, or, &p.DataSequenceInOrder}, true
	}
	return booleanKey{}, false
}

// irrelevantInDiscovery says which keys mean nothing in a discovery session
// (RFC 7143 13, "Irrelevant when").
func irrelevantInDiscovery(key string) bool {
	switch key {
	case "MaxConnections", "InitialR2T", "ImmediateData", "MaxBurstLength", keyFirstBurst, "MaxOutstandingR2T",
		"DataPDUInOrder", "DataSequenceInOrder", "TaskReporting":
		return true
	}
	return false
}

// isOperational says whether a key belongs to the stage
// LoginOperationalNegotiation alone.
func isOperational(key string) bool {
	switch key {
	case "HeaderDigest", "DataDigest", "TaskReporting", keyFirstBurst, "IFMarker", "OFMarker", "IFMarkInt", "OFMarkInt":
		return true
	}
	var t terms
	_, number := t.number(key, &Offer{})
	_, boolean := t.boolean(key, &Offer{})
	return number || boolean
}

func lower(a, b uint32) uint32  { return min(a, b) }
func higher(a, b uint32) uint32 { return max(a, b) }
func or(a, b bool) bool         { return a || b }
func and(a, b bool) bool        { return a && b }

func formatNumber(v uint32) string { return strconv.FormatUint(uint64(v), 10) }

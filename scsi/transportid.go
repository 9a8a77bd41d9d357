package scsi

import (
	"encoding/hex"
	"strings"
)

// TransportIDs of iSCSI initiator ports (SPC-5 7.6.4.6).
const (
	transportISCSI     = 0x05 // PROTOCOL IDENTIFIER
	transportNameOnly  = 0x00 // TPID FORMAT 00b: every port of the initiator
	transportNameISID  = 0x40 // TPID FORMAT 01b: one port
	minTransportID     = 24
	maxInitiatorName   = 223 // RFC 7143 4.2.7.1
	isidSeparator      = ",i,0x"
	transportIDHeader  = 4
	transportFormatAll = 0xc0
)

// appendTransportID appends the TransportID of an initiator port.
func appendTransportID(b []byte, i InitiatorID) []byte {
	name := i.String()
	n := max((len(name)+4)&^3, minTransportID-transportIDHeader)
	b = append(b, transportNameISID|transportISCSI, 0, byte(n>>8), byte(n))
	b = append(b, name...)
	return append(b, make([]byte, n-len(name))...)
}

// parseTransportID reads the TransportID that b starts with, and says how long
// it is. anyPort is set for one that names all ports of an initiator.
func parseTransportID(b []byte) (id InitiatorID, anyPort bool, size int, ok bool) {
	if len(b) < minTransportID || b[0]&0x0f != transportISCSI {
		return id, false, 0, false
	}
	size = transportIDHeader + int(b[2])<<8 + int(b[3])
	if size < minTransportID || size%4 != 0 || size > len(b) {
		return id, false, 0, false
	}
	text := string(b[transportIDHeader:size])
	if end := strings.IndexByte(text, 0); end >= 0 {
		if strings.Trim(text[end:], "\x00") != "" {
			return id, false, 0, false
		}
		text = text[:end]
	}
	text = strings.ToLower(text)
	switch b[0] & transportFormatAll {
	case transportNameOnly:
		id.Name, anyPort = text, true
	case transportNameISID:
		name, isid, found := strings.Cut(text, isidSeparator)
		raw, err := hex.DecodeString(isid)
		if !found || err != nil || len(raw) != len(id.ISID) {
			return id, false, 0, false
		}
		id.Name = name
		copy(id.ISID[:], raw)
	default:
		return id, false, 0, false
	}
	if id.Name == "" || len(id.Name) > maxInitiatorName {
		return id, false, 0, false
	}
	return id, anyPort, size, true
}

package config

import (
	"encoding/hex"
	"net/netip"
	"strings"
)

// Driver is a target's transport, in SCST's words.
type Driver string

// Drivers.
const (
	DriverISCSI Driver = "iscsi"
	DriverSRP   Driver = "ib_srpt"    // SCSI RDMA protocol, over InfiniBand or RoCE
	DriverFC    Driver = "qla2x00t"   // Fibre Channel
	DriverFCoE  Driver = "fcst"       // Fibre Channel over Ethernet
	DriverLocal Driver = "scst_local" // this machine itself is the initiator
)

// Human names the transport for people.
func (d Driver) Human() string {
	switch d {
	case DriverSRP:
		return "SRP"
	case DriverFC:
		return "Fibre Channel"
	case DriverFCoE:
		return "FCoE"
	case DriverLocal:
		return "loopback"
	}
	return "iSCSI"
}

// Portals says whether targets of the driver are reached at portals; the
// others are a port themselves and have the one tag LoneTag.
func (d Driver) Portals() bool { return d == "" || d == DriverISCSI }

// LoneTag is the tag, in relative_ids, of a target that has no portals.
const LoneTag = 1

// TargetName returns a target's name in the spelling that documents have, or
// as it is if it is none of the driver's: GIDs as ib_srpt of SCST writes them
// (fe80:0000:0000:0000:0002:c903:0005:f34b), WWPNs as 8 pairs of hex digits
// with colons, all in lower case.
func (d Driver) TargetName(name string) string {
	switch d {
	case DriverSRP:
		if gid, ok := parseGID(name); ok {
			return formatGID(gid)
		}
	case DriverFC, DriverFCoE:
		return wwpn(name)
	}
	return name
}

// InitiatorName returns an initiator's name in the spelling that documents
// have, or as it is if it is none of the driver's: SRP port identifiers as
// both kernel targets write them (0x and 32 hex digits), WWPNs like targets.
func (d Driver) InitiatorName(name string) string {
	switch d {
	case DriverSRP:
		if id, ok := parseGID(name); ok {
			return "0x" + hex.EncodeToString(id[:])
		}
	case DriverFC, DriverFCoE:
		return wwpn(name)
	}
	return name
}

// parseGID reads 16 bytes: 32 hex digits with or without 0x in front, or
// groups as of an IPv6 address, which is what a GID is (IBTA 4.1.1).
func parseGID(name string) (gid [16]byte, ok bool) {
	digits := strings.TrimPrefix(strings.ToLower(name), "0x")
	if raw, err := hex.DecodeString(digits); err == nil && len(raw) == 16 {
		return [16]byte(raw), true
	}
	// Eight short groups without a gap are rather a WWPN.
	a, err := netip.ParseAddr(name)
	if err != nil || !a.Is6() || a.Zone() != "" || strings.Contains(name, ".") || len(name) != 39 && !strings.Contains(name, "::") {
		return gid, false
	}
	return a.As16(), true
}

func formatGID(gid [16]byte) string {
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = hex.EncodeToString(gid[2*i : 2*i+2])
	}
	return strings.Join(groups, ":")
}

// wwpn brings a Fibre Channel port name, with or without colons or 0x, to its
// spelling.
func wwpn(name string) string {
	digits := strings.TrimPrefix(strings.ToLower(name), "0x")
	if strings.Contains(digits, ":") {
		if len(digits) != 23 || strings.Count(digits, ":") != 7 {
			return name
		}
		digits = strings.ReplaceAll(digits, ":", "")
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 8 {
		return name
	}
	pairs := make([]string, 8)
	for i := range pairs {
		pairs[i] = hex.EncodeToString(raw[i : i+1])
	}
	if s := strings.Join(pairs, ":"); len(name) != 23 || strings.EqualFold(s, name) {
		return s
	}
	return name
}

// targetProblem says what is wrong with a target's name, "" if nothing is.
func (d Driver) targetProblem(name string) string {
	spelled := d.TargetName(name)
	switch d {
	case DriverSRP:
		if _, ok := parseGID(name); !ok {
			return "is no GID of a port; write it like fe80:0000:0000:0000:0002:c903:0005:f34b (/sys/class/infiniband/*/ports/*/gids/0)"
		}
	case DriverFC, DriverFCoE:
		if len(spelled) != 23 || wwpn(strings.ReplaceAll(spelled, ":", "")) != spelled {
			return "is no WWPN; write it like 50:01:43:80:24:26:bb:b4 (/sys/class/fc_host/*/port_name)"
		}
	case DriverLocal:
		return localProblem(name)
	case DriverISCSI, "":
		return nameProblem(name)
	default:
		return "" // the driver itself is refused
	}
	if spelled != name {
		return "must be written " + spelled
	}
	return ""
}

// example is a name that somebody could write.
func (d Driver) example(array string) string {
	switch d {
	case DriverSRP:
		return "the GID of a port, like fe80:0000:0000:0000:0002:c903:0005:f34b"
	case DriverFC, DriverFCoE:
		return "the WWPN of a port, like 50:01:43:80:24:26:bb:b4"
	case DriverLocal:
		return "one like naa.5001405b2a1c3d4e"
	}
	return "one like iqn.2026-11.com.example:" + array
}

// localProblem checks the name of a loopback target: what SCST takes as any
// name, and LIO as one of a transport.
func localProblem(name string) string {
	switch {
	case strings.HasPrefix(name, "naa."), strings.HasPrefix(name, "iqn."):
		return nameProblem(name)
	case len(name) > 64:
		return "is longer than 64 characters"
	case hasOther(name) || strings.ContainsRune(".-", rune(name[0])):
		return "must be like naa.5001405 and 9 more hex digits; letters, digits, \".\", \"_\" and \"-\" are allowed"
	}
	return ""
}

// InitiatorProblem says why a name without wildcards can match no initiator of
// the driver, "" if it can.
func (d Driver) InitiatorProblem(name string) string {
	spelled := d.InitiatorName(name)
	switch d {
	case DriverSRP:
		if _, ok := parseGID(name); !ok {
			return "is no SRP initiator port id; write it like 0x0002c9030005f34c0002c9030005f34d"
		}
	case DriverFC, DriverFCoE:
		if len(spelled) != 23 || wwpn(strings.ReplaceAll(spelled, ":", "")) != spelled {
			return "is no WWPN; write it like 21:00:00:24:ff:30:12:34"
		}
	case DriverISCSI, "":
		return nameProblem(name)
	default:
		return ""
	}
	if spelled != name {
		return "must be written " + spelled
	}
	return ""
}

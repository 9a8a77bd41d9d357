package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// Clock is the machine's time. A section that is not there leaves all of it as
// it is.
type Clock struct {
	Timezone    string   `yaml:"timezone,omitempty" json:"timezone,omitempty" doc:"name of a time zone, such as Europe/Berlin or UTC; stays as it is when empty"`
	NTP         []string `yaml:"ntp,omitempty" json:"ntp,omitempty" doc:"names or addresses of time servers; when empty those that DHCP names, else Debian's"`
	NTPDisabled bool     `yaml:"ntp_disabled,omitempty" json:"ntp_disabled,omitempty" doc:"ask no time server: the clock is set by hand (esos clock set)"`
}

// Declared says whether the document says anything about the clock.
func (c Clock) Declared() bool { return c.Timezone != "" || len(c.NTP) > 0 || c.NTPDisabled }

// Clone returns a deep copy.
func (c Clock) Clone() Clock {
	c.NTP = append([]string(nil), c.NTP...)
	return c
}

func (c *checker) checkClock() {
	clock := c.doc.Clock
	if z := clock.Timezone; z != "" && !isZoneName(z) {
		c.error("clock.timezone", "%q is no name of a time zone; they are like Europe/Berlin, America/New_York or UTC", clip(z))
	}
	if clock.NTPDisabled && len(clock.NTP) > 0 {
		c.error("clock.ntp_disabled", "time servers are named in clock.ntp, and this says that none is asked; remove one of the two")
	}
	seen := map[string]int{}
	for i, s := range clock.NTP {
		at := fmt.Sprintf("clock.ntp[%d]", i)
		if _, err := netip.ParseAddr(s); err != nil && !isHostName(s) {
			c.error(at, "%q is neither a host name nor an IP address of a time server", clip(s))
			continue
		}
		c.unique(seen, at, "clock.ntp", strings.ToLower(s), i)
	}
}

// isZoneName says whether a name has the shape of those in the time zone
// database: parts of ASCII letters, digits, ".", "_", "-" and "+" ("Timezone
// identifiers" in theory.html of tz). It is used as the name of a file: no part
// may begin with a dot. Which there are, only the machine knows.
func isZoneName(name string) bool {
	if len(name) > 64 {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.ContainsRune(".-+", rune(part[0])) || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") != "" {
			return false
		}
	}
	return true
}

// isHostName says whether a name is one of a host (RFC 1123 2.1).
func isHostName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

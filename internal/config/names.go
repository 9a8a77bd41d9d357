package config

import "strings"

// What names begin with when none was thought of: ESOS's naming authority
// (RFC 7143 4.2.7.4; NVM Express Base 4.7).
const (
	OurNames = "iqn.2026-11.org.esos-project:"
	OurNQNs  = "nqn.2026-11.org.esos-project:"
)

// NewTargetName is the name of a new target: as it was typed, in the driver's
// spelling; a plain word for an iSCSI target becomes a name of ESOS's.
func NewTargetName(d Driver, typed string) string {
	name := d.TargetName(typed)
	if d.Portals() && !strings.HasPrefix(name, "iqn.") && !strings.HasPrefix(name, "eui.") && !strings.HasPrefix(name, "naa.") {
		name = OurNames + name
	}
	return name
}

// NewSubsystemName is the NQN of a new NVMe subsystem: as it was typed, or a
// name of ESOS's for a plain word.
func NewSubsystemName(typed string) string {
	if strings.HasPrefix(typed, "nqn.") {
		return typed
	}
	return OurNQNs + typed
}

// TargetProblem says what is wrong with a target's name, "" if nothing is.
func (d Driver) TargetProblem(name string) string {
	if name == "" {
		return "is needed: write " + d.example("name")
	}
	return d.targetProblem(name)
}

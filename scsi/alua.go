package scsi

import "slices"

// AccessState is an asymmetric access state (SPC-5 table 228).
type AccessState byte

// Asymmetric access states.
const (
	ActiveOptimized    AccessState = 0x0
	ActiveNonOptimized AccessState = 0x1
	Standby            AccessState = 0x2
	Unavailable        AccessState = 0x3
	Offline            AccessState = 0xe
	Transitioning      AccessState = 0xf
)

// PortGroup is a target port group: target ports through which a unit is
// reached equally well.
type PortGroup struct {
	ID        uint16
	State     AccessState
	Preferred bool
	Ports     []uint16 // relative target port identifiers
}

// defaultGroup is the target port group of units that are in no device group.
const defaultGroup = 1

// groupOf returns the target port group that a port is in.
func (u *Unit) groupOf(port uint16) (uint16, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.groups == nil {
		return defaultGroup, true
	}
	for _, g := range u.groups {
		if slices.Contains(g.Ports, port) {
			return g.ID, true
		}
	}
	return 0, false
}

// stateGate is the gate of a path for the access state of its port. The
// caller holds mu.
func (u *Unit) stateGate(port uint16) uint32 {
	for _, g := range u.groups {
		if !slices.Contains(g.Ports, port) {
			continue
		}
		switch g.State {
		case Standby:
			return gateStandby
		case Unavailable:
			return gateUnavailable
		case Offline:
			return gateOffline
		case Transitioning:
			return gateTransition
		}
		return 0
	}
	return 0
}

// SetAccess makes groups the unit's target port groups; nil is one group of
// all ports, active and optimized. Initiators whose state changes by it are
// told: ASYMMETRIC ACCESS STATE CHANGED (SPC-5 5.17.2.7).
func (u *Unit) SetAccess(groups []PortGroup) {
	u.setAccess(groups, statusImplicit, nil)
}

func (u *Unit) setAccess(groups []PortGroup, how byte, by *Path) {
	u.mu.Lock()
	defer u.mu.Unlock()
	same := slices.EqualFunc(u.groups, groups, func(a, b PortGroup) bool {
		return a.ID == b.ID && a.State == b.State && a.Preferred == b.Preferred && slices.Equal(a.Ports, b.Ports)
	})
	if same && (u.groups == nil) == (groups == nil) {
		return
	}
	u.stateSetBy = how
	u.groups = slices.Clone(groups)
	for i := range u.groups {
		u.groups[i].Ports = slices.Clone(u.groups[i].Ports)
	}
	u.regateAll()
	u.attention(AsymmetricAccessStateChanged, by)
}

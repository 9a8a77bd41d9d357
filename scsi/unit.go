package scsi

import (
	"sync"
)

// Unit is a logical unit: a Device with an identity, reservations and the
// paths that lead to it.
type Unit struct {
	identity Identity
	device   Device
	ops      [256]*entry

	mu    sync.Mutex
	paths map[*Path]struct{}
}

// Identity is what a logical unit tells of itself. It comes from the
// configuration, never from chance, so that multipath and cluster software
// knows the unit again after a restart and on another node.
type Identity struct {
	Name     string // the device's name in the configuration
	Vendor   string // T10 vendor identification, up to 8 ASCII bytes
	Product  string // up to 16
	Revision string // up to 4
	Serial   string // unit serial number (VPD page 80h), up to 36
	T10ID    string // T10 vendor ID based designator (VPD page 83h)
	NAA      uint64 // NAA designator of VPD page 83h (NAA 3h or 6h upper half)
	NAAExt   uint64 // lower half of a 16 byte NAA 6h designator
}

// entry is what an operation code leads to: one command, or one per service action.
type entry struct {
	command *Command
	actions map[uint16]*Command
}

// NewUnit makes a logical unit of a device.
func NewUnit(id Identity, d Device) *Unit {
	u := &Unit{identity: id, device: d, paths: map[*Path]struct{}{}}
	for _, c := range d.Commands() {
		u.serve(c)
	}
	return u
}

func (u *Unit) serve(c Command) {
	e := u.ops[c.Op]
	if e == nil {
		e = &entry{}
		u.ops[c.Op] = e
	}
	if !c.HasAction {
		e.command = &c
		return
	}
	if e.actions == nil {
		e.actions = map[uint16]*Command{}
	}
	e.actions[c.Action] = &c
}

// Identity returns what the unit tells of itself.
func (u *Unit) Identity() Identity { return u.identity }

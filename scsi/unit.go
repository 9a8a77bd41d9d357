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
	mode     mode
	access   func(map[uint16]AccessState) error // see WithAccessSetter

	// reserving is held over a whole PERSISTENT RESERVE OUT, the wait for the
	// reservation store included. It is taken before mu.
	reserving sync.Mutex
	store     ReservationStore

	mu        sync.Mutex
	paths     map[*Path]struct{}
	reserved6 *Path // who holds a RESERVE(6); nil if nobody does
	pr        reservation
	// groups are the target port groups, nil if the unit is in no device
	// group. The slice is replaced as a whole, never changed.
	groups     []PortGroup
	stateSetBy byte
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

// An Option changes how a Unit is made.
type Option func(*Unit)

// WithAccessSetter makes SET TARGET PORT GROUPS work (explicit ALUA): set is
// called with the states that an initiator asks for, by target port group. If
// it returns nil the unit takes them over; else the command fails. It may
// wait, but not for a change of a LUN map: that waits for the command.
func WithAccessSetter(set func(map[uint16]AccessState) error) Option {
	return func(u *Unit) { u.access = set }
}

// NewUnit makes a logical unit of a device.
func NewUnit(id Identity, d Device, opts ...Option) *Unit {
	u := &Unit{identity: id, device: d, paths: map[*Path]struct{}{}}
	for _, o := range opts {
		o(u)
	}
	for _, c := range u.primary() {
		u.serve(c)
	}
	for _, c := range d.Commands() {
		u.serve(c)
	}
	u.mode.init(d)
	return u
}

// Identity returns what the unit tells of itself.
func (u *Unit) Identity() Identity { return u.identity }

// Device returns what makes the unit a disk, a tape, ...
func (u *Unit) Device() Device { return u.device }

// CapacityChanged tells every initiator that READ CAPACITY answers anew:
// CAPACITY DATA HAS CHANGED (SBC-4 4.10).
func (u *Unit) CapacityChanged() { u.Attention(CapacityDataChanged, nil) }

// MediumChanged tells every initiator that there is another medium: NOT READY
// TO READY CHANGE, MEDIUM MAY HAVE CHANGED.
func (u *Unit) MediumChanged() { u.Attention(MediumMayHaveChanged, nil) }

// InquiryChanged tells every initiator that INQUIRY data changed.
func (u *Unit) InquiryChanged() { u.Attention(InquiryDataChanged, nil) }

// Attention raises a unit attention on every path to u except one (nil: none).
func (u *Unit) Attention(code uint16, except *Path) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.attention(code, except)
}

func (u *Unit) attention(code uint16, except *Path) {
	for p := range u.paths {
		if p != except {
			p.attention(code)
		}
	}
}

// join adds a new path to u. The first thing its initiator hears is that the
// unit is there: POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
func (u *Unit) join(p *Path) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.paths[p] = struct{}{}
	u.regate(p)
	p.attention(PowerOnOrReset)
}

// leave takes a path from u for good.
func (u *Unit) leave(p *Path) {
	u.mu.Lock()
	delete(u.paths, p)
	if u.reserved6 == p {
		u.reserved6 = nil
		u.regateAll()
	}
	u.mu.Unlock()
	u.device.NexusLost(p)
}

// snapshot lists the paths to u.
func (u *Unit) snapshot() []*Path {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]*Path, 0, len(u.paths))
	for p := range u.paths {
		all = append(all, p)
	}
	return all
}

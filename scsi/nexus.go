package scsi

import (
	"sync/atomic"
)

// Nexus is an I_T nexus (SAM-5 4.7): one initiator port that talks to one
// target port. A transport makes one for each session.
type Nexus struct {
	initiator string // initiator port name, for iSCSI "iqn...,i,0x0123456789ab" (RFC 7143 4.4)
	port      *Port
	luns      atomic.Pointer[LUNMap]
}

// Port is a target port. Targets have one for each portal group.
type Port struct {
	Name string // target port name, for iSCSI "iqn...,t,0x0001"
	ID   uint16 // relative target port identifier, unique in the array (SPC-5 4.2.2)
}

// LUNMap is what an initiator sees: which LUN leads to which unit. It is never
// changed: a change of configuration makes another one (Nexus.SetLUNs).
type LUNMap struct {
	paths map[LUN]*Path
}

// Path is an I_T_L nexus: a LUN as one initiator reaches it through one
// target port. What is true only between these three lives here: pending unit
// attentions, what reservations allow, counters.
type Path struct {
	Nexus    *Nexus
	Unit     *Unit
	LUN      LUN
	ReadOnly bool

	// gate is zero when a command may go straight through. Its bits say what
	// has to be looked at first: a unit attention, a reservation, the access
	// state. One atomic load per I/O stands for all of them.
	gate atomic.Uint32
}

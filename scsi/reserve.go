package scsi

// regate computes the bits of p's gate that hang on the unit: reservations,
// access state, write protection. The caller holds mu.
func (u *Unit) regate(p *Path) {
	bits := u.pr.gate(p) | u.stateGate(p.Nexus.port.ID)
	if u.reserved6 != nil && u.reserved6 != p {
		bits |= gateReserved6
	}
	if p.ReadOnly || u.mode.softwareProtected() {
		bits |= gateReadOnly
	}
	p.setGate(gateReservation|gateState|gateReadOnly, bits)
}

func (u *Unit) regateAll() {
	for p := range u.paths {
		u.regate(p)
	}
}

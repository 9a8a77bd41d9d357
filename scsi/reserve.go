package scsi

// RESERVE and RELEASE of SPC-2 5.21 and 5.18: old, and still what some
// clusters use. With CRH 0 they and persistent reservations exclude each
// other (SPC-2 5.5.1).
func (u *Unit) reserveCommands() []Command {
	const reserve, release = NoReservation | notReserved6, NoReservation
	return []Command{
		{Name: "RESERVE(6)", Op: 0x16, Usage: []byte{0x16, 0, 0, 0, 0, 0x04},
			Access: reserve, Parse: parseReserve, Do: reserve6},
		{Name: "RELEASE(6)", Op: 0x17, Usage: []byte{0x17, 0, 0, 0, 0, 0x04},
			Access: release, Parse: parseReserve, Do: release6},
		{Name: "RESERVE(10)", Op: 0x56, Usage: []byte{0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0x04},
			Access: reserve, Parse: parseReserve, Do: reserve6},
		{Name: "RELEASE(10)", Op: 0x57, Usage: []byte{0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0x04},
			Access: release, Parse: parseReserve, Do: release6},
	}
}

// parseReserve refuses third parties (3RDPTY, LONGID) and extents.
func parseReserve(t *Task) {
	if t.CDB[1]&0x1f != 0 {
		t.Fail(InvalidField(1))
	}
}

func reserve6(t *Task) {
	u := t.Path.Unit
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.pr.inUse() || u.reserved6 != nil && u.reserved6 != t.Path {
		t.Status = ReservationConflict
		return
	}
	u.reserved6 = t.Path
	u.regateAll()
}

// release6 releases only what its own nexus reserved; else it does nothing,
// and that is GOOD.
func release6(t *Task) {
	u := t.Path.Unit
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.pr.inUse() {
		t.Status = ReservationConflict
		return
	}
	if u.reserved6 == t.Path {
		u.reserved6 = nil
		u.regateAll()
	}
}

// regate computes the bits of p's gate that hang on the unit: reservations,
// access state, write protection. The caller holds mu.
func (u *Unit) regate(p *Path) {
	bits := u.pr.gate(p.nexusID()) | u.stateGate(p.Nexus.port.ID)
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

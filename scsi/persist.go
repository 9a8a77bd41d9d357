package scsi

// reservation is the persistent reservation state of a unit (SPC-5 5.14).
type reservation struct{}

// gate is what the reservation makes of a path's gate.
func (r *reservation) gate(*Path) uint32 { return 0 }

// ReservationStore keeps the persistent reservations of units over a restart
// (APTPL, SPC-5 5.14.5).
type ReservationStore interface {
	// Load returns what Save stored for a unit; nil and no error if nothing.
	Load(unit string) ([]byte, error)
	// Save returns when state is stable. Nil forgets the unit.
	Save(unit string, state []byte) error
}

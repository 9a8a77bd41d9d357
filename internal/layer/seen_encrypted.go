package layer

// Encrypted are the LUKS devices of the machine.
type Encrypted struct {
	Err error // why they could not be looked at
}

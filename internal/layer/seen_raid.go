package layer

// RAID is the md arrays of the machine.
type RAID struct {
	Err error // why they could not be looked at
}

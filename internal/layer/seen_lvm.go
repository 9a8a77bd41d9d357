package layer

// LVM is LVM's volume groups.
type LVM struct {
	Err error // why they could not be looked at
}

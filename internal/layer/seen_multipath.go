package layer

// Multipath are the disks that are reached by several paths.
type Multipath struct {
	Err error // why they could not be looked at
}

package layer

// Remote are the remote disks that this machine is logged in to.
type Remote struct {
	Err error // why they could not be looked at
}

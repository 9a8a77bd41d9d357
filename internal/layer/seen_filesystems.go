package layer

// FileSystems are the file systems of the machine.
type FileSystems struct {
	Err error // why they could not be looked at
}

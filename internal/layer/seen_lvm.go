package layer

import "github.com/esos-project/esos/internal/host/lvm"

// LVM is LVM's volume groups.
type LVM struct {
	lvm.State
	Err error // why they could not be looked at
}

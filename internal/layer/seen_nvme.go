package layer

import "github.com/esos-project/esos/internal/nvmet"

// NVMe is what the kernel's NVMe target serves.
type NVMe struct {
	nvmet.State
	Err error // why it could not be looked at
}

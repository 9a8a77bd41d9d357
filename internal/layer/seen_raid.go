package layer

import (
	"time"

	"github.com/esos-project/esos/internal/host/mdadm"
)

// RAID is the md arrays of the machine.
type RAID struct {
	mdadm.State
	// Checks are the last checks of arrays, by UUID.
	Checks map[string]RAIDCheck
	Err    error // why they could not be looked at
}

// RAIDCheck is the last check of an array: all of it was read and compared.
type RAIDCheck struct {
	Begun      time.Time `json:"begun"`
	Finished   time.Time `json:"finished,omitzero"` // zero while it runs
	Action     string    `json:"action,omitempty"`  // check or repair
	Mismatches int64     `json:"mismatches"`        // sectors that differed
}

// Array finds an array by its UUID.
func (r RAID) Array(uuid string) (mdadm.Array, bool) {
	for _, a := range r.Arrays {
		if a.UUID == uuid {
			return a, true
		}
	}
	return mdadm.Array{}, false
}

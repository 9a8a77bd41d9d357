package v1

import (
	"time"

	"github.com/esos-project/esos/internal/host/mdadm"
)

// ArrayState is a RAID array as it is now, and what is known of its checks.
type ArrayState struct {
	mdadm.Array
	Declared string      `json:"declared,omitempty" doc:"Its name in the document, if that declares it."`
	Check    *ArrayCheck `json:"check,omitempty" doc:"Its last check."`
}

// ArrayCheck is the last check of an array: all of it was read and compared.
type ArrayCheck struct {
	Action     string    `json:"action" doc:"check or repair"`
	Begun      time.Time `json:"begun"`
	Finished   time.Time `json:"finished,omitzero"`
	Mismatches int64     `json:"mismatches" doc:"Sectors that differed."`
}

// CheckArray begins or ends a check.
type CheckArray struct {
	Action string `json:"action" enum:"check,repair,idle" doc:"check counts what differs, repair corrects it, idle ends either."`
}

// FailDisk names a disk of an array.
type FailDisk struct {
	Disk string `json:"disk" doc:"The disk: its path in the document, its ID, or the kernel's name."`
}

// Package smart asks disks how they are (SMART), through smartctl, whose
// database of drives knows what each one means by its answers.
package smart

import (
	"time"
)

// Health is what a disk says of itself, in short. A number that it does not
// tell is nil.
type Health struct {
	When      time.Time `json:"when"`             // of the look
	Passed    *bool     `json:"passed,omitempty"` // its own verdict
	Asleep    bool      `json:"asleep,omitempty"` // it was not woken: the rest is of the last look before
	Error     string    `json:"error,omitempty"`  // why it could not be asked
	Firmware  string    `json:"firmware,omitempty"`
	RPM       *int64    `json:"rpm,omitempty"`
	Celsius   *int64    `json:"celsius,omitempty"`
	Hours     *int64    `json:"hours,omitempty"`        // powered on
	Relocated *int64    `json:"reallocated,omitempty"`  // sectors that were replaced; SCSI: the grown defect list
	Pending   *int64    `json:"pending,omitempty"`      // sectors that cannot be read and wait to be written
	Media     *int64    `json:"media_errors,omitempty"` // that could not be corrected
	Used      *int64    `json:"percent_used,omitempty"` // of the endurance of flash; above 100 it goes on at its own risk
	Spare     *int64    `json:"spare_percent,omitempty"`
	Warnings  []string  `json:"warnings,omitempty"` // what the drive itself says is wrong
	SelfTest  *SelfTest `json:"self_test,omitempty"`
}

// SelfTest is the last test that a disk made of itself.
type SelfTest struct {
	Kind   string `json:"kind"`
	Result string `json:"result"`
	Passed *bool  `json:"passed,omitempty"`
	Hours  *int64 `json:"hours,omitempty"` // that it was powered on then
}

package v1

import (
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/enclosure"
	"github.com/esos-project/esos/internal/host/smart"
)

// StorageState is what devices stand on, as it is now.
type StorageState struct {
	Disks     []Disk         `json:"disks" doc:"Whole disks, CD-ROM drives, and disks of several paths."`
	Blocks    []Disk         `json:"blocks" doc:"All other block devices: partitions, and what Linux made of disks."`
	Remote    RemoteState    `json:"remote" doc:"What this machine is logged in to, for disks of other arrays."`
	Multipath MultipathState `json:"multipath" doc:"Disks that are reached by several paths."`
	Arrays    []ArrayState   `json:"arrays" doc:"RAID arrays: those that run, and those that disks say they are part of."`
	// VolumeGroups are all that LVM finds: declared ones and others'.
	VolumeGroups []VolumeGroupState `json:"volume_groups" doc:"LVM volume groups: those that are declared, and others that disks have."`
	Problems     []string           `json:"problems,omitempty" doc:"Why something may be missing here: what could not be looked at."`
}

// Disk is a block device, and who has it.
type Disk struct {
	block.Device
	ID       string          `json:"id" doc:"What people call it, and what it is given up by (disk/ID)."`
	Claimed  string          `json:"claimed,omitempty" doc:"Who has it: an object of the document, like array/r6, or what of the machine."`
	Why      string          `json:"why,omitempty" doc:"Why it cannot be chosen for something new: a sentence. Nothing if it can."`
	Holds    string          `json:"holds,omitempty" doc:"What is known to be on it, without reading it. It would be lost."`
	Free     bool            `json:"free" doc:"It can be chosen, and nothing is known to be on it. A plan looks closer."`
	Location *enclosure.Slot `json:"location,omitempty" doc:"The slot that it is in, where an enclosure tells."`
	Trouble  string          `json:"trouble,omitempty" doc:"What is wrong with it, as far as it tells itself."`
	SMART    *smart.Health   `json:"smart,omitempty" doc:"How it is, as of the last look."`
}

// Locate makes the LED at a disk blink, or stop.
type Locate struct {
	On bool `json:"on"`
}

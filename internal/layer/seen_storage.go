package layer

import (
	"github.com/esos-project/esos/internal/host/block"
)

// Storage is what stands below the devices, read once for a plan; each layer
// of it fills its own part.
type Storage struct {
	// Blocks are the block devices, nil where nobody looked: the document
	// declares no storage.
	Blocks *block.Inventory
	// Contents are what is on devices that the document wants to use and that
	// nothing stands on now, by the kernel's name.
	Contents map[string][]block.Content
	// Unread says why what is on others of these could not be read.
	Unread map[string]error
	// Medium are the kernel's names of the disks that ESOS was booted from, or
	// could be.
	Medium map[string]bool
	Err    error // why the block devices could not be looked at

	RAID        RAID
	LVM         LVM
	Encrypted   Encrypted
	FileSystems FileSystems
	Remote      Remote
	Multipath   Multipath
}

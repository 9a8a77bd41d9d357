package layer

import (
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/filesystem"
)

// FileSystems are the file systems of the machine.
type FileSystems struct {
	Mounts []filesystem.Mount // of block devices
	// Spans are how much of its device a file system takes, by mount point, of
	// those that are declared and mounted.
	Spans map[string]int64
	// Unsized says why that is not known.
	Unsized map[string]error
	// Broken says why a mounted file system cannot be read, by mount point.
	Broken map[string]error
	// Hidden are names in the directories of declared mount points where
	// nothing is mounted: a mount would hide them.
	Hidden map[string][]string
	// Files are what is lost with file systems that are named as given up, by
	// mount point.
	Files map[string][]filesystem.File
	Err   error // why they could not be looked at
}

// Mounted finds what is mounted at a directory.
func (f FileSystems) Mounted(where string) (filesystem.Mount, bool) {
	return filesystem.At(f.Mounts, where)
}

// On finds the mounts of a block device.
func (f FileSystems) On(d block.Device, inv *block.Inventory) []filesystem.Mount {
	var on []filesystem.Mount
	for _, m := range f.Mounts {
		if of, ok := inv.Find(m.Source); ok && of.Name == d.Name {
			on = append(on, m)
		}
	}
	return on
}

package layer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
)

// Refuses says why a block device must not be taken, whatever somebody names:
// it is in use by the machine, or not what it seems. It is "" if nothing is
// against it.
func (o *Observed) Refuses(d block.Device) string {
	inv := o.Storage.Blocks
	switch {
	case o.Storage.Medium[inv.Disk(d).Name]:
		return fmt.Sprintf("%s is a boot medium of ESOS", d.Path)
	case len(d.Mounts) > 0:
		return fmt.Sprintf("%s is mounted at %s", d.Path, strings.Join(d.Mounts, ", "))
	case d.ReadOnly:
		return fmt.Sprintf("%s is read-only", d.Path)
	case d.Type == "rom":
		return fmt.Sprintf("%s is a CD-ROM drive", d.Path)
	case d.Size == 0:
		return fmt.Sprintf("%s has no medium", d.Path)
	case strings.HasPrefix(d.Name, "zram") || strings.HasPrefix(d.Name, "ram"):
		return fmt.Sprintf("%s is memory: what is there is gone at a reboot", d.Path)
	case !slices.Contains([]string{"", "running", "live"}, d.State):
		return fmt.Sprintf("%s is %s", d.Path, d.State)
	case d.Signature == "mpath_member":
		return fmt.Sprintf("%s is one of several paths to a disk; take the disk itself, in /dev/mapper", d.Path)
	case d.Inner():
		return fmt.Sprintf("%s is a part of LVM's own machinery, not a volume", d.Path)
	}
	for _, name := range d.Above {
		up, ok := inv.Named(name)
		if !ok {
			continue
		}
		if up.Type != "part" {
			return fmt.Sprintf("%s is in use by %s (%s); give that up first", d.Path, up.Friendly(), up.Type)
		}
		if why := o.Refuses(up); why != "" {
			return why
		}
	}
	if other, twice := o.otherPath(d); twice {
		return fmt.Sprintf("%s and %s are paths to the same disk (%s); switch storage.multipath on and take the disk in /dev/mapper", d.Path, other.Path, d.WWN)
	}
	return ""
}

// otherPath finds another disk that says it is the same one: a disk of a SAN
// that is reached by two ways, with nobody gathering them.
func (o *Observed) otherPath(d block.Device) (block.Device, bool) {
	if d.Type != "disk" || d.WWN == "" {
		return block.Device{}, false
	}
	for _, other := range o.Storage.Blocks.Devices() {
		if other.Type == "disk" && other.Name != d.Name && other.WWN == d.WWN && other.Size == d.Size {
			return other, true
		}
	}
	return block.Device{}, false
}

// usedBeside says which other use of a device, or of the disk that it is a part
// of, is declared or served now: documents may call one disk by two names.
func (o *Observed) usedBeside(declared *config.Document, d block.Device, p string) string {
	for _, u := range o.uses(declared) {
		switch {
		case !o.overlap(d, u.device):
		case u.served:
			return fmt.Sprintf("%s leads initiators to %s now; take it away in a change of its own, before this one", u.object, path.Clean(p))
		case strings.HasPrefix(u.object, "device/"):
			return fmt.Sprintf("%s is declared twice: %s leads initiators to it (%s)", p, u.object, u.path)
		case u.path != p:
			return fmt.Sprintf("%s is declared twice: %s uses it as %s", p, u.object, u.path)
		}
	}
	return ""
}

// overlap says whether two devices have bytes in common: the same one, or a
// disk and one of its partitions.
func (o *Observed) overlap(a, b block.Device) bool {
	inv := o.Storage.Blocks
	return a.Name == b.Name || inv.Disk(a).Name == b.Name || inv.Disk(b).Name == a.Name
}

// use is an object that has a block device.
type use struct {
	object, path string
	device       block.Device
	served       bool // it is one of those that are served now
}

// uses are the objects that have block devices: of a document, and of what is
// served now. They are looked up once.
func (o *Observed) uses(declared *config.Document) []use {
	if o.usesOf == declared {
		return o.used
	}
	o.usesOf, o.used = declared, nil
	add := func(object string, served bool, paths ...string) {
		for _, p := range paths {
			if d, ok := o.BlockDevice(p); ok {
				o.used = append(o.used, use{object, p, d, served})
			}
		}
	}
	for _, u := range Uses(declared) {
		add(u.Object, false, u.Path)
	}
	for _, d := range o.Engine.Devices {
		add("device/"+d.Name, true, d.Path)
	}
	for _, sub := range o.NVMe.Subsystems {
		for _, n := range sub.Namespaces {
			add(fmt.Sprintf("nvme-namespace/%s/%d", sub.NQN, n.NSID), true, n.Path)
		}
	}
	return o.used
}

// BlockDevice is the block device that a path of the document leads to; SCSI's
// HOST:CHANNEL:ID:LUN, too.
func (o *Observed) BlockDevice(p string) (block.Device, bool) {
	if strings.HasPrefix(p, "/") {
		return o.Storage.Blocks.Find(p)
	}
	for _, d := range o.Storage.Blocks.Devices() {
		if p != "" && d.Address == p && d.Type != "part" {
			return d, true
		}
	}
	return block.Device{}, false
}

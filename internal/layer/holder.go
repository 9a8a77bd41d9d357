package layer

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
)

// Holder says who has a block device.
type Holder struct {
	// By is an object of the document, like array/r6, or what of the machine has
	// it: the kernel's name of what stands on it, where it is mounted, "boot
	// medium". It is "" if nobody has.
	By string
	// Why says why the device cannot be taken for something else, "" if it can.
	// What it holds would be lost then (Holds).
	Why string
}

// Holder finds out who has a block device: the document first, then the
// machine.
func (o *Observed) Holder(declared *config.Document, d block.Device) Holder {
	for _, u := range o.uses(declared) {
		if u.device.Name == d.Name {
			return Holder{u.object, fmt.Sprintf("%s uses it (%s)", u.object, u.path)}
		}
	}
	for _, u := range o.uses(declared) {
		if o.overlap(d, u.device) {
			return Holder{u.object, fmt.Sprintf("%s uses %s", u.object, u.path)}
		}
	}
	why := o.Refuses(d)
	if why == "" {
		return Holder{}
	}
	inv := o.Storage.Blocks
	h := Holder{Why: why}
	switch {
	case o.Storage.Medium[inv.Disk(d).Name]:
		h.By = "boot medium"
	case len(d.Mounts) > 0:
		h.By = strings.Join(d.Mounts, ", ")
	default:
		h.By = strings.Join(o.above(d), ", ")
	}
	return h
}

// above lists what stands on a device, by kind and name, looking through its
// partitions.
func (o *Observed) above(d block.Device) []string {
	var up []string
	for _, name := range d.Above {
		u, ok := o.Storage.Blocks.Named(name)
		switch {
		case !ok:
		case u.Type == "part":
			up = append(up, u.Mounts...)
			up = append(up, o.above(u)...)
		default:
			up = append(up, u.Type+" "+u.Friendly())
		}
	}
	return up
}

// Holds says what is known to be on a device without reading it, "" if nothing
// is: signatures and partitions, as udev found them.
func Holds(inv *block.Inventory, d block.Device) string {
	var found []string
	if d.Signature != "" {
		found = append(found, block.Content{Type: d.Signature, Label: d.Label}.String())
	} else if d.Table != "" && d.Type != "part" {
		found = append(found, block.Content{Type: d.Table}.String())
	}
	for _, name := range d.Above {
		if p, ok := inv.Named(name); ok && p.Type == "part" {
			found = append(found, partition(p))
		}
	}
	return strings.Join(found, ", ")
}

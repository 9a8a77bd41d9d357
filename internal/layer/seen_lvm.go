package layer

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/lvm"
)

// LVM is LVM's volume groups.
type LVM struct {
	lvm.State
	Err error // why they could not be looked at

	// Reading gets what is being read since before the layers below looked; nil
	// if nothing is.
	Reading chan LVM
}

// GroupTag is the tag by which a volume group that was made from a document is
// known again.
func GroupTag(d *config.Document, name string) string {
	return "esos=" + config.DerivedUUID(d.ID, "volume-group/"+name)
}

// Is says whether a volume group is the declared one: by LVM's UUID if the
// document has it, else by its tag.
func (l LVM) Is(g lvm.Group, d *config.Document, declared config.VolumeGroup) bool {
	if declared.UUID != "" {
		return strings.ReplaceAll(g.UUID, "-", "") == strings.ReplaceAll(declared.UUID, "-", "")
	}
	return lvm.Has(g.Tags, GroupTag(d, declared.Name))
}

// member finds the volume group that a block device is a physical volume of,
// and whether it is a declared one.
func (o *Observed) member(d *config.Document, name string) (group lvm.Group, declared, ok bool) {
	for _, g := range o.Storage.LVM.Groups {
		for _, pv := range g.Devices {
			if b, there := o.Storage.Blocks.Find(pv.Path); !there || b.Name != name {
				continue
			}
			for _, own := range d.Storage.VolumeGroups {
				declared = declared || o.Storage.LVM.Is(g, d, own)
			}
			return g, declared, true
		}
	}
	return lvm.Group{}, false, false
}

// holding puts what a physical volume is part of into words.
func holding(g lvm.Group) string {
	n := 0
	for _, v := range g.Volumes {
		if !v.Hidden && v.Type != "vdo-pool" {
			n++
		}
	}
	if n == 1 {
		return fmt.Sprintf("with that a part of volume group %s, which has 1 volume", g.Name)
	}
	return fmt.Sprintf("with that a part of volume group %s, which has %d volumes", g.Name, n)
}

package layer

import (
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/filesystem"
	"github.com/esos-project/esos/internal/host/lvm"
)

// Keeps is the object of this array whose data lie on a block device, though no
// document may declare it any more: the file system that was unmounted, the
// volume group that was left alone. Who gives up the device alone did not name
// that. Nothing if there is none, or if it cannot be told whose they are.
func (o *Observed) Keeps(d *config.Document, on block.Device) string {
	switch on.Signature {
	case "":
		return ""
	case filesystem.XFS, filesystem.Ext4, filesystem.Btrfs:
		// The label is the name, cut to what all file systems can have.
		if object := "filesystem/" + on.Label; strings.EqualFold(on.UUID, config.DerivedUUID(d.ID, object)) {
			return object
		}
		for _, doc := range []*config.Document{d, o.InForce} {
			if doc == nil {
				continue
			}
			for _, f := range doc.Storage.FileSystems {
				object := "filesystem/" + f.Name
				if strings.EqualFold(on.UUID, config.DerivedUUID(d.ID, object)) || f.UUID != "" && strings.EqualFold(on.UUID, f.UUID) {
					return object
				}
			}
		}
	case "LVM2_member":
		for _, g := range o.Storage.LVM.Groups {
			for _, pv := range g.Devices {
				if b, there := o.Storage.Blocks.Find(pv.Path); there && b.Name == on.Name && lvm.Has(g.Tags, GroupTag(d, g.Name)) {
					return "volume-group/" + g.Name
				}
			}
		}
	}
	return ""
}

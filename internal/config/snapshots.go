package config

import (
	"fmt"
	"slices"
	"strings"
)

// SnapshotTogether says whether snapshots of devices can be of one moment, as
// far as that is told by what they are.
func SnapshotTogether(devices []Device) error {
	seen := map[string]bool{}
	var names []string
	images := false
	for _, d := range devices {
		if seen[d.Name] {
			return fmt.Errorf("device %s is named twice", d.Name)
		}
		seen[d.Name] = true
		names = append(names, d.Name)
		switch d.Handler {
		case FileIO:
			images = true
		case BlockIO:
		default:
			return fmt.Errorf("device %s is of handler %s; snapshots are taken of vdisk_blockio devices on thin volumes and of vdisk_fileio devices on xfs or btrfs", d.Name, d.Handler)
		}
	}
	if images && len(devices) > 1 {
		return fmt.Errorf("%s: image files cannot be held while others are copied, so there is no moment that they could share; "+
			"put them on thin volumes, or take a snapshot of each by itself", strings.Join(names, ", "))
	}
	return nil
}

// SnapshotStore says why a device can have no snapshots where it lies, as far
// as the document declares that.
func (s *Storage) SnapshotStore(d Device) error {
	kind, name, _ := strings.Cut(s.Provider(d.Path), "/")
	switch kind {
	case "":
		return nil // whoever takes them finds out
	case "volume":
		group, name, _ := strings.Cut(name, "/")
		for _, g := range s.VolumeGroups {
			for _, v := range g.Volumes {
				if g.Name == group && v.Name == name && v.kind() != ThinDisk {
					return fmt.Errorf("device %s is on volume %s/%s, which is %s; only thin volumes have snapshots that are safe to keep", d.Name, group, name, v.kind())
				}
			}
		}
	case "filesystem":
		for _, f := range s.FileSystems {
			if f.Name == name && f.Type == "ext4" {
				return fmt.Errorf("device %s is on file system %s, which is ext4 and has no files that share blocks; xfs and btrfs have", d.Name, name)
			}
		}
	default:
		return fmt.Errorf("device %s is on %s/%s, which has no snapshots; thin volumes have", d.Name, kind, name)
	}
	return nil
}

// AddSnapshots adds a schedule of snapshots.
func (d *Document) AddSnapshots(v Snapshots) error {
	return add(&d.Storage.Snapshots, "schedule", v.Name, v, func(v Snapshots) string { return v.Name })
}

// RemoveSnapshots removes a schedule of snapshots.
func (d *Document) RemoveSnapshots(name string) error {
	if _, err := find(d.Storage.Snapshots, "schedule", name, func(v Snapshots) string { return v.Name }); err != nil {
		return err
	}
	d.Storage.Snapshots = slices.DeleteFunc(d.Storage.Snapshots, func(v Snapshots) bool { return v.Name == name })
	return nil
}

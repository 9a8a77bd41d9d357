package config

import (
	"fmt"
	"slices"
)

// AddRemoteISCSI adds a path to an iSCSI target elsewhere.
func (d *Document) AddRemoteISCSI(t RemoteISCSI) error {
	if err := d.freeRemote(t.Name); err != nil {
		return err
	}
	d.Storage.Remote.ISCSI = append(d.Storage.Remote.ISCSI, t)
	return nil
}

// AddRemoteNVMe adds a path to an NVMe subsystem elsewhere.
func (d *Document) AddRemoteNVMe(n RemoteNVMe) error {
	if err := d.freeRemote(n.Name); err != nil {
		return err
	}
	d.Storage.Remote.NVMe = append(d.Storage.Remote.NVMe, n)
	return nil
}

// RemoteNames are the names of all paths to disks elsewhere.
func (d *Document) RemoteNames() []string {
	var names []string
	for _, t := range d.Storage.Remote.ISCSI {
		names = append(names, t.Name)
	}
	for _, n := range d.Storage.Remote.NVMe {
		names = append(names, n.Name)
	}
	return names
}

func (d *Document) freeRemote(name string) error {
	if slices.Contains(d.RemoteNames(), name) {
		return fmt.Errorf("remote %q %w", name, ErrExists)
	}
	return nil
}

// FindRemoteISCSI finds a path to an iSCSI target.
func (d *Document) FindRemoteISCSI(name string) (*RemoteISCSI, error) {
	return find(d.Storage.Remote.ISCSI, "iSCSI remote", name, func(t RemoteISCSI) string { return t.Name })
}

// RemoveRemote removes a path to disks elsewhere. What stands on its disks is
// left: a plan refuses that.
func (d *Document) RemoveRemote(name string) error {
	if names := d.RemoteNames(); !slices.Contains(names, name) {
		return fmt.Errorf("remote %q: %w%s", name, ErrNotFound, nearest(name, names))
	}
	r := &d.Storage.Remote
	r.ISCSI = slices.DeleteFunc(r.ISCSI, func(t RemoteISCSI) bool { return t.Name == name })
	r.NVMe = slices.DeleteFunc(r.NVMe, func(n RemoteNVMe) bool { return n.Name == name })
	return nil
}

// NameDisk has the paths to a disk gathered under a name; one that it has is
// replaced.
func (d *Document) NameDisk(name, wwid string) error {
	m := &d.Storage.Multipath
	for i := range m.Maps {
		switch {
		case m.Maps[i].WWID == wwid:
			m.Maps[i].Name, m.Enabled = name, true
			return nil
		case m.Maps[i].Name == name:
			return fmt.Errorf("multipath name %q %w: it is disk %s", name, ErrExists, m.Maps[i].WWID)
		}
	}
	m.Maps, m.Enabled = append(m.Maps, MultipathMap{Name: name, WWID: wwid}), true
	return nil
}

// UnnameDisk has the paths to a disk not gathered any more.
func (d *Document) UnnameDisk(name string) error {
	m := &d.Storage.Multipath
	var names []string
	for _, x := range m.Maps {
		names = append(names, x.Name)
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("multipath name %q: %w%s", name, ErrNotFound, nearest(name, names))
	}
	m.Maps = slices.DeleteFunc(m.Maps, func(x MultipathMap) bool { return x.Name == name })
	return nil
}

package config

import "fmt"

// FindVolumeGroup returns the volume group of that name.
func (d *Document) FindVolumeGroup(name string) (*VolumeGroup, error) {
	return find(d.Storage.VolumeGroups, "volume group", name, func(g VolumeGroup) string { return g.Name })
}

// FindVolume returns a group's volume of that name, and the group.
func (d *Document) FindVolume(group, name string) (*VolumeGroup, *Volume, error) {
	g, err := d.FindVolumeGroup(group)
	if err != nil {
		return nil, nil, err
	}
	v, err := find(g.Volumes, "volume of group "+group, name, func(v Volume) string { return v.Name })
	return g, v, err
}

// AddVolumeGroup adds a volume group.
func (d *Document) AddVolumeGroup(g VolumeGroup) error {
	return add(&d.Storage.VolumeGroups, "volume group", g.Name, g, func(g VolumeGroup) string { return g.Name })
}

// AddVolume adds a volume to a group.
func (d *Document) AddVolume(group string, v Volume) error {
	g, err := d.FindVolumeGroup(group)
	if err != nil {
		return err
	}
	return add(&g.Volumes, "volume of group "+group, v.Name, v, func(v Volume) string { return v.Name })
}

// UsersOf lists what of a document stands on a path: devices, and parts of the
// storage.
func (d *Document) UsersOf(path string) []string {
	var users []string
	for _, dev := range d.Devices {
		if dev.Path == path {
			users = append(users, "device "+dev.Name)
		}
	}
	s := &d.Storage
	s.eachPath(func(object string, p *string) {
		if *p == path {
			users = append(users, object)
		}
	})
	return users
}

// MovePath has everything that stands on a path stand on another one: what is
// there got another name.
func (d *Document) MovePath(from, to string) {
	for i := range d.Devices {
		if d.Devices[i].Path == from {
			d.Devices[i].Path = to
		}
	}
	d.Storage.eachPath(func(_ string, p *string) {
		if *p == from {
			*p = to
		}
	})
}

// eachPath visits the paths of block devices that parts of the storage stand
// on.
func (s *Storage) eachPath(visit func(object string, p *string)) {
	list := func(object string, paths []string) {
		for i := range paths {
			visit(object, &paths[i])
		}
	}
	for i := range s.Arrays {
		a := &s.Arrays[i]
		list("array "+a.Name, a.Disks)
		list("array "+a.Name, a.Spares)
		list("array "+a.Name, a.WriteMostly)
		visit("array "+a.Name, &a.Journal)
	}
	for i := range s.Encrypted {
		visit("encrypted device "+s.Encrypted[i].Name, &s.Encrypted[i].Device)
	}
	for i := range s.VolumeGroups {
		g := &s.VolumeGroups[i]
		list("volume group "+g.Name, g.Devices)
		for j := range g.Volumes {
			list(fmt.Sprintf("volume %s/%s", g.Name, g.Volumes[j].Name), g.Volumes[j].Devices)
			if c := g.Volumes[j].Cache; c != nil {
				visit(fmt.Sprintf("the cache of volume %s/%s", g.Name, g.Volumes[j].Name), &c.Device)
			}
		}
	}
	for i := range s.FileSystems {
		visit("file system "+s.FileSystems[i].Name, &s.FileSystems[i].Device)
	}
}

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInUse is wrapped by edits that would take away what something else of the
// document stands on.
var ErrInUse = errors.New("is in use")

// ErrNotThin is wrapped by edits that only thin volumes allow.
var ErrNotThin = errors.New("only thin volumes have clones")

// SplitVolume takes GROUP/VOLUME apart; what begins with /dev/ is meant, too.
func SplitVolume(full string) (group, name string, err error) {
	group, name, ok := strings.Cut(strings.TrimPrefix(full, "/dev/"), "/")
	if !ok || group == "" || name == "" || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("%q is no volume; write GROUP/VOLUME", full)
	}
	return group, name, nil
}

// UsersOfVolume lists what stands on a volume or lies in it, but for volumes of
// those that are left out (GROUP/VOLUME each).
func (d *Document) UsersOfVolume(group, name string, without ...string) []string {
	users := d.UsersOf(Volume{Name: name}.Path(group))
	if g, err := d.FindVolumeGroup(group); err == nil {
		for _, v := range g.Volumes {
			if full := group + "/" + v.Name; v.Pool == name && !slices.Contains(without, full) {
				users = append(users, "volume "+full)
			}
		}
	}
	return users
}

// RemoveVolumes removes volumes, GROUP/VOLUME each, that nothing else stands on.
func (d *Document) RemoveVolumes(all ...string) error {
	for _, full := range all {
		group, name, err := SplitVolume(full)
		if err != nil {
			return err
		}
		if _, _, err := d.FindVolume(group, name); err != nil {
			return err
		}
		if users := d.UsersOfVolume(group, name, all...); len(users) > 0 {
			return fmt.Errorf("volume %s %w by %s; delete that first", full, ErrInUse, strings.Join(users, ", "))
		}
	}
	for _, full := range all {
		group, name, _ := SplitVolume(full)
		g, err := d.FindVolumeGroup(group)
		if err != nil {
			return err
		}
		g.Volumes = slices.DeleteFunc(g.Volumes, func(v Volume) bool { return v.Name == name })
	}
	return nil
}

// RemoveVolumeGroup removes a volume group with its volumes, which nothing else
// stands on.
func (d *Document) RemoveVolumeGroup(name string) error {
	g, err := d.FindVolumeGroup(name)
	if err != nil {
		return err
	}
	for _, v := range g.Volumes {
		if users := d.UsersOf(v.Path(name)); len(users) > 0 {
			return fmt.Errorf("volume %s/%s %w by %s; delete that first", name, v.Name, ErrInUse, strings.Join(users, ", "))
		}
	}
	d.Storage.VolumeGroups = slices.DeleteFunc(d.Storage.VolumeGroups, func(g VolumeGroup) bool { return g.Name == name })
	return nil
}

// AddVolumeDevices adds devices to a volume group.
func (d *Document) AddVolumeDevices(group string, devices ...string) error {
	g, err := d.FindVolumeGroup(group)
	if err != nil {
		return err
	}
	for _, path := range devices {
		if slices.Contains(g.Devices, path) {
			return fmt.Errorf("device %s of volume group %s %w", path, g.Name, ErrExists)
		}
		g.Devices = append(g.Devices, path)
	}
	return nil
}

// RemoveVolumeDevices takes devices out of a volume group. Volumes that were to
// be made on them and on others are on the others then.
func (d *Document) RemoveVolumeDevices(group string, devices ...string) error {
	g, err := d.FindVolumeGroup(group)
	if err != nil {
		return err
	}
	for _, path := range devices {
		if !slices.Contains(g.Devices, path) {
			return fmt.Errorf("device %s of volume group %s: %w; it has %s", path, g.Name, ErrNotFound, strings.Join(g.Devices, ", "))
		}
		is := func(has string) bool { return has == path }
		g.Devices = slices.DeleteFunc(g.Devices, is)
		for i := range g.Volumes {
			if on := g.Volumes[i].Devices; len(on) > 1 {
				g.Volumes[i].Devices = slices.DeleteFunc(on, is)
			}
		}
	}
	return nil
}

// ReplaceVolumeDevices puts devices in the place of others of a volume group;
// volumes that were to be made on those are made on these.
func (d *Document) ReplaceVolumeDevices(group string, old, fresh []string) error {
	if err := d.AddVolumeDevices(group, fresh...); err != nil {
		return err
	}
	g, err := d.FindVolumeGroup(group)
	if err != nil {
		return err
	}
	for i := range g.Volumes {
		on := &g.Volumes[i].Devices
		if slices.ContainsFunc(*on, func(has string) bool { return slices.Contains(old, has) }) {
			*on = append(*on, fresh...)
		}
	}
	return d.RemoveVolumeDevices(group, old...)
}

// RenameVolume renames a volume; what stands on it finds it by its new name.
func (d *Document) RenameVolume(group, from, to string) error {
	g, v, err := d.FindVolume(group, from)
	if err != nil {
		return err
	}
	for _, other := range g.Volumes {
		if other.Name == to {
			return fmt.Errorf("volume %s/%s %w", group, to, ErrExists)
		}
	}
	v.Name, v.Was = to, from
	for i := range g.Volumes {
		if g.Volumes[i].Pool == from {
			g.Volumes[i].Pool = to
		}
		if g.Volumes[i].CloneOf == from {
			g.Volumes[i].CloneOf = to
		}
	}
	d.MovePath(Volume{Name: from}.Path(group), Volume{Name: to}.Path(group))
	return nil
}

// CloneVolume adds a thin volume that begins with what another one of its group
// holds, v.CloneOf, which may be a snapshot that the document does not have:
// then its pool is the group's only one, or v.Pool.
func (d *Document) CloneVolume(group string, v Volume) error {
	g, err := d.FindVolumeGroup(group)
	if err != nil {
		return err
	}
	v.Type = ThinDisk
	var pools []string
	for _, o := range g.Volumes {
		switch {
		case o.Name == v.CloneOf && o.Type != ThinDisk:
			return fmt.Errorf("volume %s/%s is %s: %w", group, o.Name, o.kind(), ErrNotThin)
		case o.Name == v.CloneOf:
			v.Pool = o.Pool
		case o.Type == ThinPool:
			pools = append(pools, o.Name)
		}
	}
	if v.Pool == "" && len(pools) == 1 {
		v.Pool = pools[0]
	}
	if v.Pool == "" {
		return fmt.Errorf("the document has no volume %s/%s: %w; say which thin pool it lies in", group, v.CloneOf, ErrNotFound)
	}
	return d.AddVolume(group, v)
}

// CloneSnapshot adds a volume that begins with what a snapshot holds, a volume
// of a group's pool, and a device on it. A read-only one is the snapshot itself,
// of its size, declared so that it is there after a reboot, too.
func (d *Document) CloneSnapshot(group string, snapshot Volume, to string, readOnly bool) error {
	g, err := d.FindVolumeGroup(group)
	if err != nil {
		return fmt.Errorf("snapshot %s is in volume group %s, which the document does not declare; declare that first", snapshot.Name, group)
	}
	v := Volume{Name: to, Type: ThinDisk, Pool: snapshot.Pool, CloneOf: snapshot.Name}
	if readOnly {
		v = Volume{Name: snapshot.Name, Type: ThinDisk, Pool: snapshot.Pool, Size: snapshot.Size, ReadOnly: true}
	}
	switch i := slices.IndexFunc(g.Volumes, func(have Volume) bool { return have.Name == v.Name }); {
	case i < 0:
		g.Volumes = append(g.Volumes, v)
	case !readOnly:
		return fmt.Errorf("volume %s/%s %w", g.Name, v.Name, ErrExists)
	}
	return d.AddDevice(Device{Name: to, Handler: BlockIO, Path: v.Path(g.Name), ReadOnly: readOnly})
}

// Resized is the size that text asks for: a size, or with a + what is added to
// what there is.
func Resized(have Size, text string) (Size, error) {
	more, add := strings.CutPrefix(strings.TrimSpace(text), "+")
	size, err := ParseSize(more)
	if err != nil {
		return 0, err
	}
	if add {
		if size+have < size {
			return 0, fmt.Errorf("%s more is too much", size)
		}
		size += have
	}
	return size, nil
}

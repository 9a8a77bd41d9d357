package config

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNotFound is wrapped by edits of objects that the document does not have.
var ErrNotFound = errors.New("not found")

// ErrExists is wrapped by edits that add what is there already.
var ErrExists = errors.New("exists already")

// The Find methods return a pointer into the document, to edit in place; the
// error wraps ErrNotFound and proposes the nearest name.

// FindDevice returns the device of that name.
func (d *Document) FindDevice(name string) (*Device, error) {
	return find(d.Devices, "device", name, func(v Device) string { return v.Name })
}

// FindPortal returns the portal of that name.
func (d *Document) FindPortal(name string) (*Portal, error) {
	return find(d.ISCSI.Portals, "portal", name, func(v Portal) string { return v.Name })
}

// FindTarget returns the target of that name.
func (d *Document) FindTarget(name string) (*Target, error) {
	return find(d.Targets, "target", name, func(v Target) string { return v.Name })
}

// FindGroup returns a target's host group of that name.
func (d *Document) FindGroup(target, name string) (*Group, error) {
	t, err := d.FindTarget(target)
	if err != nil {
		return nil, err
	}
	return find(t.Groups, "group of target "+target, name, func(v Group) string { return v.Name })
}

// FindDeviceGroup returns the device group of that name.
func (d *Document) FindDeviceGroup(name string) (*DeviceGroup, error) {
	return find(d.DeviceGroups, "device group", name, func(v DeviceGroup) string { return v.Name })
}

// LUNMap returns a target's map: of the host group, or the default one for "".
func (d *Document) LUNMap(target, group string) (*[]LUN, error) {
	if group == "" {
		t, err := d.FindTarget(target)
		if err != nil {
			return nil, err
		}
		return &t.LUNs, nil
	}
	g, err := d.FindGroup(target, group)
	if err != nil {
		return nil, err
	}
	return &g.LUNs, nil
}

func find[T any](list []T, what, name string, nameOf func(T) string) (*T, error) {
	names := make([]string, len(list))
	for i := range list {
		names[i] = nameOf(list[i])
		if names[i] == name {
			return &list[i], nil
		}
	}
	return nil, fmt.Errorf("%s %q: %w%s", what, name, ErrNotFound, nearest(name, names))
}

// AddDevice adds a device.
func (d *Document) AddDevice(v Device) error {
	return add(&d.Devices, "device", v.Name, v, func(v Device) string { return v.Name })
}

// AddPortal adds a portal.
func (d *Document) AddPortal(v Portal) error {
	return add(&d.ISCSI.Portals, "portal", v.Name, v, func(v Portal) string { return v.Name })
}

// AddTarget adds a target.
func (d *Document) AddTarget(v Target) error {
	return add(&d.Targets, "target", v.Name, v, func(v Target) string { return v.Name })
}

// AddGroup adds a host group to a target.
func (d *Document) AddGroup(target string, v Group) error {
	t, err := d.FindTarget(target)
	if err != nil {
		return err
	}
	return add(&t.Groups, "group of target "+target, v.Name, v, func(v Group) string { return v.Name })
}

// AddDeviceGroup adds a device group.
func (d *Document) AddDeviceGroup(v DeviceGroup) error {
	return add(&d.DeviceGroups, "device group", v.Name, v, func(v DeviceGroup) string { return v.Name })
}

func add[T any](list *[]T, what, name string, v T, nameOf func(T) string) error {
	for _, have := range *list {
		if nameOf(have) == name {
			return fmt.Errorf("%s %q %w", what, name, ErrExists)
		}
	}
	*list = append(*list, v)
	return nil
}

// RemoveDevice removes a device that no LUN or namespace leads to; with these
// and its place in a device group if unmap is set.
func (d *Document) RemoveDevice(name string, unmap bool) error {
	if _, err := d.FindDevice(name); err != nil {
		return err
	}
	leads := func(l LUN) bool { return l.Device == name }
	var err error
	d.eachMap(func(target, group string, luns *[]LUN) {
		if i := slices.IndexFunc(*luns, leads); i >= 0 && !unmap && err == nil {
			err = fmt.Errorf("remove device %q: %s leads to it; unmap it first", name, LUNObject(target, group, (*luns)[i].LUN))
		}
	})
	if err != nil {
		return err
	}
	if object, ok := d.NVMe.NamespaceOf(name); ok && !unmap {
		return fmt.Errorf("remove device %q: %s leads to it; delete that first", name, object)
	}
	for i := range d.NVMe.Subsystems {
		s := &d.NVMe.Subsystems[i]
		s.Namespaces = slices.DeleteFunc(s.Namespaces, func(ns NVMeNamespace) bool { return ns.Device == name })
	}
	d.eachMap(func(_, _ string, luns *[]LUN) { *luns = slices.DeleteFunc(*luns, leads) })
	for i := range d.DeviceGroups {
		g := &d.DeviceGroups[i]
		g.Devices = slices.DeleteFunc(g.Devices, func(n string) bool { return n == name })
	}
	d.Devices = slices.DeleteFunc(d.Devices, func(v Device) bool { return v.Name == name })
	return nil
}

func (d *Document) eachMap(visit func(target, group string, luns *[]LUN)) {
	for i := range d.Targets {
		t := &d.Targets[i]
		visit(t.Name, "", &t.LUNs)
		for j := range t.Groups {
			visit(t.Name, t.Groups[j].Name, &t.Groups[j].LUNs)
		}
	}
}

// RemovePortal removes a portal, also from the targets that name it. A target
// that names no other is refused: it would then be reached by all.
func (d *Document) RemovePortal(name string) error {
	if _, err := d.FindPortal(name); err != nil {
		return err
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		if len(t.Portals) == 1 && t.Portals[0] == name {
			return fmt.Errorf("remove portal %q: target %s is reached by no other; give it another one first", name, t.Name)
		}
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		t.Portals = slices.DeleteFunc(t.Portals, func(n string) bool { return n == name })
	}
	d.ISCSI.Portals = slices.DeleteFunc(d.ISCSI.Portals, func(v Portal) bool { return v.Name == name })
	return nil
}

// RemoveTarget removes a target with its groups and LUNs, also from the
// target groups that it is in.
func (d *Document) RemoveTarget(name string) error {
	if _, err := d.FindTarget(name); err != nil {
		return err
	}
	d.Targets = slices.DeleteFunc(d.Targets, func(v Target) bool { return v.Name == name })
	for i := range d.DeviceGroups {
		for j := range d.DeviceGroups[i].TargetGroups {
			tg := &d.DeviceGroups[i].TargetGroups[j]
			tg.Targets = slices.DeleteFunc(tg.Targets, func(v GroupTarget) bool { return v.Name == name && v.RelativeID == 0 })
		}
	}
	return nil
}

// RemoveGroup removes a host group with its LUNs.
func (d *Document) RemoveGroup(target, name string) error {
	if _, err := d.FindGroup(target, name); err != nil {
		return err
	}
	t, _ := d.FindTarget(target) // it was found above
	t.Groups = slices.DeleteFunc(t.Groups, func(v Group) bool { return v.Name == name })
	return nil
}

// RemoveDeviceGroup removes a device group.
func (d *Document) RemoveDeviceGroup(name string) error {
	if _, err := d.FindDeviceGroup(name); err != nil {
		return err
	}
	d.DeviceGroups = slices.DeleteFunc(d.DeviceGroups, func(v DeviceGroup) bool { return v.Name == name })
	return nil
}

// AddInitiator adds a name or pattern to a host group.
func (d *Document) AddInitiator(target, group, pattern string) error {
	g, err := d.FindGroup(target, group)
	if err != nil {
		return err
	}
	if slices.Contains(g.Initiators, pattern) {
		return fmt.Errorf("initiator %q in group %q %w", pattern, group, ErrExists)
	}
	g.Initiators = append(g.Initiators, pattern)
	return nil
}

// RemoveInitiator removes a name or pattern from a host group.
func (d *Document) RemoveInitiator(target, group, pattern string) error {
	g, err := d.FindGroup(target, group)
	if err != nil {
		return err
	}
	i := slices.Index(g.Initiators, pattern)
	if i < 0 {
		return fmt.Errorf("initiator %q in group %q: %w%s", pattern, group, ErrNotFound, nearest(pattern, g.Initiators))
	}
	g.Initiators = slices.Delete(g.Initiators, i, i+1)
	return nil
}

// MapLUN maps a LUN of a host group, or of the default map for group "". A
// negative number takes the lowest that is free. It returns the number.
func (d *Document) MapLUN(target, group string, l LUN) (int, error) {
	luns, err := d.LUNMap(target, group)
	if err != nil {
		return 0, err
	}
	if _, err := d.FindDevice(l.Device); err != nil {
		return 0, err
	}
	taken := map[int]bool{}
	for _, have := range *luns {
		taken[have.LUN] = true
	}
	if l.LUN < 0 {
		for l.LUN = 0; taken[l.LUN]; l.LUN++ {
		}
	}
	if taken[l.LUN] {
		return 0, fmt.Errorf("%s %w", LUNObject(target, group, l.LUN), ErrExists)
	}
	*luns = append(*luns, l)
	slices.SortStableFunc(*luns, func(a, b LUN) int { return a.LUN - b.LUN })
	return l.LUN, nil
}

// UnmapLUN removes a LUN from a map.
func (d *Document) UnmapLUN(target, group string, lun int) error {
	luns, err := d.LUNMap(target, group)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(*luns, func(l LUN) bool { return l.LUN == lun })
	if i < 0 {
		return fmt.Errorf("%s: %w", LUNObject(target, group, lun), ErrNotFound)
	}
	*luns = slices.Delete(*luns, i, i+1)
	return nil
}

// LUNsOf says in words where a device is mapped: target, group and LUN.
func (d *Document) LUNsOf(device string) []string {
	var found []string
	d.eachMap(func(target, group string, luns *[]LUN) {
		for _, l := range *luns {
			switch {
			case l.Device != device:
			case group == "":
				found = append(found, fmt.Sprintf("LUN %d of %s", l.LUN, target))
			default:
				found = append(found, fmt.Sprintf("LUN %d of %s group %s", l.LUN, target, group))
			}
		}
	})
	return found
}

// Restored returns d, an older document, as a rollback brings it back beside
// the one in force: how the API is reached, and who may use it and log in, stay
// as they are. Somebody who was shut out, or a token that was revoked, must not come
// back with an older layout of disks.
func (d *Document) Restored(inForce *Document) *Document {
	back := d.Clone()
	back.API = inForce.Clone().API
	back.Users = cloneUsers(inForce.Users)
	return back
}

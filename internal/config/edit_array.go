package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrHoldsData is wrapped by edits that would take away a disk that holds data.
var ErrHoldsData = errors.New("holds data")

// FindArray returns the RAID array of that name.
func (d *Document) FindArray(name string) (*Array, error) {
	return find(d.Storage.Arrays, "array", name, func(a Array) string { return a.Name })
}

// AddArray adds a RAID array.
func (d *Document) AddArray(a Array) error {
	if _, err := d.FindArray(a.Name); err == nil {
		return fmt.Errorf("array %q %w", a.Name, ErrExists)
	}
	d.Storage.Arrays = append(d.Storage.Arrays, a)
	return nil
}

// RemoveArray removes a RAID array. What stands on it is left: the document is
// checked as a whole.
func (d *Document) RemoveArray(name string) error {
	if _, err := d.FindArray(name); err != nil {
		return err
	}
	d.Storage.Arrays = slices.DeleteFunc(d.Storage.Arrays, func(a Array) bool { return a.Name == name })
	return nil
}

// ReplaceDisk puts a disk in the place of another, by their paths. A spare that
// is named takes the place for good.
func (a *Array) ReplaceDisk(old, by string) error {
	at := slices.Index(a.Disks, old)
	if at < 0 {
		return fmt.Errorf("array %s has no disk %s (%w); it has %s", a.Name, old, ErrNotFound, strings.Join(a.Disks, ", "))
	}
	a.Disks[at] = by
	a.Spares = slices.DeleteFunc(a.Spares, func(s string) bool { return s == by })
	if i := slices.Index(a.WriteMostly, old); i >= 0 {
		a.WriteMostly[i] = by
	}
	return nil
}

// RemoveSpares takes spares away from an array. Disks that hold its data are
// not taken away but replaced.
func (a *Array) RemoveSpares(disks []string) error {
	for _, d := range disks {
		i := slices.Index(a.Spares, d)
		switch {
		case slices.Contains(a.Disks, d):
			return fmt.Errorf("%s %w of array %s: name another disk in its place", d, ErrHoldsData, a.Name)
		case i < 0:
			return fmt.Errorf("array %s has no spare %s (%w)", a.Name, d, ErrNotFound)
		}
		a.Spares = slices.Delete(a.Spares, i, i+1)
	}
	return nil
}

// BlockUsers says what of a document has a block device, by its path.
func (d *Document) BlockUsers(p string) []string {
	var by []string
	for _, x := range d.Storage.Arrays {
		if slices.Contains(slices.Concat(x.Disks, x.Spares, []string{x.Journal}), p) {
			by = append(by, "array "+x.Name)
		}
	}
	for _, x := range d.Storage.Encrypted {
		if x.Device == p {
			by = append(by, "encrypted device "+x.Name)
		}
	}
	for _, x := range d.Storage.VolumeGroups {
		if slices.Contains(x.Devices, p) {
			by = append(by, "volume group "+x.Name)
		}
	}
	for _, x := range d.Storage.FileSystems {
		if x.Device == p {
			by = append(by, "file system "+x.Name)
		}
	}
	for _, x := range d.Devices {
		if x.Path == p {
			by = append(by, "device "+x.Name)
		}
	}
	return by
}

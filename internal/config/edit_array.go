package config

import (
	"fmt"
	"slices"
)

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

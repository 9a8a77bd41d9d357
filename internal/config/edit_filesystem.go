package config

import "slices"

// FindFileSystem returns the file system of that name.
func (d *Document) FindFileSystem(name string) (*FileSystem, error) {
	return find(d.Storage.FileSystems, "file system", name, func(v FileSystem) string { return v.Name })
}

// AddFileSystem adds a file system.
func (d *Document) AddFileSystem(v FileSystem) error {
	return add(&d.Storage.FileSystems, "file system", v.Name, v, func(v FileSystem) string { return v.Name })
}

// RemoveFileSystem removes a file system.
func (d *Document) RemoveFileSystem(name string) error {
	if _, err := d.FindFileSystem(name); err != nil {
		return err
	}
	d.Storage.FileSystems = slices.DeleteFunc(d.Storage.FileSystems, func(v FileSystem) bool { return v.Name == name })
	return nil
}

// FindEncrypted returns the encrypted device of that name.
func (d *Document) FindEncrypted(name string) (*Encrypted, error) {
	return find(d.Storage.Encrypted, "encrypted device", name, func(v Encrypted) string { return v.Name })
}

// AddEncrypted adds an encrypted device.
func (d *Document) AddEncrypted(v Encrypted) error {
	return add(&d.Storage.Encrypted, "encrypted device", v.Name, v, func(v Encrypted) string { return v.Name })
}

// RemoveEncrypted removes an encrypted device.
func (d *Document) RemoveEncrypted(name string) error {
	if _, err := d.FindEncrypted(name); err != nil {
		return err
	}
	d.Storage.Encrypted = slices.DeleteFunc(d.Storage.Encrypted, func(v Encrypted) bool { return v.Name == name })
	return nil
}

package raidcli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// writeFile puts a file in its place with one rename, durably; what was there
// is there until then. Paths cannot lead out of the root.
func writeFile(r *os.Root, name string, mode fs.FileMode, content io.Reader) error {
	temporary := name + ".new"
	if err := remove(r, temporary); err != nil {
		return err
	}
	f, err := r.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Chmod(mode) // whatever the umask is
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = r.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write /%s: %w", name, err), remove(r, temporary))
	}
	return syncDir(r, path.Dir(name))
}

// writeLink puts a symbolic link in its place, in the same way.
func writeLink(r *os.Root, name, target string) error {
	temporary := name + ".new"
	err := remove(r, temporary)
	if err == nil {
		err = r.Symlink(target, temporary)
	}
	if err == nil {
		err = r.Rename(temporary, name)
	}
	if err != nil {
		return fmt.Errorf("link /%s: %w", name, err)
	}
	return syncDir(r, path.Dir(name))
}

// remove removes a file; one that is gone is no error.
func remove(r *os.Root, name string) error {
	if err := r.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncDir(r *os.Root, name string) error {
	d, err := r.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory /%s: %w", name, err)
	}
	return nil
}

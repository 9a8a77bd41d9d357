package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// newFile is a file that has no name before it is complete: after a power cut
// in the middle there is nothing of it (open(2), O_TMPFILE).
type newFile struct {
	*os.File
	dir  *os.File
	name string
}

// beginFile begins a file of a directory below root. The directory is made if
// it is missing. No symbolic link leads out of root.
func beginFile(root *os.Root, path string) (*newFile, error) {
	parent := filepath.Dir(path)
	if _, err := root.Stat(path); err == nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	if err := root.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	dir, err := root.OpenFile(parent, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "create", Path: path, Err: err}, dir.Close())
	}
	return &newFile{File: os.NewFile(uintptr(fd), path), dir: dir, name: filepath.Base(path)}, nil
}

// commit gives the file its name, durably. It never takes another file's.
func (f *newFile) commit() error {
	if err := f.Sync(); err != nil {
		return errorOf(err)
	}
	// linkat(2) says how a descriptor is given a name without CAP_DAC_READ_SEARCH.
	if err := unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())), int(f.dir.Fd()), f.name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return fmt.Errorf("name it: %w", err)
	}
	if err := f.dir.Sync(); err != nil {
		return errors.Join(errorOf(err), unix.Unlinkat(int(f.dir.Fd()), f.name, 0))
	}
	return nil
}

// Close forgets a file that was not committed.
func (f *newFile) Close() error { return errors.Join(f.File.Close(), f.dir.Close()) }

package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Linux is this machine, to those who look at its block devices and set them
// up: programs, the files by which the kernel is asked and told, and what is
// on a device.
type Linux struct{}

// ReadFile reads a file, mostly one of sysfs or procfs.
func (Linux) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// ReadDir lists the names in a directory, in order. One that is not there is
// fs.ErrNotExist.
func (Linux) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Real is path without symbolic links, "" if it leads nowhere.
func (Linux) Real(path string) string { return Real(path) }

// Tell writes to a file of the kernel's (sysfs, procfs), in one write.
func (Linux) Tell(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Save writes a file that must survive a power cut: whole, or as it was.
func (Linux) Save(path string, data []byte, mode fs.FileMode) error {
	if err := MakeDir(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	if err := renameio.WriteFile(path, data, mode, renameio.WithStaticPermissions(mode)); err != nil {
		return fmt.Errorf("save %s: %w", path, errorOf(err))
	}
	return SyncDir(filepath.Dir(path))
}

// Delete removes a file; one that is gone already is no error.
func (Linux) Delete(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// MakeDir makes a directory and those above it, durably.
func (Linux) MakeDir(path string, mode fs.FileMode) error { return MakeDir(path, mode) }

// DeleteDir removes an empty directory; one that is gone already, or holds
// something, is left.
func (Linux) DeleteDir(path string) error {
	_ = os.Remove(path)
	return nil
}

// blankWindow is how much of either end of a device must be zeros for it to be
// taken for blank.
const blankWindow = 1 << 20

// Blank says whether the first and the last MiB of a block device hold zeros
// only: data without any signature, a database's raw disk say, is data, too.
func (Linux) Blank(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("read what is on %s: %w", path, errorOf(err))
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, fmt.Errorf("read what is on %s: %w", path, errorOf(err))
	}
	buf := make([]byte, min(blankWindow, size))
	for _, at := range []int64{0, max(0, size-blankWindow)} {
		if _, err := f.ReadAt(buf, at); err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("read what is on %s: %w", path, errorOf(err))
		}
		if len(bytes.Trim(buf, "\x00")) > 0 {
			return false, nil
		}
	}
	return true, nil
}

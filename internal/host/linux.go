package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
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

// blankTime is how long a device may take to be read at its ends.
const blankTime = 30 * time.Second

// ErrInUse says that something has a block device for itself: the kernel mounted
// it, swaps to it or made something of it, or a program asked to be alone with
// it. Not all of that is seen in sysfs: not ZFS, not DRBD, not the other disks
// of a btrfs.
var ErrInUse = errors.New("something has it for itself: a file system, a volume or array, or a program")

// Blank says whether the first and the last MiB of a block device hold zeros
// only: data without any signature, a database's raw disk say, is data, too.
// Of a device that is in use it says so (ErrInUse).
func (Linux) Blank(path string) (bool, error) {
	type verdict struct {
		blank bool
		err   error
	}
	found := make(chan verdict, 1) // a read of a dead disk cannot be called off
	go func() {
		blank, err := blank(path)
		found <- verdict{blank, err}
	}()
	v := verdict{err: fmt.Errorf("it does not answer within %v", blankTime)}
	select {
	case v = <-found:
	case <-time.After(blankTime):
	}
	if v.err != nil {
		return false, fmt.Errorf("read what is on %s: %w", path, errorOf(v.err))
	}
	return v.blank, nil
}

func blank(path string) (bool, error) {
	// O_EXCL without O_CREAT: of block devices, whoever has one for himself
	// keeps others out (open(2)).
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return false, ErrInUse
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	if size == 0 {
		return false, errors.New("it has no medium")
	}
	buf := make([]byte, min(blankWindow, size))
	for _, at := range []int64{0, max(0, size-blankWindow)} {
		if _, err := io.ReadFull(io.NewSectionReader(f, at, int64(len(buf))), buf); err != nil {
			return false, err
		}
		if len(bytes.Trim(buf, "\x00")) > 0 {
			return false, nil
		}
	}
	return true, nil
}

package host

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OpenFromDrive opens a file so that reads come from the drive and not from
// memory: past the page cache where the file system can do that, which asks for
// aligned reads, else with what is cached of the file dropped first.
func OpenFromDrive(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if !errors.Is(err, unix.EINVAL) {
		return f, err
	}
	if f, err = os.Open(path); err != nil {
		return nil, err
	}
	// What is not written yet would stay.
	if err := errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
		return nil, errors.Join(fmt.Errorf("drop what is cached of %s: %w", path, err), f.Close())
	}
	return f, nil
}

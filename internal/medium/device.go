package medium

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// DropCache makes the next reads of f come from the drive.
func DropCache(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read from %s past the cache: %w", f.Name(), err)
	}
	if st.Mode()&os.ModeDevice != 0 {
		if err := unix.IoctlSetInt(int(f.Fd()), unix.BLKFLSBUF, 0); err != nil {
			return fmt.Errorf("read from %s past the cache: %w", f.Name(), err)
		}
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("read from %s past the cache: %w", f.Name(), err)
	}
	return nil
}

// RereadTable makes the kernel look at the partition table of a disk again. It
// cannot while a partition of it is in use.
func RereadTable(disk string) error {
	f, err := os.Open(disk)
	if err != nil {
		return fmt.Errorf("read the partition table of %s again: %w", disk, err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.BLKRRPART, 0); err != nil {
		return fmt.Errorf("read the partition table of %s again: %w", disk, err)
	}
	return nil
}

// openSettled opens a partition that may just have appeared: its node comes a
// moment later.
func openSettled(ctx context.Context, path string) (*os.File, error) {
	for end := time.Now().Add(10 * time.Second); ; {
		f, err := os.Open(path)
		if err == nil || !errors.Is(err, os.ErrNotExist) || time.Now().After(end) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

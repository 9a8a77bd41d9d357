package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Access says how a file or device is to be opened.
type Access struct {
	ReadOnly bool
	Direct   bool // O_DIRECT: past the page cache
}

// flags are the open(2) flags of a.
func (a Access) flags() int {
	f := unix.O_RDWR
	if a.ReadOnly {
		f = unix.O_RDONLY
	}
	if a.Direct {
		f |= unix.O_DIRECT
	}
	return f
}

// claimWait is how long an open waits for whoever holds the file now. It
// covers a target process that was killed and whose files the kernel is still
// closing; a holder that lives on is reported.
const claimWait = time.Second

// OpenImage opens an image file for serving. A lock (flock) is put on it, so
// that no two processes serve the same bytes; whoever the descriptor is handed
// to keeps it. Readers share the lock.
func OpenImage(path string, a Access) (*os.File, error) {
	f, err := os.OpenFile(path, a.flags(), 0)
	if err != nil {
		if a.Direct && errors.Is(err, unix.EINVAL) {
			return nil, fmt.Errorf("open image file %s: its file system cannot do direct I/O (o_direct)", path)
		}
		return nil, fmt.Errorf("open image file %s: %w", path, errorOf(err))
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open image file %s: %w", path, errorOf(err))
	}
	if !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("open image file %s: it is not a file (handler vdisk_blockio serves block devices)", path)
	}
	how := unix.LOCK_EX
	if a.ReadOnly {
		how = unix.LOCK_SH
	}
	err = claim(unix.EWOULDBLOCK, func() error { return unix.Flock(int(f.Fd()), how|unix.LOCK_NB) })
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("open image file %s: another process serves it (its lock is taken)", path)
		}
		return nil, fmt.Errorf("lock image file %s: %w", path, err)
	}
	return f, nil
}

// OpenBlock opens a block device for serving. It claims the device (O_EXCL):
// the kernel refuses that while the device or a partition of it is mounted,
// in use as swap, or part of an array or volume group. Direct is a wish: the few
// devices that cannot do without the page cache are opened with it.
func OpenBlock(path string, a Access) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, fmt.Errorf("open block device %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return nil, fmt.Errorf("open block device %s: it is not a block device (handler vdisk_fileio serves files)", path)
	}
	// The claim already refuses these; the look before it is for the sake of
	// the message, and for devices of another mount namespace it finds nothing.
	if where := usedAs(st.Rdev); where != "" {
		return nil, fmt.Errorf("open block device %s: it is in use: %s", path, where)
	}
	var f *os.File
	err := claim(unix.EBUSY, func() (err error) {
		f, err = os.OpenFile(path, a.flags()|unix.O_EXCL, 0)
		if a.Direct && errors.Is(err, unix.EINVAL) { // its driver only knows the page cache
			a.Direct = false
			f, err = os.OpenFile(path, a.flags()|unix.O_EXCL, 0)
		}
		return err
	})
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("open block device %s: it is in use (mounted, swap, part of an array or volume group, or served by another process)", path)
	case err != nil:
		return nil, fmt.Errorf("open block device %s: %w", path, errorOf(err))
	}
	return f, nil
}

// OpenMedium opens an ISO file, or a block device that holds one, for reading.
func OpenMedium(path string) (*os.File, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open medium %s: %w", path, errorOf(err))
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open medium %s: %w", path, errorOf(err))
	}
	block := st.Mode()&os.ModeDevice != 0 && st.Mode()&os.ModeCharDevice == 0
	if !st.Mode().IsRegular() && !block {
		f.Close()
		return nil, fmt.Errorf("open medium %s: it is neither a file nor a block device", path)
	}
	return f, nil
}

// claim tries until it succeeds, fails with anything but busy, or claimWait is over.
func claim(busy error, try func() error) error {
	end := time.Now().Add(claimWait)
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		err := try()
		if err == nil || !errors.Is(err, busy) || time.Now().After(end) {
			return err
		}
		time.Sleep(pause)
	}
}

// blockDeviceSize is the size of a block device in bytes.
func blockDeviceSize(path string) (int64, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("read size of block device %s: %w", path, errorOf(err))
	}
	defer f.Close()
	n, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("read size of block device %s: %w", path, errorOf(err))
	}
	return n, nil
}

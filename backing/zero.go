package backing

import (
	"io"

	"golang.org/x/sys/unix"
)

// zeroes is what Zero writes where the kernel cannot zero a range itself.
const zeroChunk = 256 << 10

// Zero implements Store. fallocate serves files and block devices alike (on a
// device it becomes a discard or a zero-out that reads as zeroes afterwards);
// where it is not supported zeroes are written.
func (s *File) Zero(off, n int64, deallocate bool) error {
	if off < 0 || n < 0 || n > s.size.Load()-off {
		return io.ErrUnexpectedEOF
	}
	if s.readOnly {
		return s.wrap("zero", 0, off, unix.EROFS)
	}
	if n == 0 {
		return nil
	}
	modes := []uint32{unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE}
	if deallocate {
		modes = []uint32{unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE, modes[0]}
	}
	for _, mode := range modes {
		err := unix.Fallocate(s.fd, mode, off, n)
		for err == unix.EINTR {
			err = unix.Fallocate(s.fd, mode, off, n)
		}
		switch err {
		case nil:
			return nil
		case unix.EOPNOTSUPP, unix.EINVAL: // EINVAL: a range that a block device cannot zero by itself
		default:
			return s.wrap("zero", 0, off, err)
		}
	}
	buf := make([]byte, min(n, zeroChunk)+4096)
	buf = alignUp(buf, 4096)[:min(n, zeroChunk)]
	for n > 0 {
		m := min(n, int64(len(buf)))
		if _, err := s.WriteAt(buf[:m], off); err != nil {
			return err
		}
		off, n = off+m, n-m
	}
	return nil
}

// Extent implements Store.
func (s *File) Extent(off, n int64) (bool, int64, error) {
	if off < 0 || n < 0 || n > s.size.Load()-off {
		return false, 0, io.ErrUnexpectedEOF
	}
	data, err := unix.Seek(s.fd, off, unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO: // a hole to the end
		return false, n, nil
	case err == unix.EINVAL: // the file system cannot tell: all of it is data
		return true, n, nil
	case err != nil:
		return false, 0, s.wrap("map", 0, off, err)
	case data > off:
		return false, min(n, data-off), nil
	}
	hole, err := unix.Seek(s.fd, off, unix.SEEK_HOLE)
	if err != nil {
		return false, 0, s.wrap("map", 0, off, err)
	}
	return true, min(n, hole-off), nil
}

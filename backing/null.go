package backing

import (
	"io"
	"sync/atomic"
)

// Null is a Store without bytes: it reads as zeroes and forgets what is
// written. It serves as a dummy LUN 0 and to measure everything above it.
type Null struct{ size atomic.Int64 }

// NewNull makes a Null of size bytes.
func NewNull(size int64) *Null {
	s := &Null{}
	s.size.Store(size)
	return s
}

// Grow makes s larger; it never shrinks.
func (s *Null) Grow(size int64) {
	for {
		old := s.size.Load()
		if size <= old || s.size.CompareAndSwap(old, size) {
			return
		}
	}
}

func (s *Null) check(n, off int64) error {
	if off < 0 || n < 0 || n > s.size.Load()-off {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// Size implements Store.
func (s *Null) Size() int64 { return s.size.Load() }

// ReadAt implements Store.
func (s *Null) ReadAt(p []byte, off int64) (int, error) {
	if err := s.check(int64(len(p)), off); err != nil {
		return 0, err
	}
	clear(p)
	return len(p), nil
}

// WriteAt implements Store.
func (s *Null) WriteAt(p []byte, off int64) (int, error) {
	if err := s.check(int64(len(p)), off); err != nil {
		return 0, err
	}
	return len(p), nil
}

// TryReadAt implements Prompt.
func (s *Null) TryReadAt(p []byte, off int64) (int, error) { return s.ReadAt(p, off) }

// TryWriteAt implements Prompt.
func (s *Null) TryWriteAt(p []byte, off int64) (int, error) { return s.WriteAt(p, off) }

// Zero implements Store.
func (s *Null) Zero(off, n int64, _ bool) error { return s.check(n, off) }

// Extent implements Store: nothing of it is allocated.
func (s *Null) Extent(off, n int64) (bool, int64, error) { return false, n, s.check(n, off) }

// Sync implements Store.
func (s *Null) Sync() error { return nil }

// Close implements Store.
func (s *Null) Close() error { return nil }

// Package backing is where the bytes of a logical unit or a namespace are: a
// file, a block device, memory, or nowhere (null).
package backing

import (
	"errors"
	"io"
)

// Store holds the bytes of one device. It is used by many goroutines at once.
// Offsets and lengths are in bytes and within Size; a caller that asks beyond
// it gets io.ErrUnexpectedEOF and moves nothing.
type Store interface {
	io.ReaderAt
	io.WriterAt
	// Size is the capacity in bytes. It may grow (Grower), never shrinks.
	Size() int64
	// Sync returns when all that was written before the call is stable: it
	// survives a crash of the process, of the kernel, and a power cut.
	Sync() error
	// Zero makes a range read as zeroes. With deallocate it gives the space
	// back if it can; otherwise it keeps the space.
	Zero(off, n int64, deallocate bool) error
	// Extent says whether the byte at off is in allocated space, and for how
	// many bytes from off on that holds, at most n.
	Extent(off, n int64) (allocated bool, length int64, err error)
	// Close gives up what the store holds open. It does not Sync.
	Close() error
}

// Prompt is a Store that can often move bytes without waiting, for instance
// because they are in the page cache.
type Prompt interface {
	// TryReadAt is ReadAt if that need not wait, else it moves nothing and
	// returns ErrWouldBlock. A partial read is n > 0 with ErrWouldBlock.
	TryReadAt(p []byte, off int64) (n int, err error)
	// TryWriteAt is WriteAt likewise.
	TryWriteAt(p []byte, off int64) (n int, err error)
}

// Grower is a Store whose size follows what lies underneath.
type Grower interface {
	// Refresh looks at the file or device again and returns the new size.
	Refresh() (int64, error)
}

// ErrWouldBlock says that a Try method would have to wait.
var ErrWouldBlock = errors.New("backing: would have to wait for the device")

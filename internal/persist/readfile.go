package persist

import (
	"bytes"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// file is a file that may be written to while it is read: a small one as it
// was at one moment, a large one as it comes, and never less than its size was
// at first.
type file struct {
	io.Reader
	st     unix.Stat_t
	size   int64
	closer io.Closer
}

// Close closes it.
func (f *file) Close() error { return f.closer.Close() }

// openFile opens a file to be read. A small one is read again, if it is not the
// same after the reading as before.
func openFile(full string, limit int64) (_ *file, err error) {
	for try := 1; ; try++ {
		f, err := os.OpenFile(full, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err != nil {
			return nil, err
		}
		it, err := readable(f, limit)
		if err == nil || errors.Is(err, errRestless) && try == packTries { // the second look at the tree tells
			return it, nil
		}
		if err := errors.Join(err, f.Close()); !errors.Is(err, errRestless) {
			return nil, err
		}
	}
}

// errRestless says that a file changed while it was read.
var errRestless = errors.New("it changed while it was read")

func readable(f *os.File, limit int64) (*file, error) {
	it := &file{closer: f, Reader: bytes.NewReader(nil)}
	if err := unix.Fstat(int(f.Fd()), &it.st); err != nil {
		return nil, err
	}
	if it.st.Mode&unix.S_IFMT != unix.S_IFREG {
		return it, nil // replaced meanwhile
	}
	if it.st.Size > limit {
		return nil, errors.New("it grows while it is read; the settings are more than are kept on the medium")
	}
	if it.st.Size > largeRead {
		it.Reader, it.size = io.MultiReader(f, zeroes{}), it.st.Size
		return it, nil
	}
	buf := bytes.NewBuffer(make([]byte, 0, it.st.Size+bytes.MinRead))
	if _, err := buf.ReadFrom(io.LimitReader(f, largeRead)); err != nil {
		return nil, err
	}
	it.Reader, it.size = buf, int64(buf.Len())
	var after unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &after); err != nil {
		return nil, err
	}
	if it.st.Ctim != after.Ctim || it.st.Size != after.Size || it.size != after.Size {
		it.st = after
		return it, errRestless
	}
	return it, nil
}

// zeroes are what a file that became shorter has at its end: its size is in the
// archive already.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

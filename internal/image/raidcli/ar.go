package raidcli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// arMagic is what an ar archive, and so a deb, begins with.
const arMagic = "!<arch>\n"

// arReader reads an ar archive, the outermost wrapping of a deb: headers of 60
// bytes of text, files padded to an even length (ar(5), deb(5)).
type arReader struct {
	r    io.Reader
	left int64 // of the current file
	pad  int64
}

func newArReader(r io.Reader) (*arReader, error) {
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != arMagic {
		return nil, errors.New("not an ar archive")
	}
	return &arReader{r: r}, nil
}

// Next goes to the next file; io.EOF after the last.
func (a *arReader) Next() (name string, size int64, err error) {
	if err := discard(a.r, a.left+a.pad); err != nil {
		return "", 0, fmt.Errorf("the ar archive is cut off: %w", err)
	}
	a.left, a.pad = 0, 0
	var h [60]byte
	switch _, err := io.ReadFull(a.r, h[:]); {
	case errors.Is(err, io.EOF):
		return "", 0, io.EOF
	case err != nil:
		return "", 0, fmt.Errorf("the ar archive is cut off: %w", err)
	case string(h[58:]) != "`\n":
		return "", 0, errors.New("the ar archive is damaged: a header does not end as it must")
	}
	name = strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
	size, err = strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
	if err != nil || size < 0 {
		return "", 0, fmt.Errorf("the ar archive is damaged: %q is no size", h[48:58])
	}
	a.left, a.pad = size, size&1
	return name, size, nil
}

// Read reads the current file.
func (a *arReader) Read(p []byte) (int, error) {
	if a.left == 0 {
		return 0, io.EOF
	}
	n, err := a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	if errors.Is(err, io.EOF) && a.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// discard reads n bytes for nothing.
func discard(r io.Reader, n int64) error {
	if n == 0 {
		return nil
	}
	m, err := io.CopyN(io.Discard, r, n)
	if errors.Is(err, io.EOF) && m == n-1 {
		// Some writers leave out the last file's padding.
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

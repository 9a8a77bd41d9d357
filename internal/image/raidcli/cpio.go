package raidcli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// cpioReader reads a cpio archive in the "new" format, in which rpms have
// their files: headers of 110 bytes of hexadecimal text, then the name and the
// file, each padded to four bytes (cpio(5)).
type cpioReader struct {
	r         io.Reader
	left, pad int64 // of the current file
}

// cpioEntry is a file in the archive.
type cpioEntry struct {
	Name string
	Mode fs.FileMode
	Size int64
}

const cpioHeader = 6 + 13*8

// Next goes to the next file; io.EOF after the last.
func (c *cpioReader) Next() (e cpioEntry, err error) {
	if _, err := io.CopyN(io.Discard, c.r, c.left+c.pad); err != nil {
		return e, cutOff(err)
	}
	c.left, c.pad = 0, 0
	var h [cpioHeader]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return e, cutOff(err)
	}
	if magic := string(h[:6]); magic != "070701" && magic != "070702" {
		return e, fmt.Errorf("the cpio archive is damaged, or of another kind: a header begins with %q", magic)
	}
	var fields [13 * 4]byte
	if _, err := hex.Decode(fields[:], h[6:]); err != nil {
		return e, fmt.Errorf("the cpio archive is damaged: %w", err)
	}
	field := func(i int) int64 {
		b := fields[4*i:]
		return int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
	}
	mode, size, length := field(1), field(6), field(11)
	if length < 1 || length > maxName {
		return e, fmt.Errorf("the cpio archive is damaged: a name of %d bytes", length)
	}
	name := make([]byte, length+(-(cpioHeader+length))&3)
	if _, err := io.ReadFull(c.r, name); err != nil {
		return e, cutOff(err)
	}
	if name[length-1] != 0 {
		return e, errors.New("the cpio archive is damaged: a name does not end")
	}
	e = cpioEntry{Name: string(name[:length-1]), Mode: unixMode(mode), Size: size}
	if e.Name == "TRAILER!!!" {
		return cpioEntry{}, io.EOF
	}
	c.left, c.pad = size, -size&3
	return e, nil
}

// cutOff is the error of an archive that ends before its trailer; it must not
// look like its end.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("the cpio archive is cut off: %w", err)
}

// Read reads the current file.
func (c *cpioReader) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// unixMode is Go's mode for a kind of file as stat(2) gives it.
func unixMode(mode int64) fs.FileMode {
	m := fs.FileMode(mode) & fs.ModePerm
	switch mode & 0o170000 {
	case 0o100000:
		return m
	case 0o040000:
		return m | fs.ModeDir
	case 0o120000:
		return m | fs.ModeSymlink
	}
	return m | fs.ModeIrregular
}

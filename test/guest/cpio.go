package guest

import (
	"fmt"
	"io"
)

// cpioWriter writes the "newc" archives that the kernel takes as initramfs
// (Documentation/driver-api/early-userspace/buffer-format.rst). The first
// error stays and is told by close.
type cpioWriter struct {
	w   io.Writer
	ino int
	err error
}

const (
	cpioDir  = 0o040000
	cpioFile = 0o100000
	cpioLink = 0o120000
	cpioChar = 0o020000
)

func (c *cpioWriter) dir(name string) { c.entry(name, cpioDir|0o755, nil, 0, 0) }

func (c *cpioWriter) file(name string, mode int, data []byte) {
	c.entry(name, cpioFile|mode, data, 0, 0)
}

func (c *cpioWriter) link(name, to string) { c.entry(name, cpioLink|0o777, []byte(to), 0, 0) }

func (c *cpioWriter) node(name string, major, minor int) {
	c.entry(name, cpioChar|0o600, nil, major, minor)
}

func (c *cpioWriter) entry(name string, mode int, data []byte, major, minor int) {
	c.ino++
	// magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
	// rdevmajor, rdevminor, namesize, check
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.ino, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0)
	c.padded([]byte(header + name + "\x00"))
	c.padded(data)
}

func (c *cpioWriter) close() error {
	c.entry("TRAILER!!!", 0, nil, 0, 0)
	return c.err
}

// padded writes b and zeros up to a multiple of four bytes.
func (c *cpioWriter) padded(b []byte) {
	if c.err != nil {
		return
	}
	if _, c.err = c.w.Write(b); c.err != nil {
		return
	}
	if rest := len(b) % 4; rest != 0 {
		_, c.err = c.w.Write(make([]byte, 4-rest))
	}
}

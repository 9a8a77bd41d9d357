package raidcli

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// Limits of what is unpacked. The largest that vendors ship are zips of about
// 300 MB for all their systems, whose programs have 10 to 30 MB.
const (
	maxFile    = 512 << 20 // of one file in an archive
	maxTotal   = 2 << 30   // that is unpacked at all
	maxEntries = 100000    // of all archives
	maxDepth   = 5         // of archives in archives
	maxName    = 4096      // of a path in an archive
)

// cleanName makes a path from an archive's root of a name in it, without a
// leading ./ or /. One that leads out of it is refused.
func cleanName(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("a path of %d bytes: more than %d", len(name), maxName)
	}
	if strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("path %q has a NUL in it", name)
	}
	// Zips made on Windows have its separator.
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == ".." {
			return "", fmt.Errorf("path %q leads out of the archive: whoever made this means harm", name)
		}
	}
	return strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/"), nil
}

// cappedReader fails when more than left bytes come, instead of ending there
// as io.LimitReader does.
type cappedReader struct {
	r    io.Reader
	left int64
}

func (c *cappedReader) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	if c.left < 0 {
		return n, errTooLarge
	}
	return n, err
}

var errTooLarge = fmt.Errorf("it unpacks to more than %d MiB", maxTotal>>20)

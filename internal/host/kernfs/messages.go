package kernfs

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Messages are the lines of the kernel's log, as they come.
type Messages struct {
	Path string // /dev/kmsg if ""
}

// longestRecord is more than the kernel has of one (CONSOLE_EXT_LOG_MAX).
const longestRecord = 8192

// Listen starts to hear what the kernel writes. What it returns gives the lines
// since, once.
func (m Messages) Listen() (lines func() []string, err error) {
	path := m.Path
	if path == "" {
		path = "/dev/kmsg"
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("read the kernel's log: %w", err)
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		return nil, errors.Join(fmt.Errorf("read the kernel's log: %w", err), unix.Close(fd))
	}
	return func() []string {
		defer unix.Close(fd)
		var out []string
		buf := make([]byte, longestRecord)
		for {
			n, err := unix.Read(fd, buf)
			if errors.Is(err, unix.EPIPE) { // the oldest record went in the meantime
				continue
			}
			if err != nil || n <= 0 {
				return out
			}
			for record := range strings.Lines(string(buf[:n])) {
				if text, ok := message(record); ok {
					out = append(out, text)
				}
			}
		}
	}, nil
}

// message is the text of a record ("6,339,5140900,-;NET: Registered"); lines
// that belong to one begin with a blank (Documentation/ABI/testing/dev-kmsg).
func message(record string) (string, bool) {
	_, text, ok := strings.Cut(record, ";")
	return strings.TrimSpace(text), ok && !strings.HasPrefix(record, " ")
}

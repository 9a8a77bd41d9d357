package install

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Consoles are all that the kernel prints on: the screen and the serial line.
// Who installs may sit at either; what is said goes to all, and the first
// answer counts.
type Consoles struct {
	files []*os.File
	lines chan string
}

// OpenConsoles opens the consoles that sysfs names.
func OpenConsoles() (*Consoles, error) {
	text, err := os.ReadFile("/sys/class/tty/console/active")
	if err != nil {
		return nil, fmt.Errorf("open the consoles: %w", err)
	}
	c := &Consoles{lines: make(chan string)}
	var failed []error
	for _, name := range strings.Fields(string(text)) {
		if name == "tty0" {
			name = "tty1" // tty0 is whichever is shown; a login shell would share it
		}
		f, err := os.OpenFile(filepath.Join("/dev", name), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		c.files = append(c.files, f)
	}
	if len(c.files) == 0 {
		return nil, fmt.Errorf("open the consoles: none can be opened: %w", errors.Join(failed...))
	}
	for _, f := range c.files {
		go c.read(f)
	}
	return c, nil
}

// read passes on lines until the console is closed.
func (c *Consoles) read(f *os.File) {
	for s := bufio.NewScanner(f); s.Scan(); {
		c.lines <- strings.TrimSpace(s.Text())
	}
}

// Write writes to all; one that fails (a serial line that nobody listens at)
// does not keep the others from it.
func (c *Consoles) Write(p []byte) (int, error) {
	wrote := false
	for _, f := range c.files {
		if _, err := f.Write(p); err == nil {
			wrote = true
		}
	}
	if !wrote {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// Ask asks on all consoles.
func (c *Consoles) Ask(ctx context.Context, question string) (string, error) {
	for { // what was typed before the question is no answer to it
		select {
		case <-c.lines:
			continue
		default:
		}
		break
	}
	if _, err := c.Write([]byte(question)); err != nil {
		return "", fmt.Errorf("ask on the consoles: %w", err)
	}
	select {
	case line := <-c.lines:
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

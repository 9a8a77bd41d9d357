package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
)

// ErrEnded is returned by waits on a machine that ended before.
var ErrEnded = errors.New("the machine ended")

// consoleLimit is how much of a console is kept in memory; the file has all.
const consoleLimit = 1 << 20

// Console keeps what a guest prints and lets others wait for parts of it.
type Console struct {
	mu      sync.Mutex
	text    []byte
	log     *os.File
	ended   bool
	changed chan struct{} // closed and replaced when text or ended changed
}

func newConsole(log *os.File) *Console {
	return &Console{log: log, changed: make(chan struct{})}
}

// Write takes the guest's output. A full disk under the log file does not
// stop the guest.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log != nil {
		_, _ = c.log.Write(p)
	}
	c.text = append(c.text, p...)
	if over := len(c.text) - consoleLimit; over > consoleLimit/2 {
		c.text = append(c.text[:0], c.text[over:]...)
	}
	c.wake()
	return len(p), nil
}

func (c *Console) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.log != nil {
		_ = c.log.Close()
		c.log = nil
	}
	c.wake()
}

func (c *Console) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// WaitFor returns nil as soon as text is on the console, also when it was
// printed before the call.
func (c *Console) WaitFor(ctx context.Context, text string) error {
	for {
		c.mu.Lock()
		found, ended, changed := bytes.Contains(c.text, []byte(text)), c.ended, c.changed
		c.mu.Unlock()
		switch {
		case found:
			return nil
		case ended:
			return ErrEnded
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Forget drops what was printed so far, except in the file: waits are then for
// what comes, as after a reboot.
func (c *Console) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = c.text[:0]
}

// String is what was printed so far; of a long one, the end.
func (c *Console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// Tail returns the last n lines.
func (c *Console) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(c.String(), "\r", ""), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// boundedBuffer keeps the first limit bytes written to it.
type boundedBuffer struct {
	mu    sync.Mutex
	limit int
	buf   bytes.Buffer
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p[:min(len(p), b.limit-b.buf.Len())])
	return len(p), nil
}

func (b *boundedBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Call is one of the system's own programs, to be run to its end.
type Call struct {
	Name string
	// Args are seen by every user of the machine: secrets go into Input.
	Args  []string
	Input string
}

// String is the call as people would type it.
func (c Call) String() string { return strings.Join(append([]string{c.Name}, c.Args...), " ") }

// ExitError says that a program ended with a code that is not 0.
type ExitError struct {
	Name string
	Code int
	Said string // what it printed on its standard error, without the end of the last line
}

// Error has the last lines that it printed.
func (e *ExitError) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("%s: exit status %d", e.Name, e.Code)
	}
	return fmt.Sprintf("%s: %s", e.Name, strings.ReplaceAll(e.Said, "\n", "; "))
}

// mostSaid is how much of what a program complains about is kept, in bytes.
const mostSaid = 2 << 10

// killTime is how long a program that was killed may take to be gone.
const killTime = 3 * time.Second

// Output runs a program and returns what it printed. The error is an
// *ExitError if it ran and did not like what it found.
func (Linux) Output(ctx context.Context, c Call) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(c.Input)
	cmd.WaitDelay = time.Second // for its children, which may hold its pipes open
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	var err error // of the program; not to be read before ended is closed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = cmd.Run()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		// It is killed; but one that waits for a dead disk dies when the kernel
		// gives the disk up, and nobody waits for that.
		select {
		case <-ended:
		case <-time.After(killTime):
		}
		return nil, fmt.Errorf("%s: %w", c.Name, context.Cause(ctx))
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		text := said.Bytes()
		text = text[max(0, len(text)-mostSaid):]
		return out.Bytes(), &ExitError{Name: c.Name, Code: exit.ExitCode(), Said: strings.TrimSpace(string(text))}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return out.Bytes(), nil
}

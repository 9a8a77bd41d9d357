package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host/kernfs"
)

// tree is SCST's tree with what is asked of it all the time. Its caller holds
// the engine's lock: results of requests are global in SCST, so that there
// must never be two.
type tree struct {
	Kernel
	log  KernelLog     // nil for none
	poll time.Duration // between two questions to a kernel that is busy

	// running: a request was accepted, and nobody has waited for its end.
	running bool
}

// mgmtResult is where the result of a request is that was accepted with EAGAIN.
const mgmtResult = "last_sysfs_mgmt_res"

// keyMark is the last line of an attribute that is not as SCST made it
// (SCST_SYSFS_KEY_MARK).
const keyMark = "[key]"

// write asks SCST for something and waits for its end. What the kernel writes
// into its log meanwhile says why it refused: the error number seldom does.
func (k *tree) write(ctx context.Context, p, text string) error {
	said := k.listen()
	err := k.writeSecret(ctx, p, text)
	lines := said()
	if err == nil || len(lines) == 0 {
		return err
	}
	return fmt.Errorf("%w (the kernel says: %s)", err, strings.Join(lines, "; "))
}

// writeSecret does what write does, but for the kernel's log, where the secret
// may be.
func (k *tree) writeSecret(ctx context.Context, p, text string) error {
	if k.running {
		if _, err := k.result(ctx); err != nil {
			return fmt.Errorf("wait for the request before this one: %w", err)
		}
	}
	err := k.WriteFile(p, text)
	if errors.Is(err, unix.EAGAIN) { // accepted, still running
		k.running = true
		var no unix.Errno
		if no, err = k.result(ctx); err != nil {
			return fmt.Errorf("%s: SCST is still at it: %w", p, err)
		}
		if no != 0 {
			err = &fs.PathError{Op: "write", Path: p, Err: no}
		}
	}
	return err
}

// result waits until nothing is running in SCST, and returns how the last
// request ended.
func (k *tree) result(ctx context.Context) (unix.Errno, error) {
	text, err := k.read(ctx, mgmtResult)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("read %s: %q is no number", mgmtResult, text)
	}
	k.running = false
	return unix.Errno(max(n, -n)), nil
}

// listen hears what the kernel writes into its log from now on. A log that
// cannot be read keeps nobody from working.
func (k *tree) listen() func() []string {
	none := func() []string { return nil }
	if k.log == nil {
		return none
	}
	said, err := k.log.Listen()
	if err != nil {
		return none
	}
	return func() []string {
		var lines []string
		for _, line := range said() {
			if strings.Contains(line, "scst") || strings.Contains(line, "SCST") || strings.Contains(line, "***ERROR***") {
				lines = append(lines, line)
			}
		}
		return lines[max(0, len(lines)-4):]
	}
}

// raw reads a file whole. EAGAIN means to ask again.
func (k *tree) raw(ctx context.Context, p string) (string, error) {
	for {
		text, err := k.ReadFile(p)
		if !errors.Is(err, unix.EAGAIN) {
			return text, err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("read %s: %w", p, ctx.Err())
		case <-time.After(k.poll):
		}
	}
}

// read reads an attribute: its value is on the first line.
func (k *tree) read(ctx context.Context, p string) (string, error) {
	text, err := k.raw(ctx, p)
	value, _, _ := strings.Cut(text, "\n")
	if value == keyMark {
		value = ""
	}
	return value, err
}

// optional reads an attribute that this SCST may not have: "" then.
func (k *tree) optional(ctx context.Context, p string) (value string, there bool, err error) {
	value, err = k.read(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return value, err == nil, err
}

// exists says whether there is an object.
func (k *tree) exists(p string) (bool, error) { return kernfs.Exists(k.Kernel, p) }

// list names what is in an object, without what it is managed by; nothing if
// it is not there.
func (k *tree) list(p string) ([]string, error) {
	names, err := k.ReadDir(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := names[:0]
	for _, name := range names {
		if name != "mgmt" {
			out = append(out, name)
		}
	}
	return out, nil
}

// equal says whether two values of an attribute are the same one: numbers may
// be written differently from how they are read.
func equal(a, b string) bool {
	if a == b {
		return true
	}
	m, errA := strconv.ParseUint(a, 0, 64)
	n, errB := strconv.ParseUint(b, 0, 64)
	return errA == nil && errB == nil && m == n
}

// set writes an attribute if it differs. Requests take SCST's one lock, and
// some pause I/O: what is there already is not asked for again.
func (k *tree) set(ctx context.Context, p, value string) error {
	now, err := k.read(ctx, p)
	if err != nil || equal(now, value) {
		return err
	}
	if value == "" {
		value = "\n" // a write of nothing is no request
	}
	return k.write(ctx, p, value)
}

// digit is how SCST writes a switch.
func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

package networking

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host"
)

// Files returns the files that match patterns below Root, by their path
// without it.
func (n Machine) Files(patterns ...string) (map[string]string, error) {
	files := map[string]string{}
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(n.Root, p))
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", p, err)
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("read %s: %w", path, pathless(err))
			}
			files["/"+strings.TrimPrefix(strings.TrimPrefix(path, n.Root), "/")] = string(text)
		}
	}
	return files, nil
}

// WriteFile writes a file whole and durably, readable by all: the daemons that
// set the network up are not root.
func (n Machine) WriteFile(path, text string) error {
	path = filepath.Join(n.Root, path)
	if err := publicDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: %w", path, pathless(err))
	}
	if err := renameio.WriteFile(path, []byte(text), 0o644, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("write %s: %w", path, pathless(err))
	}
	return host.SyncDir(filepath.Dir(path))
}

// publicDir makes a directory that all may read, whatever the umask.
func publicDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := host.MakeDir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// RemoveFile removes a file durably; one that is gone already is no error.
func (n Machine) RemoveFile(path string) error {
	path = filepath.Join(n.Root, path)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, pathless(err))
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return nil
	}
	return host.SyncDir(filepath.Dir(path))
}

// networkdTime is how long systemd may take to answer.
const networkdTime = 20 * time.Second

// settleTime is how long after its start systemd-networkd may still be at work
// on interfaces for the first time. Later, one that it is not done with is one
// that it cannot set up.
const settleTime = time.Minute

// Networkd says whether systemd-networkd runs, and whether it is done with
// every interface. While the system starts it is neither.
func (n Machine) Networkd(ctx context.Context) (running, settled bool) {
	state, since := activity(ctx)
	var now unix.Timespec
	if state != active || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return state == active, false
	}
	if time.Duration(now.Nano())-since > settleTime {
		return true, true
	}
	// One file an interface, named by its number (sd-network(3) reads them).
	links, err := filepath.Glob("/run/systemd/netif/links/*")
	if err != nil || len(links) == 0 {
		return true, false
	}
	for _, l := range links {
		text, err := os.ReadFile(l)
		if err != nil {
			continue // it went away meanwhile
		}
		for line := range strings.Lines(string(text)) {
			switch strings.TrimSpace(line) {
			case "ADMIN_STATE=pending", "ADMIN_STATE=initialized", "ADMIN_STATE=configuring":
				return true, false
			}
		}
	}
	return true, true
}

// States of a unit that matter here (systemd(1)).
const (
	active     = "active"
	activating = "activating" // it may have read its files already, or not
)

// activity says how systemd-networkd's unit is, and since when it is active on
// the monotonic clock.
func activity(ctx context.Context) (state string, since time.Duration) {
	text, err := command(ctx, "systemctl", "show", "--property=ActiveState,ActiveEnterTimestampMonotonic", "systemd-networkd.service")
	if err != nil {
		return "", 0
	}
	return parseActivity(text)
}

func parseActivity(text string) (state string, since time.Duration) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ActiveState":
			if state = value; state == "reloading" {
				state = active
			}
		case "ActiveEnterTimestampMonotonic":
			if us, err := strconv.ParseInt(value, 10, 64); err == nil {
				since = time.Duration(us) * time.Microsecond
			}
		}
	}
	return state, since
}

// Reload has systemd-networkd read its files and set up the interfaces whose
// files changed, and those that are named whether theirs did or not. One that
// does not run reads them when it starts.
func (n Machine) Reload(ctx context.Context, reconfigure ...string) error {
	state, _ := activity(ctx)
	for state == activating {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		state, _ = activity(ctx)
	}
	if state != active {
		return nil
	}
	_, err := command(ctx, "networkctl", "reload")
	if err == nil && len(reconfigure) > 0 {
		_, err = command(ctx, "networkctl", append([]string{"reconfigure"}, reconfigure...)...)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	// While the system starts there is no D-Bus to tell it by; one that hangs is
	// better started anew than left.
	for _, verb := range []string{"reload", "try-restart"} {
		if _, again := command(ctx, "systemctl", verb, "systemd-networkd.service"); again == nil {
			return nil
		}
	}
	return err
}

// ReloadResolver has systemd-resolved read its files, if it runs.
func (n Machine) ReloadResolver(ctx context.Context) error {
	_, err := command(ctx, "systemctl", "--no-block", "try-restart", "systemd-resolved.service")
	return err
}

// RestartNetwork starts systemd-networkd anew; addresses stay meanwhile.
func (n Machine) RestartNetwork(ctx context.Context) error {
	_, err := command(ctx, "systemctl", "restart", "systemd-networkd.service")
	return err
}

// command runs a program of the system and returns what it printed; the error
// has what it complained about.
func command(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, networkdTime)
	defer cancel()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.Dir = "/"
	if err := cmd.Run(); err != nil {
		what := name + " " + strings.Join(args, " ")
		if text := strings.TrimSpace(complaint.String()); text != "" {
			return out.String(), fmt.Errorf("%s: %w: %s", what, err, text)
		}
		return out.String(), fmt.Errorf("%s: %w", what, err)
	}
	return out.String(), nil
}

// pathless drops the path from an error, for messages that name it already.
func pathless(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

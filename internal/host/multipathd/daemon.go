package multipathd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/esos-project/esos/internal/host"
)

// Machine is what drives multipathd (host.Linux).
type Machine interface {
	Runner
	ReadFile(path string) ([]byte, error)
	Save(path string, data []byte, mode fs.FileMode) error
	Delete(path string) error
}

// service is the daemon. It is off in the image, and started where the
// document wants it.
const service = "multipathd.service"

// Running says whether the daemon runs.
func Running(ctx context.Context, m Runner) (bool, error) {
	_, err := m.Output(ctx, host.Call{Name: "systemctl", Args: []string{"is-active", "--quiet", service}})
	var exit *host.ExitError
	if errors.As(err, &exit) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether multipathd runs: %w", err)
	}
	return true, nil
}

// Read returns the configuration, "" if there is none.
func Read(m Machine) (string, error) {
	text, err := m.ReadFile(ConfFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read multipathd's configuration: %w", err)
	}
	return string(text), nil
}

// Write puts a configuration in place, takes it away if text is "", and has
// a daemon that runs go by it.
func Write(ctx context.Context, m Machine, text string) error {
	if text == "" {
		if err := m.Delete(ConfFile); err != nil {
			return fmt.Errorf("remove multipathd's configuration: %w", err)
		}
	} else if err := m.Save(ConfFile, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write multipathd's configuration: %w", err)
	}
	running, err := Running(ctx, m)
	if err != nil || !running {
		return err
	}
	return Reconfigure(ctx, m)
}

// Reconfigure has the daemon read its configuration and look at all disks anew.
func Reconfigure(ctx context.Context, m Runner) error {
	if _, err := m.Output(ctx, host.Call{Name: "multipathd", Args: []string{"reconfigure"}}); err != nil {
		return fmt.Errorf("have multipathd go by its configuration: %w", err)
	}
	return nil
}

// Start starts the daemon, and returns when it has gathered what is there.
func Start(ctx context.Context, m Runner) error {
	if _, err := m.Output(ctx, host.Call{Name: "systemctl", Args: []string{"start", service}}); err != nil {
		return fmt.Errorf("start multipathd: %w; 'journalctl -u %s' may say why", err, service)
	}
	return nil
}

// Stop stops the daemon. Maps stay, and work, without anybody who looks after
// their paths.
func Stop(ctx context.Context, m Runner) error {
	if _, err := m.Output(ctx, host.Call{Name: "systemctl", Args: []string{"stop", service}}); err != nil {
		return fmt.Errorf("stop multipathd: %w", err)
	}
	return nil
}

// Flush takes a map away; one that is in use is refused. It is told to the
// kernel by multipath rather than the daemon, which may not run.
func Flush(ctx context.Context, m Runner, name string) error {
	if _, err := m.Output(ctx, host.Call{Name: "multipath", Args: []string{"-f", name}}); err != nil {
		return fmt.Errorf("take multipath map %s away: %w", name, err)
	}
	return nil
}

package storagefake

import (
	"context"
	"fmt"
	"slices"
)

// services are systemd's units: those that run, and what they do when they are
// started and stopped.
type services struct {
	running map[string]bool
	on      map[string]func(started bool) error
	broken  map[string]bool
}

// unit has something done when a unit is started or stopped; locked.
func (m *Machine) unit(name string, do func(started bool) error) {
	if m.units.on == nil {
		m.units = services{running: map[string]bool{}, on: map[string]func(bool) error{}, broken: map[string]bool{}}
	}
	m.units.on[name] = do
}

// Running says whether a unit runs.
func (m *Machine) Running(unit string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.units.running[unit]
}

// Broken has a unit not start, or do so again.
func (m *Machine) Broken(unit string, broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.units.broken[unit] = broken
}

// serviceTools are systemctl and modprobe.
func serviceTools(m *Machine) {
	m.tools["systemctl"] = systemctl
	m.tools["modprobe"] = func(*Machine, []string, string) (string, error) { return "", nil }
}

// systemctl starts and stops units.
func systemctl(m *Machine, args []string, _ string) (string, error) {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--quiet" })
	if len(args) != 2 {
		return "", fails("systemctl", 1, "the imitation does not know %q", args)
	}
	unit := args[1]
	switch args[0] {
	case "is-active":
		if !m.units.running[unit] {
			return "inactive\n", fails("systemctl", 3, "")
		}
		return "active\n", nil
	case "start", "stop":
		do, ok := m.units.on[unit]
		start := args[0] == "start"
		if !ok {
			return "", fails("systemctl", 5, "Unit %s not found.", unit)
		}
		if start == m.units.running[unit] {
			return "", nil
		}
		if start && m.units.broken[unit] {
			return "", fails("systemctl", 1, "Job for %s failed because the control process exited with error code.", unit)
		}
		if err := do(start); err != nil {
			return "", fails("systemctl", 1, "Job for %s failed: %v", unit, err)
		}
		m.units.running[unit] = start
		return "", nil
	}
	return "", fails("systemctl", 1, "Unknown command verb '%s'.", args[0])
}

// Reach implements host.Linux's.
func (m *Machine) Reach(ctx context.Context, address string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !m.remotes.up[address] {
		return fmt.Errorf("nothing answers at %s", address)
	}
	return nil
}

package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// managerWait is how long systemd may take to answer.
const managerWait = 20 * time.Second

// FailedUnits lists systemd's units that failed.
func FailedUnits(ctx context.Context) ([]string, error) {
	out, err := systemctl(ctx, "systemctl", "list-units", "--failed", "--no-legend", "--plain", "--full", "--no-pager")
	if err != nil {
		return nil, fmt.Errorf("list the units that failed: %w", err)
	}
	return firstColumn(out), nil
}

// UnitActive says whether a unit is up.
func UnitActive(ctx context.Context, unit string) (bool, error) {
	out, err := systemctl(ctx, "systemctl", "show", "--property=ActiveState", "--value", unit)
	if err != nil {
		return false, fmt.Errorf("look at the unit %s: %w", unit, err)
	}
	return strings.TrimSpace(out) == "active", nil
}

// StopWatchdog has systemd let go of the hardware's watchdog.
func StopWatchdog(ctx context.Context) error {
	_, err := systemctl(ctx, "busctl", "set-property", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "RuntimeWatchdogUSec", "t", "0")
	if err != nil {
		return fmt.Errorf("let go of the watchdog: %w", err)
	}
	return nil
}

// systemctl asks systemd by one of its programs.
func systemctl(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, managerWait)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return string(out), nil
}

// firstColumn is the first word of each line.
func firstColumn(text string) []string {
	var words []string
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > 0 {
			words = append(words, f[0])
		}
	}
	return words
}

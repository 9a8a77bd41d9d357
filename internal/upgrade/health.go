package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
)

// WaitsFile is where a system on trial says what it is not healthy for yet.
const WaitsFile = "/run/esos/trial-waits.json"

// essential are the units without which an array is none, or cannot be reached
// to be mended.
func essential() []string {
	return []string{"esos.service", "esos-target.service", "esos-target.socket", "esos-save.service", "esos-first-boot.service",
		"dbus.service", "systemd-udevd.service", "systemd-networkd.service", "ssh.service"}
}

// Units says what of the system's units stands against its health.
func Units(ctx context.Context) []string {
	failed, err := host.FailedUnits(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	var waits []string
	for _, u := range failed {
		if slices.Contains(essential(), u) {
			waits = append(waits, u+" failed")
		}
	}
	switch up, err := host.UnitActive(ctx, "multi-user.target"); {
	case err != nil:
		waits = append(waits, err.Error())
	case !up:
		waits = append(waits, "the system has not finished starting")
	}
	return waits
}

// Objects are what sentences about problems ("device/db01: ...") are about.
func Objects(problems []string) []string {
	var objects []string
	for _, p := range problems {
		object, _, _ := strings.Cut(p, ": ")
		if !slices.Contains(objects, object) {
			objects = append(objects, object)
		}
	}
	return objects
}

// New returns the problems that were not there when the record was made. A
// problem of the engine always counts; of others nothing is known without a
// record of this version.
func (r *Record) New(version string, problems []string) []string {
	var list []string
	for _, p := range problems {
		object := Objects([]string{p})[0]
		known := r != nil && r.Version == version && r.Serving != nil
		if object == "engine" || known && !slices.Contains(r.Serving.Problems, object) {
			list = append(list, p)
		}
	}
	return list
}

// SetWaits tells others on this machine what the trial waits for.
func SetWaits(waits []string) error {
	text, err := json.Marshal(append([]string{}, waits...))
	if err == nil {
		err = renameio.WriteFile(WaitsFile, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("say what the trial waits for: %w", err)
	}
	return nil
}

// Waits reads what SetWaits wrote last; nothing if it never did.
func Waits() ([]string, error) {
	text, err := os.ReadFile(WaitsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{"the daemon: it has not looked yet"}, nil
	}
	var waits []string
	if err == nil {
		err = json.Unmarshal(text, &waits)
	}
	if err != nil {
		return nil, fmt.Errorf("read what the trial waits for: %w", err)
	}
	return waits, nil
}

// WhyUnhealthy is what is known of why a trial did not end well in time.
func WhyUnhealthy(ctx context.Context) string {
	waits, err := Waits()
	if err != nil {
		waits = []string{err.Error()}
	}
	for _, u := range Units(ctx) {
		if !slices.Contains(waits, u) {
			waits = append(waits, u)
		}
	}
	if len(waits) == 0 {
		return "it was healthy, but not for long enough"
	}
	return "it was not healthy in time: " + strings.Join(waits, "; ")
}

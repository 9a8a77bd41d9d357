package raid

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/layer"
)

// Due says whether an array is to be checked, by its field check and the time
// of the last check.
func Due(now, last time.Time, check string) bool {
	switch check {
	case "never":
		return false
	case "weekly":
		return !now.Before(last.AddDate(0, 0, 7))
	default: // monthly
		return !now.Before(last.AddDate(0, 1, 0))
	}
}

// Checks keeps when arrays were checked, and begins checks.
type Checks struct {
	Machine interface {
		mdadm.Machine
		Save(path string, data []byte, mode fs.FileMode) error
	}
	DataDir string
}

func (c Checks) file() string { return filepath.Join(c.DataDir, "state", "raid-checks.json") }

// Read reads when arrays were checked, by UUID. A file that cannot be
// understood is taken for none: it says nothing of data.
func (c Checks) Read() (map[string]layer.RAIDCheck, error) {
	text, err := c.Machine.ReadFile(c.file())
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]layer.RAIDCheck{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read when arrays were checked: %w", err)
	}
	checks := map[string]layer.RAIDCheck{}
	if err := json.Unmarshal(text, &checks); err != nil {
		return map[string]layer.RAIDCheck{}, nil //nolint:nilerr // the next check writes it anew
	}
	return checks, nil
}

func (c Checks) save(checks map[string]layer.RAIDCheck) error {
	text, err := json.MarshalIndent(checks, "", "  ")
	if err != nil {
		return fmt.Errorf("keep when arrays were checked: %w", err)
	}
	if err := c.Machine.Save(c.file(), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep when arrays were checked: %w", err)
	}
	return nil
}

// Tend notes what became of checks, and begins those that are due. One array
// is checked at a time: checks share disks and their controllers. It is to be
// called every few minutes.
func (c Checks) Tend(ctx context.Context, declared *config.Document, now time.Time) error {
	checks, err := c.Read()
	if err != nil {
		return err
	}
	running, err := mdadm.Running(ctx, c.Machine)
	if err != nil {
		return err
	}
	before := fmt.Sprint(checks)
	busy := slices.ContainsFunc(running, func(a mdadm.Array) bool { return a.Sync.Busy() })
	var errs []error
	for _, a := range declared.Storage.Arrays {
		uuid := UUID(declared, a)
		i := slices.IndexFunc(running, func(r mdadm.Array) bool { return r.UUID == uuid && r.Running() })
		if i < 0 || a.Level == "0" {
			continue
		}
		k, known := checks[uuid]
		if !known {
			k.Since = now // an array that is new was just written whole
		}
		k = ended(k, running[i], now)
		last := k.Begun
		if last.IsZero() {
			last = k.Since
		}
		if !busy && Due(now, last, a.Check) {
			action := "check"
			if a.Repair {
				action = "repair"
			}
			if err := mdadm.SetAction(ctx, c.Machine, uuid, action); err != nil {
				errs = append(errs, fmt.Errorf("check array %s: %w", a.Name, err))
			} else {
				k, busy = layer.RAIDCheck{Since: k.Since, Begun: now, Action: action}, true
			}
		}
		checks[uuid] = k
	}
	if fmt.Sprint(checks) != before {
		errs = append(errs, c.save(checks))
	}
	return errors.Join(errs...)
}

// ended notes that a check is over.
func ended(k layer.RAIDCheck, a mdadm.Array, now time.Time) layer.RAIDCheck {
	if !k.Begun.IsZero() && k.Finished.IsZero() && a.Sync.Action != "check" && a.Sync.Action != "repair" {
		k.Finished, k.Mismatches = now, a.Mismatches
	}
	return k
}

// Start begins a check ("check" or "repair") of an array that does nothing
// else, or ends it ("idle"), and notes that.
func (c Checks) Start(ctx context.Context, declared *config.Document, name, action string, now time.Time) error {
	i := slices.IndexFunc(declared.Storage.Arrays, func(a config.Array) bool { return a.Name == name })
	if i < 0 {
		return fmt.Errorf("array %q %w", name, config.ErrNotFound)
	}
	a := declared.Storage.Arrays[i]
	if a.Level == "0" {
		return fmt.Errorf("check array %s: %w: RAID 0 has nothing to compare", name, ErrCannot)
	}
	uuid := UUID(declared, a)
	if err := mdadm.SetAction(ctx, c.Machine, uuid, action); err != nil {
		return fmt.Errorf("%s array %s: %w", map[bool]string{true: "end the check of", false: action}[action == "idle"], name, err)
	}
	if action == "idle" {
		return nil
	}
	checks, err := c.Read()
	if err != nil {
		return err
	}
	since := checks[uuid].Since
	if since.IsZero() {
		since = now
	}
	checks[uuid] = layer.RAIDCheck{Since: since, Begun: now, Action: action}
	return c.save(checks)
}

// ErrCannot says that something is never done to an array.
var ErrCannot = errors.New("not possible")

// Fail takes a disk of an array for failed, unless the array would not work
// without it.
func (c Checks) Fail(ctx context.Context, declared *config.Document, name string, kernel string) error {
	i := slices.IndexFunc(declared.Storage.Arrays, func(a config.Array) bool { return a.Name == name })
	if i < 0 {
		return fmt.Errorf("array %q %w", name, config.ErrNotFound)
	}
	a, there, err := mdadm.Find(ctx, c.Machine, UUID(declared, declared.Storage.Arrays[i]))
	if err != nil {
		return err
	}
	m, in := a.Member(kernel)
	switch {
	case !there || !a.Running():
		return fmt.Errorf("take %s of array %s for failed: %w: the array does not run", kernel, name, ErrCannot)
	case !in:
		return fmt.Errorf("take %s of array %s for failed: it is no disk of the array: %w", kernel, name, config.ErrNotFound)
	case m.Is("faulty"):
		return nil
	case !a.Enough(kernel):
		return fmt.Errorf("take %s of array %s for failed: %w: the array has no redundancy left, and would be lost without it", kernel, name, ErrCannot)
	}
	if err := mdadm.Fail(ctx, c.Machine, a.Kernel, kernel); err != nil {
		return fmt.Errorf("take %s of array %s for failed: %w", kernel, name, err)
	}
	return nil
}

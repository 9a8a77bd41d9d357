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

// Next says when an array is to be checked that was checked last at last, by
// its field check; the zero time is never.
func Next(check string) func(now, last time.Time) time.Time {
	return func(_, last time.Time) time.Time {
		switch check {
		case "never":
			return time.Time{}
		case "weekly":
			return last.AddDate(0, 0, 7)
		default: // monthly
			return last.AddDate(0, 1, 0)
		}
	}
}

// Due says whether an array is to be checked now.
func Due(now, last time.Time, check string) bool {
	next := Next(check)(now, last)
	return !next.IsZero() && !now.Before(next)
}

// Checks keeps when arrays were checked, and begins checks.
type Checks struct {
	Machine interface {
		mdadm.Machine
		Save(path string, data []byte, mode fs.FileMode) error
	}
	DataDir string
	Poll    time.Duration // how often Run looks whether a check is done; 10 s if 0
}

// Checks are those of this layer's arrays.
func (l Layer) Checks() Checks { return Checks{Machine: l.Machine, DataDir: l.DataDir} }

func (c Checks) file() string { return filepath.Join(c.DataDir, "raid-checks.json") }

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

// Run checks an array, and returns when that is done: it is repaired, too, if
// the document says so. A check that goes on from before is waited for. If ctx
// ends the check goes on: the kernel does it.
func (c Checks) Run(ctx context.Context, declared *config.Document, name string) error {
	a, uuid, err := c.find(declared, name)
	if err != nil {
		return err
	}
	action := "check"
	if a.Repair {
		action = "repair"
	}
	now, there, err := mdadm.Find(ctx, c.Machine, uuid)
	if err != nil {
		return err
	}
	if !there || !checking(now) {
		if err := c.Start(ctx, declared, name, action, time.Now()); err != nil {
			return err
		}
	}
	wait := c.Poll
	if wait == 0 {
		wait = 10 * time.Second
	}
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s array %s: %w", action, name, context.Cause(ctx))
		case <-time.After(wait):
		}
		now, there, err := mdadm.Find(ctx, c.Machine, uuid)
		switch {
		case err != nil:
			return err
		case !there || !now.Running():
			return fmt.Errorf("%s array %s: it was stopped meanwhile", action, name)
		case !checking(now):
			return c.ended(uuid, now, time.Now())
		}
	}
}

func checking(a mdadm.Array) bool { return a.Sync.Action == "check" || a.Sync.Action == "repair" }

// ended notes what a check found.
func (c Checks) ended(uuid string, a mdadm.Array, now time.Time) error {
	checks, err := c.Read()
	if err != nil {
		return err
	}
	k := checks[uuid]
	k.Finished, k.Mismatches = now, a.Mismatches
	checks[uuid] = k
	return c.save(checks)
}

// find finds an array of the document that can be checked.
func (c Checks) find(declared *config.Document, name string) (config.Array, string, error) {
	i := slices.IndexFunc(declared.Storage.Arrays, func(a config.Array) bool { return a.Name == name })
	if i < 0 {
		return config.Array{}, "", fmt.Errorf("array %q %w", name, config.ErrNotFound)
	}
	a := declared.Storage.Arrays[i]
	return a, UUID(declared, a), nil
}

// Start begins a check ("check" or "repair") of an array that does nothing
// else, or ends it ("idle"), and notes that.
func (c Checks) Start(ctx context.Context, declared *config.Document, name, action string, now time.Time) error {
	a, uuid, err := c.find(declared, name)
	if err != nil {
		return err
	}
	if a.Level == "0" {
		return fmt.Errorf("check array %s: %w: RAID 0 has nothing to compare", name, ErrCannot)
	}
	if err := mdadm.SetAction(ctx, c.Machine, uuid, action); err != nil {
		return fmt.Errorf("%s array %s: %w", map[bool]string{true: "end the check of", false: action}[action == "idle"], name, err)
	}
	checks, err := c.Read()
	if err != nil {
		return err
	}
	if action == "idle" {
		delete(checks, uuid) // what was not read whole says nothing
	} else {
		checks[uuid] = layer.RAIDCheck{Begun: now, Action: action}
	}
	return c.save(checks)
}

// ErrCannot says that something is never done to an array.
var ErrCannot = errors.New("not possible")

// Fail takes a disk of an array for failed, unless the array would not work
// without it.
func (c Checks) Fail(ctx context.Context, declared *config.Document, name, kernel string) error {
	_, uuid, err := c.find(declared, name)
	if err != nil {
		return err
	}
	a, there, err := mdadm.Find(ctx, c.Machine, uuid)
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

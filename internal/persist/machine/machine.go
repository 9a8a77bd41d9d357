// Package machine saves the settings of the running machine to the medium that
// it was booted from: it finds the medium, mounts its partition for the
// duration, and has persist do the rest. `esos sync` and the daemon both come
// here; each save by either leaves word for the other.
package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/persist"
)

// Label is that of the partition that settings are saved to.
const Label = "esos_conf"

// Where things are on an appliance.
const (
	ReportPath = "/run/esos/boot.json"
	upperPath  = "/run/esos/rw/upper"
	mountPath  = "/run/esos/conf"
	lockPath   = "/run/esos/conf.lock"
	lastPath   = "/run/esos/saved.json"
	HeldPath   = "/run/esos/settings-held" // says why nothing is saved before the next boot
	idPath     = "/etc/machine-id"
)

// ErrNoAppliance says that this machine was not booted from a medium of ESOS.
var ErrNoAppliance = errors.New("this machine is no ESOS appliance: it was not booted from an ESOS medium, and its files outlive a reboot by themselves")

// MediumError says that the medium is not there, or cannot be written. The
// machine runs on without it.
type MediumError struct{ Err error }

// Error says what that means, and what to do.
func (e *MediumError) Error() string {
	return fmt.Sprintf("%v; the machine runs on, but what was changed since the last save is lost at a reboot: put the medium back, or see to it, and run 'esos sync'", e.Err)
}

// Unwrap returns the cause.
func (e *MediumError) Unwrap() error { return e.Err }

// Machine is a machine that was booted from a medium and runs from memory.
type Machine struct {
	boot booted

	sys                       string // where sysfs is
	label                     string // of the partition
	upper, mount, lock, state string
	hold                      string // says why nothing is saved before the next boot
	id                        string // file that says which machine this is
	report                    string // how the machine was booted, and which medium was adopted since; "" in tests
	// attach gives the medium's partition a place in the tree, and detach
	// takes it away again; tests have no devices.
	attach func(device, where string) error
	detach func(where string) error
	uuid   func(device string) (string, error)
	// fatUUID is uuid for the partition that firmware reads.
	fatUUID func(device string) (string, error)
}

// Here is the machine that this program runs on. The error is ErrNoAppliance
// or ErrLive if there is nothing to be saved.
func Here() (*Machine, error) {
	b, err := readReport(ReportPath)
	if err != nil {
		return nil, err
	}
	return &Machine{boot: b, sys: "/sys", label: Label, upper: upperPath, mount: mountPath, lock: lockPath, state: lastPath, hold: HeldPath, id: idPath, report: ReportPath,
		attach: host.MountExt4, detach: host.Unmount, uuid: host.ExtUUID, fatUUID: host.FATUUID}, nil
}

// Save saves the settings to the medium, unless they are there already. It
// waits for another Save to end. A *MediumError says that the medium is at
// fault, and not the settings.
func (m *Machine) Save(ctx context.Context, reason string) (persist.Saved, error) {
	lock, err := m.take(ctx)
	if err != nil {
		return persist.Saved{}, fmt.Errorf("save the settings: wait for another save to end: %w", err)
	}
	defer lock.Close()
	why, err := m.held()
	if err != nil {
		return persist.Saved{}, err
	}
	if why != "" {
		return persist.Saved{}, &HeldError{why}
	}
	saved, err := m.save(ctx, reason)
	if noteErr := m.note(reason, saved, err); noteErr != nil {
		err = errors.Join(err, noteErr)
	}
	return saved, err
}

func (m *Machine) save(ctx context.Context, reason string) (saved persist.Saved, err error) {
	err = m.attached(func(dir string) error {
		saved, err = persist.Save(ctx, dir, m.upper, m.options(reason))
		var large *persist.TooLargeError
		if err != nil && ctx.Err() == nil && !errors.As(err, &large) {
			err = &MediumError{err}
		}
		return err
	})
	return saved, err
}

// take gets the lock that stands for the mounted partition.
func (m *Machine) take(ctx context.Context) (*os.File, error) {
	for {
		lock, err := host.LockFile(m.lock)
		if !errors.Is(err, host.ErrLocked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// find returns the device of the partition: where it was at boot, or where a
// medium that was pulled and put back is now.
func (m *Machine) find() (string, error) {
	b := m.boot
	if m.report != "" {
		var err error
		if b, err = readReport(m.report); err != nil { // a medium may have been adopted
			return "", err
		}
	}
	if b.Conf == "" { // whatever is there now may be another machine's
		return "", fmt.Errorf("the medium that this machine was booted from had no %s that could be read: write a new one with `mkesos write`, plug it in in its place and run 'esos medium adopt'", m.label)
	}
	parts, err := host.Partitions(m.sys, m.label)
	if err != nil {
		return "", err
	}
	var fit, strange []string
	for _, p := range parts {
		switch {
		case p.Held: // one half of a mirror; the mirror is in the list, too
		case !m.ours(b, p.Device):
			strange = append(strange, p.Device)
		case p.Device == b.Conf:
			return p.Device, nil
		default:
			fit = append(fit, p.Device)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return "", fmt.Errorf("several media could be the one that this machine was booted from (%s): pull the others", strings.Join(fit, ", "))
	case len(strange) > 0:
		return "", fmt.Errorf("the medium that this machine was booted from is gone; %s is on another one", strings.Join(strange, ", "))
	}
	return "", fmt.Errorf("the medium that this machine was booted from is gone: there is no partition %s", m.label)
}

// ours says whether a partition is that of the boot, if that can be told.
func (m *Machine) ours(b booted, device string) bool {
	if b.UUID == "" {
		return true
	}
	uuid, err := m.uuid(device)
	// One that cannot be read will say so when it is mounted, in better words.
	return err != nil || strings.EqualFold(uuid, b.UUID)
}

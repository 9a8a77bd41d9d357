package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/attach"
	"github.com/esos-project/esos/internal/persist/machine"
	"github.com/esos-project/esos/internal/slot"
)

// Machine is the machine whose medium has the slots.
type Machine struct {
	Report  boot.Report
	Trusted []slot.PublicKey
	// Record is the file that outlives the reboot into the other slot.
	Record string
	// Progress, if there is one, hears what is being done, and how many of how
	// many bytes are done.
	Progress func(step string, done, total int64)

	attach func(ctx context.Context, label string) (partition, error)
	save   func(ctx context.Context, reason string) error
	memory func() (host.Memory, error)
	space  func(dir string) (host.Space, error)
	lock   string
}

// partition is one of the medium's, mounted to be written to.
type partition interface {
	Path() string
	Close() error
}

// attached is a partition of a real medium.
type attached struct{ *attach.Mounted }

func (a attached) Path() string { return a.Dir }

// Where things are on an appliance.
const (
	keysDir    = "/usr/lib/esos/keys"
	lockFile   = "/run/esos/upgrade.lock"
	RecordFile = "/var/lib/esos/upgrade.json" // among what is saved
)

// ErrBusy says that somebody else is at the slots.
var ErrBusy = errors.New("another esos upgrade or rollback is at work: wait for it to end")

// Here is the machine that this program runs on. The error is
// machine.ErrNoAppliance or machine.ErrLive where there are no slots.
func Here() (*Machine, error) {
	saver, err := machine.Here()
	if err != nil {
		return nil, err
	}
	report, err := boot.ReadReport(boot.ReportFile)
	if err != nil {
		return nil, err
	}
	trusted, err := slot.LoadKeys(os.DirFS(keysDir))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keysDir, err)
	}
	m := &Machine{Report: report, Trusted: trusted, Record: RecordFile, lock: lockFile,
		save:   func(ctx context.Context, reason string) error { _, err := saver.Save(ctx, reason); return err },
		memory: host.ReadMemory, space: host.SpaceAt,
	}
	m.attach = func(ctx context.Context, label string) (partition, error) {
		p, err := attach.Open(ctx, label)
		if err != nil {
			return nil, err
		}
		return attached{p}, nil
	}
	return m, nil
}

// Running is the slot that this system was booted from, Other the one that it
// was not.
func (m *Machine) Running() slot.Name { return m.Report.Slot }

// Other is the slot that is not booted.
func (m *Machine) Other() slot.Name { return m.Report.Slot.Other() }

// opened is the medium, both partitions of it that have to do with slots.
type opened struct {
	boot, root partition
}

// open attaches the medium. Somebody who holds one of its partitions is waited
// for.
func (m *Machine) open(ctx context.Context) (*opened, error) {
	root, err := m.attach(ctx, medium.LabelRoot)
	if err != nil {
		return nil, fmt.Errorf("reach the slots on the boot medium: %w", err)
	}
	b, err := m.attach(ctx, medium.LabelBoot)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reach the slots on the boot medium: %w", err), root.Close())
	}
	return &opened{boot: b, root: root}, nil
}

// Close makes durable what was written.
func (o *opened) Close() error { return errors.Join(o.boot.Close(), o.root.Close()) }

// file is where a file of a slot is.
func (o *opened) file(name slot.Name, file string) string {
	if isBootPart(file) {
		return filepath.Join(o.boot.Path(), string(name), file)
	}
	return filepath.Join(o.root.Path(), string(name), file)
}

// dirs are the directories of a slot. That of GRUB is first: what is taken away
// there hides the slot.
func (o *opened) dirs(name slot.Name) []string {
	return []string{filepath.Join(o.boot.Path(), string(name)), filepath.Join(o.root.Path(), string(name))}
}

// take keeps a second upgrade away until the lock is closed.
func (m *Machine) take() (*os.File, error) {
	lock, err := host.LockFile(m.lock)
	if errors.Is(err, host.ErrLocked) {
		return nil, ErrBusy
	}
	return lock, err
}

// boots reads what GRUB is told; of a damaged environment the default.
func (m *Machine) boots(o *opened) Boots {
	b, err := ReadBoots(o.boot.Path())
	if err != nil {
		return Boots{Default: slot.Primary} // as GRUB takes it
	}
	return b
}

// errOnTrial refuses to touch the slot that is the way back.
func (m *Machine) errOnTrial(b Boots) error {
	if b.Trial != m.Running() {
		return nil
	}
	return fmt.Errorf("slot %s, which runs, is on trial itself, and slot %s is the way back: wait until it is healthy ('esos upgrade status'), or say so with 'esos upgrade confirm'",
		m.Running(), m.Other())
}

func (m *Machine) progress(step string, done, total int64) {
	if m.Progress != nil {
		m.Progress(step, done, total)
	}
}

// remove deletes a file that may not be there.
func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

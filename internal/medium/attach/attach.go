// Package attach gives a running system a partition of the medium that it was
// booted from, for as long as it is needed: the medium is not mounted
// otherwise, so that it can be pulled at any time. Whoever needs the same
// partition meanwhile, in this program or another, waits.
package attach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host"
)

// Mounted is a partition of the medium that can be read and written. Close
// must be called.
type Mounted struct {
	Dir    string // where it is mounted
	Device string
	// ReadOnly is where a system that runs from its medium has the partition
	// mounted all the time, to be read only; "" else.
	ReadOnly string

	at   *Attacher
	lock *os.File
}

// GoneError says that the medium is not there, or does not answer. The system
// runs on without it.
type GoneError struct {
	Label string
	Err   error
}

// Error says which partition was wanted, and why it cannot be had.
func (e *GoneError) Error() string { return fmt.Sprintf("attach %s: %v", e.Label, e.Err) }

// Unwrap returns the cause.
func (e *GoneError) Unwrap() error { return e.Err }

// ErrNoMedium says that this system was not started from a medium: it runs
// from an ISO, or is no appliance.
var ErrNoMedium = errors.New("this system was not started from a medium of ESOS")

// Open mounts the partition with a label to be written to, and waits as long
// as another has it. The error is ErrNoMedium, a *GoneError or ctx's, wrapped.
func Open(ctx context.Context, label string) (*Mounted, error) { return New().Open(ctx, label) }

// OpenToRead is Open for one who only reads: nothing is written to the medium.
func OpenToRead(ctx context.Context, label string) (*Mounted, error) {
	return New().open(ctx, label, true)
}

// Hold keeps others from attaching a partition until release is called: for
// one who works on it as it is, not mounted.
func Hold(ctx context.Context, label string) (release func() error, err error) {
	lock, err := New().take(ctx, label)
	if err != nil {
		return nil, fmt.Errorf("wait for whoever has %s: %w", label, err)
	}
	return lock.Close, nil
}

// Booted says whether this system was started from a medium, wherever that is
// now: nil, or ErrNoMedium, wrapped.
func Booted() error {
	_, err := readReport(filepath.Join(New().run, "boot.json"))
	return err
}

// Attacher attaches partitions.
type Attacher struct {
	run    string // esos-init's report, locks and mount points are there
	sys    string
	kernel kernel
}

// kernel is what an Attacher asks of Linux; tests have no devices.
type kernel interface {
	mount(device, where string, fat bool) error
	mountRead(device, where string, fat bool) error
	unmount(where string) error
	// readOnly is where a device is mounted to be read only; "" if it is not.
	readOnly(device string) (string, error)
	remount(where string, writable bool) error
	sync(where string) error
	uuid(device string, fat bool) (string, error)
}

// New returns the Attacher of this machine.
func New() *Attacher { return &Attacher{run: "/run/esos", sys: "/sys", kernel: linux{}} }

// labelBoot is the one partition that firmware has to read, and so has FAT.
const labelBoot = "ESOS_BOOT"

// Open is as the function Open.
func (a *Attacher) Open(ctx context.Context, label string) (*Mounted, error) {
	return a.open(ctx, label, false)
}

func (a *Attacher) open(ctx context.Context, label string, read bool) (_ *Mounted, err error) {
	b, err := readReport(filepath.Join(a.run, "boot.json"))
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", label, err)
	}
	lock, err := a.take(ctx, label)
	if err != nil {
		return nil, fmt.Errorf("attach %s: wait for whoever has it: %w", label, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	device, err := a.find(label, b)
	if err != nil {
		return nil, &GoneError{label, err}
	}
	m := &Mounted{Dir: filepath.Join(a.run, "mnt", short(label)), Device: device, at: a, lock: lock}
	if read {
		// Busy: it is mounted to be written to, and so for everybody.
		if err := a.kernel.mountRead(device, m.Dir, label == labelBoot); !errors.Is(err, unix.EBUSY) {
			if err != nil {
				return nil, &GoneError{label, err}
			}
			return m, nil
		}
	}
	err = a.kernel.mount(device, m.Dir, label == labelBoot)
	if errors.Is(err, unix.EBUSY) {
		err = a.overReadOnly(m, label)
	}
	if err != nil {
		return nil, &GoneError{label, err}
	}
	return m, nil
}

// overReadOnly mounts what is mounted already, to be read only: a system that
// runs from its medium keeps it so.
func (a *Attacher) overReadOnly(m *Mounted, label string) error {
	where, err := a.kernel.readOnly(m.Device)
	if err != nil {
		return err
	}
	if where == "" {
		return fmt.Errorf("mount %s: %w: another program uses it, or has it mounted read-only where this one cannot see it", m.Device, unix.EBUSY)
	}
	if err := a.kernel.remount(where, true); err != nil {
		return err
	}
	if err := a.kernel.mount(m.Device, m.Dir, label == labelBoot); err != nil {
		return errors.Join(err, a.kernel.remount(where, false))
	}
	m.ReadOnly = where
	return nil
}

// Close makes durable what was written and takes the partition away again. An
// error says that this may not be so: the medium failed, or was pulled.
func (m *Mounted) Close() error {
	if m.lock == nil {
		return nil
	}
	err := m.at.kernel.sync(m.Dir)
	err = errors.Join(err, m.at.kernel.unmount(m.Dir))
	if m.ReadOnly != "" {
		err = errors.Join(err, m.at.kernel.remount(m.ReadOnly, false))
	}
	err = errors.Join(err, m.lock.Close())
	m.lock = nil
	if err != nil {
		return fmt.Errorf("detach %s: %w", m.Device, err)
	}
	return nil
}

// take gets the lock that stands for the mounted partition. That of esos_conf
// is the one that saving settings takes.
func (a *Attacher) take(ctx context.Context, label string) (*os.File, error) {
	for {
		lock, err := host.LockFile(filepath.Join(a.run, short(label)+".lock"))
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

// short is a label without what all of them begin with: conf, logs, boot.
func short(label string) string { return strings.TrimPrefix(strings.ToLower(label), "esos_") }

// find returns the device of a partition: where it was at boot, or where a
// medium that was pulled and put back is now.
func (a *Attacher) find(label string, b booted) (string, error) {
	was, known := b.partitions[label]
	if known && a.there(was.Device) {
		// Asked of the device: another one may have its name by now. A mirror
		// may be found only here, since arrays have no name in a table.
		if uuid, err := a.kernel.uuid(was.Device, label == labelBoot); err == nil && strings.EqualFold(uuid, was.UUID) {
			return was.Device, nil
		}
	}
	parts, err := host.Partitions(a.sys, label)
	if err != nil {
		return "", err
	}
	var fit, strange []string
	for _, p := range parts {
		if p.Held {
			continue // one half of a mirror; the mirror is in the list, too
		}
		uuid, err := a.kernel.uuid(p.Device, label == labelBoot)
		// One that cannot be read will say so when it is mounted, in better words.
		if !known || was.UUID == "" || err != nil || strings.EqualFold(uuid, was.UUID) {
			fit = append(fit, p.Device)
		} else {
			strange = append(strange, p.Device)
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
	return "", fmt.Errorf("the medium that this machine was booted from is gone: there is no partition %s", label)
}

// there says whether the kernel knows a block device: a node in /dev, and what
// is cached of a stick, can outlive the stick.
func (a *Attacher) there(device string) bool {
	_, err := os.Stat(filepath.Join(a.sys, "class/block", filepath.Base(device)))
	return device != "" && err == nil
}

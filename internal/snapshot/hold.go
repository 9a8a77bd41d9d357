package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// longestHold is how long I/O is held at most: initiators give up on a disk
// after 30 s as a rule. After that all is let go, and the snapshot failed.
const longestHold = 10 * time.Second

// resumeTime is how long one attempt to let go of a device may take.
const resumeTime = 5 * time.Second

// createTime is how long a program that makes or deletes a snapshot may take
// before it is killed. That is well after I/O was let go, which is what it most
// likely waits for: LVM that is killed between its metadata and the pool's
// leaves both to be repaired by hand.
const createTime = time.Minute

// mapped is a block device of device-mapper.
type mapped struct {
	Name string `json:"name"`
	UUID string `json:"uuid"` // another device may get the name
}

// hold holds the I/O of devices.
type hold struct {
	machine Machine
	marker  string
	devices []mapped
	limit   *time.Timer
	gone    chan struct{} // closed when they were let go
	err     error         // why not all of them; to be read when gone is closed

	mu    sync.Mutex
	ended bool // said before the first one is let go
}

// marked is the file that tells, after the daemon was killed, which devices it
// held and which volumes it was making.
type marked struct {
	Devices []mapped `json:"devices"`
	Making  []string `json:"making"` // VG/LV
}

// prepareHold writes down what is to be held and made.
func (s *Service) prepareHold(origins []origin) (*hold, error) {
	h := &hold{machine: s.machine, marker: s.marker(), gone: make(chan struct{})}
	var m marked
	for _, o := range origins {
		h.devices = append(h.devices, o.lv.device())
		m.Making = append(m.Making, o.Group+"/"+o.made)
	}
	m.Devices = h.devices
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if err := s.machine.Save(h.marker, append(text, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("note which devices are to be held: %w", err)
	}
	return h, nil
}

// hold holds the I/O of the devices, until release is called or for
// longestHold. dmsetup(8): suspend waits for I/O that is under way, and lets a
// file system that is mounted settle. A write that an initiator was told is on
// the disk depends on no other that is held; so all are of the moment when the
// last one is held.
func (h *hold) hold(ctx context.Context) error {
	// Whatever hangs, this does not: letting go has a goroutine of its own.
	h.limit = time.AfterFunc(longestHold, func() { _ = h.letGo(ctx) })
	limited, cancel := context.WithTimeout(ctx, longestHold)
	defer cancel()
	for _, d := range h.devices {
		if _, err := h.machine.Output(limited, host.Call{Name: "dmsetup", Args: []string{"suspend", d.Name}}); err != nil {
			return fmt.Errorf("hold I/O of %s: %w", d.Name, err)
		}
	}
	return nil
}

// still fails if the devices are not all held: then there is no moment that
// all share.
func (h *hold) still(ctx context.Context) error {
	held, err := suspended(ctx, h.machine) // not locked: the time limit must not wait for it
	if over := h.over(); over != nil {
		return over
	}
	if err != nil {
		return err
	}
	for _, d := range h.devices {
		if !held[d] {
			return fmt.Errorf("somebody let go of %s before the snapshots were taken, so they would not be of one moment", d.Name)
		}
	}
	return nil
}

// done takes back what prepareHold wrote. If that fails the next one finds
// nothing of it to be put right.
func (h *hold) done() { _ = h.machine.Delete(h.marker) }

// over is an error once the devices were let go.
func (h *hold) over() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended {
		return nil
	}
	return fmt.Errorf("I/O was held for %s, which is the longest: the machine or its disks are too busy now; try again later, or with fewer devices", longestHold)
}

// release lets go of all devices, also when ctx has ended. It may be called
// again.
func (h *hold) release(ctx context.Context) error {
	h.limit.Stop()
	return h.letGo(ctx)
}

func (h *hold) letGo(ctx context.Context) error {
	h.mu.Lock()
	first := !h.ended
	h.ended = true
	h.mu.Unlock()
	if first {
		h.err = resume(ctx, h.machine, h.devices)
		close(h.gone)
	}
	<-h.gone
	return h.err
}

// resumeTries is how often it is tried to let go of a device.
const resumeTries = 3

// resume lets go of devices, each for itself. A device that is not held is
// left as it is by dmsetup; one that is gone has nothing to let go of.
func resume(ctx context.Context, m Machine, devices []mapped) error {
	var errs []error
	for _, d := range devices {
		var err error
		for range resumeTries {
			if err = resumeOne(ctx, m, d); err == nil {
				break
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("let go of %s, whose I/O is held: %w; run 'dmsetup resume %s'", d.Name, err, d.Name))
		}
	}
	return errors.Join(errs...)
}

func resumeOne(ctx context.Context, m Machine, d mapped) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resumeTime)
	defer cancel()
	_, err := m.Output(ctx, host.Call{Name: "dmsetup", Args: []string{"resume", d.Name}})
	if err == nil {
		return nil
	}
	held, looked := suspended(ctx, m)
	if looked == nil && !held[d] {
		return nil // by LVM, or it is gone
	}
	return err
}

// suspended are the devices whose I/O is held now.
func suspended(ctx context.Context, m Machine) (map[mapped]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, resumeTime)
	defer cancel()
	out, err := m.Output(ctx, host.Call{Name: "dmsetup", Args: []string{"info", "-c", "--noheadings", "--separator", "|", "-o", "suspended,uuid,name"}})
	if err != nil {
		return nil, fmt.Errorf("ask which devices are held: %w", err)
	}
	return parseInfo(string(out)), nil
}

// parseInfo reads dmsetup's list. On a machine without such devices it is a
// sentence.
func parseInfo(text string) map[mapped]bool {
	held := map[mapped]bool{}
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), "|", 3)
		if len(f) == 3 && f[0] == "Suspended" {
			held[mapped{Name: f[2], UUID: f[1]}] = true
		}
	}
	return held
}

func (s *Service) marker() string { return filepath.Join(s.dataDir, "held.json") }

// ResumeLeft lets go of devices that a daemon held when it was killed, and
// takes away the snapshots that it did not complete. It is to be called before
// anything else is done with them.
func (s *Service) ResumeLeft(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resumeLeft(ctx)
}

func (s *Service) resumeLeft(ctx context.Context) error {
	text, err := s.machine.ReadFile(s.marker())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look for devices that are held since the daemon was killed: %w", err)
	}
	var left marked
	if err := json.Unmarshal(text, &left); err != nil {
		return fmt.Errorf("look for devices that are held since the daemon was killed: read %s: %w; 'dmsetup info' shows them, and 'dmsetup resume' lets go of one", s.marker(), err)
	}
	held, err := suspended(ctx, s.machine)
	if err != nil {
		return err
	}
	var ours []mapped
	for _, d := range left.Devices {
		if held[d] {
			ours = append(ours, d)
		}
	}
	if err := resume(ctx, s.machine, ours); err != nil {
		return err
	}
	all, err := s.volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.tagged(tagMaking) && slices.Contains(left.Making, v.Group+"/"+v.Name) {
			if err := s.removeVolume(ctx, v); err != nil {
				return fmt.Errorf("take away snapshot %s/%s, which was not completed: %w", v.Group, v.Name, err)
			}
		}
	}
	return s.machine.Delete(s.marker())
}

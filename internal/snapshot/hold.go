package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
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

// hold is that the I/O of devices is held.
type hold struct {
	machine Machine
	marker  string
	limit   *time.Timer

	devices []mapped
	gone    chan struct{} // closed when they were let go
	err     error         // why not all of them; to be read when gone is closed

	mu    sync.Mutex
	ended bool // said before the first one is let go
}

// marked is the file that tells, after the daemon was killed, which devices it
// held.
type marked struct {
	Devices []mapped `json:"devices"`
}

// hold holds the I/O of devices, until release is called or it was held for
// longestHold. dmsetup(8): suspend waits for I/O that is under way, and lets a
// file system that is mounted settle.
func (s *Service) hold(ctx context.Context, devices []mapped) (*hold, error) {
	h := &hold{machine: s.machine, marker: s.marker(), devices: devices, gone: make(chan struct{})}
	text, err := json.Marshal(marked{Devices: devices})
	if err != nil {
		return nil, err
	}
	if err := s.machine.Save(h.marker, append(text, '\n'), 0o600); err != nil {
		// It may have been written all the same, and says what is not so.
		return nil, errors.Join(fmt.Errorf("note which devices are held: %w", err), s.machine.Delete(h.marker))
	}
	// Whatever hangs, this does not: letting go has a goroutine of its own.
	h.limit = time.AfterFunc(longestHold, func() { _ = h.letGo(ctx) })
	ctx, cancel := context.WithTimeout(ctx, longestHold)
	defer cancel()
	for _, d := range devices {
		if _, err := s.machine.Output(ctx, host.Call{Name: "dmsetup", Args: []string{"suspend", d.Name}}); err != nil {
			return nil, errors.Join(fmt.Errorf("hold I/O of %s: %w", d.Name, err), h.release(ctx))
		}
	}
	return h, nil
}

// still fails if the devices from the ith on are not all held: then there is
// no moment that all share.
func (h *hold) still(ctx context.Context, i int) error {
	held, err := suspended(ctx, h.machine) // not locked: the time limit must not wait for it
	if h.over() {
		return fmt.Errorf("I/O was held for %s, which is the longest: the machine or its disks are too busy now; try again later, or with fewer devices", longestHold)
	}
	if err != nil {
		return err
	}
	for _, d := range h.devices[i:] {
		if !held[d] {
			return fmt.Errorf("somebody let go of %s before the snapshots were taken, so they would not be of one moment", d.Name)
		}
	}
	return nil
}

func (h *hold) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
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
		h.err = h.resume(ctx)
		close(h.gone)
	}
	<-h.gone
	return h.err
}

func (h *hold) resume(ctx context.Context) error {
	if err := resume(ctx, h.machine, h.devices); err != nil {
		return err // the marker stays
	}
	// One that stays names devices that are not held, and does no harm.
	_ = h.machine.Delete(h.marker)
	return nil
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
	out, err := m.Output(ctx, host.Call{Name: "dmsetup", Args: []string{"info", "-c", "--noheadings", "--separator", ":", "-o", "attr,uuid,name"}})
	if err != nil {
		return nil, fmt.Errorf("ask which devices are held: %w", err)
	}
	return parseInfo(string(out)), nil
}

// parseInfo reads dmsetup's list. Of attr the third letter is s if I/O is held
// (dmsetup's help: "(L)ive, (I)nactive, (s)uspended, (r)ead-only, read-(w)rite").
// On a machine without such devices it is a sentence.
func parseInfo(text string) map[mapped]bool {
	held := map[mapped]bool{}
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && len(f[0]) == 4 && f[0][2] == 's' {
			held[mapped{Name: f[2], UUID: f[1]}] = true
		}
	}
	return held
}

func (s *Service) marker() string { return filepath.Join(s.dataDir, "held.json") }

// ResumeLeft lets go of devices that a daemon held when it was killed. It is to
// be called before anything else is done with them.
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
	return s.machine.Delete(s.marker())
}

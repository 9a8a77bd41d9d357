// Package mdadm looks at the RAID arrays of Linux's md driver, and sets them
// up: running ones by the kernel's files in /sys/block/mdN/md (md(4)), those
// that are on disks only by what mdadm(8) reads there.
package mdadm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/block"
)

// Array is a RAID array: one that runs, or one that disks say they are part of.
type Array struct {
	Kernel string `json:"kernel_name,omitempty"` // md127; "" if the kernel does not know it
	Name   string `json:"name,omitempty"`        // without the host that it was made on
	UUID   string `json:"uuid"`
	Level  string `json:"level"` // 0, 1, 4, 5, 6, 10; others as md calls them
	Disks  int    `json:"raid_disks"`
	Chunk  int64  `json:"chunk,omitempty"`  // bytes
	Layout string `json:"layout,omitempty"` // mdadm's word
	Size   int64  `json:"size,omitempty"`   // bytes; 0 if that is not known
	// State is the kernel's word (clean, active, read-auto, readonly, broken,
	// inactive), or Stopped.
	State string `json:"state"`
	// Policy is how a crash is recovered from: resync, bitmap, journal, ppl.
	Policy     string   `json:"consistency_policy,omitempty"`
	Degraded   int      `json:"degraded,omitempty"` // disks that it lacks
	Members    []Member `json:"members"`
	Sync       Sync     `json:"sync"`
	Mismatches int64    `json:"mismatches,omitempty"` // sectors that differed at the last check since it was started
	SpeedMin   int64    `json:"speed_min,omitempty"`  // bytes a second that it has of its own; 0: the system's
	SpeedMax   int64    `json:"speed_max,omitempty"`
}

// States of arrays that do not work. Those are on disks only (Stopped), or
// gathered by the kernel and not started (Inactive), or have lost too many.
const (
	Stopped  = "stopped"
	Inactive = "inactive"
	Broken   = "broken"
)

// Member is a device of an array.
type Member struct {
	Kernel string `json:"kernel_name"`
	Role   int    `json:"role"` // its place, from 0; -1: none
	// State are the kernel's words: in_sync, faulty, spare, write_mostly,
	// journal, replacement, want_replacement. Of arrays that do not run, in_sync
	// and Stale.
	State  []string `json:"state"`
	Events int64    `json:"events,omitempty"` // of arrays that do not run: how far it got
}

// Stale is the state of a member that the array went on without.
const Stale = "stale"

// Sync is what an array does by itself.
type Sync struct {
	Action string  `json:"action,omitempty"` // idle, resync, recover, check, repair, reshape, frozen
	Done   float64 `json:"done,omitempty"`   // 0 to 1
	Speed  int64   `json:"speed,omitempty"`  // bytes a second
}

// Busy says whether something is being copied or compared.
func (s Sync) Busy() bool { return s.Action != "" && s.Action != "idle" && s.Action != "frozen" }

// Is says whether a state is among those of a member.
func (m Member) Is(state string) bool { return slices.Contains(m.State, state) }

// Running says whether an array works, be it degraded.
func (a Array) Running() bool {
	return a.Kernel != "" && a.State != Inactive && a.State != "clear"
}

// Member finds a member by the kernel's name.
func (a Array) Member(kernel string) (Member, bool) {
	i := slices.IndexFunc(a.Members, func(m Member) bool { return m.Kernel == kernel })
	if i < 0 {
		return Member{}, false
	}
	return a.Members[i], true
}

// State is all that is known of arrays.
type State struct {
	Arrays []Array `json:"arrays"`
	// Left are devices that say they are part of an array that runs without
	// them, by the kernel's name.
	Left map[string]Superblock `json:"left,omitempty"`
}

// Reader is what arrays are looked at with (host.Linux).
type Reader interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
}

// slow is how long one program may take before its disk is taken for dead.
const slow = 30 * time.Second

// ErrNoSuperblock says that a device is part of no array.
var ErrNoSuperblock = errors.New("no superblock of an array")

// Read reads all arrays. inv says which devices are members of arrays; so does
// also, by the kernel's names, of devices that were looked at more closely.
func Read(ctx context.Context, m Reader, inv *block.Inventory, also []string) (State, error) {
	running, err := Running(ctx, m)
	if err != nil {
		return State{}, err
	}
	used := map[string]bool{} // members of arrays that work
	for _, a := range running {
		for _, d := range a.Members {
			used[d.Kernel] = used[d.Kernel] || a.Running()
		}
	}
	state := State{Left: map[string]Superblock{}}
	var found []Superblock
	for _, d := range inv.Devices() {
		if used[d.Name] || d.Signature != signature && !slices.Contains(also, d.Name) {
			continue
		}
		s, err := Examine(ctx, m, d.Path)
		if ctx.Err() != nil {
			return State{}, fmt.Errorf("look for RAID arrays: %w", context.Cause(ctx))
		}
		if err != nil {
			continue // what it holds is told as data by whoever wants the device
		}
		s.Kernel = d.Name
		if i := slices.IndexFunc(running, func(a Array) bool { return a.UUID == s.UUID && a.Running() }); i >= 0 {
			state.Left[d.Name] = s
			continue
		}
		found = append(found, s)
	}
	state.Arrays = running
	for _, stopped := range gather(found) {
		if i := slices.IndexFunc(state.Arrays, func(a Array) bool { return a.UUID == stopped.UUID }); i >= 0 {
			// Gathered and not started: the disks know more of it.
			stopped.Kernel, stopped.State = state.Arrays[i].Kernel, state.Arrays[i].State
			state.Arrays[i] = stopped
			continue
		}
		state.Arrays = append(state.Arrays, stopped)
	}
	return state, nil
}

// signature is blkid's word for a member of an array.
const signature = "linux_raid_member"

// Running reads the arrays that the kernel knows.
func Running(ctx context.Context, m Reader) ([]Array, error) {
	const dir = "/sys/block"
	names, err := m.ReadDir(dir)
	if err != nil && !isNotExist(err) {
		return nil, fmt.Errorf("look for RAID arrays: %w", err)
	}
	var arrays []Array
	for _, name := range names {
		if !strings.HasPrefix(name, "md") {
			continue
		}
		a, err := readArray(ctx, m, name)
		if err != nil {
			if isNotExist(err) {
				continue // it was stopped meanwhile
			}
			return nil, fmt.Errorf("look at RAID array %s: %w", name, err)
		}
		if a.State != "clear" && a.State != "" {
			arrays = append(arrays, a)
		}
	}
	return arrays, nil
}

// Find finds an array that the kernel knows by its UUID.
func Find(ctx context.Context, m Reader, uuid string) (Array, bool, error) {
	arrays, err := Running(ctx, m)
	if err != nil {
		return Array{}, false, err
	}
	i := slices.IndexFunc(arrays, func(a Array) bool { return a.UUID == uuid })
	if i < 0 {
		return Array{}, false, nil
	}
	return arrays[i], true, nil
}

// Examine reads the superblock on a device. Without one the error is
// ErrNoSuperblock.
func Examine(ctx context.Context, m Reader, device string) (Superblock, error) {
	out, err := output(ctx, m, "--examine", device)
	s, ok := parseExamine(out)
	switch {
	case ok:
		return s, nil
	case err == nil, exited(err):
		return Superblock{}, fmt.Errorf("read the RAID superblock of %s: %w", device, ErrNoSuperblock)
	default:
		return Superblock{}, fmt.Errorf("read the RAID superblock of %s: %w", device, err)
	}
}

func output(ctx context.Context, m Reader, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, slow)
	defer cancel()
	return m.Output(ctx, host.Call{Name: "mdadm", Args: args})
}

func exited(err error) bool {
	var exit *host.ExitError
	return errors.As(err, &exit)
}

// Link is the path of an array by its name.
func Link(name string) string { return path.Join("/dev/md", name) }

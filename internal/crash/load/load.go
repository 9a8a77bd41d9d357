// Package load prepares a running system for a crash of its kernel: it loads
// the crash kernel, and looks for what was saved of crashes before. The daemon
// reads what it leaves in /run/esos.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium/attach"
)

// State says whether the machine is prepared for a crash.
type State struct {
	When     time.Time `json:"when"`
	Loaded   bool      `json:"loaded"`
	Slot     string    `json:"slot,omitempty"`     // whose kernel it is
	Reserved int64     `json:"reserved,omitempty"` // bytes of memory
	// Small says that the machine has too little memory for a crash kernel.
	Small bool   `json:"small,omitempty"`
	Error string `json:"error,omitempty"`
}

// StatePath is where the State is, until the machine restarts.
const StatePath = "/run/esos/crash.json"

// ReadState reads a State; fs.ErrNotExist, wrapped, if nothing was tried yet.
func ReadState(path string) (State, error) {
	var s State
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read whether the crash kernel is loaded: %w", err)
	}
	return s, nil
}

// Loader loads the crash kernel.
type Loader struct {
	root string // before each path; "" but in tests
	open func(ctx context.Context, label string) (dir string, done func() error, err error)
	load func(kernel, initrd, cmdline string) error
}

// New returns the Loader of this machine.
func New() Loader {
	return Loader{
		open: func(ctx context.Context, label string) (string, func() error, error) {
			m, err := attach.OpenToRead(ctx, label)
			if err != nil {
				return "", nil, err
			}
			return m.Dir, m.Close, nil
		},
		load: host.LoadCrashKernel,
	}
}

// least is the memory from which on some is reserved: the range that the
// kernel's argument crashkernel= begins with. What the kernel counts is less
// than what is built in.
const least = 768 << 20

// Load loads the kernel and the initramfs of the running slot, and keeps how
// that went in StatePath. Loading once more replaces what is loaded.
func (l Loader) Load(ctx context.Context) (State, error) {
	s := State{When: time.Now().UTC()}
	err := l.fill(ctx, &s)
	if err != nil {
		s.Error = err.Error()
	}
	text, e := json.Marshal(s)
	if e == nil {
		e = renameio.WriteFile(filepath.Join(l.root, StatePath), append(text, '\n'), 0o644)
	}
	if e != nil {
		err = errors.Join(err, fmt.Errorf("note whether the crash kernel is loaded: %w", e))
	}
	return s, err
}

func (l Loader) fill(ctx context.Context, s *State) (err error) {
	slot, err := l.slot()
	if err != nil {
		return err
	}
	sys := filepath.Join(l.root, "/sys")
	kernel, err := host.CrashKernelState(sys)
	if err != nil {
		return err
	}
	if kernel.Reserved == 0 {
		if total, err := l.memory(); err == nil && total < least {
			s.Small = true
			return nil
		}
		return errors.New("no memory is reserved for a crash kernel: crashkernel= is missing on the kernel's command line, or there was no room; boot an entry of GRUB's menu as it is")
	}
	cmdline, err := os.ReadFile(filepath.Join(l.root, "/proc/cmdline"))
	if err != nil {
		return fmt.Errorf("load the crash kernel: %w", err)
	}
	dir, done, err := l.open(ctx, "ESOS_BOOT")
	if err != nil {
		return fmt.Errorf("load the crash kernel: %w", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := l.load(filepath.Join(dir, slot, "vmlinuz"), filepath.Join(dir, slot, "initrd.img"), Cmdline(string(cmdline))); err != nil {
		return err
	}
	if kernel, err = host.CrashKernelState(sys); err != nil {
		return err
	}
	if !kernel.Loaded {
		return errors.New("the kernel says that no crash kernel is loaded, though it took one")
	}
	s.Loaded, s.Slot, s.Reserved = true, slot, kernel.Reserved
	return nil
}

// slot is the one that GRUB loaded the running kernel from: it works on this
// machine.
func (l Loader) slot() (string, error) {
	text, err := os.ReadFile(filepath.Join(l.root, "/run/esos/boot.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", attach.ErrNoMedium
	}
	var r struct {
		Options struct {
			Slot string `json:"slot"`
		} `json:"options"`
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil && r.Options.Slot == "" {
		err = errors.New("it names no slot")
	}
	if err != nil {
		return "", fmt.Errorf("load the crash kernel: read how this machine was booted: %w", err)
	}
	return r.Options.Slot, nil
}

func (l Loader) memory() (int64, error) {
	text, err := os.ReadFile(filepath.Join(l.root, "/proc/meminfo"))
	if err != nil {
		return 0, err
	}
	var kib int64
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err != nil {
		return 0, err
	}
	return kib << 10, nil
}

// Package nvmet serves namespaces over NVMe-oF through the kernel's NVMe
// target, set up through its configfs tree and nothing else. It is no engine:
// engines serve SCSI and one is chosen; this one stands beside whichever that
// is, and is driven by a layer of its own. So it is below the layers and knows
// neither them nor the engines.
//
//	Target      the methods that layers drive
//	state       ports, subsystems and namespaces as they are, and as the document wants them
//	tree        how the tree is read and changed: only what differs is written
//	observe     the tree as a State
//	port        addresses, and which subsystems are reached there
//	subsystem   who may connect
//	host        hosts and their keys
//	namespace   devices as hosts see them
//	controller  who is connected, from debugfs where the kernel has that
//	words       which objects are ours, and what the tree has no place for
//
// The kernel's rules that this package leans on are in
// drivers/nvme/target/configfs.c and core.c of its sources; each is named
// where it is used.
package nvmet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// Root is where the kernel's tree is.
const Root = "/sys/kernel/config/nvmet"

// DebugRoot is where it tells who is connected (Linux 6.11 and later, if built
// with CONFIG_NVME_TARGET_DEBUGFS).
const DebugRoot = "/sys/kernel/debug/nvmet"

// Kernel is nvmet's tree (kernfs.Tree).
type Kernel interface {
	Mkdir(path string) error
	Rmdir(path string) error
	WriteFile(path, text string) error
	ReadFile(path string) (string, error)
	Symlink(target, path string) error
	Readlink(path string) (string, error)
	Remove(path string) error
	ReadDir(path string) ([]string, error)
	Chmod(path string, mode fs.FileMode) error
}

// Debug is nvmet's tree in debugfs (kernfs.Tree).
type Debug interface {
	ReadFile(path string) (string, error)
	WriteFile(path, text string) error
	ReadDir(path string) ([]string, error)
}

// Options say what a Target works with.
type Options struct {
	Kernel Kernel
	// Debug tells who is connected; nil or empty if nothing does.
	Debug Debug
	// Load has the kernel load its NVMe target; called before the first change.
	// Nil takes for granted that it is there.
	Load func(ctx context.Context) error
	// SameRoot says whether the kernel opens the files that we name; nil takes
	// that for granted.
	SameRoot func() error
	// Stat looks at what holds the bytes of a namespace; host.Files if nil.
	Stat func(path string) (host.FileInfo, error)
	// Free says whether nobody else has a block device: the kernel's NVMe
	// target does not claim what it serves (nvmet_bdev_ns_enable opens without
	// a holder). Nil claims it for a moment.
	Free func(path string) error
	// RunDir holds the words that the kernel has no place for. They mean
	// nothing without what the kernel serves: it may be empty after a boot.
	RunDir string
	Log    *slog.Logger // nil for none
}

// Target is the kernel's NVMe target. All methods may be called at once. Put
// methods create what is missing and write only what differs; Delete methods
// accept that it is gone already.
type Target struct {
	opt   Options
	k     tree
	words store
	log   *slog.Logger

	mu    sync.Mutex // serializes changes
	ready bool
}

// New makes a Target. Nothing is touched before the first change.
func New(opt Options) *Target {
	if opt.Stat == nil {
		opt.Stat = host.Files{}.Stat
	}
	if opt.Free == nil {
		opt.Free = free
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Target{
		opt: opt, k: tree{opt.Kernel}, log: opt.Log.With("target", "nvmet"),
		words: store{words.Store{Dir: filepath.Join(opt.RunDir, "nvmet"), Kinds: []string{portWords, subsystemWords, hostWords}}},
	}
}

func free(path string) error {
	f, err := host.OpenBlock(path, host.Access{})
	if err != nil {
		return err
	}
	return f.Close()
}

// change makes ready for a change and carries it out, under the lock; what and
// object are for the error.
func (t *Target) change(ctx context.Context, what string, do func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.prepare(ctx)
	if err == nil {
		err = do()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (t *Target) prepare(ctx context.Context) error {
	if t.ready {
		return nil
	}
	if t.opt.SameRoot != nil {
		if err := t.opt.SameRoot(); err != nil {
			return err
		}
	}
	if t.opt.Load != nil {
		if err := t.opt.Load(ctx); err != nil {
			return err
		}
	}
	if there, err := t.k.exists("subsystems"); err != nil || !there {
		return fmt.Errorf("find the kernel's NVMe target: is the module nvmet loaded? %w", errors.Join(err, fs.ErrNotExist))
	}
	if err := t.words.Open(); err != nil {
		return err
	}
	t.ready = true
	return nil
}

// Stop ends serving what is ours; what somebody else set up in the kernel
// stays.
func (t *Target) Stop(ctx context.Context) error {
	state, err := t.Observe(ctx)
	if err != nil {
		return fmt.Errorf("stop the NVMe target: %w", err)
	}
	for _, s := range state.Subsystems {
		if s.Ours {
			err = errors.Join(err, t.DeleteSubsystem(ctx, s.NQN))
		}
	}
	for _, p := range state.Ports {
		if p.Ours {
			err = errors.Join(err, t.DeletePort(ctx, p.ID))
		}
	}
	if err != nil {
		return fmt.Errorf("stop the NVMe target: %w", err)
	}
	return nil
}

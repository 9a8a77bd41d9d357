// Package scst is the engine in the kernel that SCST is, set up through its
// sysfs tree and nothing else. What is served is what SCST says; it goes on
// being served when the daemon ends.
//
//	Engine     engine.Engine in terms of the tree
//	supports   what of a document SCST cannot do, and who can
//	tree       how the tree is read and changed: one request at a time, only what differs
//	mgmt       what SCST says that it can do
//	device     devices, and what they are known by; look reads them, scsi those passed on
//	driver     target drivers; iSCSI's daemon
//	portal     addresses: which of them a target may be reached by
//	target     targets and their parameters; chap who may log in
//	access     host groups; lun their LUN maps
//	alua       device groups and target groups
//	session    who is logged in, and how they are closed
//	observe    the tree in the words of the document
//
// SCST's rules that this package leans on are in its sources (scst/src,
// iscsi-scst); each is named where it is used.
package scst

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/store"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// Kernel is SCST's tree (kernfs.Tree).
type Kernel interface {
	WriteFile(path, text string) error
	ReadFile(path string) (string, error)
	Readlink(path string) (string, error)
	ReadDir(path string) ([]string, error)
}

// KernelLog is where the kernel says why it refused something.
type KernelLog interface {
	// Listen returns what gives the lines that came since.
	Listen() (lines func() []string, err error)
}

// Daemon is iscsi-scstd, without which SCST's iSCSI driver has no targets: it
// listens, and logs initiators in.
type Daemon interface {
	// Port is where it listens; 0 if it does not run.
	Port(ctx context.Context) (int, error)
	// Start returns when it is at the kernel's service.
	Start(ctx context.Context, port int) error
	Stop(ctx context.Context) error
}

// SCSI finds SCSI devices of this machine (host.SCSI).
type SCSI interface {
	// Find returns the device that a path or an address leads to.
	Find(path string) (host.SCSIDevice, error)
}

// Options say what the engine works with and where it keeps what.
type Options struct {
	Kernel Kernel
	Log    *slog.Logger // nil for none
	// KernelLog is asked why a request was refused; nil for nobody.
	KernelLog KernelLog
	// Daemon is iscsi-scstd; nil takes for granted that it runs.
	Daemon Daemon
	// Load has the kernel load a module; nil if it has them all.
	Load func(ctx context.Context, module string) error
	// Ports lists the ports of this machine that a driver could serve at, for
	// people who named another one; nil if nobody can tell.
	Ports func(config.Driver) ([]string, error)
	SCSI  SCSI        // host.SCSI if nil
	Files store.Files // host.Files if nil
	// SameRoot says whether the kernel opens the files that we name; nil takes
	// that for granted.
	SameRoot func() error
	// RunDir holds the words that SCST has no place for. They mean nothing
	// without what it serves: it may be empty after a boot.
	RunDir string
	// StateDir holds what must survive: persistent reservations. SCST writes
	// them itself, and wants them in Reservations, which leads there.
	StateDir     string
	Reservations string // /var/lib/scst/pr if ""
	// DataDir is what relative paths of devices are below of.
	DataDir string
	// Poll is how often sessions are looked at for events; 2 s if 0.
	Poll time.Duration
	// Busy is how often a kernel that is busy is asked again; 20 ms if 0.
	Busy time.Duration
	// Patience is how long sessions may take to end that were told to; 20 s if 0.
	Patience time.Duration
}

// Engine serves through SCST. All methods may be called at once.
type Engine struct {
	opt   Options
	words words.Store
	log   *slog.Logger

	tookUp bool

	mu     sync.Mutex // serializes all that is asked of SCST
	k      *tree
	stores store.Stores
	first  map[string]time.Time // since when sessions are known: SCST does not tell
}

var _ engine.Engine = (*Engine)(nil)

// Start makes ready to serve. What SCST serves already is left as it is.
func Start(ctx context.Context, opt Options) (*Engine, error) {
	e, err := start(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("start SCST engine: %w", err)
	}
	return e, nil
}

func start(ctx context.Context, opt Options) (*Engine, error) {
	if opt.Files == nil {
		opt.Files = host.Files{}
	}
	if opt.SCSI == nil {
		opt.SCSI = host.SCSI{}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		v        *time.Duration
		fallback time.Duration
	}{{&opt.Poll, 2 * time.Second}, {&opt.Busy, 20 * time.Millisecond}, {&opt.Patience, 20 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.fallback
		}
	}
	if opt.Reservations == "" {
		opt.Reservations = ReservationsDir
	}
	if opt.SameRoot != nil {
		if err := opt.SameRoot(); err != nil {
			return nil, err
		}
	}
	for _, dir := range []*string{&opt.RunDir, &opt.StateDir, &opt.DataDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return nil, err
		}
		*dir = abs
	}
	e := &Engine{
		opt: opt, log: opt.Log.With("engine", "scst"), first: map[string]time.Time{},
		stores: store.Stores{Files: opt.Files, Dir: opt.DataDir},
		k:      &tree{Kernel: opt.Kernel, log: opt.KernelLog, poll: opt.Busy},
		words:  words.Store{Dir: filepath.Join(opt.RunDir, "scst"), Kinds: []string{deviceWords, scsiWords, portalWords, targetWordsKind, groupWords, deviceAttributes}},
	}
	if err := e.words.Open(); err != nil {
		return nil, err
	}
	if err := e.keepReservations(); err != nil {
		return nil, err
	}
	if _, err := e.k.read(ctx, "version"); err != nil {
		return nil, fmt.Errorf("find SCST: is its module scst loaded? %w", err)
	}
	targets, err := e.targets(ctx)
	if err != nil {
		return nil, err
	}
	e.tookUp = len(targets) > 0
	return e, nil
}

// Name implements engine.Engine.
func (e *Engine) Name() string { return "scst" }

// Close lets go; SCST serves on.
func (e *Engine) Close() error { return nil }

// TookUp reports whether SCST served something already when the engine
// started.
func (e *Engine) TookUp() bool { return e.tookUp }

// Stop ends serving what is ours: targets, then device groups and devices.
// What somebody else set up in SCST stays.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.stop(ctx); err != nil {
		return fmt.Errorf("stop SCST engine: %w", err)
	}
	return nil
}

func (e *Engine) stop(ctx context.Context) error {
	targets, err := e.targets(ctx)
	if err != nil {
		return err
	}
	for _, p := range targets {
		w, err := e.target(p)
		if err != nil {
			return err
		}
		if !w.ours() {
			continue
		}
		if err := e.dropTarget(ctx, p); err != nil {
			return err
		}
	}
	groups, err := words.All[config.DeviceGroup](e.words, groupWords)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := e.dropDeviceGroup(ctx, g.Name); err != nil {
			return err
		}
	}
	made, err := words.All[wordsOfDevice](e.words, deviceWords)
	if err != nil {
		return err
	}
	passed, err := words.All[passed](e.words, scsiWords)
	if err != nil {
		return err
	}
	var names []string
	for _, d := range made {
		names = append(names, d.Device.Name)
	}
	for _, p := range passed {
		names = append(names, p.Device.Name)
	}
	for _, name := range names {
		if err := e.dropDevice(ctx, name); err != nil {
			return err
		}
	}
	if err := e.putDiscovery(ctx, config.Auth{}); err != nil {
		return err
	}
	return e.words.Clear()
}

// problems gathers reasons.
type problems []error

func (p *problems) add(is bool, format string, args ...any) {
	if is {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

// join is an error of all reasons, nil without any.
func (p problems) join() error { return errors.Join(p...) }

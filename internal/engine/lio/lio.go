// Package lio is the engine in the kernel: LIO, set up through its configfs
// tree and nothing else. What is served is what the kernel says; it goes on
// being served when the daemon ends.
//
//	Engine     engine.Engine in terms of the tree
//	supports   what of a document LIO cannot do, and who can
//	tree       how the tree is read and changed: only what differs is written
//	device     storage objects, and what they are known by; look reads them
//	passthrough  SCSI devices of this machine, as they are
//	fabric     transports: iSCSI, SRP, Fibre Channel, FCoE, this machine itself
//	portal     addresses: network portals in every target that they reach
//	target     targets: one portal group a tag
//	access     host groups: an ACL for each initiator, or the dynamic ones
//	lun        LUN maps; shown is what everybody sees
//	gate       what lets initiators in
//	alua       target port groups of devices
//	observe    the tree in the words of the document
//	words      what the tree has no place for
//
// The kernel's rules that this package leans on are in drivers/target of the
// kernel's sources; each is named where it is used.
package lio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/store"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// Kernel is LIO's tree (kernfs.Tree).
type Kernel interface {
	Mkdir(path string) error
	Rmdir(path string) error
	WriteFile(path, text string) error
	ReadFile(path string) (string, error)
	Symlink(target, path string) error
	Readlink(path string) (string, error)
	Remove(path string) error
	ReadDir(path string) ([]string, error)
}

// Options say what the engine works with and where it keeps what.
type Options struct {
	Kernel Kernel
	Files  store.Files // host.Files if nil
	SCSI   SCSI        // host.SCSI if nil
	// SameRoot says whether the kernel opens the files that we name; nil takes
	// that for granted.
	SameRoot func() error
	// RunDir holds the words that the kernel has no place for. They mean
	// nothing without what the kernel serves: it may be empty after a boot.
	RunDir string
	// StateDir holds what must survive: persistent reservations (APTPL) and
	// access states. The kernel writes it itself.
	StateDir string
	// Load has the kernel load a module that it does not load by itself; nil if
	// it has them all.
	Load func(ctx context.Context, module string) error
	// Ports lists the ports of this machine that a driver could serve at, for
	// people who named another one; nil if nobody can tell.
	Ports func(config.Driver) ([]string, error)
	// RoCE says whether this machine has RDMA over Ethernet; nil if it has not.
	RoCE func() (bool, error)
	// DataDir is what relative paths of devices are below of.
	DataDir string
	// Poll is how often sessions are looked at for events; 2 s if 0.
	Poll time.Duration
	Log  *slog.Logger // nil for none
}

// Engine serves through LIO. All methods may be called at once.
type Engine struct {
	opt   Options
	k     tree
	words wordStore
	log   *slog.Logger

	tookUp bool

	mu     sync.Mutex // serializes changes
	stores store.Stores
	first  firstSeen
}

var _ engine.Engine = (*Engine)(nil)

// Start makes ready to serve. What the kernel serves already is left as it is.
func Start(_ context.Context, opt Options) (*Engine, error) {
	if opt.Files == nil {
		opt.Files = host.Files{}
	}
	if opt.SCSI == nil {
		opt.SCSI = host.SCSI{}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Poll == 0 {
		opt.Poll = 2 * time.Second
	}
	if opt.SameRoot != nil {
		if err := opt.SameRoot(); err != nil {
			return nil, fmt.Errorf("start LIO engine: %w", err)
		}
	}
	for _, dir := range []*string{&opt.RunDir, &opt.StateDir, &opt.DataDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return nil, fmt.Errorf("start LIO engine: %w", err)
		}
		*dir = abs
	}
	e := &Engine{
		opt: opt, k: tree{opt.Kernel}, log: opt.Log.With("engine", "lio"),
		stores: store.Stores{Files: opt.Files, Dir: opt.DataDir},
		words:  wordStore{words.Store{Dir: filepath.Join(opt.RunDir, "lio"), Kinds: []string{"targets", "portals", "groups", deviceAttributes}}},
	}
	if err := e.words.Open(); err != nil {
		return nil, fmt.Errorf("start LIO engine: %w", err)
	}
	if err := e.keepReservations(); err != nil {
		return nil, fmt.Errorf("start LIO engine: %w", err)
	}
	targets, err := e.targets()
	if err != nil {
		return nil, fmt.Errorf("start LIO engine: %w", err)
	}
	e.tookUp = len(targets) > 0
	return e, nil
}

// Name implements engine.Engine.
func (e *Engine) Name() string { return "lio" }

// keepReservations has the kernel write persistent reservations and access
// states into StateDir. Its directories must be there: without pr, PERSISTENT
// RESERVE OUT with APTPL fails (target_core_pr.c). The kernel takes another
// place only before it has a fabric (target_core_item_dbroot_store).
func (e *Engine) keepReservations() error {
	prepare := func(root string) error {
		for _, dir := range []string{"pr", "alua"} {
			if err := host.MakeDir(filepath.Join(root, dir), 0o700); err != nil {
				return fmt.Errorf("make the directory for persistent reservations: %w", err)
			}
		}
		return nil
	}
	if err := prepare(e.opt.StateDir); err != nil {
		return err
	}
	now, err := e.k.read("dbroot")
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("find the kernel's target: is the module target_core_mod loaded? %w", err)
	}
	if err != nil || now == e.opt.StateDir {
		return err
	}
	// The newline ends the name: without one, the end of a longer name that
	// was there before is kept (target_core_item_dbroot_store).
	err = e.k.WriteFile("dbroot", e.opt.StateDir+"\n")
	if err == nil {
		if now, err = e.k.read("dbroot"); err == nil && now != e.opt.StateDir {
			err = fmt.Errorf("the kernel took %q as the directory for persistent reservations, not %q", now, e.opt.StateDir)
		}
		return err
	}
	// Too late: somebody has set up a target before us. Reservations that are
	// to survive go where the kernel puts them then.
	if err := prepare(now); err != nil {
		return err
	}
	e.log.Warn("the kernel keeps persistent reservations where it did before, because it had a target already; they move at the next boot",
		"now", now, "wanted", e.opt.StateDir, "err", err)
	return nil
}

// Close lets go; the kernel serves on.
func (e *Engine) Close() error { return nil }

// TookUp reports whether the kernel served something already when the engine
// started.
func (e *Engine) TookUp() bool { return e.tookUp }

// Stop ends serving what is ours: targets, then devices. What somebody else set
// up in the kernel stays.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.stop(ctx); err != nil {
		return fmt.Errorf("stop LIO engine: %w", err)
	}
	return nil
}

func (e *Engine) stop(ctx context.Context) error {
	targets, err := e.targets()
	if err != nil {
		return err
	}
	for _, p := range targets {
		w, err := e.words.target(p)
		if err != nil {
			return err
		}
		if w.Was == nil {
			continue
		}
		if err := e.dropTarget(p); err != nil {
			return err
		}
		if err := e.words.Remove("targets", p.name); err != nil {
			return err
		}
	}
	devices, err := e.devices()
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.ours {
			if err := e.dropDevice(d.at); err != nil {
				return err
			}
		}
	}
	if err := e.words.Clear(); err != nil {
		return err
	}
	return e.putDiscovery(ctx, config.Auth{})
}

// Reservations is where the kernel keeps persistent reservations.
func (e *Engine) Reservations() (string, error) { return e.k.read("dbroot") }

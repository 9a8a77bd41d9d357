// Package appliance is the conductor: it holds the declared document, plans
// the way from what is to what is declared, carries it out, keeps every
// document as a numbered revision, and sees to it that what is declared is
// served again after a crash.
package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/networking"
	"github.com/esos-project/esos/internal/host/smart"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/alua"
	"github.com/esos-project/esos/internal/layer/device"
	"github.com/esos-project/esos/internal/layer/group"
	"github.com/esos-project/esos/internal/layer/lun"
	"github.com/esos-project/esos/internal/layer/network"
	"github.com/esos-project/esos/internal/layer/nvme"
	"github.com/esos-project/esos/internal/layer/portal"
	"github.com/esos-project/esos/internal/layer/target"
	"github.com/esos-project/esos/internal/layer/vdisk"
	"github.com/esos-project/esos/internal/library"
	"github.com/esos-project/esos/internal/plan"
)

// Options say what an appliance works with.
type Options struct {
	DataDir string        // revisions, events and, by default, images are below it
	Engine  engine.Engine // who serves
	// NVMe serves over NVMe-oF, beside the engine; documents that declare that
	// are refused if it is nil.
	NVMe nvme.Target
	Log  *slog.Logger // slog.Default if nil
	// First is carried out if there is no revision yet; nil leaves the array
	// empty.
	First *config.Document
	// Adopt is asked for the first document instead, if there is no revision
	// yet. What of it cannot be served now is told by Status and tried again.
	// An array whose document is refused stays empty; Refused says why.
	Adopt func() (*config.Document, error)
	// InMemory says that the root is in memory: image files on file systems
	// that do not outlive a reboot are refused.
	InMemory bool
	// OwnsMachine says that the whole machine is ESOS's to set up: network,
	// clock, mail, users, services. Elsewhere documents that declare these are
	// refused (layer.IfOwner).
	OwnsMachine bool
	// Kept makes what was just put in force outlive a power cut, on machines
	// that run from memory. A change is not done before it returned; what it
	// says is told, and undoes nothing. Nil where files outlive one anyway.
	Kept func(ctx context.Context, reason string) error
	// Files works on image files; the host's if nil.
	Files vdisk.Files
	// SCSI finds the machine's SCSI devices; the host's if nil.
	SCSI vdisk.SCSI
	// Snapshots takes snapshots of devices; one on the host's machine if nil.
	Snapshots Snapshots
	// Network is the machine's network; the host's if nil.
	Network interface {
		network.Machine
		networkMachine
	}
	// System is the machine's clock, users and services; the host's if its
	// fields are nil.
	System System
	// Storage is what disks and all that is made of them are seen and set up
	// through; the host if nil.
	Storage StorageMachine
	// Health remembers how disks are; a book of its own if nil.
	Health *smart.Book
	// ConfirmTime is how long a change of the network waits to be confirmed;
	// ConfirmTime if 0.
	ConfirmTime time.Duration
	// Keep is how many revisions are kept; 200 if 0.
	Keep int
	// Retry is how long to wait before what could not be served is tried
	// again; 30 s if 0.
	Retry time.Duration
}

// Appliance is the array as it is declared. Its methods may be called at the
// same time.
type Appliance struct {
	engine      engine.Engine
	nvme        nvme.Target
	log         *slog.Logger
	kept        func(ctx context.Context, reason string) error
	layers      []layer.Layer
	network     layer.Layer
	snapshots   Snapshots
	library     library.Library
	storage     []layer.Layer // those of layers that devices stand on
	disks       StorageMachine
	health      *smart.Book
	keys        *storageKeys
	dataDir     string
	machine     networkMachine
	ownsMachine bool
	store       *store
	events      *eventLog
	retry       time.Duration
	lock        *os.File
	refused     error         // why the document of Adopt is not in force
	applies     chan struct{} // holds one token: who has it may apply
	kick        chan struct{} // asks for a reconciliation

	ctx        context.Context // of all work; ended by Close
	cancel     context.CancelFunc
	undoing    context.Context // of what is put back; ended soon after ctx
	cancelUndo context.CancelFunc
	work       sync.WaitGroup

	confirmTime time.Duration
	confirm     confirmation

	shared atomic.Bool // others than this daemon can change what is served

	mu         sync.Mutex // guards what follows; never held while the engine is asked
	current    *config.Document
	revision   Revision
	problems   []plan.Note  // why what is declared is not all served
	drift      []plan.Drift // what was changed by hand, as of the last look
	unfinished unfinished
	operations []*Operation
	nextOp     int

	snapshotProblems map[string]string // by object
}

// Open reads the newest revision and begins to serve it. What of it cannot be
// served now is told by Status and tried again. Close ends it.
func Open(ctx context.Context, o Options) (*Appliance, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Files == nil {
		o.Files = host.Files{}
	}
	if o.SCSI == nil {
		o.SCSI = host.SCSI{}
	}
	if o.Network == nil {
		o.Network = networking.Machine{Root: "/"}
	}
	if o.Storage == nil {
		o.Storage = host.Linux{}
	}
	if o.Health == nil {
		o.Health = &smart.Book{}
	}
	if o.ConfirmTime == 0 {
		o.ConfirmTime = ConfirmTime
	}
	if o.Keep == 0 {
		o.Keep = 200
	}
	if o.Retry == 0 {
		o.Retry = 30 * time.Second
	}
	if err := os.MkdirAll(o.DataDir, 0o755); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	abs, err := filepath.Abs(o.DataDir)
	if err == nil {
		o.DataDir, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	lock, err := host.LockFile(filepath.Join(o.DataDir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", o.DataDir, err)
	}
	keys := newStorageKeys(time.Now)
	storage := storageLayers(o, keys)
	a := &Appliance{
		keys: keys, dataDir: o.DataDir, storage: storage, disks: o.Storage, health: o.Health,
		engine: o.Engine, nvme: o.NVMe, log: o.Log, retry: o.Retry, lock: lock, kept: o.Kept,
		layers:    append(layers(o, storage), systemLayers(o)...),
		snapshots: snapshots(o), library: imageLibrary(o),
		network: networkLayer(o), machine: o.Network, ownsMachine: o.OwnsMachine, confirmTime: o.ConfirmTime, confirm: confirmation{path: filepath.Join(o.DataDir, markerFile)},
		unfinished: unfinished{path: filepath.Join(o.DataDir, unfinishedFile)},
		applies:    make(chan struct{}, 1), kick: make(chan struct{}, 1),
	}
	a.applies <- struct{}{}
	a.ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.undoing, a.cancelUndo = context.WithCancel(context.WithoutCancel(ctx))
	if err := a.open(ctx, o); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func networkLayer(o Options) layer.Layer {
	return layer.IfOwner(o.OwnsMachine, network.Layer{Machine: o.Network}, func(d *config.Document) bool { return d.Network.Declared() })
}

// layers are the layers of the stack, from the bottom up.
func layers(o Options, storage []layer.Layer) []layer.Layer {
	below := append([]layer.Layer{networkLayer(o)}, ownStorage(o, storage)...)
	return append(below,
		vdisk.Layer{Files: o.Files, SCSI: o.SCSI, DataDir: o.DataDir, InMemory: o.InMemory},
		device.Layer{Engine: o.Engine},
		portal.Layer{Engine: o.Engine},
		target.Layer{Engine: o.Engine},
		group.Layer{Engine: o.Engine},
		lun.Layer{Engine: o.Engine},
		alua.Layer{Engine: o.Engine},
		nvme.Layer{Target: o.NVMe, DataDir: o.DataDir},
	)
}

func (a *Appliance) open(ctx context.Context, o Options) error {
	var err error
	if a.events, err = openEventLog(o.DataDir); err != nil {
		return err
	}
	a.resumeLeft(ctx)
	var damaged []error
	a.store, a.current, a.revision, damaged, err = openStore(filepath.Join(o.DataDir, "revisions"), diskFiles{}, o.Keep)
	if err != nil {
		return err
	}
	for _, d := range damaged {
		a.event("revision.damaged", "array", d.Error())
	}
	if a.current == nil {
		if err := a.empty(); err != nil {
			return err
		}
	}
	if err := a.unfinished.load(); err != nil {
		return err
	}
	if err := a.undoInterrupted(); err != nil {
		return err
	}
	if err := a.useEngine(ctx); err != nil {
		return err
	}
	heard, err := a.engine.Events(a.ctx)
	if err != nil {
		return fmt.Errorf("listen to engine %s: %w", a.engine.Name(), err)
	}
	a.work.Go(func() { a.listen(heard) })
	switch {
	case a.revision.Number == 0 && o.Adopt != nil:
		if err := a.adopt(ctx, o.Adopt); err != nil {
			return err
		}
	case a.revision.Number == 0 && o.First != nil:
		op, err := a.Apply(ctx, Change{Document: o.First, Who: "esos", Why: "first document"})
		if err != nil {
			return fmt.Errorf("apply the first document: %w", err)
		}
		if err := op.Wait(ctx); err != nil {
			return fmt.Errorf("apply the first document: %w", err)
		}
	default:
		if err := a.Reconcile(ctx); err != nil {
			return err
		}
	}
	if err := a.undoneInterrupted(); err != nil {
		return err
	}
	a.work.Go(a.watch)
	return nil
}

// empty is what is in force before the first document.
func (a *Appliance) empty() error {
	a.current = &config.Document{Version: config.Version, Name: "esos"}
	text, err := config.Marshal(a.current)
	if err != nil {
		return err
	}
	a.revision = Revision{ETag: etag(text)}
	return nil
}

// undoTime is how long Close lets a change be undone. An engine that hangs must
// not keep the daemon from ending; the next Open brings what is served to what
// is declared anyway.
const undoTime = 250 * time.Millisecond

// Close waits for what is being carried out to be done, or undone as far as
// that goes in a moment, and lets go of the data directory. What is served goes
// on being served.
func (a *Appliance) Close() error {
	a.cancel()
	defer time.AfterFunc(undoTime, a.cancelUndo).Stop()
	a.work.Wait()
	a.cancelUndo()
	var errs []error
	if a.events != nil {
		errs = append(errs, a.events.Close())
	}
	return errors.Join(append(errs, a.lock.Close())...)
}

// Document returns a copy of the document in force, and which revision it is.
// Before the first one it is empty and its number 0.
func (a *Appliance) Document(context.Context) (*config.Document, Revision, error) {
	doc, rev := a.inForce()
	return doc.Clone(), rev, nil
}

// inForce returns the document in force; it is never changed, only replaced.
func (a *Appliance) inForce() (*config.Document, Revision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current, a.revision
}

// Revisions lists the revisions that are kept, newest first.
func (a *Appliance) Revisions(context.Context) ([]Revision, error) { return a.store.list() }

// Revision returns an older document. The error wraps ErrNoRevision if it is
// not kept.
func (a *Appliance) Revision(_ context.Context, number int) (*config.Document, Revision, error) {
	return a.store.read(number)
}

// Sessions returns who is logged in.
func (a *Appliance) Sessions(ctx context.Context) ([]engine.Session, error) {
	return a.engine.Sessions(ctx)
}

// CloseSession logs an initiator out.
func (a *Appliance) CloseSession(ctx context.Context, id string) error {
	return a.engine.CloseSession(ctx, id)
}

// Statistics returns the engine's counters.
func (a *Appliance) Statistics(ctx context.Context) (engine.Statistics, error) {
	return a.engine.Statistics(ctx)
}

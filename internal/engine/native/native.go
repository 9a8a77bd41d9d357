// Package native is the engine in user space: it serves through esos-target, a
// process of its own that it starts, configures over a Unix socket and
// watches. The daemon opens what the process serves and hands it over; the
// process goes on serving when the daemon ends, and the next daemon takes it
// up again with every session untouched. If the process dies, another is
// started within a moment and given all that the dead one had.
//
//	Engine       the daemon's side: engine.Engine in terms of requests
//	supervisor   starts the process, finds it again, notices its death
//	activate     the same, where systemd starts it
//	wanted       what was put, to give it to the next process
//	control/     the protocol on the socket
//	process/     what esos-target runs
//	sandbox/     what esos-target gives up before it serves
package native

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
	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/internal/engine/store"
	"github.com/esos-project/esos/internal/host"
)

// Options say where the engine keeps what.
type Options struct {
	// TargetBinary is the program esos-target.
	TargetBinary string
	// Socket is where the process is reached if somebody else starts it as soon
	// as one connects: a socket unit of systemd. Empty: this engine starts and
	// ends TargetBinary itself.
	Socket string
	// RunDir holds the socket to the process, its lock and what it died of. It
	// may be empty after a boot. Two engines cannot share one.
	RunDir string
	// StateDir holds what must survive: persistent reservations (APTPL). It is
	// the process's only place in the file system.
	StateDir string
	// DataDir is what relative paths of devices are below of.
	DataDir string
	// Log takes the engine's and the process's records; nil for none.
	Log *slog.Logger

	pulse time.Duration // for tests: how often the process is asked whether it is well
}

// Engine serves through esos-target. All methods may be called at once.
type Engine struct {
	opt    Options
	stores store.Stores
	log    *slog.Logger
	hub    hub
	proc   *supervisor

	// mu serializes changes, and a replay against them.
	mu     sync.Mutex
	wanted wanted
}

var _ engine.Engine = (*Engine)(nil)

// Start takes up the esos-target that serves already, or starts one.
func Start(ctx context.Context, opt Options) (*Engine, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	for _, dir := range []*string{&opt.RunDir, &opt.StateDir, &opt.DataDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return nil, fmt.Errorf("start native engine: %w", err)
		}
		*dir = abs
		if err := os.MkdirAll(abs, 0o700); err != nil {
			return nil, fmt.Errorf("start native engine: %w", err)
		}
	}
	e := &Engine{
		opt: opt, log: opt.Log.With("engine", "native"),
		stores: store.Stores{Files: host.Files{}, Dir: opt.DataDir},
	}
	e.wanted.clear()
	e.proc = newSupervisor(opt, e.log, e)
	if err := e.proc.start(ctx); err != nil {
		e.hub.close()
		return nil, fmt.Errorf("start native engine: %w", err)
	}
	return e, nil
}

// Name implements engine.Engine.
func (e *Engine) Name() string { return "native" }

// Supports implements engine.Engine.
func (e *Engine) Supports(d *config.Document) []error { return Supports(d) }

// Supports says what of a document this engine cannot do.
func Supports(d *config.Document) []error {
	var errs []error
	for _, dev := range d.Devices {
		switch dev.Handler {
		case config.FileIO, config.BlockIO, config.NullIO, config.Memory, config.CDROM:
		case config.PassDisk, config.PassTape, config.PassCDROM, config.PassChanger:
			errs = append(errs, fmt.Errorf("device %s: the native engine serves files and block devices, and passes no SCSI device on (%s); use engine: lio or scst, which can", dev.Name, dev.Handler))
		default:
			errs = append(errs, fmt.Errorf("device %s: the native engine has no handler %q; use engine: scst, which can", dev.Name, dev.Handler))
		}
	}
	errs = append(errs, attributeProblems(d)...)
	for _, p := range d.ISCSI.Portals {
		if p.ISER {
			errs = append(errs, fmt.Errorf("portal %s: the native engine serves iSCSI over TCP only; leave iser out, or use engine: lio or scst, which can", p.Name))
		}
	}
	for _, t := range d.Targets {
		if driver := t.WithDefaults().Driver; driver != config.DriverISCSI {
			errs = append(errs, fmt.Errorf("target %s: the native engine is a program and serves iSCSI; %s (driver %s) is the kernel's: use engine: lio or scst, which can", t.Name, driver.Human(), driver))
		}
	}
	return errs
}

// Stop ends serving in an orderly way: initiators are logged out, everything
// is made stable, the process ends. The engine is of no use after.
func (e *Engine) Stop(ctx context.Context) error {
	err := e.proc.stop(ctx)
	e.hub.close()
	if err != nil {
		return fmt.Errorf("stop native engine: %w", err)
	}
	return nil
}

// Close lets go of the process, which serves on. The engine is of no use after.
func (e *Engine) Close() error {
	e.proc.detach()
	e.hub.close()
	return nil
}

// TookUp reports whether the process served already when Start found it.
func (e *Engine) TookUp() bool { return e.proc.tookUp }

// PID is the process that serves now; 0 while there is none.
func (e *Engine) PID() int { return e.proc.pid() }

// Socket is the path of the socket to the process.
func (e *Engine) Socket() string { return e.proc.socket }

// retryWait is how long a request waits for a process that is being restarted.
const retryWait = 10 * time.Second

// ask runs a request against the process. One that the process's death cut off
// is asked again of the next process: all of them may be repeated.
func (e *Engine) ask(ctx context.Context, what func(*control.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, retryWait)
	defer cancel()
	for attempt := 0; ; attempt++ {
		c, err := e.proc.client(ctx)
		if err != nil {
			return err
		}
		err = what(c)
		if !errors.Is(err, control.ErrClosed) || attempt == 3 {
			return err
		}
	}
}

// change is ask with the lock that keeps changes and replays apart. Only when
// the process agreed is the change noted for replay.
func (e *Engine) change(ctx context.Context, what func(*control.Client) error, note func(*wanted)) error {
	return e.ask(ctx, func(c *control.Client) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if err := what(c); err != nil {
			return err
		}
		note(&e.wanted)
		return nil
	})
}

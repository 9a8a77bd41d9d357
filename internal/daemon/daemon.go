// Package daemon is what `esos serve` runs: it puts the engine, the appliance
// and the API together, and takes them apart again in order.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/api"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/choice"
	"github.com/esos-project/esos/internal/host/smart"
)

// Options say where the daemon keeps what.
type Options struct {
	// DataDir holds what must survive a reboot: the documents, image files by
	// default, reservations, the API's certificate.
	DataDir string
	// RunDir holds the sockets.
	RunDir string
	// First is carried out if there is no document yet.
	First *config.Document
	// Seed is a file with the document that an appliance begins with, instead
	// of First. It may be missing; what of it cannot be served yet is tried
	// again.
	Seed string
	// TargetBinary is the program esos-target.
	TargetBinary string
	// TargetSocket is where systemd starts esos-target; empty if the daemon
	// does.
	TargetSocket string
	// InMemory says that the root is in memory: image files there are refused.
	InMemory bool
	// Saver saves the settings to the medium after changes; nil where files
	// outlive a reboot by themselves.
	Saver   Saver
	Version string
	Log     *slog.Logger
	// Ready is called once the array serves.
	Ready func(ctx context.Context, a *appliance.Appliance, socket string)
	// Stop tells how it ends: a signal.
	Stop <-chan os.Signal
}

// SocketName is the API's socket in the run directory.
const SocketName = "api.sock"

// stopTime is how long esos-target may take to log initiators out and make
// everything stable.
const stopTime = 1500 * time.Millisecond

// Run serves until a signal comes. SIGTERM leaves esos-target serving, for the
// next daemon to take up: a restart drops no session. SIGINT (Ctrl-C) ends it
// too.
func Run(ctx context.Context, o Options) (err error) {
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	// The API's socket first: it tells whether a daemon is there already.
	socket := filepath.Join(o.RunDir, SocketName)
	listener, err := api.ListenUnix(socket)
	if err != nil {
		return err
	}
	defer listener.Close()
	shareSocket(ctx, o, socket)
	starting, stopped, cancel := untilStopped(ctx, o.Stop)
	defer cancel()
	eng, nvme := engines(o), nvmeTarget(o)
	health := newHealth(o)
	app, err := appliance.Open(starting, appliance.Options{Health: health, DataDir: o.DataDir, Engine: eng, NVMe: nvme, Log: o.Log, First: o.First, Adopt: adoption(o.Seed), InMemory: o.InMemory, OwnsMachine: o.InMemory, Kept: kept(o.Saver)})
	if err != nil {
		if eng.TookUp() && stopped() != os.Interrupt {
			// It served before we came: our trouble is none of the initiators'.
			return errors.Join(err, eng.Close())
		}
		if stopped() == os.Interrupt {
			err = errors.Join(err, stopNVMe(nvme))
		}
		return errors.Join(err, stop(eng))
	}
	cancel()
	sig := stopped()
	if sig == nil {
		sig, err = serve(ctx, o, app, health, listener, socket)
	}
	err = errors.Join(err, app.Close())
	if sig == os.Interrupt {
		return errors.Join(err, stopNVMe(nvme), stop(eng))
	}
	// SIGTERM, or a fault of the daemon's own.
	o.Log.Info("the daemon ends; what is served is served on", "engine", eng.Name())
	return errors.Join(err, eng.Close())
}

// untilStopped returns a context that ends with the first signal that comes
// before cancel is called; stopped says which that was, nil if none came.
func untilStopped(ctx context.Context, signals <-chan os.Signal) (_ context.Context, stopped func() os.Signal, cancel func()) {
	ctx, end := context.WithCancel(ctx)
	came := make(chan os.Signal, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-signals:
			came <- s
			end()
		case <-ctx.Done():
		}
	}()
	cancel = func() { end(); <-done }
	stopped = func() os.Signal {
		select {
		case s := <-came:
			came <- s
			return s
		default:
			return nil
		}
	}
	return ctx, stopped, cancel
}

// serve answers the API until a signal comes, which it returns.
func serve(ctx context.Context, o Options, app *appliance.Appliance, health *smart.Book, listener net.Listener, socket string) (os.Signal, error) {
	board := alert.NewBoard(func(kind, object, message string) {
		app.Note(engine.Event{Kind: kind, Object: object, Message: message})
	})
	server := api.New(machineParts(o, api.Options{Appliance: app, Alerts: board, Log: o.Log, Version: o.Version, CertDir: filepath.Join(o.DataDir, "api")}))
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	g, work := errgroup.WithContext(work)
	g.Go(func() error { return server.Follow(work) })
	g.Go(func() error { return server.ServeUnix(work, listener) })
	g.Go(func() error { return watchMachine(work, o, app, board, &alert.Disks{Book: health}) })
	g.Go(func() error { return keepUp(work, o, app, board, health) })
	g.Go(func() error { return heartbeat(work, o.Log, socket) })
	g.Go(func() error { return keepSaving(work, o, app, board) })
	g.Go(func() error { return keepMailing(work, o, app, board) })
	g.Go(func() error { return keepTrial(work, o, board, socket) })
	if o.Ready != nil {
		o.Ready(ctx, app, socket)
	}
	notify(o.Log, sd.SdNotifyReady)
	var sig os.Signal
	select {
	case sig = <-o.Stop:
	case <-work.Done():
	}
	notify(o.Log, sd.SdNotifyStopping)
	cancel()
	return sig, g.Wait()
}

// notify tells systemd, if it started us.
func notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("systemd cannot be told the daemon's state", "state", state, "err", err)
	}
}

func stop(eng *choice.Engine) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return eng.Stop(ctx)
}

// TargetBinary finds esos-target: beside this program, else in PATH.
func TargetBinary() (string, error) {
	self, err := os.Executable()
	if err == nil {
		beside := filepath.Join(filepath.Dir(self), "esos-target")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath("esos-target")
	if err != nil {
		return "", fmt.Errorf("find esos-target, beside %s or in PATH: %w; name it with --target-binary", self, err)
	}
	return found, nil
}

// Package process is what esos-target runs: devices, targets and portals, as
// the daemon asks for them over the control socket, served by packages iscsi,
// scsi and backing. It opens nothing: what it serves comes as descriptors.
package process

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/iscsi"
	"github.com/esos-project/esos/scsi"
)

// Options are what a Process stands on.
type Options struct {
	Log *slog.Logger
	// Publish hands an event to the daemon. It must not wait.
	Publish func(control.Event)
	// StateDir is where reservations and journals of atomic writes are kept.
	StateDir string
	// Build is the version of the program.
	Build string
	// Confinement is what the process gave up, in words.
	Confinement []string
}

// Process serves. It implements control.Handler.
type Process struct {
	opt          Options
	log          *slog.Logger
	hello        control.Hello
	server       *iscsi.Server
	reservations scsi.ReservationStore
	calls        map[string]call

	// change is held over every change, also while it waits for tasks to end.
	// mu guards the maps and is never held while waiting, so that what is
	// served can be told at any time. change is taken before mu.
	change    sync.Mutex
	mu        sync.RWMutex
	devices   map[string]*device
	portals   []*portal
	targets   []*target // in the order of their creation
	discovery control.Auth

	access accessStates

	stopped  chan struct{} // closed when Stop was asked and done
	stopOnce sync.Once
}

// call answers one kind of request.
type call func(ctx context.Context, body []byte, files *files) (any, error)

// New makes a process that serves nothing yet.
func New(opt Options) *Process {
	p := &Process{
		opt: opt, log: opt.Log,
		hello: control.Hello{
			Protocol: control.Version, Build: opt.Build, PID: os.Getpid(), Started: time.Now(), Confinement: opt.Confinement,
		},
		devices: map[string]*device{},
		stopped: make(chan struct{}),
	}
	p.access.process = p
	p.reservations = scsi.NewReservationFiles(opt.StateDir)
	p.server = p.newServer()
	p.calls = map[string]call{
		control.OpHello:             func(context.Context, []byte, *files) (any, error) { return p.hello, nil },
		control.OpPutDevice:         withFile(p.putDevice),
		control.OpDeleteDevice:      with(func(n control.Name) error { return p.deleteDevice(n.Name) }),
		control.OpPutPortal:         withFile(p.putPortal),
		control.OpDeletePortal:      with(func(n control.Name) error { return p.deletePortal(n.Name) }),
		control.OpPutDiscovery:      with(p.putDiscovery),
		control.OpPutTarget:         with(p.putTarget),
		control.OpDeleteTarget:      with(func(n control.Name) error { return p.deleteTarget(n.Name) }),
		control.OpPutGroup:          with(p.putGroup),
		control.OpDeleteGroup:       with(p.deleteGroup),
		control.OpPutLUN:            with(p.putLUN),
		control.OpDeleteLUN:         with(p.deleteLUN),
		control.OpPutDeviceGroup:    with(p.access.put),
		control.OpDeleteDeviceGroup: with(func(n control.Name) error { return p.access.delete(n.Name) }),
		control.OpObserve:           func(context.Context, []byte, *files) (any, error) { return p.observe(), nil },
		control.OpSessions:          func(context.Context, []byte, *files) (any, error) { return p.sessions(), nil },
		control.OpStatistics:        func(context.Context, []byte, *files) (any, error) { return p.statistics(), nil },
		control.OpCloseSession:      with(func(n control.Name) error { return p.closeSession(n.Name) }),
		control.OpStop:              func(ctx context.Context, _ []byte, _ *files) (any, error) { p.Stop(ctx); return nil, nil },
	}
	return p
}

// Stopped is closed when the process has been asked to stop and has done so.
func (p *Process) Stopped() <-chan struct{} { return p.stopped }

// Answer returns once the locks can be had that every request and every login
// takes. A process in which it does not return serves nobody new. None of them
// is held while a disk is waited for.
func (p *Process) Answer() {
	p.mu.RLock()
	p.mu.RUnlock() //nolint:staticcheck // having had it is all that is wanted
	p.sessions()
}

// Handle implements control.Handler.
func (p *Process) Handle(ctx context.Context, op string, body []byte, got []*os.File) (any, error) {
	f := files{list: got}
	defer f.close()
	do := p.calls[op]
	if do == nil {
		return nil, control.Errorf(control.Unknown, "esos-target %s does not know the request %q", p.opt.Build, op)
	}
	return do(ctx, body, &f)
}

// with makes a call of a change that takes In.
func with[In any](do func(In) error) call {
	return func(_ context.Context, body []byte, _ *files) (any, error) {
		in, err := decode[In](body)
		if err != nil {
			return nil, err
		}
		return nil, do(in)
	}
}

// withFile makes a call of a change that may take a file, and that answers.
func withFile[In, Out any](do func(In, *files) (Out, error)) call {
	return func(_ context.Context, body []byte, f *files) (any, error) {
		in, err := decode[In](body)
		if err != nil {
			return nil, err
		}
		return do(in, f)
	}
}

func decode[In any](body []byte) (in In, err error) {
	if err := json.Unmarshal(body, &in); err != nil {
		return in, control.Errorf(control.Refused, "request: %v", err)
	}
	return in, nil
}

// files are the descriptors of a request. Those that nobody takes are closed.
type files struct{ list []*os.File }

// take returns the next file, nil if there is none; it is the caller's.
func (f *files) take() *os.File {
	if len(f.list) == 0 {
		return nil
	}
	file := f.list[0]
	f.list = f.list[1:]
	return file
}

func (f *files) close() {
	for _, file := range f.list {
		file.Close()
	}
	f.list = nil
}

// publish tells the daemon that something happened.
func (p *Process) publish(kind, object, message string, detail map[string]string) {
	p.opt.Publish(control.Event{Time: time.Now(), Kind: kind, Object: object, Message: message, Detail: detail})
}

// Limits of an orderly end: what is not done by then is left to the kernel,
// which loses nothing of what was written.
const (
	logoutWait = 600 * time.Millisecond
	syncWait   = 400 * time.Millisecond
)

// Stop ends serving: initiators are logged out, then the stores are made
// stable. It takes little more than a second whatever happens.
func (p *Process) Stop(ctx context.Context) {
	p.stopOnce.Do(func() {
		defer close(p.stopped)
		lctx, cancel := context.WithTimeout(ctx, logoutWait)
		defer cancel()
		within(logoutWait+logoutWait/4, func() { // a task that waits for a dead disk holds Shutdown up
			_ = p.server.Shutdown(lctx) // fails only if it was shut down before
		})
		p.mu.RLock()
		var syncing sync.WaitGroup
		for _, d := range p.devices {
			syncing.Go(func() {
				if err := d.sync(); err != nil {
					p.log.Error("store was not made stable at the end", "device", d.spec.Name, "err", err)
				}
			})
		}
		p.mu.RUnlock()
		within(syncWait, syncing.Wait)
	})
}

// within waits for f to return, but not for longer than d.
func within(d time.Duration, f func()) {
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// notFound is the answer to a request that names what is not there.
func notFound(what, name string) error {
	return control.Errorf(control.NotFound, "there is no %s %s", what, name)
}

// in names a LUN map in a sentence.
func in(m control.Map) string {
	if m.Group == "" {
		return "target " + m.Target
	}
	return fmt.Sprintf("group %s of target %s", m.Group, m.Target)
}

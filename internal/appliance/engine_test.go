package appliance_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/choice"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/engine/lio"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

// memory serves from memory under the name of the native engine.
type memory struct {
	enginetest.Memory
	stopped bool
}

func (*memory) Name() string                 { return "native" }
func (*memory) TookUp() bool                 { return false }
func (*memory) Close() error                 { return nil }
func (m *memory) Stop(context.Context) error { m.stopped = true; return nil }

// TestChangeOfEngine goes from one engine to another and back, as far as that
// is allowed, and has the next daemon start the one that is in force.
func TestChangeOfEngine(t *testing.T) {
	dir := t.TempDir()
	kernel, quiet := liofake.New(liofake.Options{}), slog.New(slog.DiscardHandler)
	var native *memory
	broken := errors.New("no such module")
	var failing error
	makers := map[string]choice.Maker{
		"native": {Supports: func(*config.Document) []error { return nil }, Start: func(context.Context) (choice.Serving, error) {
			native = &memory{}
			return native, nil
		}},
		"lio": {Supports: lio.Supports, Start: func(ctx context.Context) (choice.Serving, error) {
			if failing != nil {
				return nil, failing
			}
			return lio.Start(ctx, lio.Options{Kernel: kernel, RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: dir, Log: quiet})
		}},
	}
	begin := func() (*choice.Engine, *appliance.Appliance) {
		t.Helper()
		e := choice.New(makers, filepath.Join(dir, "engine"))
		a, err := appliance.Open(t.Context(), appliance.Options{DataDir: dir, Engine: e, Log: quiet, Retry: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return e, a
	}
	apply := func(a *appliance.Appliance, d *config.Document, destroy ...string) error {
		t.Helper()
		op, err := a.Apply(t.Context(), appliance.Change{Document: d, Who: "test", Destroy: destroy})
		if err != nil {
			return err
		}
		return op.Wait(t.Context())
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	full := func(engine string) *config.Document {
		return &config.Document{
			Version: 1, Name: "array", ID: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9", Engine: engine,
			Devices: []config.Device{{Name: "db01", Handler: config.FileIO, Size: 1 << 20}},
			ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "p1", Address: "127.0.0.1:3260"}}},
			Targets: []config.Target{{Name: "iqn.2026-11.com.example:disk", Groups: []config.Group{
				{Name: "hosts", Initiators: []string{"iqn.1993-08.org.debian:01:a"}, LUNs: []config.LUN{{LUN: 0, Device: "db01"}}}}}},
		}
	}
	empty := func(engine string) *config.Document {
		d := full(engine)
		d.Devices, d.Targets = nil, nil
		return d
	}
	e, a := begin()
	if e.Name() != "native" {
		t.Errorf("without a document, %q serves", e.Name())
	}
	ok(apply(a, full("")))
	// Somebody is logged in: that has to be named.
	native.SetSessions(engine.Session{ID: "1", Target: "iqn.2026-11.com.example:disk", Group: "hosts", Initiator: "iqn.1993-08.org.debian:01:a", LUNs: 1})
	err := apply(a, full("lio"))
	var destroys *appliance.DestroysError
	if !errors.As(err, &destroys) || !slices.Equal(destroys.Needs, []string{"engine"}) || !strings.Contains(err.Error(), "all sessions (1) are cut off") {
		t.Errorf("change of the engine under a session: %v", err)
	}
	failing = broken
	if err := apply(a, full("lio"), "engine"); err == nil || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("an engine that does not start: %v", err)
	}
	ok(a.Reconcile(t.Context()))
	if s, err := e.Observe(t.Context()); err != nil || e.Name() != "native" || len(s.Targets) != 1 || len(s.Devices) != 1 {
		t.Errorf("after a change that failed, %q serves %+v, %v", e.Name(), s, err)
	}
	failing = nil
	// Nobody is: it changes there and back with all that it serves.
	for _, name := range []string{"lio", "native"} {
		ok(apply(a, full(name)))
		if s, err := e.Observe(t.Context()); err != nil || e.Name() != name || len(s.Targets) != 1 || len(s.Targets[0].Groups[0].LUNs) != 1 || len(s.Devices) != 1 {
			t.Errorf("%q serves %+v, %v; want %s and all of it", e.Name(), s, err, name)
		}
		if left := kernel.Dump(); name == "native" && strings.Contains(left, "iscsi/iqn") {
			t.Errorf("left in the kernel:\n%s", left)
		}
	}
	given := []string{"target/iqn.2026-11.com.example:disk", "device/db01", "image/db01"}
	ok(apply(a, empty(""), given...))
	failing = broken
	if err := apply(a, full("lio")); !errors.Is(err, broken) && (err == nil || !strings.Contains(err.Error(), broken.Error())) {
		t.Errorf("an engine that does not start: %v", err)
	}
	if e.Name() != "native" {
		t.Errorf("after a change that failed, %q serves", e.Name())
	}
	failing = nil
	before := native
	ok(apply(a, full("lio"))) // with all that it is to serve, in one change
	if e.Name() != "lio" || !before.stopped {
		t.Errorf("%q serves; native was stopped: %v", e.Name(), before.stopped)
	}
	state, err := e.Observe(t.Context())
	ok(err)
	if len(state.Devices) != 1 || len(state.ISCSI.Portals) != 1 || len(state.Targets) != 1 || len(state.Targets[0].Groups[0].LUNs) != 1 {
		t.Errorf("LIO serves %+v", state)
	}
	naa := state.Devices[0].Identity
	doc, _, err := a.Document(t.Context())
	ok(err)
	if want := doc.Devices[0].WithDefaults().Identity; naa != want {
		t.Errorf("LIO's identity %+v, the document's %+v", naa, want)
	}
	ok(a.Close())

	kernel.Requests()
	e, a = begin()
	if e.Name() != "lio" || !e.TookUp() || len(kernel.Requests()) != 0 {
		t.Errorf("the next daemon has %q, took up %v", e.Name(), e.TookUp())
	}
	p, err := a.Plan(t.Context(), full("lio"))
	ok(err)
	if !p.Empty() || len(p.Problems) > 0 {
		t.Errorf("plan for what is in force: %+v", p)
	}
	ok(apply(a, empty("lio"), given...))
	ok(apply(a, full("native")))
	if e.Name() != "native" {
		t.Errorf("back, %q serves", e.Name())
	}
	if err := apply(a, empty("scst"), given...); err == nil || !strings.Contains(err.Error(), "in this program") {
		t.Errorf("SCST: %v", err)
	}
	ok(a.Close())
	ok(e.Close())
}

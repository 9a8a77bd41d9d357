package choice

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
)

type fake struct {
	enginetest.Memory
	name    string
	stopped bool
}

func (f *fake) Name() string               { return f.name }
func (*fake) TookUp() bool                 { return true }
func (*fake) Close() error                 { return nil }
func (f *fake) Stop(context.Context) error { f.stopped = true; return nil }

func TestUse(t *testing.T) {
	ctx := t.Context()
	broken := errors.New("broken")
	made := map[string]*fake{}
	maker := func(name string) Maker {
		return Maker{Supports: func(*config.Document) []error { return []error{errors.New(name)} }, Start: func(context.Context) (Serving, error) {
			if name == "broken" {
				return nil, broken
			}
			made[name] = &fake{name: name}
			return made[name], nil
		}}
	}
	c := New(map[string]Maker{"native": maker("native"), "lio": maker("lio"), "broken": maker("broken")}, filepath.Join(t.TempDir(), "engine"))
	if _, err := c.Observe(ctx); !errors.Is(err, ErrNone) || c.Name() != "" || c.TookUp() {
		t.Errorf("before the first: %v", err)
	}
	listening, cancel := context.WithCancel(ctx)
	events, err := c.Events(listening)
	if err != nil {
		t.Fatal(err)
	}
	hear := func(from *fake) {
		t.Helper()
		go from.Emit(engine.Event{Kind: "k", Object: from.name})
		select {
		case e := <-events:
			if e.Object != from.name {
				t.Errorf("event %+v, want one of %s", e, from.name)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no event of %s", from.name)
		}
	}
	if err := c.Use(ctx, "native"); err != nil {
		t.Fatal(err)
	}
	hear(made["native"])
	if err := c.PutDevice(ctx, config.Device{Name: "d"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Use(ctx, "lio"); err == nil || c.Name() != "native" || made["native"].stopped {
		t.Errorf("change under a device: %v, %s serves", err, c.Name())
	}
	if err := c.DeleteDevice(ctx, "d"); err != nil {
		t.Fatal(err)
	}
	if err := c.Use(ctx, "lio"); err != nil || c.Name() != "lio" || !made["native"].stopped {
		t.Errorf("change: %v, %s serves", err, c.Name())
	}
	hear(made["lio"])
	if err := c.Use(ctx, "broken"); !errors.Is(err, broken) || c.Name() != "lio" {
		t.Errorf("an engine that does not start: %v, %s serves", err, c.Name())
	}
	hear(made["lio"]) // another one of that name
	if err := c.Use(ctx, "none"); err == nil || c.Name() != "lio" {
		t.Errorf("an engine that is not there: %v", err)
	}
	if errs := c.Supports(&config.Document{}); len(errs) != 1 || errs[0].Error() != "native" {
		t.Errorf("a document without an engine is looked at by %v", errs)
	}
	cancel()
	for range events { // it is closed
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.PutDevice(ctx, config.Device{}); !errors.Is(err, ErrNone) {
		t.Errorf("after Close: %v", err)
	}
}

// TestCutOffChange: the daemon was killed while another engine was to serve, and
// the document in force names the first one still. What the other one serves
// ends before the first one begins.
func TestCutOffChange(t *testing.T) {
	note := filepath.Join(t.TempDir(), "engine")
	var order []string
	made := map[string]*fake{}
	makers := map[string]Maker{}
	for _, name := range []string{"native", "lio"} {
		makers[name] = Maker{Start: func(context.Context) (Serving, error) {
			order = append(order, name)
			made[name] = &fake{name: name}
			return made[name], nil
		}}
	}
	use := func(name string) {
		t.Helper()
		order = nil
		if err := New(makers, note).Use(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	use("native")
	use("native") // the next daemon
	if len(order) != 1 || made["native"].stopped {
		t.Errorf("the next daemon started %q", order)
	}
	c := New(makers, note)
	if err := errors.Join(c.Use(t.Context(), "native"), c.Replace(t.Context(), "lio")); err != nil {
		t.Fatal(err)
	}
	left := made["lio"]
	use("native")
	if !slices.Equal(order, []string{"lio", "native"}) || left == made["lio"] || !made["lio"].stopped || made["native"].stopped {
		t.Errorf("after a change that was cut off, %q were started; lio was stopped: %t", order, made["lio"].stopped)
	}
	use("native")
	if len(order) != 1 {
		t.Errorf("the daemon after that started %q", order)
	}
}

package appliance

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const diskIQN = "iqn.2026-11.com.example:disk"

// document has one thin disk that everybody sees.
func document() *config.Document {
	return &config.Document{
		Version: 1, Name: "array", ID: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
		Devices: []config.Device{{Name: "db01", Handler: config.FileIO, Size: 1 << 20}},
		ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "p1", Address: "127.0.0.1:3260"}}},
		Targets: []config.Target{{Name: diskIQN, LUNs: []config.LUN{{LUN: 0, Device: "db01"}},
			Groups: []config.Group{{Name: "hosts", Initiators: []string{"iqn.1993-08.org.debian:*"}, LUNs: []config.LUN{{LUN: 0, Device: "db01"}}}}}},
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, dir string, e *enginetest.Memory) *Appliance {
	t.Helper()
	a, err := Open(t.Context(), Options{DataDir: dir, Engine: e, Log: quiet(), Retry: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return a
}

func apply(t *testing.T, a *Appliance, c Change) Progress {
	t.Helper()
	if c.Who == "" {
		c.Who = "test"
	}
	op, err := a.Apply(t.Context(), c)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	if err := op.Wait(t.Context()); err != nil {
		t.Fatalf("apply: %v", err)
	}
	return op.Progress()
}

func TestApply(t *testing.T) {
	dir, e := t.TempDir(), &enginetest.Memory{}
	a := open(t, dir, e)
	got := apply(t, a, Change{Document: document(), Why: "first"})
	if !got.Changed || got.Revision.Number != 1 || got.State != Done || len(got.Problems) > 0 {
		t.Fatalf("first apply: %+v", got)
	}
	want := []string{
		"PutDevice db01", "PutPortal p1", "PutTarget " + diskIQN, "PutGroup " + diskIQN + "/hosts",
		"PutLUN " + diskIQN + "//0", "PutLUN " + diskIQN + "/hosts/0", "PutTarget " + diskIQN,
	}
	if diff := cmp.Diff(want, e.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if st, err := os.Stat(filepath.Join(dir, "devices/db01.img")); err != nil || st.Size() != 1<<20 {
		t.Errorf("image: %v %v", st, err)
	}

	doc, rev, _ := a.Document(t.Context())
	for _, again := range []*config.Document{doc, document()} {
		got = apply(t, a, Change{Document: again})
		if got.Changed || got.Revision != rev {
			t.Errorf("second apply changed something: %+v", got)
		}
	}
	if calls := e.Calls(); len(calls) > 0 {
		t.Errorf("second apply called %q", calls)
	}
	if st, _ := a.Status(t.Context()); st.State != StateOK || st.LUNs != 2 || st.Revision != rev {
		t.Errorf("status: %+v", st)
	}

	got = apply(t, a, Change{Who: "root", Why: "more room", Edit: func(d *config.Document) error {
		dev, err := d.FindDevice("db01")
		if err == nil {
			dev.Size = 2 << 20
		}
		return err
	}})
	if !got.Changed || got.Revision.Number != 2 || got.Revision.Why != "more room" {
		t.Errorf("grow: %+v", got)
	}
	if diff := cmp.Diff([]string{"PutDevice db01"}, e.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestRestart(t *testing.T) {
	dir, e := t.TempDir(), &enginetest.Memory{}
	a := open(t, dir, e)
	apply(t, a, Change{Document: document()})
	before, rev, _ := a.Document(t.Context())
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	e.Calls()
	a = open(t, dir, e)
	after, rev2, _ := a.Document(t.Context())
	if diff := cmp.Diff(before, after); diff != "" || rev != rev2 {
		t.Errorf("document changed over a restart: %s %v %v", diff, rev, rev2)
	}
	if calls := e.Calls(); len(calls) > 0 {
		t.Errorf("a restart of the daemon touched what is served: %q", calls)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	e.Forget() // the machine restarted
	a = open(t, dir, e)
	if calls := e.Calls(); len(calls) != 7 {
		t.Errorf("after a restart of the machine: %q", calls)
	}
	e.Forget()
	e.Emit(engine.Event{Kind: "target.restarted", Object: "esos-target"})
	wait(t, func() bool { return len(e.Calls()) == 7 })
	_ = a
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen in 10 s")
		}
	}
}

// Every call of the engine fails once: each time the old document stays in
// force and what is served is as before.
func TestUndoAtEveryStep(t *testing.T) {
	next := func() *config.Document {
		d := document()
		d.Devices = append(d.Devices, config.Device{Name: "db02", Handler: config.FileIO, Size: 1 << 20})
		d.Devices[0].BlockSize = 4096 // made anew: LUNs are unmapped meanwhile
		d.ISCSI.Portals = append(d.ISCSI.Portals, config.Portal{Name: "p2", Address: "127.0.0.2:3260"})
		d.Targets[0].Alias = "disk"
		d.Targets[0].Groups[0].LUNs = []config.LUN{{LUN: 0, Device: "db02"}}
		d.Targets[0].Groups = append(d.Targets[0].Groups, config.Group{Name: "more", Initiators: []string{"iqn.1991-05.com.microsoft:*"}})
		d.Targets = append(d.Targets, config.Target{Name: "iqn.2026-11.com.example:two", LUNs: []config.LUN{{LUN: 0, Device: "db02"}}})
		return d
	}
	for fail := 1; ; fail++ {
		dir, e := t.TempDir(), &enginetest.Memory{}
		a := open(t, dir, e)
		apply(t, a, Change{Document: document()})
		was, err := e.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		before, rev, _ := a.Document(t.Context())
		broken, n := errors.New("broken"), 0
		e.Fail = func(op, object string) error {
			if n++; n == fail {
				return fmt.Errorf("%s %s: %w", op, object, broken)
			}
			return nil
		}
		op, err := a.Apply(t.Context(), Change{Document: next(), Who: "test"})
		if err != nil {
			t.Fatal(err)
		}
		err = op.Wait(t.Context())
		if err == nil {
			if fail < 10 {
				t.Fatalf("only %d calls: the test tests little", fail-1)
			}
			return // no call left to fail
		}
		if !errors.Is(err, broken) {
			t.Fatalf("call %d: %v", fail, err)
		}
		after, rev2, _ := a.Document(t.Context())
		if diff := cmp.Diff(before, after); diff != "" || rev != rev2 {
			t.Errorf("call %d: the document changed: %s", fail, diff)
		}
		is, err := e.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(byName(was), byName(is)); diff != "" {
			t.Errorf("call %d: what is served differs (-before +after):\n%s", fail, diff)
		}
		if _, err := os.Stat(filepath.Join(dir, "devices/db02.img")); err == nil {
			t.Errorf("call %d: the new image was left behind", fail)
		}
		if revs, _ := a.Revisions(t.Context()); len(revs) != 1 {
			t.Errorf("call %d: revisions %v", fail, revs)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// byName flattens a state, so that order does not matter.
func byName(s engine.State) map[string]any {
	return config.Objects(&config.Document{Devices: s.Devices, ISCSI: s.ISCSI, Targets: s.Targets, DeviceGroups: s.DeviceGroups})
}

func TestRefusals(t *testing.T) {
	sessions := []engine.Session{{ID: "1", Target: diskIQN, Group: "hosts"}, {ID: "2", Target: diskIQN, Group: "hosts"}, {ID: "3", Target: diskIQN}}
	remove := func(d *config.Document) error { return d.RemoveDevice("db01", true) }
	t.Run("sessions", func(t *testing.T) {
		dir, e := t.TempDir(), &enginetest.Memory{}
		a := open(t, dir, e)
		apply(t, a, Change{Document: document()})
		e.SetSessions(sessions...)
		_, err := a.Apply(t.Context(), Change{Edit: remove})
		var destroys *DestroysError
		if !errors.As(err, &destroys) || !cmp.Equal(destroys.Needs, []string{"device/db01"}) || !strings.Contains(err.Error(), "3 sessions use it") {
			t.Fatalf("got %v", err)
		}
		apply(t, a, Change{Edit: remove, Destroy: []string{"device/db01"}})
		if _, err := os.Stat(filepath.Join(dir, "devices/db01.img")); err != nil {
			t.Errorf("the image is gone: %v", err)
		}
	})
	t.Run("image", func(t *testing.T) {
		dir := t.TempDir()
		a := open(t, dir, &enginetest.Memory{})
		apply(t, a, Change{Document: document()})
		apply(t, a, Change{Edit: remove, Destroy: []string{"image/db01"}})
		if _, err := os.Stat(filepath.Join(dir, "devices/db01.img")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the image is still there: %v", err)
		}
	})
	t.Run("memory", func(t *testing.T) {
		a := open(t, t.TempDir(), &enginetest.Memory{})
		d := document()
		d.Devices = append(d.Devices, config.Device{Name: "ram", Handler: config.Memory, Size: 1 << 20})
		apply(t, a, Change{Document: d})
		_, err := a.Apply(t.Context(), Change{Document: document()})
		var destroys *DestroysError
		if !errors.As(err, &destroys) || !cmp.Equal(destroys.Needs, []string{"device/ram"}) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("shrink", func(t *testing.T) {
		a := open(t, t.TempDir(), &enginetest.Memory{})
		apply(t, a, Change{Document: document()})
		d := document()
		d.Devices[0].Size = 1 << 19
		_, err := a.Apply(t.Context(), Change{Document: d})
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "shrinking destroys data") {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("unsupported", func(t *testing.T) {
		a := open(t, t.TempDir(), &enginetest.Memory{Unsupported: []error{errors.New("no ALUA here")}})
		_, err := a.Apply(t.Context(), Change{Document: document()})
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "no ALUA here") {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("invalid", func(t *testing.T) {
		a := open(t, t.TempDir(), &enginetest.Memory{})
		d := document()
		d.Targets[0].LUNs[0].Device = "db1"
		_, err := a.Apply(t.Context(), Change{Document: d})
		var problems config.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), `did you mean "db01"?`) {
			t.Fatalf("got %v", err)
		}
	})
}

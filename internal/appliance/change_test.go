package appliance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host"
)

// Many at once change what they read: of those that read the same revision
// one wins, the others are told; nothing is lost.
func TestConcurrentChanges(t *testing.T) {
	a := open(t, t.TempDir(), &enginetest.Memory{})
	apply(t, a, Change{Document: document()})
	const writers = 8
	var conflicts int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for {
				doc, rev, _ := a.Document(t.Context())
				if err := doc.AddDevice(config.Device{Name: fmt.Sprint("n", w), Handler: config.NullIO, Size: 1 << 20}); err != nil {
					t.Error(err)
					return
				}
				op, err := a.Apply(t.Context(), Change{Document: doc, IfMatch: rev.ETag, Who: fmt.Sprint(w)})
				var conflict *ConflictError
				if errors.As(err, &conflict) {
					mu.Lock()
					conflicts++
					mu.Unlock()
					continue
				}
				if err == nil {
					err = op.Wait(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	// Edits without a revision in mind never conflict.
	for w := range writers {
		wg.Go(func() {
			op, err := a.Apply(t.Context(), Change{Who: "edit", Edit: func(d *config.Document) error {
				return d.AddDevice(config.Device{Name: fmt.Sprint("e", w), Handler: config.NullIO, Size: 1 << 20})
			}})
			if err == nil {
				err = op.Wait(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	doc, rev, _ := a.Document(t.Context())
	if len(doc.Devices) != 1+2*writers || rev.Number != 1+2*writers {
		t.Errorf("%d devices at revision %d after %d changes (%d conflicts)", len(doc.Devices), rev.Number, 2*writers, conflicts)
	}
	if len(a.Operations()) != 1+2*writers {
		t.Errorf("%d operations", len(a.Operations()))
	}
}

func TestConflictAndBusy(t *testing.T) {
	e := &enginetest.Memory{}
	a := open(t, t.TempDir(), e)
	apply(t, a, Change{Document: document()})
	_, err := a.Apply(t.Context(), Change{Document: document(), IfMatch: "other"})
	var conflict *ConflictError
	if !errors.As(err, &conflict) || conflict.InForce.Number != 1 {
		t.Errorf("conflict: %v", err)
	}
	// While one change is held up, another waits as long as it is told to.
	hold, held := make(chan struct{}), make(chan struct{})
	e.Fail = func(op, _ string) error {
		if op == "PutTarget" {
			close(held)
			<-hold
		}
		return nil
	}
	op, err := a.Apply(t.Context(), Change{Edit: func(d *config.Document) error { d.Targets[0].Alias = "x"; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	<-held
	if st, _ := a.Status(t.Context()); st.State != StateApplying {
		t.Errorf("state %q", st.State)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Apply(ctx, Change{Document: document()}); !errors.Is(err, context.Canceled) {
		t.Errorf("busy: %v", err)
	}
	got, err := a.Operation(op.ID)
	if err != nil || got.Progress().State != Running || got.Progress().Steps[0].State != "running" {
		t.Errorf("operation: %+v %v", got.Progress(), err)
	}
	close(hold)
	if err := op.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if p := op.Progress(); p.State != Done || p.Done != 1 || p.Revision.Number != 2 {
		t.Errorf("%+v", p)
	}
	if _, err := a.Operation("99"); !errors.Is(err, ErrNoOperation) {
		t.Errorf("operation 99: %v", err)
	}
}

func TestDryRun(t *testing.T) {
	e := &enginetest.Memory{}
	a := open(t, t.TempDir(), e)
	op, err := a.Apply(t.Context(), Change{Document: document(), DryRun: true})
	if err != nil || op.Progress().State != Planned || len(op.Plan.Steps) == 0 {
		t.Fatalf("%+v %v", op, err)
	}
	if calls := e.Calls(); len(calls) > 0 {
		t.Errorf("a dry run did %q", calls)
	}
	if len(a.Operations()) > 0 {
		t.Error("a dry run is remembered as an operation")
	}
}

// slowFiles makes images that never come to an end by themselves.
type slowFiles struct {
	host.Files
	began chan struct{}
}

func (f slowFiles) Create(ctx context.Context, _ string, size int64, _ bool, progress func(int64)) error {
	progress(size / 4)
	close(f.began)
	<-ctx.Done()
	return ctx.Err()
}

func TestCancel(t *testing.T) {
	f := slowFiles{began: make(chan struct{})}
	e := &enginetest.Memory{}
	a, err := Open(t.Context(), Options{DataDir: t.TempDir(), Engine: e, Files: f, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	op, err := a.Apply(t.Context(), Change{Document: document(), Who: "test"})
	if err != nil {
		t.Fatal(err)
	}
	<-f.began
	if p := op.Progress(); p.Steps[0].Fraction != 0.25 {
		t.Errorf("progress %+v", p.Steps[0])
	}
	op.Cancel()
	if err := op.Wait(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if p := op.Progress(); p.State != Failed || p.Error == "" {
		t.Errorf("%+v", p)
	}
	if _, rev, _ := a.Document(t.Context()); rev.Number != 0 {
		t.Errorf("revision %d is in force", rev.Number)
	}
}

// One device whose image is lost, and a portal that cannot be opened, keep
// neither the rest from being served nor other changes from being made; once
// they are back, they are served again.
func TestDegraded(t *testing.T) {
	dir, e := t.TempDir(), &enginetest.Memory{}
	a := open(t, dir, e)
	d := document()
	d.Devices = append(d.Devices, config.Device{Name: "db02", Handler: config.FileIO, Size: 1 << 20})
	d.ISCSI.Portals = append(d.ISCSI.Portals, config.Portal{Name: "p2", Address: "127.0.0.2:3260"})
	d.Targets[0].Groups[0].LUNs = append(d.Targets[0].Groups[0].LUNs, config.LUN{LUN: 1, Device: "db02"})
	apply(t, a, Change{Document: d})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	lost, away := filepath.Join(dir, "devices/db02.img"), filepath.Join(dir, "away")
	if err := os.Rename(lost, away); err != nil {
		t.Fatal(err)
	}
	e.Forget()
	down := errors.New("cannot assign requested address")
	var repaired atomic.Bool
	e.Fail = func(op, object string) error {
		if op == "PutPortal" && object == "p2" && !repaired.Load() {
			return down
		}
		return nil
	}
	a = open(t, dir, e)
	st, err := a.Status(t.Context())
	if err != nil || st.State != StateDegraded || len(st.Problems) != 2 ||
		!strings.Contains(st.Problems[0], "db02.img is missing") || !strings.Contains(st.Problems[1], down.Error()) {
		t.Fatalf("status: %+v %v", st, err)
	}
	served, _ := e.Observe(t.Context())
	if len(served.Devices) != 1 || len(served.Targets) != 1 || served.Targets[0].Disabled || len(served.Targets[0].Groups[0].LUNs) != 1 {
		t.Errorf("served: %+v", served)
	}
	if _, err := os.Stat(lost); err == nil {
		t.Fatal("an empty image took the place of the lost one")
	}
	// Another change works, and names what is still missing.
	p := apply(t, a, Change{Edit: func(d *config.Document) error { d.Targets[0].Alias = "x"; return nil }})
	if len(p.Problems) != 2 || !p.Changed {
		t.Errorf("change: %+v", p)
	}
	// A change that needs what is missing does not.
	_, err = a.Apply(t.Context(), Change{Edit: func(d *config.Document) error { d.ISCSI.Portals[1].Address = "127.0.0.3:3260"; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	op := a.Operations()[0]
	if err := op.Wait(t.Context()); !errors.Is(err, down) {
		t.Errorf("portal: %v", err)
	}

	if err := os.Rename(away, lost); err != nil {
		t.Fatal(err)
	}
	repaired.Store(true)
	e.Emit(engine.Event{Kind: "target.restarted"})
	wait(t, func() bool { st, _ := a.Status(t.Context()); return st.State == StateOK })
	served, _ = e.Observe(t.Context())
	if len(served.Devices) != 2 || len(served.Targets[0].Groups[0].LUNs) != 2 {
		t.Errorf("served: %+v", served)
	}
	var kinds []string
	events, _ := a.Events(t.Context(), 0)
	for _, ev := range events {
		kinds = append(kinds, ev.Kind)
	}
	for _, want := range []string{"array.degraded", "apply.failed", "array.ok"} {
		if !strings.Contains(strings.Join(kinds, " "), want) {
			t.Errorf("no event %s in %q", want, kinds)
		}
	}
}

// What nobody declared is cleared away, but not what that would destroy.
func TestForeignRemainders(t *testing.T) {
	dir, e := t.TempDir(), &enginetest.Memory{}
	a := open(t, dir, e)
	apply(t, a, Change{Document: document()})
	for _, d := range []config.Device{{Name: "null", Handler: config.NullIO, Size: 512}, {Name: "ram", Handler: config.Memory, Size: 512}} {
		if err := e.PutDevice(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	served, _ := e.Observe(t.Context())
	var names []string
	for _, d := range served.Devices {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff([]string{"db01", "ram"}, names); diff != "" {
		t.Error(diff)
	}
	if st, _ := a.Status(t.Context()); st.State != StateDegraded || !strings.Contains(st.Problems[0], "--destroy device/ram") {
		t.Errorf("status: %+v", st)
	}
	apply(t, a, Change{Document: document(), Destroy: []string{"device/ram"}})
	if st, _ := a.Status(t.Context()); st.State != StateOK {
		t.Errorf("status: %+v", st)
	}
}

// A device that is served otherwise than declared is not made anew under the
// sessions that use it: all that belongs to that is left.
func TestRepairSparesSessions(t *testing.T) {
	e := &enginetest.Memory{}
	a := open(t, t.TempDir(), e)
	apply(t, a, Change{Document: document()})
	served, _ := e.Observe(t.Context())
	other := served.Devices[0]
	other.Rotational = true
	if err := e.PutDevice(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	e.SetSessions(engine.Session{ID: "1", Target: diskIQN, Group: "hosts"})
	e.Calls()
	if err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if calls := e.Calls(); len(calls) > 0 {
		t.Errorf("under a session: %q", calls)
	}
	if st, _ := a.Status(t.Context()); st.State != StateDegraded || !strings.Contains(st.Problems[0], "1 session uses it") {
		t.Errorf("status: %+v", st)
	}
	// A plan shows that, as a change would do it.
	if p, err := a.Plan(t.Context(), document()); err != nil || !p.Empty() || len(p.Needs(nil)) > 0 {
		t.Errorf("planned under a session: %v, %v", p, err)
	}
	e.SetSessions()
	if err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if served, _ := e.Observe(t.Context()); served.Devices[0].Rotational || len(served.Targets[0].LUNs) != 1 {
		t.Errorf("served: %+v", served)
	}
}

// A document that was read with its secrets hidden and sent back keeps them.
func TestSecretsComeBack(t *testing.T) {
	a := open(t, t.TempDir(), &enginetest.Memory{})
	d := document()
	d.Targets[0].Auth.Users = []config.CHAPUser{{Name: "u", Secret: "example-secret"}}
	apply(t, a, Change{Document: d})
	doc, _, _ := a.Document(t.Context())
	redacted := doc.Redacted()
	redacted.Targets[0].Alias = "x"
	apply(t, a, Change{Document: redacted})
	doc, _, _ = a.Document(t.Context())
	if doc.Targets[0].Auth.Users[0].Secret != "example-secret" || doc.Targets[0].Alias != "x" {
		t.Error("the secret is lost")
	}
	events, _ := a.Events(t.Context(), 0)
	if strings.Contains(fmt.Sprintf("%+v", events), "example-secret") {
		t.Error("events have a secret inside")
	}
}

func TestFirstDocument(t *testing.T) {
	dir, e := t.TempDir(), &enginetest.Memory{}
	for range 2 {
		a, err := Open(t.Context(), Options{DataDir: dir, Engine: e, First: document(), Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		doc, rev, _ := a.Document(t.Context())
		if rev.Number != 1 || rev.Why != "first document" || len(doc.Devices) != 1 {
			t.Errorf("%+v", rev)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

package appliance

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/plan"
)

// drifted is an array on an engine that others can change too.
func drifted(t *testing.T) (*Appliance, *enginetest.Memory, string) {
	t.Helper()
	dir, e := t.TempDir(), &enginetest.Memory{Shared: true}
	a := open(t, dir, e)
	apply(t, a, Change{Document: document()})
	e.Calls()
	return a, e, dir
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// found lists what Drift finds, a line an object and a setting.
func found(t *testing.T, a *Appliance) []string {
	t.Helper()
	p, err := a.Drift(t.Context())
	must(t, err)
	var lines []string
	for _, d := range p.Drift {
		lines = append(lines, string(d.What)+" "+d.Object)
		for _, f := range d.Fields {
			if d.What == plan.Changed {
				lines = append(lines, "  "+f.String())
			}
		}
	}
	return lines
}

// TestDriftIsOneObjectEach: a change by hand is told once, however many steps
// would undo it.
func TestDriftIsOneObjectEach(t *testing.T) {
	for name, c := range map[string]struct {
		change func(e *enginetest.Memory) error
		want   []string
	}{
		"nothing":             {func(*enginetest.Memory) error { return nil }, nil},
		"a target with parts": {func(e *enginetest.Memory) error { return e.DeleteTarget(t.Context(), diskIQN) }, []string{"missing target/" + diskIQN}},
		"a group with parts":  {func(e *enginetest.Memory) error { return e.DeleteGroup(t.Context(), diskIQN, "hosts") }, []string{"missing group/" + diskIQN + "/hosts"}},
		"a portal that moved": {func(e *enginetest.Memory) error {
			return e.PutPortal(t.Context(), config.Portal{Name: "p1", Address: "127.0.0.1:3261"})
		}, []string{"changed portal/p1", "  address: 127.0.0.1:3260 -> 127.0.0.1:3261"}},
		"a device that only a new one can mend": {func(e *enginetest.Memory) error {
			s, err := e.Observe(t.Context())
			s.Devices[0].Rotational = true
			return errors.Join(err, e.PutDevice(t.Context(), s.Devices[0]))
		}, []string{"changed device/db01", "  rotational: (default) -> true"}},
		"who may discover": {func(e *enginetest.Memory) error {
			return e.PutDiscovery(t.Context(), config.Auth{Users: []config.CHAPUser{{Name: "d", Secret: "twelve-bytes-and-more"}}})
		}, []string{"changed discovery", "  users[d]: (default) -> d", "  users[d].name: (default) -> d", "  users[d].secret: (default) -> (secret)"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, e, _ := drifted(t)
			must(t, c.change(e))
			if diff := cmp.Diff(c.want, found(t, a)); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			apply(t, a, Change{Adopt: true})
			if left := found(t, a); len(left) > 0 {
				t.Errorf("adopted, and it differs: %q", left)
			}
		})
	}
}

// TestDriftUnderSessions: what would cut sessions off waits until it is asked
// for, and its plan says so.
func TestDriftUnderSessions(t *testing.T) {
	a, e, _ := drifted(t)
	must(t, e.PutLUN(t.Context(), diskIQN, "hosts", config.LUN{LUN: 7, Device: "db01"}),
		e.DeleteLUN(t.Context(), diskIQN, "hosts", 0))
	e.SetSessions(engine.Session{ID: "1", Target: diskIQN, Group: "hosts"})
	e.Calls()
	must(t, a.Reconcile(t.Context()), a.Reconcile(t.Context()))
	if diff := cmp.Diff([]string{"PutLUN " + diskIQN + "/hosts/0"}, e.Calls()); diff != "" {
		t.Errorf("put in place (-want +got):\n%s", diff)
	}
	st, err := a.Status(t.Context())
	must(t, err)
	if st.State != StateOK || len(st.Drift) != 1 || !strings.Contains(st.Drift[0], "lun/"+diskIQN+"/hosts/7") {
		t.Errorf("status: %+v", st)
	}
	events, err := a.Events(t.Context(), 0)
	must(t, err)
	told := 0
	for _, x := range events {
		if x.Kind == "array.drift" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	p, err := a.Drift(t.Context())
	must(t, err)
	if len(p.Steps) != 1 || !strings.Contains(p.Steps[0].Disrupts, "1 session") {
		t.Errorf("what would undo it:\n%s", p.Text(nil))
	}
	apply(t, a, Change{Revert: true})
	if st, _ := a.Status(t.Context()); len(st.Drift) > 0 || len(found(t, a)) > 0 {
		t.Errorf("undone: %+v", st)
	}
}

// TestCutOffChangeIsNoDrift: what a change left that was cut off is cleared
// away by the next daemon; what somebody did by hand beside it is not.
func TestCutOffChangeIsNoDrift(t *testing.T) {
	a, e, dir := drifted(t)
	must(t, e.PutTarget(t.Context(), config.Target{Name: diskIQN + ":hand"}))
	next := document()
	next.Targets = append(next.Targets, config.Target{Name: diskIQN + ":next", LUNs: []config.LUN{{LUN: 0, Device: "db01"}}})
	// From here on the engine does not answer: nothing can be undone.
	dead := errors.New("dead")
	e.Fail = func(op, object string) error {
		if op == "PutLUN" || op == "DeleteTarget" {
			return dead
		}
		return nil
	}
	op, err := a.Apply(t.Context(), Change{Document: next, Who: "test"})
	must(t, err)
	if err := op.Wait(t.Context()); !errors.Is(err, dead) {
		t.Fatal(err)
	}
	must(t, a.Close())
	e.Fail = nil
	if s, err := e.Observe(t.Context()); err != nil || len(s.Targets) != 3 {
		t.Fatalf("the change left nothing: %+v, %v", s.Targets, err)
	}
	a = open(t, dir, e)
	if diff := cmp.Diff([]string{"added target/" + diskIQN + ":hand"}, found(t, a)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if s, err := e.Observe(t.Context()); err != nil || len(s.Targets) != 2 {
		t.Errorf("served: %+v, %v", s.Targets, err)
	}
	if _, err := os.Stat(filepath.Join(dir, unfinishedFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still not finished: %v", err)
	}
}

// TestForeignIsNamedToBeDestroyed: what somebody else set up is destroyed by
// nothing but its name.
func TestForeignIsNamedToBeDestroyed(t *testing.T) {
	a, e, dir := drifted(t)
	e.Foreign = map[string]bool{"target/" + diskIQN + ":other": true, "device/other": true}
	must(t, e.PutDevice(t.Context(), config.Device{Name: "other", Handler: config.NullIO, Size: 512}), e.PutTarget(t.Context(), config.Target{Name: diskIQN + ":other"}))
	there := func(when string, want int) {
		t.Helper()
		s, err := e.Observe(t.Context())
		must(t, err)
		if len(s.Targets) != want || len(s.Devices) != want {
			t.Errorf("%s: %d targets, %d devices, want %d", when, len(s.Targets), len(s.Devices), want)
		}
	}
	must(t, a.Reconcile(t.Context()))
	there("reconciled", 2)
	must(t, a.Close())
	a = open(t, dir, e)
	there("the next daemon", 2)
	apply(t, a, Change{Document: document()})
	there("the document again", 2)
	apply(t, a, Change{Revert: true})
	there("undone without a name", 2)
	if st, _ := a.Status(t.Context()); st.State != StateOK {
		t.Errorf("status: %+v", st)
	}
	apply(t, a, Change{Revert: true, Destroy: []string{"target/" + diskIQN + ":other", "device/other"}})
	there("named", 1)
}

// TestAdoptRefuses what documents cannot say, what did not drift, and what the
// asker may not.
func TestAdoptDriftRefuses(t *testing.T) {
	a, e, _ := drifted(t)
	must(t, e.PutGroup(t.Context(), diskIQN, config.Group{Name: "hosts", Initiators: []string{"iqn.1993-08.org.debian:one" + engine.NotEverywhere}}))
	_, err := a.Apply(t.Context(), Change{Adopt: true, Who: "test"})
	var why *AdoptError
	if !errors.As(err, &why) || !strings.Contains(err.Error(), "not the same for all") {
		t.Errorf("not everywhere: %v", err)
	}
	apply(t, a, Change{Revert: true})
	var none *NoDriftError
	for _, c := range []Change{{Adopt: true}, {Revert: true}} {
		c.Who, c.Objects = "test", []string{"device/db01"}
		if _, err := a.Apply(t.Context(), c); !errors.As(err, &none) {
			t.Errorf("did not drift: %v", err)
		}
	}
	must(t, e.PutLUN(t.Context(), diskIQN, "hosts", config.LUN{LUN: 0, Device: "db01", ReadOnly: true}))
	denied := errors.New("denied")
	if _, err := a.Apply(t.Context(), Change{Adopt: true, Who: "test", Permit: func(before, next *config.Document) error {
		if len(config.Diff(before, next)) != 1 {
			t.Errorf("asked for %v", config.Diff(before, next))
		}
		return denied
	}}); !errors.Is(err, denied) {
		t.Errorf("not allowed: %v", err)
	}
	var conflict *ConflictError
	if _, err := a.Apply(t.Context(), Change{Adopt: true, Who: "test", IfMatch: "other"}); !errors.As(err, &conflict) {
		t.Errorf("on another document: %v", err)
	}
	e.Unsupported = []error{errors.New("not with this engine")}
	var refused *RefusedError
	if _, err := a.Apply(t.Context(), Change{Adopt: true, Who: "test"}); !errors.As(err, &refused) {
		t.Errorf("what the engine cannot do: %v", err)
	}
	if _, rev, _ := a.Document(t.Context()); rev.Number != 1 {
		t.Errorf("revision %d", rev.Number)
	}
}

// TestFailedOpeningIsNoDrift: what cannot be put in place is a problem, told as
// one, and nobody's doing.
func TestFailedOpeningIsNoDrift(t *testing.T) {
	a, e, _ := drifted(t)
	e.Fail = func(op, object string) error {
		if op == "PutPortal" {
			return errors.New("no such address")
		}
		return nil
	}
	must(t, e.DeletePortal(t.Context(), "p1"), a.Reconcile(t.Context()))
	if got := found(t, a); len(got) > 0 {
		t.Errorf("drift: %q", got)
	}
	if st, _ := a.Status(t.Context()); st.State != StateDegraded || len(st.Drift) > 0 {
		t.Errorf("status: %+v", st)
	}
}

// TestNobodyElseChangesOurs: of an engine that is the daemon's own, everything
// is brought back.
func TestNobodyElseChangesOurs(t *testing.T) {
	e := &enginetest.Memory{}
	a := open(t, t.TempDir(), e)
	apply(t, a, Change{Document: document()})
	must(t, e.PutTarget(t.Context(), config.Target{Name: diskIQN + ":left"}))
	if got := found(t, a); len(got) > 0 {
		t.Errorf("drift: %q", got)
	}
	must(t, a.Reconcile(t.Context()))
	if s, _ := e.Observe(t.Context()); len(s.Targets) != 1 {
		t.Errorf("served: %+v", s.Targets)
	}
}

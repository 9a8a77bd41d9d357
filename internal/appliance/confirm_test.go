package appliance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/layer/network/networktest"
)

const (
	home = "192.0.2.10/24"
	away = "198.51.100.10/24"
)

// reachable is a document that has port eth0 at an address.
func reachable(address string) *config.Document {
	d := document()
	d.Network.Interfaces = []config.Interface{{Name: "eth0", Addresses: []string{address}}}
	return d
}

// owner opens an appliance on a machine whose network is its own.
func owner(t *testing.T, dir string, m *networktest.Machine, wait time.Duration, kept func(context.Context, string) error) *Appliance {
	t.Helper()
	a, err := Open(t.Context(), Options{DataDir: dir, Engine: &enginetest.Memory{}, Log: quiet(), Retry: time.Hour,
		OwnsMachine: true, Network: m, ConfirmTime: wait, Kept: kept})
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

// settled is an appliance whose network is in force and confirmed.
func settled(t *testing.T, m *networktest.Machine, wait time.Duration) (a *Appliance, dir string) {
	t.Helper()
	dir = t.TempDir()
	a = owner(t, dir, m, wait, nil)
	apply(t, a, Change{Document: document()})
	apply(t, a, Change{Document: reachable(home), ConfirmWithin: time.Hour})
	if err := a.ConfirmNetwork(t.Context(), 2, "test"); err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func happened(t *testing.T, a *Appliance, kind string) bool {
	t.Helper()
	all, err := a.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind == kind {
			return true
		}
	}
	return false
}

// undone checks that the network of before is in force, and that nothing waits.
func undone(t *testing.T, a *Appliance, dir string, m *networktest.Machine, revision int, why string) {
	t.Helper()
	until(t, "nothing waits", func() bool { return a.Unconfirmed() == nil })
	doc, rev := a.inForce()
	if got := doc.Network.Interfaces; len(got) != 1 || got[0].Addresses[0] != home {
		t.Errorf("in force is %+v", got)
	}
	if rev.Number != revision || rev.Who != "esos" || !strings.Contains(rev.Why, why) {
		t.Errorf("in force is revision %+v", rev)
	}
	if !m.Address("eth0", home) || m.Address("eth0", away) {
		t.Errorf("the machine has %+v", m.Interfaces)
	}
	if _, err := os.Stat(filepath.Join(dir, markerFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the marker is left: %v", err)
	}
	if !happened(t, a, "network.undone") {
		t.Error("no event tells of it")
	}
}

// TestNotConfirmed: the network of before is back by itself, as a revision.
func TestNotConfirmed(t *testing.T) {
	m := networktest.New("eth0")
	a, dir := settled(t, m, 300*time.Millisecond)
	began := time.Now()
	apply(t, a, Change{Document: reachable(away)})
	u := a.Unconfirmed()
	if u == nil || u.Revision != 3 || u.Who != "test" || u.Deadline.Sub(began) > time.Second {
		t.Fatalf("what waits is %+v", u)
	}
	if s, err := a.Status(t.Context()); err != nil || s.Unconfirmed == nil {
		t.Errorf("status: %+v %v", s, err)
	}
	if !m.Address("eth0", away) {
		t.Error("the change is not in force while it waits")
	}
	undone(t, a, dir, m, 4, "network change of revision 3 undone: not confirmed in time")
	if err := a.ConfirmNetwork(t.Context(), 0, "test"); !errors.Is(err, ErrNothingUnconfirmed) {
		t.Errorf("confirmed too late: %v", err)
	}
	// And the network can be changed again.
	apply(t, a, Change{Document: reachable(away), ConfirmWithin: time.Hour})
	if err := a.ConfirmNetwork(t.Context(), 0, "test"); err != nil {
		t.Error(err)
	}
}

// TestConfirmed: it stays, and that is saved before it is said.
func TestConfirmed(t *testing.T) {
	m, dir := networktest.New("eth0"), t.TempDir()
	var saved []string
	var fail error
	a := owner(t, dir, m, time.Hour, func(_ context.Context, reason string) error {
		_, err := os.Stat(filepath.Join(dir, markerFile))
		saved = append(saved, fmt.Sprintf("%s, marked %v", reason, err == nil))
		return fail
	})
	apply(t, a, Change{Document: document()})
	apply(t, a, Change{Document: reachable(away)})
	if err := a.ConfirmNetwork(t.Context(), 1, "test"); !errors.Is(err, ErrNothingUnconfirmed) || !strings.Contains(err.Error(), "revision 2") {
		t.Errorf("confirmed another revision's: %v", err)
	}
	if err := a.ConfirmNetwork(t.Context(), 2, "test"); err != nil {
		t.Error(err)
	}
	want := "apply: by test, marked false; apply: by test, marked true; network change confirmed, marked false"
	if got := strings.Join(saved, "; "); got != want {
		t.Errorf("saved %s; want %s", got, want)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = owner(t, dir, m, time.Hour, nil)
	if !m.Address("eth0", away) || a.Unconfirmed() != nil {
		t.Errorf("after a restart: %+v, waiting %v", m.Interfaces, a.Unconfirmed())
	}
	a.kept = func(context.Context, string) error { return errors.New("no stick") }
	apply(t, a, Change{Document: reachable(home)})
	if err := a.ConfirmNetwork(t.Context(), 0, "test"); err == nil || !strings.Contains(err.Error(), "no stick") || !strings.Contains(err.Error(), "would be undone") {
		t.Errorf("confirmed and not saved: %v", err)
	}
}

// TestRestartUndoes: a daemon or a machine that starts anew undoes what nobody
// confirmed, wherever it was cut.
func TestRestartUndoes(t *testing.T) {
	for _, c := range []struct {
		name   string
		cut    func(t *testing.T, dir string) // the state of the disk at the cut, after a whole change
		number int
		why    string
	}{
		{"in force", func(*testing.T, string) {}, 4, "network change of revision 3 undone: the daemon or the machine started anew"},
		// The steps were begun; the revision was not yet written.
		{"half done", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "revisions", "000003.yaml")); err != nil {
				t.Fatal(err)
			}
		}, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := networktest.New("eth0")
			a, dir := settled(t, m, time.Hour)
			apply(t, a, Change{Document: reachable(away)})
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			c.cut(t, dir)
			again := owner(t, dir, m, time.Hour, nil)
			if c.number == 4 {
				undone(t, again, dir, m, 4, c.why)
				return
			}
			_, rev := again.inForce()
			if rev.Number != c.number || again.Unconfirmed() != nil || !m.Address("eth0", home) {
				t.Errorf("revision %d is in force, waiting %v, machine %+v", rev.Number, again.Unconfirmed(), m.Interfaces)
			}
		})
	}
}

// TestDamagedMarker: a marker that cannot be read keeps nothing from starting.
func TestDamagedMarker(t *testing.T) {
	m := networktest.New("eth0")
	a, dir := settled(t, m, time.Hour)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, markerFile), []byte(`{"old":`), 0o600); err != nil {
		t.Fatal(err)
	}
	again := owner(t, dir, m, time.Hour, nil)
	if again.Unconfirmed() != nil || !happened(t, again, "network.damaged") {
		t.Errorf("waiting %v, told %v", again.Unconfirmed(), happened(t, again, "network.damaged"))
	}
}

// TestOneAtATime: another change of the network is refused while one waits, and
// all others go on; and undoing one keeps what others did meanwhile.
func TestOneAtATime(t *testing.T) {
	m := networktest.New("eth0")
	a, dir := settled(t, m, time.Hour)
	apply(t, a, Change{Document: reachable(away)})
	var refused *RefusedError
	_, err := a.Apply(t.Context(), Change{Document: reachable("203.0.113.1/24"), Who: "other"})
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "waits to be confirmed") {
		t.Errorf("a second change: %v", err)
	}
	apply(t, a, Change{Edit: func(d *config.Document) error { d.Name = "renamed"; return nil }})
	if err := a.UndoNetwork(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	undone(t, a, dir, m, 5, "network change of revision 3 undone: by test")
	if doc, _ := a.inForce(); doc.Name != "renamed" {
		t.Error("what was changed meanwhile is undone, too")
	}
	if err := a.UndoNetwork(t.Context(), "test"); !errors.Is(err, ErrNothingUnconfirmed) {
		t.Errorf("undone twice: %v", err)
	}
}

// TestUndoneBesideALongChange: the machine is reachable again though another
// change takes long, and the document follows when that is done.
func TestUndoneBesideALongChange(t *testing.T) {
	m := networktest.New("eth0")
	a, dir := settled(t, m, 300*time.Millisecond)
	apply(t, a, Change{Document: reachable(away)})
	<-a.applies // as a change has it that is being carried out
	until(t, "the machine is back", func() bool { return m.Address("eth0", home) })
	if a.Unconfirmed() == nil {
		t.Error("it is forgotten before the document says so")
	}
	a.applies <- struct{}{}
	undone(t, a, dir, m, 4, "not confirmed in time")
}

// TestFailedChangeWaitsForNobody: steps that failed were undone already.
func TestFailedChangeWaitsForNobody(t *testing.T) {
	m := networktest.New("eth0")
	a, dir := settled(t, m, time.Hour)
	m.Full = "/etc/systemd/network/20-esos-br0.network"
	next := reachable(home)
	next.Network.Interfaces = append(next.Network.Interfaces, config.Interface{Name: "br0", Kind: config.KindBridge})
	op, err := a.Apply(t.Context(), Change{Document: next, Who: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, markerFile)); a.Unconfirmed() != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("waiting %v, marker %v", a.Unconfirmed(), err)
	}
}

// TestNamesCutNobodyOff: they need no confirmation.
func TestNamesCutNobodyOff(t *testing.T) {
	m := networktest.New("eth0")
	a, _ := settled(t, m, time.Hour)
	apply(t, a, Change{Edit: func(d *config.Document) error {
		d.Network.Hostname, d.Network.DNS = "array1", []string{"192.0.2.53"}
		return nil
	}})
	if a.Unconfirmed() != nil || m.Name != "array1" {
		t.Errorf("waiting %v, the machine is %s", a.Unconfirmed(), m.Name)
	}
}

// TestNotOurMachine: where esos serve is one program among others, the network
// is nobody's to change.
func TestNotOurMachine(t *testing.T) {
	a := open(t, t.TempDir(), &enginetest.Memory{})
	_, err := a.Apply(t.Context(), Change{Document: reachable(home), Who: "test"})
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "not ESOS's own") {
		t.Errorf("error %v", err)
	}
	if err := a.RestartNetwork(t.Context()); !errors.Is(err, ErrNotOwner) {
		t.Errorf("restart: %v", err)
	}
}

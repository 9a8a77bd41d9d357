package appliance_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/snapshot"
)

// snapshotArray is an array with the devices a and b on thin volumes, and a
// schedule that keeps two.
func snapshotArray(t *testing.T) (*appliance.Appliance, *storagefake.Machine, *storagefake.Thin, *time.Time) {
	t.Helper()
	m := storagefake.New()
	thin := m.Thin("vg/a", "vg/b")
	m.Look("/dev/vg/a").Suspended = true // the daemon before was killed
	if err := m.Save("/data/held.json", []byte(`{"devices":[{"name":"vg-a","uuid":"LVM-vgvglva"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	files := storagefake.Images{Machine: m}
	doc := &config.Document{Version: config.Version, Name: "test", ID: "11111111-2222-4333-8444-555555555555"}
	for _, n := range []string{"a", "b"} {
		doc.Devices = append(doc.Devices, config.Device{Name: n, Handler: config.BlockIO, Path: "/dev/vg/" + n})
	}
	doc.Storage.Snapshots = []config.Snapshots{{Name: "often", Devices: []string{"a", "b"}, Every: "15m", Keep: 2}}
	a, err := appliance.Open(t.Context(), appliance.Options{
		DataDir: t.TempDir(), Engine: &enginetest.Memory{}, First: doc, Files: files, OwnsMachine: true, Storage: m,
		Snapshots: snapshot.New(snapshot.Options{Machine: m, Files: files, DataDir: "/data", Now: func() time.Time { return now }}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a, m, thin, &now
}

func TestScheduledSnapshots(t *testing.T) {
	a, m, thin, now := snapshotArray(t)
	if held := m.Suspended(); len(held) > 0 {
		t.Errorf("held since the daemon before was killed: %v", held)
	}
	jobs := a.SnapshotJobs()
	if len(jobs) != 1 || jobs[0].Name != "snapshots/often" {
		t.Fatalf("%+v", jobs)
	}
	for range 4 {
		*now = jobs[0].Next(*now, *now)
		if err := jobs[0].Do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := strings.Join(thin.Names(), " "), "vg/a vg/b vg/a.often-20261128-124500 vg/b.often-20261128-124500 vg/a.often-20261128-130000 vg/b.often-20261128-130000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	// A failure is told by status until it went well; nothing old is deleted.
	thin.Full = "97.00"
	*now = jobs[0].Next(*now, *now)
	var refused *snapshot.RefusedError
	if err := jobs[0].Do(t.Context()); !errors.As(err, &refused) || len(thin.Names()) != 6 {
		t.Errorf("%v; %v", err, thin.Names())
	}
	if s, err := a.Status(t.Context()); err != nil || s.State != appliance.StateDegraded || !strings.Contains(strings.Join(s.Problems, "\n"), "snapshots/often: take snapshot often-20261128-131500 of a, b: the data of thin pool vg/pool is 97 % full") {
		t.Errorf("%+v %v", s, err)
	}
	thin.Full = "50.00"
	if err := jobs[0].Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := a.Status(t.Context()); err != nil || len(s.Problems) > 0 {
		t.Errorf("%+v %v", s, err)
	}
}

// Snapshots and changes of the document do not come between each other.
func TestSnapshotsWaitForChanges(t *testing.T) {
	a, m, _, _ := snapshotArray(t)
	begun, done := make(chan struct{}), make(chan error)
	hold := make(chan struct{})
	m.OnCall("sync", func() { close(begun); <-hold }) // in the middle of taking them
	go func() {
		_, err := a.TakeSnapshot(context.Background(), []string{"a"}, "x", "test")
		done <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := a.Apply(ctx, appliance.Change{Edit: func(d *config.Document) error { d.Name = "other"; return nil }})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a change beside a snapshot: %v", err)
	}
	close(hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

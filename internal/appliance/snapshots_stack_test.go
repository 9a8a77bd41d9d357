package appliance

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/snapshot"
)

// On the whole stack: snapshots of two devices, one rolled out as a clone and
// one as it is, over a reboot; what is in use is kept, and a document that says
// nothing of snapshots leaves them alone.
func TestSnapshotStack(t *testing.T) {
	dir, m := t.TempDir(), disks(1, 40<<30)
	a := storageArray(t, dir, m)
	doc := &config.Document{Version: config.Version, Name: "test", ID: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"}
	doc.Storage.VolumeGroups = []config.VolumeGroup{{Name: "vg-0", Devices: []string{"/dev/disk/by-id/virtio-d1"}, Volumes: []config.Volume{
		{Name: "pool", Type: config.ThinPool, Size: 20 << 30},
		{Name: "db", Type: config.ThinDisk, Pool: "pool", Size: 8 << 30}, {Name: "log", Type: config.ThinDisk, Pool: "pool", Size: 1 << 30},
	}}}
	for _, n := range []string{"db", "log"} {
		doc.Devices = append(doc.Devices, config.Device{Name: n, Handler: config.BlockIO, Path: "/dev/vg-0/" + n})
	}
	apply := func(doc *config.Document) {
		t.Helper()
		if got, err := tryApply(t, a, Change{Document: doc}); err != nil || len(got.Problems) > 0 {
			t.Fatalf("%v %v", err, got.Problems)
		}
		if p, err := a.Plan(t.Context(), doc); err != nil || !p.Empty() {
			t.Fatalf("applied, there is still to do: %v\n%s", err, p.Text(nil))
		}
	}
	apply(doc)
	made, err := a.TakeSnapshot(t.Context(), []string{"db", "log"}, "x", "test")
	if err != nil || len(made) != 2 {
		t.Fatalf("%v %v", made, err)
	}
	if held := m.Suspended(); len(held) > 0 {
		t.Errorf("held: %v", held)
	}
	if p, err := a.Plan(t.Context(), doc); err != nil || !p.Empty() || len(p.Problems) > 0 {
		t.Errorf("snapshots are something to do: %v\n%s", err, p.Text(nil))
	}

	g := &doc.Storage.VolumeGroups[0]
	g.Volumes = append(g.Volumes, config.Volume{Name: "test", Type: config.ThinDisk, Pool: "pool", CloneOf: made[0].Volume.Name},
		config.Volume{Name: made[1].Volume.Name, Type: config.ThinDisk, Pool: "pool", Size: config.Size(made[1].Size), ReadOnly: true})
	doc.Devices = append(doc.Devices, config.Device{Name: "test", Handler: config.BlockIO, Path: "/dev/vg-0/test"},
		config.Device{Name: "old-log", Handler: config.BlockIO, Path: made[1].Path, ReadOnly: true})
	apply(doc)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	m.Reboot()
	a = storageArray(t, dir, m)
	if s, err := a.Status(t.Context()); err != nil || len(s.Problems) > 0 {
		t.Errorf("after a reboot: %v", s.Problems)
	}
	for _, p := range []string{"/dev/vg-0/test", made[1].Path} {
		if m.Look(p) == nil {
			t.Errorf("after a reboot %s is not there", p)
		}
	}
	for _, snap := range made {
		if err := a.DeleteSnapshot(t.Context(), snap.Device, snap.Name, []string{snap.Object()}, "test"); !errors.Is(err, snapshot.ErrUsed) {
			t.Errorf("delete of %s, which is in use: %v", snap.ID(), err)
		}
	}

	// The clone and the read-only device are given up; the snapshots stay until
	// they are deleted by name.
	g.Volumes, doc.Devices = g.Volumes[:3], doc.Devices[:2]
	if _, err := tryApply(t, a, Change{Document: doc}); err != nil {
		t.Fatal(err)
	}
	if all, err := a.Snapshots(t.Context()); err != nil || len(all) != 2 {
		t.Fatalf("%v %v", all, err)
	}
	for _, snap := range made {
		if err := a.DeleteSnapshot(t.Context(), snap.Device, snap.Name, []string{snap.Object()}, "test"); err != nil {
			t.Errorf("delete of %s: %v", snap.ID(), err)
		}
	}
	if all, err := a.Snapshots(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("%v %v", all, err)
	}
	lost := slices.DeleteFunc(m.Lost(), func(name string) bool { return strings.Contains(name, ".x-") })
	if len(lost) > 0 {
		t.Errorf("lost: %v", lost)
	}
}

package appliance

import (
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
)

// TestStorageOnRemoteDisks mirrors the disks of two arrays elsewhere, each
// reached by two paths, with one change, and has it back after a reboot, and
// after one at which nobody answers at first.
func TestStorageOnRemoteDisks(t *testing.T) {
	const one, two = "iqn.2026-11.com.example:one", "iqn.2026-11.com.example:two"
	portals := map[string]string{"10.0.0.1:3260": one, "10.0.1.1:3260": one, "10.0.0.2:3260": two, "10.0.1.2:3260": two}
	dir, m := t.TempDir(), storagefake.New()
	m.Target(one, &storagefake.RemoteDisk{WWID: "3600140500000001", Serial: "1", Size: 4 << 30})
	m.Target(two, &storagefake.RemoteDisk{WWID: "3600140500000002", Serial: "2", Size: 4 << 30})
	answer := func(up bool) {
		for p := range portals {
			m.Portal(p, up)
		}
	}
	answer(true)
	doc := &config.Document{Version: 1, Name: "array1", ID: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"}
	s := &doc.Storage
	for _, p := range []string{"10.0.0.1:3260", "10.0.1.1:3260", "10.0.0.2:3260", "10.0.1.2:3260"} {
		s.Remote.ISCSI = append(s.Remote.ISCSI, config.RemoteISCSI{Name: "p" + p[:8], Target: portals[p], Portal: p})
	}
	s.Multipath = config.Multipath{Enabled: true, Maps: []config.MultipathMap{{Name: "one", WWID: "3600140500000001"}, {Name: "two", WWID: "3600140500000002"}}}
	s.Arrays = []config.Array{{Name: "far", Level: "1", Disks: []string{"/dev/mapper/one", "/dev/mapper/two"}}}
	s.VolumeGroups = []config.VolumeGroup{{Name: "vg", Devices: []string{"/dev/md/far"}, Volumes: []config.Volume{{Name: "v", Size: 1 << 30}}}}
	doc.Devices = []config.Device{{Name: "d", Handler: config.BlockIO, Path: "/dev/vg/v"}}

	a := storageArray(t, dir, m)
	if got, err := tryApply(t, a, Change{Document: doc}); err != nil || len(got.Problems) > 0 {
		t.Fatalf("apply: %v %v", err, got.Problems)
	}
	m.Sync()
	a.Retry()
	well(t, a, doc)
	m.Write()
	for _, up := range []bool{true, false} {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		m.Reboot()
		answer(up)
		a = storageArray(t, dir, m)
		if !up {
			if st, err := a.Status(t.Context()); err != nil || len(st.Problems) == 0 {
				t.Errorf("nobody answers, and nothing is told: %v %v", err, st.Problems)
			}
			answer(true)
			a.Retry()
		}
		well(t, a, doc)
		if d := m.Look("/dev/vg/v"); d == nil || d.Owner == "" {
			t.Errorf("the volume with its data is not back: %+v", d)
		}
	}
	if lost := m.Lost(); len(lost) > 0 {
		t.Errorf("lost: %q", lost)
	}

	// multipathd does not start: the array is not begun on single paths, which
	// could not be gathered then.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	m.Reboot()
	m.Broken("multipathd.service", true)
	a = storageArray(t, dir, m)
	if err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := m.Look("/dev/md/far"); d != nil {
		t.Errorf("it runs on %q", d.Below)
	}
	m.Broken("multipathd.service", false)
	a.Retry()
	well(t, a, doc)
}

// well waits until all that is declared is served.
func well(t *testing.T, a *Appliance, doc *config.Document) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		p, err := a.Plan(t.Context(), doc)
		if err != nil {
			t.Fatal(err)
		}
		s, err := a.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Empty() && len(s.Problems) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("there is still to do: %v\n%s", s.Problems, p.Text(nil))
		}
		a.Retry() // what was looked at before all was well is told after it
	}
}

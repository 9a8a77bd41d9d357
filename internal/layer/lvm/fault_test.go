package lvm_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/plan"
)

// state is what LVM reports, by which a machine is the same or not.
func state(t *testing.T, m *storagefake.Machine) string {
	t.Helper()
	out, err := m.Output(context.Background(), host.Call{Name: "lvm", Args: []string{"fullreport"}})
	if err != nil {
		t.Fatal(err)
	}
	return m.Anonymous(string(out))
}

// Every command that a plan runs fails once, before or after it did its work.
// Then the machine is as it was, or the error names what is not; and the next
// plan finishes the work, with nothing lost that was not named.
func TestFaults(t *testing.T) {
	cases := []struct {
		name   string
		fresh  bool
		was    func(d *config.Document)
		edit   func(d *config.Document)
		tamper func(m *storagefake.Machine)
		named  []string
	}{
		{name: "first", fresh: true, edit: func(*config.Document) {}},
		{name: "first-shapes", fresh: true, edit: shapes},
		{name: "first-on-data", fresh: true, edit: func(*config.Document) {}, tamper: func(m *storagefake.Machine) { holds(m, "vdb", "ext4") }, named: []string{"disk/virtio-db"}},
		{name: "reboot", edit: func(*config.Document) {}, tamper: (*storagefake.Machine).RebootLVM},
		{name: "take-up", fresh: true, edit: func(d *config.Document) {
			vg(d).UUID, vg(d).Devices, vg(d).Volumes = "VG0000-0000-0000-0000-0000-0000-000001", []string{path("c"), path("d")}, []config.Volume{{Name: "theirs", Size: 10 * gib}, {Name: "new", Size: gib}}
		}, tamper: func(m *storagefake.Machine) { m.ForeignGroup("vg0", "theirs", 10*gib, "/dev/vdc") }},
		{name: "changes", was: shapes, edit: func(d *config.Document) {
			volume(d, "plain").Size, volume(d, "plain").ReadOnly = 15*gib, true
			volume(d, "plain").Cache = &config.Cache{Device: path("f"), Size: 4 * gib, Mode: "writeback"}
			volume(d, "pool").Metadata = 128 << 20
			volume(d, "backup").Compression = new(false)
			volume(d, "fast").Cache.Size = 6 * gib
			v := volume(d, "wide")
			v.Name, v.Was = "broad", "wide"
			vg(d).Volumes = append(vg(d).Volumes, config.Volume{Name: "lab", Type: config.ThinDisk, Pool: "pool", CloneOf: "db01", Size: 60 * gib, ReadOnly: true})
		}},
		{name: "settings", was: shapes, edit: func(d *config.Document) { // all of it can be taken back
			volume(d, "plain").ReadOnly = true
			volume(d, "plain").Cache = &config.Cache{Device: path("f"), Size: 4 * gib, Mode: "writeback"}
			volume(d, "backup").Deduplication = new(false)
			volume(d, "fast").Cache.Mode = "writeback"
			v := volume(d, "wide")
			v.Name, v.Was = "broad", "wide"
			vg(d).Volumes = append(vg(d).Volumes, config.Volume{Name: "lab", Type: config.ThinDisk, Pool: "pool", CloneOf: "db01"})
		}},
		{name: "uncache", was: cachedOnly, edit: func(d *config.Document) { volume(d, "fast").Cache = nil }},
		{name: "cache-gone", was: cachedOnly, edit: func(d *config.Document) { volume(d, "fast").Cache = nil; vg(d).Devices = vg(d).Devices[:2] },
			tamper: func(m *storagefake.Machine) { m.RebootLVM(); m.Pull("vdc") }},
		{name: "add-device", edit: func(d *config.Document) { vg(d).Devices = append(vg(d).Devices, path("c"), path("d")) }},
		{name: "devices", edit: func(d *config.Document) { vg(d).Devices = []string{path("b"), path("c")} }},
		{name: "deletes", edit: func(d *config.Document) { without(d, "plain"); without(d, "pool"); without(d, "db01") },
			named: []string{"volume/vg0/plain", "volume/vg0/pool", "volume/vg0/db01"}},
		{name: "delete-all", edit: func(d *config.Document) { d.Storage.VolumeGroups = nil },
			named: []string{"volume-group/vg0", "volume/vg0/plain", "volume/vg0/pool", "volume/vg0/db01", "volume/vg0/backup"}},
		{name: "shrink", edit: func(d *config.Document) { volume(d, "plain").Size = 5 * gib }, named: []string{"volume/vg0/plain"}},
		{name: "repair", was: func(d *config.Document) { shapes(d); vg(d).Volumes = vg(d).Volumes[5:6] }, edit: func(d *config.Document) { vg(d).Devices = append(vg(d).Devices[:1], vg(d).Devices[2:]...) },
			tamper: func(m *storagefake.Machine) { m.Pull("vdb") }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tried := 0
			for _, after := range []bool{false, true} {
				for n := 1; ; n++ {
					m := machine()
					inForce := document(t)
					if c.was != nil {
						c.was(inForce)
					}
					declared := inForce.Clone()
					if c.fresh {
						inForce = nil
					} else {
						serve(t, m, inForce)
					}
					c.edit(declared)
					if c.tamper != nil {
						c.tamper(m)
					}
					before := state(t, m)
					p := planned(t, m, inForce, declared, c.named...)
					if len(p.Problems) > 0 {
						t.Fatal(p.Problems)
					}
					m.FailAt(n, after)
					_, err := (plan.Runner{}).Run(t.Context(), p)
					if !m.Injected() {
						if err != nil {
							t.Fatal(err)
						}
						break // nothing is left to fail
					}
					tried++
					m.FailAt(0, false)
					var e *plan.Error
					switch {
					case err == nil:
						// A step that looks again saw that it was done, or tried again.
					case !errors.As(err, &e):
						t.Fatalf("fail %d after=%t: error is %v", n, after, err)
					case len(e.NotBack) == 0 && !slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
						return s.Destroys != "" || keepsGrowth(s) || !c.fresh && s.ID == plan.ID("activate "+s.Object)
					}):
						if diff := cmp.Diff(before, state(t, m)); diff != "" {
							t.Fatalf("fail %d after=%t: %v; the machine is not what it was (-was +is):\n%s", n, after, err, diff)
						}
					}
					// What comes next: a plan from what is there now.
					again := planned(t, m, inForce, declared, c.named...)
					if len(again.Problems) > 0 {
						t.Fatalf("fail %d after=%t: %v; the next plan is refused: %v", n, after, err, again.Problems)
					}
					if _, err := (plan.Runner{}).Run(t.Context(), again); err != nil {
						t.Fatalf("fail %d after=%t: the next plan fails: %v", n, after, err)
					}
					if left := planned(t, m, declared, declared); !left.Empty() {
						t.Fatalf("fail %d after=%t: %v; there is still to do:\n%s", n, after, err, left.Text(nil))
					}
					for _, lost := range m.Lost() {
						if !slices.Contains(c.named, lost) && !strings.HasPrefix(lost, "somebody's") {
							t.Fatalf("fail %d after=%t: %s is lost, which nobody named", n, after, lost)
						}
					}
				}
			}
			if tried < 2 {
				t.Errorf("only %d failures were tried", tried)
			}
			t.Logf("%d failures", tried)
		})
	}
}

// keepsGrowth says whether what a step does stays when a plan is undone, as
// it says it does.
func keepsGrowth(s plan.Step) bool {
	for _, what := range []string{"Grow ", "Move ", "Let ", "Resume ", "Forget "} {
		if strings.HasPrefix(s.Sentence, what) {
			return true
		}
	}
	return false
}

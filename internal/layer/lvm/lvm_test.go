package lvm_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/layer/lvm"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

const (
	gib     = 1 << 30
	arrayID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
)

// machine has six blank disks of 100 GiB.
func machine() *storagefake.Machine {
	m := storagefake.New()
	for _, n := range []string{"a", "b", "c", "d", "e", "f"} {
		m.Disk("vd"+n, "d"+n, 100*gib)
	}
	return m
}

func path(n string) string { return "/dev/disk/by-id/virtio-d" + n }

// document declares a group with a volume of each kind that needs one disk.
func document(t *testing.T) *config.Document {
	t.Helper()
	d := &config.Document{Version: config.Version, ID: arrayID}
	d.Storage.VolumeGroups = []config.VolumeGroup{{
		Name: "vg0", Devices: []string{path("a"), path("b")},
		Volumes: []config.Volume{
			{Name: "plain", Size: 10 * gib},
			{Name: "pool", Type: config.ThinPool, Size: 20 * gib, Metadata: 64 << 20},
			{Name: "db01", Type: config.ThinDisk, Size: 50 * gib, Pool: "pool"},
			{Name: "backup", Type: config.VDO, Size: 100 * gib, Physical: 10 * gib},
		},
	}}
	return d
}

func vg(d *config.Document) *config.VolumeGroup { return &d.Storage.VolumeGroups[0] }

func volume(d *config.Document, name string) *config.Volume {
	for i := range vg(d).Volumes {
		if vg(d).Volumes[i].Name == name {
			return &vg(d).Volumes[i]
		}
	}
	return nil
}

func without(d *config.Document, name string) {
	var kept []config.Volume
	for _, v := range vg(d).Volumes {
		if v.Name != name {
			kept = append(kept, v)
		}
	}
	vg(d).Volumes = kept
}

func planned(t testing.TB, m *storagefake.Machine, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	layers := []layer.Layer{disk.Layer{Machine: m}, lvm.Layer{Machine: m}}
	var b plan.Builder
	for _, l := range layers {
		if err := l.Observe(t.Context(), declared, seen); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range layers {
		b.Layer()
		l.Plan(declared, seen, &b)
	}
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve brings a machine to what a document declares, and has data written.
func serve(t testing.TB, m *storagefake.Machine, doc *config.Document) {
	t.Helper()
	p := planned(t, m, nil, doc)
	if len(p.Problems) > 0 {
		t.Fatal(p.Problems)
	}
	if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	m.WriteVolumes()
}

// Each case edits a document that is served, or what there is of it. The
// golden file is the plan; carried out, nothing must be left to do, and nothing
// lost that was not named.
func TestPlans(t *testing.T) {
	type doc = config.Document
	same := func(*doc) {}
	for _, c := range []struct {
		name   string
		fresh  bool                         // nothing is made yet, nothing in force
		was    func(d *doc)                 // what is served is otherwise
		edit   func(d *doc)                 // the wish
		tamper func(m *storagefake.Machine) // what happened to the machine meanwhile
		named  []string
		stays  bool // the plan leads not to what is declared
		lost   []string
	}{
		{name: "first", fresh: true, edit: same},
		{name: "same", edit: same},
	} {
		t.Run(c.name, func(t *testing.T) {
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
			before := m.Lost()
			p := planned(t, m, inForce, declared, c.named...)
			text := p.Text(c.named)
			if len(c.named) > 0 {
				text = planned(t, m, inForce, declared).Text(nil) + "--- with " + strings.Join(c.named, ", ") + " named\n" + text
			}
			golden(t, c.name+".txt", text)
			if c.stays {
				return
			}
			if needs := p.Needs(c.named); len(needs) > 0 || len(p.Problems) > 0 {
				t.Fatalf("refused: %q %v", needs, p.Problems)
			}
			if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if again := planned(t, m, declared, declared); !again.Empty() {
				t.Errorf("carried out, there is still to do:\n%s", again.Text(nil))
			}
			if diff := cmp.Diff(c.lost, m.Lost()[len(before):]); diff != "" && len(c.lost)+len(m.Lost())-len(before) > 0 {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

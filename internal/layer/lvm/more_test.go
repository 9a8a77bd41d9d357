package lvm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/layer/lvm"
	"github.com/esos-project/esos/internal/plan"
)

// withSteps plans the layer with a step of a lower layer before it.
func withSteps(t *testing.T, m interface {
	lvm.Machine
	disk.Machine
}, inForce, declared *config.Document, below func(b *plan.Builder),
) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce}
	var b plan.Builder
	if err := (disk.Layer{Machine: m}).Observe(t.Context(), declared, seen); err != nil {
		t.Fatal(err)
	}
	l := lvm.Layer{Machine: m}
	if err := l.Observe(t.Context(), declared, seen); err != nil {
		t.Fatal(err)
	}
	b.Layer()
	below(&b)
	b.Layer()
	l.Plan(declared, seen, &b)
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// arrives plays an array that is assembled by a step of the plan: the disk is
// not there before.
func arrives(m *storagefake.Machine, d *storagefake.Device, path string, size int64) func(b *plan.Builder) {
	return func(b *plan.Builder) {
		id := plan.StepID("assemble", "array/r0")
		b.Add(plan.Step{ID: id, Layer: "raid", Object: "array/r0", Action: plan.Create, Sentence: "Assemble array r0", Do: func(context.Context, plan.Report) error {
			m.Plug(d)
			return nil
		}})
		b.Comes(path, plan.Coming{Step: id, Size: size})
	}
}

// TestBoot: a boot's one plan assembles the array below and activates what is
// on it, though LVM cannot see it yet; and nothing is made anew.
func TestBoot(t *testing.T) {
	for _, c := range []struct {
		name    string
		devices []string
		fresh   bool // a new medium has the document, and none is in force
	}{
		{name: "boot", devices: []string{path("a")}},
		{name: "boot-one-of-two", devices: []string{path("a"), path("b")}},
		{name: "boot-recovered", devices: []string{path("a")}, fresh: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine()
			doc := document(t)
			vg(doc).Devices = c.devices
			serve(t, m, doc)
			m.RebootLVM()
			d := m.Pull("vda")
			inForce := doc
			if c.fresh {
				inForce = nil
			}
			p := withSteps(t, m, inForce, doc, arrives(m, d, path("a"), 100*gib))
			golden(t, c.name+".txt", p.Text(nil))
			if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if lost := m.Lost(); len(lost) > 0 {
				t.Errorf("lost: %q", lost)
			}
			for _, name := range []string{"plain", "db01", "backup"} {
				if m.Real("/dev/vg0/"+name) == "" {
					t.Errorf("volume %s is not active", name)
				}
			}
			if again := planned(t, m, doc, doc); !again.Empty() {
				t.Errorf("there is still to do:\n%s", again.Text(nil))
			}
		})
	}
}

// TestGrownBelow: an array that a step of the plan grows is used whole.
func TestGrownBelow(t *testing.T) {
	m := machine()
	doc := document(t)
	vg(doc).Devices = []string{path("a")}
	serve(t, m, doc)
	declared := doc.Clone()
	volume(declared, "plain").Size = 120 * gib
	p := withSteps(t, m, doc, declared, func(b *plan.Builder) {
		id := plan.ID("grow array/r0")
		b.Add(plan.Step{ID: id, Layer: "raid", Object: "array/r0", Action: plan.Change, Sentence: "Grow array r0", Do: func(context.Context, plan.Report) error {
			m.Look("vda").Size = 200 * gib
			return nil
		}})
		b.Comes(path("a"), plan.Coming{Step: id, Size: 200 * gib})
	})
	golden(t, "grown-below.txt", p.Text(nil))
	if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if again := planned(t, m, declared, declared); !again.Empty() {
		t.Errorf("there is still to do:\n%s", again.Text(nil))
	}
}

// blind is a machine on which LVM does not answer.
type blind struct{ *storagefake.Machine }

func (b blind) Output(ctx context.Context, c host.Call) ([]byte, error) {
	if c.Name == "lvm" {
		return nil, errors.New("lvm: timed out")
	}
	return b.Machine.Output(ctx, c)
}

// TestUnreadable: if LVM does not answer, what is declared with the same words
// is blocked and told, a wish is refused, and nothing is planned.
func TestUnreadable(t *testing.T) {
	m := machine()
	doc := document(t)
	serve(t, m, doc)
	p := withSteps(t, blind{m}, doc, doc, func(*plan.Builder) {})
	golden(t, "unreadable.txt", p.Text(nil))
	seen := &layer.Observed{InForce: doc, Destroy: []string{"volume/vg0/plain"}}
	for _, l := range []layer.Layer{disk.Layer{Machine: m}, lvm.Layer{Machine: blind{m}}} {
		if err := l.Observe(t.Context(), doc, seen); err != nil {
			t.Fatal(err)
		}
	}
	gone := doc.Clone()
	without(gone, "plain")
	var b plan.Builder
	lvm.Layer{Machine: blind{m}}.Plan(gone, seen, &b)
	if p, err := b.Plan(); err != nil || !p.Empty() || len(p.Problems) != 1 {
		t.Errorf("a delete while nothing can be seen: %v %+v", err, p)
	}
	p = withSteps(t, blind{m}, nil, doc, func(*plan.Builder) {})
	golden(t, "unreadable-first.txt", p.Text(nil))
}

// TestRefusedWithoutName: every kind of step that loses data is refused until
// its object is named.
func TestRefusedWithoutName(t *testing.T) {
	for _, c := range []struct {
		what   string
		fresh  bool
		edit   func(d *config.Document)
		tamper func(m *storagefake.Machine)
		named  []string // what brings the step about
		needs  string
	}{
		{what: "wipe of a device of a new group", fresh: true, edit: func(*config.Document) {}, tamper: func(m *storagefake.Machine) { holds(m, "vda", "xfs") }, needs: "disk/virtio-da"},
		{what: "wipe of a device that is added", edit: func(d *config.Document) { vg(d).Devices = append(vg(d).Devices, path("c")) }, tamper: func(m *storagefake.Machine) { holds(m, "vdc", "xfs") }, needs: "disk/virtio-dc"},
		{what: "shrink", edit: func(d *config.Document) { volume(d, "plain").Size = gib }, needs: "volume/vg0/plain"},
		{what: "delete of a volume", edit: func(d *config.Document) { without(d, "plain") }, named: []string{"volume/vg0/plain"}, needs: "volume/vg0/plain"},
		{what: "delete of a group", edit: func(d *config.Document) { d.Storage.VolumeGroups = nil },
			named: []string{"volume-group/vg0", "volume/vg0/plain", "volume/vg0/pool", "volume/vg0/db01", "volume/vg0/backup"}, needs: "volume-group/vg0"},
	} {
		t.Run(c.what, func(t *testing.T) {
			m := machine()
			inForce := document(t)
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
			p := planned(t, m, inForce, declared, c.named...)
			found := false
			for i := range p.Steps {
				s := &p.Steps[i]
				if s.Destroys == "" {
					continue
				}
				found = found || strings.Contains(strings.Join(p.Needs(nil), " "), c.needs)
				if s.Allowed(nil) || s.Allowed([]string{"volume/vg0/other"}) {
					t.Errorf("%q is allowed without a name", s.Sentence)
				}
			}
			if !found {
				t.Errorf("no step needs the name of %s: %s", c.needs, p.Text(nil))
			}
		})
	}
}

// many are 20 disks, 5 groups on 4 disks each, and 200 volumes.
func many() (*storagefake.Machine, *config.Document) {
	m := storagefake.New()
	d := &config.Document{Version: config.Version, ID: arrayID, Name: "array"}
	for g := range 5 {
		group := config.VolumeGroup{Name: fmt.Sprintf("vg%d", g)}
		for i := range 4 {
			name := fmt.Sprintf("%d", g*4+i)
			m.Disk("vd"+name, "d"+name, 1000*gib)
			group.Devices = append(group.Devices, path(name))
		}
		group.Volumes = append(group.Volumes, config.Volume{Name: "pool", Type: config.ThinPool, Size: 500 * gib})
		for i := range 39 {
			v := config.Volume{Name: fmt.Sprintf("v%d", i), Size: gib}
			if i%2 == 0 {
				v.Type, v.Pool = config.ThinDisk, "pool"
			}
			group.Volumes = append(group.Volumes, v)
		}
		d.Storage.VolumeGroups = append(d.Storage.VolumeGroups, group)
	}
	return m, d
}

// TestManyBoot: after a boot hundreds of volumes are activated by one program a
// group.
func TestManyBoot(t *testing.T) {
	m, d := many()
	serve(t, m, d)
	m.RebootLVM()
	before := len(m.Calls())
	p := planned(t, m, d, d)
	if len(p.Steps) != 200 {
		t.Fatalf("%d steps, not 200", len(p.Steps))
	}
	if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if again := planned(t, m, d, d); !again.Empty() {
		t.Errorf("there is still to do:\n%s", again.Text(nil))
	}
	if n := len(m.Calls()) - before; n > 5+5 { // the pools' step has no block device to look at
		t.Errorf("%d programs were run", n)
	}
}

// BenchmarkPlanNothing is a plan with nothing to do, with 20 disks, 5 groups
// and 200 volumes.
func BenchmarkPlanNothing(b *testing.B) {
	m, d := many()
	serve(b, m, d)
	for b.Loop() {
		if p := planned(b, m, d, d); !p.Empty() {
			b.Fatal(p.Text(nil))
		}
	}
}

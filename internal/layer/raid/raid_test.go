package raid_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/layer/raid"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

const arrayID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"

func layers(m *storagefake.Machine) []layer.Layer {
	return []layer.Layer{disk.Layer{Machine: m}, raid.Layer{Machine: m, DataDir: "/data"}}
}

func planned(t *testing.T, m *storagefake.Machine, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	for _, l := range layers(m) {
		if err := l.Observe(t.Context(), declared, seen); err != nil {
			t.Fatal(err)
		}
	}
	return plannedFrom(t, layers(m), declared, seen)
}

func plannedFrom(t *testing.T, ls []layer.Layer, declared *config.Document, seen *layer.Observed) *plan.Plan {
	t.Helper()
	var b plan.Builder
	for _, l := range ls {
		b.Layer()
		l.Plan(declared, seen, &b)
	}
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func carryOut(t *testing.T, p *plan.Plan) {
	t.Helper()
	if len(p.Problems) > 0 {
		t.Fatalf("refused: %v", p.Problems)
	}
	if _, err := (plan.Runner{}).Run(context.Background(), p); err != nil {
		t.Fatal(err)
	}
}

func dev(serial string) string { return "/dev/disk/by-id/virtio-" + serial }

func devs(serials ...string) (paths []string) {
	for _, s := range serials {
		paths = append(paths, dev(s))
	}
	return paths
}

// machine has eight blank disks, a to h.
func machine() *storagefake.Machine {
	m := storagefake.New()
	for i, s := range strings.Split("abcdefgh", "") {
		m.Disk("vd"+string(rune('a'+i)), s, 4<<30)
	}
	return m
}

func document(arrays ...config.Array) *config.Document {
	return &config.Document{ID: arrayID, Storage: config.Storage{Arrays: arrays}}
}

func six() config.Array {
	return config.Array{Name: "data", Level: "6", Disks: devs("a", "b", "c", "d"), Spares: devs("e"), Chunk: 64 << 10}
}

func mirror() config.Array { return config.Array{Name: "m", Level: "1", Disks: devs("a", "b")} }

// raidCase is a machine on which a document is in force, what happened to it
// since, and what is wished.
type raidCase struct {
	name   string
	before *config.Document // in force; nil if nothing is
	tamper func(m *storagefake.Machine)
	edit   func(d *config.Document)
	wish   *config.Document // instead of edit
	named  []string
	stays  bool     // the plan leads not to what is declared
	lost   []string // whose data is gone once it is carried out
}

func (c raidCase) ready(t *testing.T) (m *storagefake.Machine, declared *config.Document) {
	t.Helper()
	m = machine()
	if c.before != nil {
		carryOut(t, planned(t, m, nil, c.before))
		m.Sync()
		for _, a := range c.before.Storage.Arrays {
			m.Look(a.Path()).Owner = "array/" + a.Name
		}
	}
	if c.tamper != nil {
		c.tamper(m)
	}
	declared = c.wish
	if declared == nil {
		declared = c.before.Clone()
		if c.edit != nil {
			c.edit(declared)
		}
	}
	return m, declared
}

func cases() []raidCase {
	first := func(d *config.Document) *config.Array { return &d.Storage.Arrays[0] }
	hold := func(name, kind string) func(m *storagefake.Machine) {
		return func(m *storagefake.Machine) {
			d := m.Look(name)
			d.Content, d.Owner = []block.Content{{Type: kind}}, "theirs"
		}
	}
	return []raidCase{
		{name: "first", wish: document(six())},
		{name: "first-levels", wish: document(
			config.Array{Name: "fast", Level: "0", Disks: devs("a", "b")},
			config.Array{Name: "safe", Level: "1", Disks: devs("c", "d"), WriteMostly: devs("d"), SpeedMin: 10 << 20},
			config.Array{Name: "five", Level: "5", Disks: devs("e", "f", "g"), Journal: dev("h")})},
		{name: "first-on-arrays", wish: document(
			config.Array{Name: "top", Level: "0", Disks: []string{"/dev/md/m1", "/dev/md/m2"}},
			config.Array{Name: "m1", Level: "1", Disks: devs("a", "b")}, config.Array{Name: "m2", Level: "1", Disks: devs("c", "d")})},
		{name: "first-not-blank", wish: document(six()), tamper: hold("vdb", "xfs"), named: []string{"disk/virtio-b"}, lost: []string{"theirs"}},
		{name: "first-missing", wish: document(six()), tamper: func(m *storagefake.Machine) { m.Pull("vdc") }, stays: true},
		{name: "first-mounted", wish: document(six()), tamper: func(m *storagefake.Machine) { m.Look("vdc").Mounts = []string{"/srv"} }, stays: true},
		{name: "first-other-sizes", wish: document(mirror()), tamper: func(m *storagefake.Machine) { m.Look("vdb").Size = 6 << 30 }},
		{name: "same", before: document(six())},
		{name: "boot", before: document(six()), tamper: (*storagefake.Machine).StopArrays},
		{name: "boot-degraded", before: document(six()), tamper: func(m *storagefake.Machine) { m.Pull("vdc"); m.StopArrays() }},
		{name: "boot-too-few", before: document(six()), tamper: func(m *storagefake.Machine) {
			m.StopArrays()
			for _, d := range []string{"vdb", "vdc", "vdd"} {
				m.Pull(d)
			}
		}, stays: true},
		{name: "boot-none", before: document(six()), tamper: func(m *storagefake.Machine) {
			m.StopArrays()
			for _, d := range []string{"vda", "vdb", "vdc", "vdd", "vde"} {
				m.Pull(d)
			}
		}, stays: true},
		{name: "boot-foreign", before: document(mirror()), tamper: func(m *storagefake.Machine) {
			foreign(m)
			m.StopArrays()
		}},
		{name: "wiped-behind", before: document(mirror()), tamper: func(m *storagefake.Machine) {
			m.StopArrays()
			for _, d := range []string{"vda", "vdb"} {
				m.Look(d).Content = nil
				clear(m.Look(d).Super)
			}
		}, stays: true},
		{name: "take-up", wish: document(config.Array{Name: "kept", Level: "1", Disks: devs("g", "h"), UUID: foreignUUID}), tamper: func(m *storagefake.Machine) { foreign(m); m.StopArrays() }},
		{name: "take-up-running", wish: document(config.Array{Name: "kept", Level: "1", Disks: devs("g", "h"), UUID: foreignUUID}), tamper: foreign},
		{name: "take-up-other-disks", wish: document(config.Array{Name: "kept", Level: "1", Disks: devs("g", "a"), UUID: foreignUUID}), tamper: foreign, stays: true},
		{name: "take-up-nothing", wish: document(config.Array{Name: "kept", Level: "1", Disks: devs("g", "h"), UUID: foreignUUID}), stays: true},
		{name: "on-foreign", wish: document(config.Array{Name: "new", Level: "1", Disks: devs("g", "a")}), tamper: func(m *storagefake.Machine) { foreign(m); m.StopArrays() }, stays: true},
		{name: "on-foreign-running", wish: document(config.Array{Name: "new", Level: "1", Disks: devs("g", "a")}), tamper: foreign, stays: true},
		{name: "on-foreign-named", wish: document(config.Array{Name: "new", Level: "1", Disks: devs("g", "h")}), tamper: func(m *storagefake.Machine) { foreign(m); m.StopArrays() },
			named: []string{"disk/virtio-g", "disk/virtio-h"}, lost: []string{"foreign"}},
		{name: "foreign-deleted", wish: document(config.Array{Name: "new", Level: "1", Disks: devs("g", "h")}), tamper: foreign, named: []string{"array/old"}, lost: []string{"foreign"}},
		{name: "failed", before: document(six()), tamper: func(m *storagefake.Machine) { m.Fault("vdb"); m.Sync() }},
		{name: "failed-no-spare", before: document(mirror()), tamper: func(m *storagefake.Machine) { m.Fault("vdb") }},
		{name: "failed-replaced", before: document(mirror()), tamper: func(m *storagefake.Machine) { m.Fault("vdb") }, edit: func(d *config.Document) { first(d).Disks[1] = dev("c") }},
		{name: "failed-all", before: document(mirror()), tamper: func(m *storagefake.Machine) {
			m.Fault("vdb")
			m.Fault("vda")
		}, stays: true},
		{name: "gone-replaced", before: document(mirror()), tamper: func(m *storagefake.Machine) { m.Pull("vdb") }, edit: func(d *config.Document) { first(d).Disks[1] = dev("c") }},
		{name: "replace", before: document(six()), edit: func(d *config.Document) { first(d).Disks[1] = dev("f") }},
		{name: "replace-not-blank", before: document(six()), tamper: hold("vdf", "LVM2_member"), edit: func(d *config.Document) { first(d).Disks[1] = dev("f") },
			named: []string{"disk/virtio-f"}, lost: []string{"theirs"}},
		{name: "replace-absent", before: document(six()), edit: func(d *config.Document) { first(d).Disks[1] = dev("z") }, stays: true},
		{name: "came-back", before: document(mirror()), tamper: func(m *storagefake.Machine) {
			d := m.Pull("vdb")
			m.Fault("vdb")
			d.Name = "vdz"
			m.Plug(d)
		}},
		{name: "came-back-late", before: document(six()), tamper: func(m *storagefake.Machine) {
			d := m.Pull("vdb")
			m.Fault("vdb")
			m.Sync()
			m.StopArrays()
			m.Plug(d)
		}},
		{name: "spares", before: document(six()), edit: func(d *config.Document) { first(d).Spares = devs("f", "g") }},
		{name: "grow", before: document(six()), edit: func(d *config.Document) { first(d).Disks = append(first(d).Disks, dev("f"), dev("g")) }},
		{name: "five-to-six", before: document(config.Array{Name: "data", Level: "5", Disks: devs("a", "b", "c")}), edit: func(d *config.Document) {
			first(d).Level, first(d).Disks = "6", append(first(d).Disks, dev("d"))
		}},
		{name: "five-to-one", before: document(config.Array{Name: "data", Level: "5", Disks: devs("a", "b", "c")}), edit: func(d *config.Document) { first(d).Level = "1" }, stays: true},
		{name: "fewer", before: document(six()), edit: func(d *config.Document) { first(d).Disks = first(d).Disks[:3]; first(d).Level = "5" }, stays: true},
		{name: "fewer-mirrors", before: document(config.Array{Name: "m", Level: "1", Disks: devs("a", "b", "c")}), edit: func(d *config.Document) { first(d).Disks = first(d).Disks[:2] }, stays: true},
		{name: "stripe-disk", before: document(config.Array{Name: "s", Level: "0", Disks: devs("a", "b")}), edit: func(d *config.Document) { first(d).Disks[1] = dev("c") }, stays: true},
		{name: "chunk", before: document(six()), edit: func(d *config.Document) { first(d).Chunk = 128 << 10 }, stays: true},
		{name: "settings", before: document(mirror()), edit: func(d *config.Document) {
			a := first(d)
			a.WriteMostly, a.SpeedMin, a.SpeedMax, a.Bitmap = devs("b"), 5<<20, 50<<20, "none"
		}},
		{name: "settings-back", before: document(config.Array{Name: "m", Level: "1", Disks: devs("a", "b"), WriteMostly: devs("b"), SpeedMax: 50 << 20, Bitmap: "none"}),
			edit: func(d *config.Document) { a := first(d); a.WriteMostly, a.SpeedMax, a.Bitmap = nil, 0, "" }},
		{name: "remove", before: document(six()), wish: document()},
		{name: "remove-named", before: document(six()), wish: document(), named: []string{"array/data"}, lost: []string{"array/data"}},
		{name: "remove-stopped", before: document(six()), tamper: (*storagefake.Machine).StopArrays, wish: document(), named: []string{"array/data"}, lost: []string{"array/data"}},
		{name: "remove-used", before: document(six()), wish: &config.Document{ID: arrayID, Devices: []config.Device{{Name: "d", Handler: config.BlockIO, Path: "/dev/md/data"}}}, named: []string{"array/data"}, stays: true},
		{name: "use-foreign", wish: &config.Document{ID: arrayID, Devices: []config.Device{{Name: "d", Handler: config.BlockIO, Path: "/dev/md/old"}}, Storage: config.Storage{Arrays: []config.Array{mirror()}}}, tamper: foreign},
		{name: "remove-and-reuse", before: document(mirror()), wish: document(config.Array{Name: "n", Level: "5", Disks: devs("a", "b", "c")}), named: []string{"array/m"}, lost: []string{"array/m"}},
	}
}

const foreignUUID = "01234567-89ab-8def-8123-456789abcdef"

// foreign makes an array on g and h that no document declares.
func foreign(m *storagefake.Machine) {
	n := mdadm.New{Name: "old", UUID: foreignUUID, Level: "1", Disks: devs("g", "h"), Bitmap: true}
	if err := mdadm.Create(context.Background(), m, n); err != nil {
		panic(err)
	}
	m.Sync()
	m.Look("/dev/md/old").Owner = "foreign"
}

// The golden file is the plan; carried out, nothing must be left to do, and
// nobody's data is lost who was not named.
func TestPlans(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			m, declared := c.ready(t)
			p := planned(t, m, c.before, declared, c.named...)
			text := p.Text(c.named)
			if len(c.named) > 0 {
				text = planned(t, m, c.before, declared).Text(nil) + "--- with " + strings.Join(c.named, ", ") + " named\n" + text
			}
			golden(t, c.name+".txt", text)
			c.unnamed(t)
			if c.stays {
				return
			}
			if needs := p.Needs(c.named); len(needs) > 0 {
				t.Fatalf("refused: %q", needs)
			}
			carryOut(t, p)
			finish(t, m, declared)
			if diff := cmp.Diff(c.lost, m.Lost()); diff != "" {
				t.Errorf("whose data is lost (-want +got):\n%s", diff)
			}
		})
	}
}

// unnamed holds that without the names nobody's data is lost: the plan is
// refused, or it leaves the data alone.
func (c raidCase) unnamed(t *testing.T) {
	t.Helper()
	m, declared := c.ready(t)
	p := planned(t, m, c.before, declared)
	if len(p.Needs(nil)) > 0 || len(p.Problems) > 0 {
		return
	}
	carryOut(t, p)
	if lost := m.Lost(); len(lost) > 0 {
		t.Errorf("without a name, this is lost: %q\n%s", lost, p.Text(nil))
	}
}

// finish carries out what is left to do, when what arrays do by themselves is
// done: a replaced disk is taken out then.
func finish(t *testing.T, m *storagefake.Machine, declared *config.Document) {
	t.Helper()
	if again := planned(t, m, declared, declared); !again.Empty() {
		t.Errorf("carried out, there is still to do:\n%s", again.Text(nil))
	}
	for range 3 {
		m.Sync()
		later := planned(t, m, declared, declared)
		if later.Empty() {
			return
		}
		carryOut(t, later)
	}
	t.Errorf("there is no end to it:\n%s", planned(t, m, declared, declared).Text(nil))
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

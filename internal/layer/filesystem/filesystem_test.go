package filesystem_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/device"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/layer/filesystem"
	"github.com/esos-project/esos/internal/layer/vdisk"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

const (
	arrayID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	disk1   = "/dev/disk/by-id/virtio-data01"
	disk2   = "/dev/disk/by-id/virtio-data02"
	foreign = "99999999-2222-8333-8444-555555555555"
	gib     = int64(1) << 30
)

// bench is a machine of two disks, and who serves.
type bench struct {
	*storagefake.Machine
	engine *enginetest.Memory
}

func newBench() bench {
	m := storagefake.New()
	m.Disk("vda", "data01", 10*gib)
	m.Disk("vdb", "data02", 20*gib)
	return bench{m, &enginetest.Memory{}}
}

func (s bench) stack() []layer.Layer {
	return []layer.Layer{disk.Layer{Machine: s.Machine}, filesystem.Layer{Machine: s.Machine},
		vdisk.Layer{Files: storagefake.Images{Machine: s.Machine}, DataDir: "/data", InMemory: true}, device.Layer{Engine: s.engine}}
}

func (s bench) planned(t *testing.T, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	var b plan.Builder
	for _, l := range s.stack() {
		if err := l.Observe(t.Context(), declared, seen); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range s.stack() {
		b.Layer()
		l.Plan(declared, seen, &b)
	}
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s bench) serve(t *testing.T, doc *config.Document) {
	t.Helper()
	p := s.planned(t, nil, doc)
	if len(p.Problems) > 0 || len(p.Needs(nil)) > 0 {
		t.Fatalf("cannot be served:\n%s", p.Text(nil))
	}
	if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// document has one file system, and a device on it.
func document(t *testing.T) *config.Document {
	t.Helper()
	d := &config.Document{
		Version: config.Version, Name: "array1", ID: arrayID,
		Storage: config.Storage{FileSystems: []config.FileSystem{{Name: "images", Device: disk1}}},
		Devices: []config.Device{{Name: "db01", Handler: config.FileIO, Path: "/mnt/vdisks/images/db01.img", Size: 4 << 30}},
	}
	if err := config.Complete(d, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Validate().Err(); err != nil {
		t.Fatal(err)
	}
	return d
}

// mkfs makes a file system that is not ESOS's.
func mkfs(s bench, device, kind string) {
	d := s.Look(device)
	d.Content, d.Owner = nil, ""
	tool := []string{"-U", foreign, "-L", "other", device}
	if kind == "xfs" {
		tool = []string{"-m", "uuid=" + foreign, "-L", "other", device}
	}
	if err := s.Run("mkfs."+kind, tool...); err != nil {
		panic(err)
	}
}

// Each case is a machine that serves a document, what happened to it, and what
// is wanted then. The golden file is the plan; carried out, nothing must be left to do.
func TestPlans(t *testing.T) {
	for _, c := range []struct {
		name    string
		fresh   bool // nothing is served yet, nothing in force
		tamper  func(s bench)
		edit    func(d *config.Document)
		named   []string
		refused bool     // it cannot be carried out
		stays   bool     // it does not lead to what is declared
		lost    []string // whose data is gone at the end
	}{
		{name: "first", fresh: true},
		{name: "first-ext4", fresh: true, edit: func(d *config.Document) { d.Storage.FileSystems[0].Type = "ext4" }},
		{name: "first-btrfs", fresh: true, edit: func(d *config.Document) { d.Storage.FileSystems[0].Type = "btrfs" }},
		{name: "same"},
		{name: "boot", tamper: func(s bench) { s.Unmounted(); s.engine.Forget() }},
		{name: "foreign", fresh: true, tamper: func(s bench) { mkfs(s, disk1, "xfs") }, named: []string{"disk/virtio-data01"}, lost: []string{"filesystem/other"}},
		{name: "unknown-data", fresh: true, tamper: func(s bench) {
			s.Look(disk1).Content = []block.Content{{Type: block.Unknown}}
			s.Look(disk1).Owner = "raw"
		},
			named: []string{"disk/virtio-data01"}, lost: []string{"raw"}},
		{name: "taken-up", fresh: true, tamper: func(s bench) { mkfs(s, disk1, "ext4") },
			edit: func(d *config.Document) {
				d.Storage.FileSystems[0].UUID, d.Storage.FileSystems[0].Type = foreign, "ext4"
			}},
		{name: "taken-up-wrong-type", fresh: true, tamper: func(s bench) { mkfs(s, disk1, "ext4") }, refused: true,
			edit: func(d *config.Document) { d.Storage.FileSystems[0].UUID = foreign }},
		{name: "taken-up-missing", fresh: true, refused: true, edit: func(d *config.Document) { d.Storage.FileSystems[0].UUID = foreign }},
		{name: "too-small", fresh: true, tamper: func(s bench) { s.Look(disk1).Size = 200 << 20 }, refused: true},
		{name: "no-disk", fresh: true, tamper: func(s bench) { s.Pull("vda") }, refused: true},
		{name: "pulled", tamper: func(s bench) { s.Unmounted(); s.engine.Forget(); s.Pull("vda") }, stays: true},
		{name: "pulled-mounted", tamper: func(s bench) { s.Pull("vda") }, stays: true},
		{name: "wiped", tamper: func(s bench) { s.Unmounted(); s.engine.Forget(); s.Look(disk1).Content = nil }, stays: true},
		{name: "other-there", tamper: func(s bench) { s.Unmounted(); s.engine.Forget(); mkfs(s, disk1, "ext4") }, stays: true},
		{name: "moved", tamper: func(s bench) { s.Unmounted(); s.engine.Forget() }, edit: func(d *config.Document) { d.Storage.FileSystems[0].Device = disk2 }, stays: true},
		{name: "moved-mounted", edit: func(d *config.Document) { d.Storage.FileSystems[0].Device = disk2 }, refused: true},
		{name: "hidden-content", fresh: true, tamper: func(s bench) { _ = s.Save("/mnt/vdisks/images/stray.img", nil, 0o600) }, refused: true},
		{name: "elsewhere", tamper: func(s bench) {
			s.Unmounted()
			s.engine.Forget()
			_ = s.MakeDir("/mnt/hand", 0o755)
			_ = s.Run("mount", "-t", "xfs", "-o", "rw", disk1, "/mnt/hand")
		}, stays: true},
		{name: "grow", tamper: func(s bench) { s.Look(disk1).Size = 15 * gib }},
		{name: "grow-unmounted", tamper: func(s bench) { s.Unmounted(); s.engine.Forget(); s.Look(disk1).Size = 15 * gib }},
		{name: "grow-little", tamper: func(s bench) { s.Look(disk1).Size += 8 << 20 }},
		{name: "options", edit: func(d *config.Document) { d.Storage.FileSystems[0].Options = []string{"discard"} }},
		{name: "read-only", tamper: func(s bench) { s.Fail(disk1, false) }},
		{name: "damaged", tamper: func(s bench) { s.Unmounted(); s.engine.Forget(); s.Fail(disk1, true) }, stays: true},
		{name: "full", tamper: func(s bench) { _ = s.Store("/mnt/vdisks/images/more", 5*gib) }},
		{name: "second", edit: func(d *config.Document) {
			d.Storage.FileSystems = append(d.Storage.FileSystems, config.FileSystem{Name: "more", Device: disk2})
		}},
		{name: "remove-used", edit: func(d *config.Document) { d.Storage.FileSystems = nil }, refused: true},
		{name: "remove", edit: func(d *config.Document) { d.Storage.FileSystems, d.Devices = nil, nil }},
		{name: "remove-held", tamper: func(s bench) { s.Hold("/mnt/vdisks/images", true) }, stays: true,
			edit: func(d *config.Document) { d.Storage.FileSystems, d.Devices = nil, nil }},
		{name: "delete", edit: func(d *config.Document) { d.Storage.FileSystems, d.Devices = nil, nil },
			named: []string{"filesystem/images"}, lost: []string{"filesystem/images"}},
		{name: "delete-and-reuse", edit: func(d *config.Document) {
			d.Devices = nil
			d.Storage.FileSystems = []config.FileSystem{{Name: "other", Device: disk1, Type: "ext4"}}
		}, named: []string{"filesystem/images"}, lost: []string{"filesystem/images"}},
		{name: "delete-unmounted", tamper: func(s bench) { s.Unmounted(); s.engine.Forget() }, edit: func(d *config.Document) { d.Storage.FileSystems, d.Devices = nil, nil },
			named: []string{"filesystem/images"}, lost: []string{"filesystem/images"}},
		{name: "delete-unknown", named: []string{"filesystem/never"}, refused: true},
		{name: "other-mount", tamper: func(s bench) {
			mkfs(s, disk2, "xfs")
			_ = s.MakeDir("/mnt/vdisks/hand", 0o755)
			_ = s.Run("mount", "-t", "xfs", "-o", "rw", disk2, "/mnt/vdisks/hand")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newBench()
			doc := document(t)
			declared, inForce := doc.Clone(), doc
			if c.fresh {
				inForce = nil
			} else {
				s.serve(t, doc)
			}
			if c.edit != nil {
				c.edit(declared)
				if err := config.Complete(declared, inForce); err != nil {
					t.Fatal(err)
				}
			}
			if c.tamper != nil {
				c.tamper(s)
			}
			p := s.planned(t, inForce, declared, c.named...)
			text := p.Text(c.named)
			if len(c.named) > 0 {
				unnamed := s.planned(t, inForce, declared)
				text = unnamed.Text(nil) + "--- with " + strings.Join(c.named, ", ") + " named\n" + text
				if !c.refused && len(unnamed.Needs(nil))+len(unnamed.Problems) == 0 && slices.ContainsFunc(unnamed.Steps, func(s plan.Step) bool { return s.Destroys != "" }) {
					t.Error("data is lost without its name")
				}
			}
			golden(t, c.name+".txt", text)
			if c.refused {
				if len(p.Problems) == 0 {
					t.Error("it is not refused")
				}
				return
			}
			if needs := p.Needs(c.named); len(needs) > 0 || len(p.Problems) > 0 {
				t.Fatalf("refused: %q %v", needs, p.Problems)
			}
			_, err := (plan.Runner{}).Run(t.Context(), p)
			if diff := cmp.Diff(c.lost, s.Lost()); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
			if c.stays {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if again := s.planned(t, declared, declared); !again.Empty() {
				t.Errorf("carried out, there is still to do:\n%s", again.Text(nil))
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

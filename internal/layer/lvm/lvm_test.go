package lvm_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/block"
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
	d := &config.Document{Version: config.Version, ID: arrayID, Name: "array"}
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

// shapes adds volumes of all kinds that need more than one disk.
func shapes(d *config.Document) {
	g := vg(d)
	g.Devices = []string{path("a"), path("b"), path("c"), path("d"), path("e"), path("f")}
	g.Volumes = append(g.Volumes,
		config.Volume{Name: "wide", Type: config.Striped, Stripes: 3, StripeSize: 128 << 10, Size: 10*gib + 5},
		config.Volume{Name: "r1", Type: config.RAID1, Size: 10 * gib, ReadOnly: true},
		config.Volume{Name: "r5", Type: config.RAID5, Size: 10 * gib},
		config.Volume{Name: "r6", Type: config.RAID6, Size: 10*gib - 1, Stripes: 3},
		config.Volume{Name: "r10", Type: config.RAID10, Size: 10 * gib},
		config.Volume{Name: "fast", Size: 10 * gib, Devices: []string{path("d")}, Cache: &config.Cache{Device: path("e"), Size: 4 * gib}})
}

// cachedOnly adds a volume with a cache on a device of its own.
func cachedOnly(d *config.Document) {
	vg(d).Devices = append(vg(d).Devices, path("c"))
	vg(d).Volumes = append(vg(d).Volumes, config.Volume{Name: "fast", Size: 10 * gib, Devices: []string{path("b")}, Cache: &config.Cache{Device: path("c"), Size: 4 * gib}})
}

// export serves a volume as a device.
func export(d *config.Document) {
	d.Devices = append(d.Devices, config.Device{Name: "disk01", Handler: config.BlockIO, Path: "/dev/vg0/plain"})
}

// hand runs a command of LVM's as an administrator does at the shell.
func hand(m *storagefake.Machine, command string, args ...string) {
	if _, err := m.Output(context.Background(), host.Call{Name: "lvm", Args: append([]string{command, "--devicesfile", ""}, args...)}); err != nil {
		panic(err)
	}
}

// holds puts somebody's file system on a disk.
func holds(m *storagefake.Machine, disk, kind string) {
	d := m.Look(disk)
	d.Content, d.Owner = []block.Content{{Type: kind, Label: "x"}}, "somebody's "+kind
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
		{name: "first-shapes", fresh: true, edit: shapes},
		{name: "same", edit: same},
		{name: "same-shapes", was: shapes, edit: same},
		{name: "too-large", fresh: true, edit: func(d *doc) { volume(d, "plain").Size = 300 * gib }, stays: true},
		{name: "reboot", edit: same, tamper: (*storagefake.Machine).RebootLVM},
		{name: "reboot-shapes", was: shapes, edit: same, tamper: (*storagefake.Machine).RebootLVM},
		{name: "deactivated", edit: same, tamper: func(m *storagefake.Machine) { hand(m, "lvchange", "--activate", "n", "vg0/db01") }},
		{name: "suspended", edit: same, tamper: func(m *storagefake.Machine) { m.SuspendVolume("vg0/db01") }},
		{name: "full", edit: same, tamper: func(m *storagefake.Machine) {
			m.FillPool("vg0/pool", 83.2, 91)
			m.FillPool("vg0/backup_vdopool", 80, 0)
			m.SetHealth("vg0/plain", "refresh needed")
		}},
		{name: "grow", edit: func(d *doc) {
			volume(d, "plain").Size = 15*gib + 1
			volume(d, "pool").Size, volume(d, "pool").Metadata = 30*gib, 128<<20
			volume(d, "db01").Size = 80 * gib
			volume(d, "backup").Size, volume(d, "backup").Physical = 200*gib, 20*gib
		}},
		{name: "grow-too-far", edit: func(d *doc) { volume(d, "plain").Size = 300 * gib }, stays: true},
		{name: "grow-shapes", was: shapes, edit: func(d *doc) { volume(d, "r5").Size, volume(d, "fast").Size = 20*gib, 20*gib }},
		{name: "grow-inactive", edit: func(d *doc) { volume(d, "plain").Size = 15 * gib }, tamper: (*storagefake.Machine).RebootLVM},
		{name: "shrink", edit: func(d *doc) { volume(d, "plain").Size = 5 * gib }, named: []string{"volume/vg0/plain"}, lost: []string{"volume/vg0/plain"}},
		{name: "shrink-used", was: export, edit: func(d *doc) { volume(d, "plain").Size = 5 * gib }, stays: true},
		{name: "shrink-pool", edit: func(d *doc) {
			volume(d, "pool").Size, volume(d, "pool").Metadata = 5*gib, 16<<20
			volume(d, "backup").Physical = 5 * gib
		}, stays: true},
		{name: "larger-by-hand", edit: same, tamper: func(m *storagefake.Machine) { hand(m, "lvextend", "--size", "12884901888b", "vg0/plain") }},
		{name: "settings", edit: func(d *doc) {
			volume(d, "plain").ReadOnly = true
			volume(d, "backup").Compression, volume(d, "backup").Deduplication = new(false), new(false)
		}},
		{name: "rename", edit: func(d *doc) { v := volume(d, "plain"); v.Name, v.Was = "simple", "plain" }},
		{name: "rename-pool", edit: func(d *doc) {
			v := volume(d, "pool")
			v.Name, v.Was = "tank", "pool"
			volume(d, "db01").Pool, volume(d, "db01").Size = "tank", 60*gib
		}},
		{name: "rename-inactive", edit: func(d *doc) { v := volume(d, "plain"); v.Name, v.Was = "simple", "plain" }, tamper: (*storagefake.Machine).RebootLVM},
		{name: "another-type", edit: func(d *doc) { volume(d, "plain").Type, volume(d, "db01").Pool = config.RAID1, "pool" }, stays: true},
		{name: "fixed", was: shapes, edit: func(d *doc) {
			volume(d, "r5").StripeSize, volume(d, "r5").Stripes, volume(d, "r1").Mirrors = 128<<10, 3, 2
		}, stays: true},
		{name: "clone", edit: func(d *doc) {
			vg(d).Volumes = append(vg(d).Volumes, config.Volume{Name: "lab", Type: config.ThinDisk, Pool: "pool", CloneOf: "db01"},
				config.Volume{Name: "lab2", Type: config.ThinDisk, Pool: "pool", CloneOf: "lab", Size: 60 * gib, ReadOnly: true})
		}},
		{name: "clone-of-nothing", edit: func(d *doc) {
			vg(d).Volumes = append(vg(d).Volumes, config.Volume{Name: "lab", Type: config.ThinDisk, Pool: "pool", CloneOf: "db02"},
				config.Volume{Name: "lab2", Type: config.ThinDisk, Pool: "pool", CloneOf: "plain"},
				config.Volume{Name: "lab3", Type: config.ThinDisk, Pool: "pool", CloneOf: "db01", Size: gib})
		}, stays: true},
		{name: "cache", was: shapes, edit: func(d *doc) {
			volume(d, "plain").Cache = &config.Cache{Device: path("f"), Size: 4 * gib, Mode: "writeback"}
			volume(d, "fast").Cache = nil
			volume(d, "r1").Cache = &config.Cache{Type: "writecache", Device: path("f"), Size: 5 * gib}
		}},
		{name: "cache-mode", was: shapes, edit: func(d *doc) { volume(d, "fast").Cache.Mode = "writeback" }},
		{name: "cache-size", was: shapes, edit: func(d *doc) { volume(d, "fast").Cache.Size = 6 * gib }},
		{name: "cache-kind", was: shapes, edit: func(d *doc) {
			volume(d, "fast").Cache = &config.Cache{Type: "writecache", Device: path("e"), Size: 4 * gib}
		}},
		{name: "add-device", edit: func(d *doc) { vg(d).Devices = append(vg(d).Devices, path("c")); volume(d, "plain").Size = 200 * gib }},
		{name: "add-used-device", edit: func(d *doc) { vg(d).Devices = append(vg(d).Devices, path("c")) },
			tamper: func(m *storagefake.Machine) { holds(m, "vdc", "xfs") }, named: []string{"disk/virtio-dc"}, lost: []string{"somebody's xfs"}},
		{name: "add-absent-device", edit: func(d *doc) { vg(d).Devices = append(vg(d).Devices, "/dev/disk/by-id/virtio-none") }, stays: true},
		{name: "remove-device", edit: func(d *doc) { vg(d).Devices = vg(d).Devices[1:] }},
		{name: "remove-empty-device", edit: func(d *doc) { vg(d).Devices = vg(d).Devices[:1] }},
		{name: "remove-without-room", was: func(d *doc) { volume(d, "plain").Size = 120 * gib }, edit: func(d *doc) { vg(d).Devices = vg(d).Devices[1:] }, stays: true},
		{name: "replace-device", was: func(d *doc) { volume(d, "plain").Size = 120 * gib }, edit: func(d *doc) { vg(d).Devices[0] = path("c") }},
		{name: "larger-device", edit: same, tamper: func(m *storagefake.Machine) { m.Look("vda").Size = 150 * gib }},
		{name: "first-on-data", fresh: true, edit: same, tamper: func(m *storagefake.Machine) { holds(m, "vdb", "ext4") }, named: []string{"disk/virtio-db"}, lost: []string{"somebody's ext4"}},
		{name: "first-without-disk", fresh: true, edit: same, tamper: func(m *storagefake.Machine) { m.Pull("vdb") }, stays: true},
		{name: "pulled", was: shapes, edit: same, tamper: func(m *storagefake.Machine) { m.RebootLVM(); m.Pull("vdb") }, stays: true},
		{name: "pulled-and-more", was: shapes, edit: func(d *doc) {
			vg(d).Volumes = append(vg(d).Volumes, config.Volume{Name: "more", Size: gib})
			volume(d, "plain").Size = 20 * gib
			vg(d).Devices = append(vg(d).Devices, "/dev/vdg")
		}, tamper: func(m *storagefake.Machine) { m.Pull("vda"); m.Disk("vdg", "dg", 100*gib) }, stays: true},
		{name: "pulled-and-given-up", was: func(d *doc) { shapes(d); without(d, "wide"); without(d, "r5"); without(d, "r10") }, edit: func(d *doc) { vg(d).Devices = append(vg(d).Devices[:1], vg(d).Devices[2:]...) },
			tamper: func(m *storagefake.Machine) { m.Pull("vdb") }},
		{name: "pulled-and-data-given-up", edit: func(d *doc) { vg(d).Devices = vg(d).Devices[1:] }, tamper: func(m *storagefake.Machine) { m.Pull("vda") }, stays: true},
		{name: "pulled-and-volumes-given-up", edit: func(d *doc) { vg(d).Devices = vg(d).Devices[1:]; vg(d).Volumes = nil }, tamper: func(m *storagefake.Machine) { m.Pull("vda") },
			named: []string{"volume/vg0/plain", "volume/vg0/pool", "volume/vg0/db01", "volume/vg0/backup"}, lost: []string{"volume/vg0/plain", "volume/vg0/db01", "volume/vg0/backup"}},
		{name: "wipe-disk-of-group", edit: func(d *doc) { vg(d).Devices = vg(d).Devices[1:] }, tamper: func(m *storagefake.Machine) { m.RebootLVM(); m.Pull("vdb") },
			named: []string{"disk/virtio-da"}, stays: true},
		{name: "cache-pulled", was: cachedOnly, edit: func(d *doc) { volume(d, "fast").Cache = nil; vg(d).Devices = vg(d).Devices[:2] },
			tamper: func(m *storagefake.Machine) { m.RebootLVM(); m.Pull("vdc") }},
		{name: "cache-pulled-and-wanted", was: cachedOnly, edit: func(d *doc) { volume(d, "plain").Size = 11 * gib }, tamper: func(m *storagefake.Machine) { m.Pull("vdc") }, stays: true},
		{name: "writeback-pulled", was: func(d *doc) { cachedOnly(d); volume(d, "fast").Cache.Mode = "writeback" },
			edit: func(d *doc) { volume(d, "fast").Cache = nil; vg(d).Devices = vg(d).Devices[:2] }, tamper: func(m *storagefake.Machine) { m.Pull("vdc") }, stays: true},
		{name: "move-cut-off", edit: func(d *doc) { vg(d).Devices = vg(d).Devices[1:] }, tamper: func(m *storagefake.Machine) { m.CutOffMove("vg0", "/dev/vda") }},
		{name: "move-given-up", edit: same, tamper: func(m *storagefake.Machine) { m.CutOffMove("vg0", "/dev/vda") }},
		{name: "taken-up", edit: func(d *doc) { vg(d).Volumes = append(vg(d).Volumes, config.Volume{Name: "theirs", Size: 4 * gib}) },
			tamper: func(m *storagefake.Machine) {
				hand(m, "lvcreate", "--type", "linear", "--name", "theirs", "--size", "3221225472b", "vg0")
			}},
		{name: "extent-size", edit: func(d *doc) { vg(d).ExtentSize = 8 << 20 }, stays: true},
		{name: "all-pulled", edit: same, tamper: func(m *storagefake.Machine) { m.RebootLVM(); m.Pull("vda"); m.Pull("vdb") }, stays: true},
		{name: "wiped-by-hand", edit: same, tamper: func(m *storagefake.Machine) {
			m.RebootLVM()
			for _, d := range []string{"vda", "vdb"} {
				clear(m.Look(d).Super)
				m.Look(d).Content, m.Look(d).Owner = nil, ""
			}
		}, stays: true},
		{name: "volume-gone", edit: same, tamper: func(m *storagefake.Machine) {
			hand(m, "lvchange", "--activate", "n", "vg0/plain")
			hand(m, "lvremove", "vg0/plain")
		}, stays: true},
		{name: "namesake", fresh: true, edit: same, tamper: func(m *storagefake.Machine) { m.ForeignGroup("vg0", "theirs", 10*gib, "/dev/vda", "/dev/vdb") },
			named: []string{"disk/virtio-da", "disk/virtio-db"}, lost: []string{"volume-group/vg0", "volume-group/vg0"}},
		{name: "namesake-elsewhere", fresh: true, edit: same, tamper: func(m *storagefake.Machine) { m.ForeignGroup("vg0", "theirs", 10*gib, "/dev/vdc") }, stays: true},
		{name: "namesake-came", edit: func(d *doc) { volume(d, "plain").Size = 12 * gib },
			tamper: func(m *storagefake.Machine) { m.ForeignGroup("vg0", "theirs", 10*gib, "/dev/vdc"); m.RebootLVM() }},
		{name: "foreign", edit: same, tamper: func(m *storagefake.Machine) { m.ForeignGroup("vg9", "theirs", 10*gib, "/dev/vdc") }},
		{name: "take-up", fresh: true, edit: func(d *doc) {
			*vg(d) = config.VolumeGroup{Name: "vg9", UUID: "VG0000-0000-0000-0000-0000-0000-000001", Devices: []string{path("c")}, Volumes: []config.Volume{{Name: "theirs", Size: 10 * gib}, {Name: "new", Size: gib}}}
		}, tamper: func(m *storagefake.Machine) { m.ForeignGroup("vg9", "theirs", 10*gib, "/dev/vdc") }},
		{name: "undeclare", edit: func(d *doc) { without(d, "plain"); without(d, "db01") }, named: []string{"volume/vg0/plain"}, lost: []string{"volume/vg0/plain"}},
		{name: "undeclare-used", was: export, edit: func(d *doc) { without(d, "plain") }, named: []string{"volume/vg0/plain"}, stays: true},
		{name: "undeclare-mounted", edit: func(d *doc) { without(d, "plain") }, tamper: func(m *storagefake.Machine) { m.Look("/dev/vg0/plain").Mounts = []string{"/mnt/vdisks/images"} },
			named: []string{"volume/vg0/plain"}, stays: true},
		{name: "undeclare-pool", edit: func(d *doc) { without(d, "pool"); without(d, "db01") }, named: []string{"volume/vg0/pool"}, stays: true},
		{name: "undeclare-pool-and-all", edit: func(d *doc) { without(d, "pool"); without(d, "db01"); without(d, "backup") },
			named: []string{"volume/vg0/pool", "volume/vg0/db01", "volume/vg0/backup"}, lost: []string{"volume/vg0/db01", "volume/vg0/backup"},
			tamper: func(m *storagefake.Machine) {
				hand(m, "lvcreate", "--snapshot", "--setactivationskip", "y", "--activate", "n", "--addtag", lvm.Snapshot, "--name", "db01.hourly-1", "vg0/db01")
			}},
		{name: "undeclare-group", edit: func(d *doc) { d.Storage.VolumeGroups = nil }, named: []string{"volume-group/vg0", "volume/vg0/plain"}, stays: true},
		{name: "undeclare-group-and-all", edit: func(d *doc) { d.Storage.VolumeGroups = nil }, named: []string{"volume-group/vg0", "volume/vg0/plain", "volume/vg0/pool", "volume/vg0/db01", "volume/vg0/backup"},
			lost: []string{"volume/vg0/plain", "volume/vg0/db01", "volume/vg0/backup"}},
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
			for _, p := range declared.Validate() {
				if !p.Warning {
					t.Errorf("the document is not valid: %v", p)
				}
			}
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

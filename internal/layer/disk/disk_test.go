package disk_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shelf is a machine with a boot medium and disks of each kind.
func shelf() *storagefake.Machine {
	m := storagefake.New()
	m.Disk("vda", "blank", 10<<30)
	full := m.Disk("vdb", "full", 10<<30)
	full.Content, full.Owner = []block.Content{{Type: "gpt"}}, "table"
	m.Add(&storagefake.Device{Name: "vdb1", Type: "part", Size: 4 << 30, Below: []string{"vdb"}, Owner: "accounts", Content: []block.Content{{Type: "xfs", Label: "accounts"}}})
	m.Disk("vdc", "mounted", 10<<30).Content = []block.Content{{Type: "gpt"}}
	m.Add(&storagefake.Device{Name: "vdc1", Type: "part", Size: 4 << 30, Below: []string{"vdc"}, Mounts: []string{"/srv"}, Content: []block.Content{{Type: "ext4"}}})
	m.Disk("vdd", "member", 10<<30).Content = []block.Content{{Type: "linux_raid_member"}}
	m.Add(&storagefake.Device{Name: "md127", Type: "raid1", Size: 9 << 30, Below: []string{"vdd"}})
	raw := m.Disk("vde", "raw", 10<<30)
	raw.Content, raw.Owner = []block.Content{{Type: block.Unknown}}, "database"
	zfs := m.Disk("vdf", "zfs", 10<<30)
	zfs.Content, zfs.Held = []block.Content{{Type: "zfs_member"}}, true
	m.Disk("vdg", "medium", 8<<30).Content = []block.Content{{Type: "gpt"}}
	m.Add(&storagefake.Device{Name: "vdg1", Type: "part", Size: 1 << 30, Below: []string{"vdg"}, Content: []block.Content{{Type: "ext4", Label: "esos_conf"}}})
	m.Disk("vdh", "locked", 10<<30).ReadOnly = true
	m.Disk("vdi", "path", 10<<30).Content = []block.Content{{Type: "mpath_member"}}
	return m
}

// look plans.
func look(t *testing.T, m *storagefake.Machine, doc *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	p, _ := looked(t, m, doc, engine.State{}, destroy...)
	return p
}

func looked(t *testing.T, m *storagefake.Machine, doc *config.Document, serves engine.State, destroy ...string) (*plan.Plan, *layer.Observed) {
	t.Helper()
	l := disk.Layer{Machine: m}
	seen := &layer.Observed{InForce: &config.Document{}, Destroy: destroy, Engine: serves}
	if err := l.Observe(t.Context(), doc, seen); err != nil {
		t.Fatal(err)
	}
	var b plan.Builder
	l.Plan(doc, seen, &b)
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p, seen
}

// TestPlans holds plans against golden files.
func TestPlans(t *testing.T) {
	uses := &config.Document{Storage: config.Storage{Arrays: []config.Array{{Name: "r1", Disks: []string{"/dev/disk/by-id/virtio-blank", "/dev/disk/by-id/virtio-full"}}}}}
	served := engine.State{Devices: []config.Device{{Name: "db01", Handler: config.BlockIO, Path: "/dev/vda"}}}
	for _, c := range []struct {
		name, destroy string
		doc           *config.Document
		serves        engine.State
	}{
		{name: "nothing", destroy: ""},
		{name: "blank", destroy: "disk/virtio-blank"},
		{name: "partitions", destroy: "disk/virtio-full"},
		{name: "by-kernel-name", destroy: "disk/vdb"},
		{name: "mounted", destroy: "disk/virtio-mounted"},
		{name: "member", destroy: "disk/virtio-member"},
		{name: "unknown-data", destroy: "disk/virtio-raw"},
		{name: "held", destroy: "disk/virtio-zfs"},
		{name: "medium", destroy: "disk/virtio-medium"},
		{name: "read-only", destroy: "disk/virtio-locked"},
		{name: "path", destroy: "disk/virtio-path"},
		{name: "missing", destroy: "disk/virtio-gone"},
		{name: "discard", destroy: "discard/virtio-full"},
		{name: "discard-blank", destroy: "discard/virtio-blank"},
		{name: "served", destroy: "disk/virtio-blank", serves: served},
		{name: "declared", destroy: "disk/virtio-full", doc: uses},
		{name: "declared-by-another-name", destroy: "disk/vdb", doc: uses},
		{name: "declared-discard", destroy: "discard/virtio-full", doc: uses},
		{name: "other", destroy: "device/db01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.doc == nil {
				c.doc = &config.Document{}
			}
			destroy := strings.Fields(c.destroy)
			p, _ := looked(t, shelf(), c.doc, c.serves, destroy...)
			file := filepath.Join("testdata", c.name+".txt")
			got := p.Text(destroy)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
			if needs := p.Needs(nil); len(needs) > 0 && !slices.Equal(needs, destroy) {
				t.Errorf("it destroys %v", needs)
			}
		})
	}
}

// carry carries a plan out, each change failing once in turn, and then again
// until it is done.
func TestWipeFailsAnywhere(t *testing.T) {
	for _, object := range []string{"disk/virtio-full", "discard/virtio-full"} {
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				m := shelf()
				m.FailAt(n, after)
				_, err := plan.Runner{}.Run(t.Context(), look(t, m, &config.Document{}, object))
				if !m.Injected() {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				if err == nil {
					t.Errorf("%s: failure %d is not told", object, n)
				}
				m.FailAt(0, false)
				if _, err := (plan.Runner{}).Run(t.Context(), look(t, m, &config.Document{}, object)); err != nil {
					t.Errorf("%s: after failure %d: %v", object, n, err)
				}
				if d := m.Look("vdb"); len(d.Content) > 0 || m.Look("vdb1") != nil {
					t.Errorf("%s: after failure %d it still holds %v", object, n, d.Content)
				}
				for _, lost := range m.Lost() {
					if lost != "table" && lost != "accounts" {
						t.Errorf("%s: after failure %d %s is lost, too", object, n, lost)
					}
				}
			}
		}
	}
}

// TestWipeLooksAgain: what changed between plan and do is not wiped.
func TestWipeLooksAgain(t *testing.T) {
	for name, change := range map[string]func(m *storagefake.Machine){
		"another disk": func(m *storagefake.Machine) { m.Pull("vdb"); m.Disk("vdb", "new", 10<<30).Owner = "somebody" },
		"mounted":      func(m *storagefake.Machine) { m.Look("vdb1").Mounts = []string{"/mnt"} },
		"gone":         func(m *storagefake.Machine) { m.Pull("vdb1"); m.Pull("vdb") },
		"in an array": func(m *storagefake.Machine) {
			m.Add(&storagefake.Device{Name: "md5", Type: "raid1", Size: 1, Below: []string{"vdb1"}})
		},
	} {
		m := shelf()
		p := look(t, m, &config.Document{}, "disk/virtio-full")
		change(m)
		_, err := plan.Runner{}.Run(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), "Wipe /dev/disk/by-id/virtio-full") {
			t.Errorf("%s: %v", name, err)
		}
		if len(m.Lost()) > 0 {
			t.Errorf("%s: lost %v", name, m.Lost())
		}
	}
}

// TestObserve: nobody looks where nothing is declared, and disks that are in
// use are not read.
func TestObserve(t *testing.T) {
	m := shelf()
	seen := &layer.Observed{}
	if err := (disk.Layer{Machine: m}).Observe(t.Context(), &config.Document{}, seen); err != nil || seen.Storage.Blocks != nil {
		t.Errorf("%v, %v", seen.Storage.Blocks, err)
	}
	seen.Look = true
	if err := (disk.Layer{Machine: m}).Observe(t.Context(), &config.Document{}, seen); err != nil || seen.Storage.Blocks == nil {
		t.Errorf("%v, %v", seen.Storage.Blocks, err)
	}
	doc := &config.Document{Storage: config.Storage{VolumeGroups: []config.VolumeGroup{{Name: "a", Devices: []string{"/dev/vda", "/dev/vdb", "/dev/vdc1", "/dev/vdd", "/dev/vdf", "/dev/none"}}}}}
	_, seen = looked(t, m, doc, engine.State{})
	var read []string
	for name := range seen.Storage.Contents {
		read = append(read, name)
	}
	slices.Sort(read)
	if !slices.Equal(read, []string{"vda", "vdb"}) || len(seen.Storage.Unread) != 1 || !seen.Storage.Medium["vdg"] {
		t.Errorf("read %v, not read %v, media %v", read, seen.Storage.Unread, seen.Storage.Medium)
	}
}

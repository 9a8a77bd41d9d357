package appliance

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
)

// TestStorageLosses walks every kind of step that loses data: without the
// name of what is lost nothing is, with it the plan says what goes, and it does.
func TestStorageLosses(t *testing.T) {
	volume := func(d *config.Document, name string) *config.Volume {
		g := &d.Storage.VolumeGroups[0]
		return &g.Volumes[slices.IndexFunc(g.Volumes, func(v config.Volume) bool { return v.Name == name })]
	}
	without := func(d *config.Document, name string) {
		g := &d.Storage.VolumeGroups[0]
		g.Volumes = slices.DeleteFunc(g.Volumes, func(v config.Volume) bool { return v.Name == name })
		d.Storage.Snapshots = nil
		_ = d.RemoveDevice(name, true) // some have none
	}
	cases := []struct {
		name  string
		layer string
		edit  func(d *config.Document)
		names []string // what must be named
		lost  []string // whose data goes
	}{
		{"an array on a disk with a file system", "disk", func(d *config.Document) {
			d.Storage.Arrays = append(d.Storage.Arrays, config.Array{Name: "x", Level: "1", Disks: []string{"/dev/disk/by-id/virtio-d8", "/dev/disk/by-id/virtio-d9"}})
		}, []string{"disk/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"a spare that holds something", "disk", func(d *config.Document) { d.Storage.Arrays[0].Spares = []string{"/dev/disk/by-id/virtio-d9"} },
			[]string{"disk/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"a disk in the place of another", "disk", func(d *config.Document) { d.Storage.Arrays[0].Disks[0] = "/dev/disk/by-id/virtio-d9" },
			[]string{"disk/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"a volume group on a disk with a file system", "disk", func(d *config.Document) {
			d.Storage.VolumeGroups = append(d.Storage.VolumeGroups, config.VolumeGroup{Name: "vg1", Devices: []string{"/dev/disk/by-id/virtio-d9"}})
		}, []string{"disk/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"a volume group that grows by one", "disk", func(d *config.Document) {
			d.Storage.VolumeGroups[0].Devices = append(d.Storage.VolumeGroups[0].Devices, "/dev/disk/by-id/virtio-d9")
		}, []string{"disk/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"a file system on one", "disk", func(d *config.Document) {
			d.Storage.FileSystems = append(d.Storage.FileSystems, config.FileSystem{Name: "new", Device: "/dev/disk/by-id/virtio-d9"})
		}, []string{"disk/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"encryption of one", "disk", func(d *config.Document) {
			d.Storage.Encrypted = append(d.Storage.Encrypted, config.Encrypted{Name: "new", Device: "/dev/disk/by-id/virtio-d9", Key: "file"})
		}, []string{"disk/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"a disk wiped", "disk", func(*config.Document) {}, []string{"disk/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"a disk discarded", "disk", func(*config.Document) {}, []string{"discard/virtio-d9"}, []string{"disk/virtio-d9"}},
		{"a thin volume", "lvm", func(d *config.Document) { without(d, "db01") }, []string{"volume/vg0/db01"}, []string{"volume/vg0/db01"}},
		{"a plain volume", "lvm", func(d *config.Document) { without(d, "plain") }, []string{"volume/vg0/plain"}, []string{"volume/vg0/plain"}},
		{"a deduplicated volume", "lvm", func(d *config.Document) { without(d, "backup") }, []string{"volume/vg0/backup"}, []string{"volume/vg0/backup"}},
		{"a volume cut", "lvm", func(d *config.Document) { _ = d.RemoveDevice("plain", true); volume(d, "plain").Size = 512 << 20 },
			[]string{"volume/vg0/plain"}, nil},
		{"an array", "raid", func(d *config.Document) { d.Storage.Arrays = d.Storage.Arrays[:1] }, []string{"array/bare"}, []string{"array/bare"}},
		{"a file system", "filesystem", func(d *config.Document) {
			d.Storage.FileSystems = nil
			_, _ = d.RemoveDevice("vm01", true), d.RemoveDevice("vm02", true)
		}, []string{"filesystem/images"}, []string{"filesystem/images"}},
		{"an encrypted disk", "encrypted", func(d *config.Document) { d.Storage.Encrypted = nil }, []string{"encrypted/secret"}, []string{"encrypted/secret"}},
		{"an image file", "vdisk", func(d *config.Document) { _ = d.RemoveDevice("vm01", true) }, []string{"image/vm01"}, nil},
		{"everything", "lvm", func(d *config.Document) { *d = config.Document{Version: 1, Name: "storage", ID: d.ID} },
			[]string{"array/r6", "array/bare", "encrypted/secret", "volume-group/vg0", "volume/vg0/pool", "volume/vg0/db01", "volume/vg0/db02", "volume/vg0/backup", "volume/vg0/plain", "volume/vg0/images", "filesystem/images"},
			[]string{"array/bare", "encrypted/secret", "volume/vg0/db01", "volume/vg0/db02", "volume/vg0/backup", "volume/vg0/plain", "filesystem/images"}},
	}
	covered := map[string]int{}
	for _, c := range cases {
		covered[c.layer]++
		t.Run(c.name, func(t *testing.T) {
			m := disks(10, 4<<30)
			m.Foreign("vdi", "disk/virtio-d9")
			a := storageArray(t, t.TempDir(), m)
			doc := loadStorage(t)
			doc.Storage.Arrays = append(doc.Storage.Arrays, config.Array{Name: "bare", Level: "1", Disks: []string{"/dev/disk/by-id/virtio-d7", "/dev/disk/by-id/virtio-d8"}})
			if c.layer == "disk" {
				doc.Storage.Arrays = doc.Storage.Arrays[:1] // d8 is blank then
			}
			doc.Storage.Encrypted = []config.Encrypted{{Name: "secret", Device: "/dev/disk/by-id/virtio-d10", Key: "file"}}
			if _, err := tryApply(t, a, Change{Document: doc}); err != nil {
				t.Fatal(err)
			}
			m.Sync()
			m.Write()
			next, _, _ := a.Document(t.Context())
			c.edit(next)

			_, err := tryApply(t, a, Change{Document: next})
			var destroys *DestroysError
			var refused *RefusedError
			if err != nil && !errors.As(err, &destroys) && !errors.As(err, &refused) {
				t.Fatalf("without its name: %v", err)
			}
			if destroys != nil && !slices.Equal(destroys.Needs, c.names) {
				t.Errorf("named are wanted: %q, and should be %q", destroys.Needs, c.names)
			}
			if lost := m.Lost(); len(lost) > 0 {
				t.Fatalf("nothing was named, and %q is lost", lost)
			}
			if err == nil { // it was left as it is
				if _, err := tryApply(t, a, Change{Document: doc}); err != nil {
					t.Fatalf("declared again: %v", err)
				}
			}

			p, err := a.PlanChange(t.Context(), Change{Document: next, Destroy: c.names})
			if err != nil || len(p.Problems) > 0 {
				t.Fatalf("plan with %q named: %v\n%s", c.names, err, p.Text(c.names))
			}
			for _, name := range c.names {
				if !slices.ContainsFunc(p.Needs(nil), func(n string) bool { return n == name }) {
					t.Errorf("no step of the plan says that it destroys %s:\n%s", name, p.Text(nil))
				}
			}
			if _, err := tryApply(t, a, Change{Document: next, Destroy: c.names}); err != nil {
				t.Fatalf("with %q named: %v", c.names, err)
			}
			lost := m.Lost()
			slices.Sort(lost)
			for _, want := range c.lost {
				if !slices.Contains(lost, want) {
					t.Errorf("%q is lost, and %s should be", lost, want)
				}
			}
			for _, l := range lost {
				if !slices.Contains(append(c.lost, c.names...), l) {
					t.Errorf("%s is lost, and was not named", l)
				}
			}
		})
	}
	// A step that loses data and is not walked here must not be added unseen.
	for _, layer := range []string{"disk", "raid", "lvm", "filesystem", "encrypted", "vdisk"} {
		files, err := filepath.Glob("../layer/" + layer + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		sites := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				sites += strings.Count(string(text), "Destroys:") + strings.Count(string(text), ".Destroys = ")
			}
		}
		if sites == 0 || covered[layer] < sites {
			t.Errorf("layer %s has %d kinds of steps that lose data, and %d are walked here", layer, sites, covered[layer])
		}
	}
}

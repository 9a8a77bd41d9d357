package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
)

// A clone is a volume of its own and a device with it, a read-only one the
// snapshot itself; the document that comes of it is valid.
func TestCloneSnapshot(t *testing.T) {
	base := `version: 1
name: array
storage:
  volume_groups:
    - name: vg
      devices: [/dev/disk/by-id/a]
      volumes:
        - {name: pool, type: thin_pool, size: 10GiB}
        - {name: db, type: thin, pool: pool, size: 1GiB}
devices:
  - {name: db, handler: vdisk_blockio, path: /dev/vg/db}
`
	snap := config.Volume{Name: "db.x-20261128-120000", Size: 1 << 30, Pool: "pool"}
	for _, readOnly := range []bool{false, true} {
		doc, err := config.Decode("test", []byte(base))
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.CloneSnapshot("vg", snap, "test", readOnly); err != nil {
			t.Fatal(err)
		}
		if err := config.Complete(doc, nil); err != nil {
			t.Fatal(err)
		}
		for _, p := range doc.Validate() {
			if !p.Warning {
				t.Errorf("read-only %v: %s", readOnly, p)
			}
		}
		text, err := config.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"clone_of: db.x-20261128-120000", "path: /dev/vg/test"}
		if readOnly {
			want = []string{"- name: db.x-20261128-120000", "path: /dev/vg/db.x-20261128-120000", "read_only: true"}
		}
		for _, w := range want {
			if !strings.Contains(string(text), w) {
				t.Errorf("read-only %v: no %q in\n%s", readOnly, w, text)
			}
		}
		a, _ := doc.FindDevice("db")
		b, err := doc.FindDevice("test")
		if err != nil || a.Identity.NAA == b.Identity.NAA || b.ReadOnly != readOnly {
			t.Errorf("read-only %v: %+v %+v %v", readOnly, a, b, err)
		}
		if err := doc.CloneSnapshot("vg", snap, "test", readOnly); !errors.Is(err, config.ErrExists) {
			t.Errorf("read-only %v, a second time: %v", readOnly, err)
		}
	}
	doc, _ := config.Decode("test", []byte(base))
	if err := doc.CloneSnapshot("other", snap, "test", false); err == nil || !strings.Contains(err.Error(), "does not declare") {
		t.Error(err)
	}
}

// What something stands on is not taken away, and a pool only with what lies in
// it.
func TestRemoveVolumes(t *testing.T) {
	base := `version: 1
name: array
storage:
  volume_groups:
    - name: vg
      devices: [/dev/disk/by-id/a]
      volumes:
        - {name: pool, type: thin_pool, size: 10GiB}
        - {name: db, type: thin, pool: pool, size: 1GiB}
        - {name: log, type: thin, pool: pool, size: 1GiB}
devices:
  - {name: db, handler: vdisk_blockio, path: /dev/vg/db}
`
	for _, c := range []struct {
		remove []string
		err    error
		left   int
	}{
		{[]string{"vg/db"}, config.ErrInUse, 3},
		{[]string{"vg/log"}, nil, 2},
		{[]string{"vg/pool"}, config.ErrInUse, 3},
		{[]string{"vg/pool", "vg/log"}, config.ErrInUse, 3},
		{[]string{"vg/none"}, config.ErrNotFound, 3},
		{[]string{"vh/log"}, config.ErrNotFound, 3},
	} {
		doc, err := config.Decode("test", []byte(base))
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.RemoveVolumes(c.remove...); !errors.Is(err, c.err) {
			t.Errorf("remove %v: %v, want %v", c.remove, err, c.err)
		}
		if n := len(doc.Storage.VolumeGroups[0].Volumes); n != c.left {
			t.Errorf("remove %v: %d volumes are left, want %d", c.remove, n, c.left)
		}
		if err := doc.RemoveVolumeGroup("vg"); !errors.Is(err, config.ErrInUse) {
			t.Errorf("remove the group: %v", err)
		}
		doc.Devices = nil
		if err := doc.RemoveVolumeGroup("vg"); err != nil || len(doc.Storage.VolumeGroups) > 0 {
			t.Errorf("remove the group: %v", err)
		}
	}
}

func TestResized(t *testing.T) {
	for _, c := range []struct {
		have config.Size
		text string
		want config.Size
	}{
		{1 << 30, "2GiB", 2 << 30}, {1 << 30, "+512MiB", 3 << 29}, {1 << 30, " + 1G", 2 << 30}, {0, "1 GiB", 1 << 30},
		{1 << 30, "", -1}, {1 << 30, "+", -1}, {1 << 62, "+4194304TiB", -1}, {1 << 30, "-1GiB", -1},
	} {
		got, err := config.Resized(c.have, c.text)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%s resized by %q: %s, %v; want %d", c.have, c.text, got, err, c.want)
		}
	}
}

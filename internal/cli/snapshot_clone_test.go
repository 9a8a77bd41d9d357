package cli

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// A clone is a volume of its own and a device with it, a read-only one the
// snapshot itself; the document that comes of it is valid.
func TestCloneVolume(t *testing.T) {
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
	snap := v1.Snapshot{Device: "db", Name: "x-20261128-120000", Size: 1 << 30, Path: "/dev/vg/db.x-20261128-120000", Group: "vg", Volume: "db.x-20261128-120000", Pool: "pool"}
	for _, readOnly := range []bool{false, true} {
		doc, err := config.Decode("test", []byte(base))
		if err != nil {
			t.Fatal(err)
		}
		if err := cloneVolume(doc, snap, "test", readOnly); err != nil {
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
		if err := cloneVolume(doc, snap, "test", readOnly); !errors.Is(err, config.ErrExists) {
			t.Errorf("read-only %v, a second time: %v", readOnly, err)
		}
	}
	doc, _ := config.Decode("test", []byte(base))
	snap.Group = "other"
	if err := cloneVolume(doc, snap, "test", false); err == nil || !strings.Contains(err.Error(), "does not declare") {
		t.Error(err)
	}
}

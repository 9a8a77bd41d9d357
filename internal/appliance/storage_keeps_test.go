package appliance

import (
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
)

// TestStorageKeepsWhatWasUnmounted: a file system that no document declares any
// more keeps its data. They are not lost with the volume below, unless both are
// named.
func TestStorageKeepsWhatWasUnmounted(t *testing.T) {
	m := disks(6, 4<<30)
	a := storageArray(t, t.TempDir(), m)
	defer a.Close()
	if _, err := tryApply(t, a, Change{Document: loadStorage(t)}); err != nil {
		t.Fatal(err)
	}
	change := func(edit func(*config.Document), destroy ...string) error {
		next, _, err := a.Document(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		edit(next)
		m.Write()
		_, err = tryApply(t, a, Change{Document: next, Destroy: destroy})
		return err
	}
	if err := change(func(d *config.Document) {
		d.Targets, d.Devices, d.Storage.FileSystems, d.Storage.Snapshots = nil, nil, nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	gone := func(d *config.Document) {
		g := &d.Storage.VolumeGroups[0]
		g.Volumes = slices.DeleteFunc(g.Volumes, func(v config.Volume) bool { return v.Name == "images" })
	}
	if err := change(gone, "volume/vg0/images"); err == nil || !strings.Contains(err.Error(), "--destroy filesystem/images") {
		t.Errorf("the volume is deleted with the file system on it, which nobody named: %v", err)
	}
	if lost := m.Lost(); len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
	if err := change(gone, "volume/vg0/images", "filesystem/images"); err != nil {
		t.Errorf("both are named: %v", err)
	}
	if lost := m.Lost(); !slices.Contains(lost, "filesystem/images") {
		t.Errorf("lost %v, want filesystem/images", lost)
	}
}

package appliance

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/msmtp"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer/network/networktest"
)

// storageArray opens an appliance on an imitated machine of disks.
func storageArray(t testing.TB, dir string, m *storagefake.Machine) *Appliance {
	t.Helper()
	a, err := Open(t.Context(), Options{DataDir: dir, Engine: &enginetest.Memory{}, Log: quiet(), Retry: time.Hour,
		OwnsMachine: true, InMemory: true, Storage: m, Files: storagefake.Images{Machine: m}, Network: networktest.New("eth0"),
		System: System{Mail: msmtp.Machine{Root: t.TempDir()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return a
}

// disks gives a machine n disks of a size: virtio-d1, virtio-d2, ...
func disks(n int, size int64) *storagefake.Machine {
	m := storagefake.New()
	for i := range n {
		m.Disk(fmt.Sprintf("vd%c", 'a'+i), fmt.Sprintf("d%d", i+1), size)
	}
	return m
}

func loadStorage(t testing.TB) *config.Document {
	t.Helper()
	doc, _, err := config.Load("../../examples/storage.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc.ID = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"
	return doc
}

// tryApply applies a change and waits for its end.
func tryApply(t testing.TB, a *Appliance, c Change) (Progress, error) {
	t.Helper()
	c.Who = "test"
	op, err := a.Apply(t.Context(), c)
	if err != nil {
		return Progress{}, err
	}
	err = op.Wait(t.Context())
	return op.Progress(), err
}

// TestStorageStack builds the example from blank disks, finds nothing more to do,
// and has all of it back after a reboot.
func TestStorageStack(t *testing.T) {
	dir, m := t.TempDir(), disks(6, 4<<30)
	a := storageArray(t, dir, m)
	doc := loadStorage(t)
	if got, err := tryApply(t, a, Change{Document: doc}); err != nil || len(got.Problems) > 0 {
		t.Fatalf("apply to blank disks: %v %v", err, got.Problems)
	}
	p, err := a.Plan(t.Context(), doc)
	if err != nil || !p.Empty() {
		t.Fatalf("applied, there is still to do: %v\n%s", err, p.Text(nil))
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	m.Reboot()
	a = storageArray(t, dir, m)
	if s, err := a.Status(t.Context()); err != nil || len(s.Problems) > 0 {
		t.Errorf("after a reboot: %v", s.Problems)
	}
	if p, err = a.Plan(t.Context(), doc); err != nil || !p.Empty() {
		t.Errorf("after a reboot there is still to do: %v\n%s", err, p.Text(nil))
	}
	if lost := m.Lost(); len(lost) > 0 {
		t.Errorf("lost: %q", lost)
	}
}

// TestStorageFaults has each call of an apply fail once, before and after it
// did its work. What was done is undone, or told; the next apply finishes.
func TestStorageFaults(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			dir, m := t.TempDir(), disks(6, 4<<30)
			a := storageArray(t, dir, m)
			before := m.Picture()
			m.FailAt(n, after)
			doc := loadStorage(t)
			_, err := tryApply(t, a, Change{Document: doc})
			if !m.Injected() {
				if n < 20 {
					t.Fatalf("only %d calls", n)
				}
				t.Logf("after=%t: %d calls failed, one by one", after, n-1)
				_ = a.Close()
				break
			}
			at := fmt.Sprintf("call %d (after it did its work: %t), %v", n, after, err)
			if err == nil {
				// What the tool did was looked at, not only what it answered.
				if p, err := a.Plan(t.Context(), doc); err != nil || !p.Empty() {
					t.Errorf("%s: the apply succeeded, and there is still to do: %v\n%s", at, err, p.Text(nil))
				}
			} else if now := m.Picture(); now != before && !strings.Contains(err.Error(), "not undone") {
				t.Errorf("%s: nothing is said of what is left:\nbefore:\n%s\nnow:\n%s", at, before, now)
			}
			if got, err := tryApply(t, a, Change{Document: doc}); err != nil || len(got.Problems) > 0 {
				t.Errorf("%s: the next apply: %v %v", at, err, got.Problems)
			} else if p, err := a.Plan(t.Context(), doc); err != nil || !p.Empty() {
				t.Errorf("%s: after the next apply there is still to do: %v\n%s", at, err, p.Text(nil))
			}
			// What the failed apply made was taken away again; the rest stays.
			made := config.Objects(doc)
			for _, lost := range m.Lost() {
				if _, ours := made[lost]; !ours {
					t.Errorf("%s: lost %q", at, lost)
				}
			}
			_ = a.Close()
			if t.Failed() {
				return
			}
		}
	}
}

// TestStorageLosesOnlyWhatIsNamed throws documents at an array whose disks hold
// data, some of it somebody else's. Whatever is applied, nothing is lost that
// was not named.
func TestStorageLosesOnlyWhatIsNamed(t *testing.T) {
	applied, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := disks(10, 4<<30)
		m.Foreign("vdi", "disk/virtio-d9")
		m.Foreign("vdj", "disk/virtio-d10")
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		a := storageArray(t, dir, m)
		defer a.Close()
		doc := loadStorage(t)
		if _, err := tryApply(t, a, Change{Document: doc}); err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(rt, "changes") {
			next, _, err := a.Document(t.Context())
			if err != nil {
				rt.Fatal(err)
			}
			drawEdits(rt, next)
			if rapid.IntRange(0, 4).Draw(rt, "pull") == 0 {
				name := fmt.Sprintf("vd%c", 'a'+rapid.IntRange(0, 9).Draw(rt, "which"))
				if m.Look(name) != nil {
					m.Pull(name)
				}
			}
			old, _, _ := a.Document(t.Context())
			var named []string
			for _, d := range []*config.Document{old, next} {
				for _, object := range slices.Sorted(maps.Keys(config.Objects(d))) {
					kind, _, _ := strings.Cut(object, "/")
					if slices.Contains([]string{"array", "encrypted", "volume-group", "volume", "filesystem", "device", "image"}, kind) {
						named = append(named, object)
					}
				}
			}
			for i := range 10 {
				named = append(named, fmt.Sprintf("disk/virtio-d%d", i+1))
			}
			named = rapid.SliceOfN(rapid.SampledFrom(named), 0, 6).Draw(rt, "named")
			m.Write()
			before, owned := len(m.Lost()), m.Owners()
			if rapid.IntRange(0, 3).Draw(rt, "fault") == 0 {
				m.FailAt(rapid.IntRange(1, 30).Draw(rt, "at"), rapid.Bool().Draw(rt, "after"))
			}
			if _, err := tryApply(t, a, Change{Document: next, Destroy: named}); err == nil {
				applied++
			} else {
				refused++
			}
			m.FailAt(0, false)
			for _, lost := range m.Lost()[before:] {
				// What a failed apply made it takes away again.
				if slices.Contains(owned, lost) && !slices.Contains(named, lost) {
					rt.Fatalf("lost %s, named %q", lost, named)
				}
			}
		}
	})
	t.Logf("%d changes applied, %d refused or failed", applied, refused)
	if applied < 20 {
		t.Errorf("only %d changes were applied", applied)
	}
}

// drawEdits changes a document at random, mostly in ways that make sense.
func drawEdits(t *rapid.T, d *config.Document) {
	s := &d.Storage
	disk := func() string {
		return fmt.Sprintf("/dev/disk/by-id/virtio-d%d", rapid.IntRange(1, 10).Draw(t, "disk"))
	}
	path := func() string {
		return rapid.SampledFrom([]string{disk(), disk(), "/dev/md/r6", "/dev/md/x", "/dev/vg0/plain", "/dev/vg0/db01", "/dev/vg0/images", "/dev/mapper/secret"}).Draw(t, "path")
	}
	for range rapid.IntRange(1, 3).Draw(t, "edits") {
		switch rapid.IntRange(0, 13).Draw(t, "edit") {
		case 0:
			s.Arrays = append(s.Arrays, config.Array{Name: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name"), Level: "1", Disks: []string{disk(), path()}})
		case 1:
			s.Arrays = nil
		case 2:
			if len(s.Arrays) > 0 {
				a := &s.Arrays[rapid.IntRange(0, len(s.Arrays)-1).Draw(t, "array")]
				a.Disks[rapid.IntRange(0, len(a.Disks)-1).Draw(t, "member")] = disk()
			}
		case 3:
			if len(s.Arrays) > 0 {
				s.Arrays[0].Disks = append(s.Arrays[0].Disks, disk())
			}
		case 4:
			if len(s.Arrays) > 0 {
				s.Arrays[0].Spares = []string{disk()}
			}
		case 5:
			s.VolumeGroups = append(s.VolumeGroups, config.VolumeGroup{Name: "vg1", Devices: []string{path()},
				Volumes: []config.Volume{{Name: "a", Size: config.Size(rapid.IntRange(1, 8).Draw(t, "GiB")) << 29}}})
		case 6:
			s.VolumeGroups = nil
		case 7:
			if len(s.VolumeGroups) > 0 {
				g := &s.VolumeGroups[0]
				if len(g.Volumes) > 0 {
					v := &g.Volumes[rapid.IntRange(0, len(g.Volumes)-1).Draw(t, "volume")]
					v.Size = config.Size(rapid.IntRange(1, 40).Draw(t, "GiB")) << 28
				}
			}
		case 8:
			if len(s.VolumeGroups) > 0 {
				g := &s.VolumeGroups[0]
				if len(g.Volumes) > 0 {
					i := rapid.IntRange(0, len(g.Volumes)-1).Draw(t, "volume")
					g.Volumes = slices.Delete(g.Volumes, i, i+1)
				}
			}
		case 9:
			if len(s.VolumeGroups) > 0 {
				s.VolumeGroups[0].Devices = append(s.VolumeGroups[0].Devices, path())
			}
		case 10:
			s.FileSystems = append(s.FileSystems, config.FileSystem{Name: rapid.SampledFrom([]string{"f1", "images"}).Draw(t, "name"), Device: path(),
				Type: rapid.SampledFrom([]string{"xfs", "ext4", "btrfs"}).Draw(t, "type")})
		case 11:
			s.FileSystems = nil
		case 12:
			s.Encrypted = append(s.Encrypted, config.Encrypted{Name: "secret", Device: path(), Key: "file"})
		case 13:
			d.Targets, d.Devices, s.Snapshots = nil, nil, nil
		}
	}
}

// BenchmarkStoragePlan plans with nothing to do: 20 disks, 5 arrays, 200
// volumes. What the tools themselves take is seen in test/storage.
func BenchmarkStoragePlan(b *testing.B) {
	m := disks(20, 4<<30)
	a := storageArray(b, b.TempDir(), m)
	doc := scaleDocument()
	if _, err := tryApply(b, a, Change{Document: doc}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		p, err := a.Plan(b.Context(), doc)
		if err != nil || !p.Empty() {
			b.Fatalf("%v\n%s", err, p.Text(nil))
		}
	}
}

// scaleDocument has 20 disks in 5 arrays with 200 volumes.
func scaleDocument() *config.Document {
	d := &config.Document{Version: 1, Name: "scale", ID: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"}
	for i := range 5 {
		a := config.Array{Name: fmt.Sprintf("r%d", i), Level: "5"}
		for k := range 4 {
			a.Disks = append(a.Disks, fmt.Sprintf("/dev/disk/by-id/virtio-d%d", 4*i+k+1))
		}
		d.Storage.Arrays = append(d.Storage.Arrays, a)
		g := config.VolumeGroup{Name: fmt.Sprintf("vg%d", i), Devices: []string{a.Path()}}
		for k := range 40 {
			g.Volumes = append(g.Volumes, config.Volume{Name: fmt.Sprintf("v%02d", k), Size: 8 << 20})
		}
		d.Storage.VolumeGroups = append(d.Storage.VolumeGroups, g)
	}
	return d
}

// TestStorageFillsUp: a thin pool that fills up is told, though nothing
// happened that anybody would hear of.
func TestStorageFillsUp(t *testing.T) {
	m := disks(6, 4<<30)
	a, err := Open(t.Context(), Options{DataDir: t.TempDir(), Engine: &enginetest.Memory{}, Log: quiet(), Retry: 10 * time.Millisecond,
		OwnsMachine: true, InMemory: true, Storage: m, Files: storagefake.Images{Machine: m}, Network: networktest.New("eth0"),
		System: System{Mail: msmtp.Machine{Root: t.TempDir()}}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := tryApply(t, a, Change{Document: loadStorage(t)}); err != nil {
		t.Fatal(err)
	}
	m.FillPool("vg0/pool", 91, 10)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := a.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(s.Problems, func(p string) bool { return strings.Contains(p, "volume/vg0/pool") }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the pool is full to 91 %%, and nobody says so: %v", s.Problems)
		}
	}
}

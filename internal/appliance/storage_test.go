package appliance

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer/network/networktest"
)

// rack opens an appliance on a machine with disks: one blank, one full.
func rack(t *testing.T, owns bool) (*Appliance, *storagefake.Machine) {
	t.Helper()
	m := storagefake.New()
	m.Disk("vda", "blank", 10<<30)
	full := m.Disk("vdb", "full", 10<<30)
	full.Owner, full.Content = "accounts", []block.Content{{Type: "xfs", Label: "accounts"}}
	a, err := Open(t.Context(), Options{DataDir: t.TempDir(), Engine: &enginetest.Memory{}, Log: quiet(), Retry: time.Hour,
		OwnsMachine: owns, Network: networktest.New("eth0"), Storage: m, First: document()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a, m
}

func unchanged(*config.Document) error { return nil }

// TestWipeADisk: a disk is wiped by a change that changes no word of the
// document: it is refused without the name, makes no revision, and fails like
// any other.
func TestWipeADisk(t *testing.T) {
	a, m := rack(t, true)
	_, before, _ := a.Document(t.Context())
	p, err := a.PlanChange(t.Context(), Change{Edit: unchanged})
	if err != nil || !p.Empty() {
		t.Fatalf("%v, %v", p, err)
	}
	m.FailAt(1, false)
	op, err := a.Apply(t.Context(), Change{Edit: unchanged, Destroy: []string{"disk/virtio-full"}, Who: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "Wipe /dev/disk/by-id/virtio-full") {
		t.Errorf("a wipe that fails: %v", err)
	}
	op, err = a.Apply(t.Context(), Change{Edit: unchanged, Destroy: []string{"disk/virtio-full"}, Who: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lost := m.Lost(); !slices.Equal(lost, []string{"accounts"}) {
		t.Errorf("lost %v", lost)
	}
	if _, after, _ := a.Document(t.Context()); after.Number != before.Number {
		t.Errorf("it made revision %d", after.Number)
	}
	var refused *RefusedError
	if _, err = a.Apply(t.Context(), Change{Edit: unchanged, Destroy: []string{"disk/virtio-gone"}}); !errors.As(err, &refused) {
		t.Errorf("a disk that is not there: %v", err)
	}
}

// TestReconcileWipesNothing: what nobody asks for is not done.
func TestReconcileWipesNothing(t *testing.T) {
	a, m := rack(t, true)
	if err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if calls := m.Calls(); len(calls) > 0 {
		t.Errorf("%v", calls)
	}
}

// TestStorage: what there is can be seen on any machine; what is declared is
// set up on an appliance only.
func TestStorage(t *testing.T) {
	for _, owns := range []bool{true, false} {
		a, _ := rack(t, owns)
		s, err := a.Storage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.FindDisk("virtio-full")
		if err != nil || d.Name != "vdb" || s.Holder(d).Why != "" {
			t.Errorf("%+v, %v", d, err)
		}
		if _, err := s.FindDisk("virtio-gone"); !errors.Is(err, config.ErrNotFound) {
			t.Error(err)
		}
	}
	a, m := rack(t, false)
	doc := document()
	doc.Storage.FileSystems = []config.FileSystem{{Name: "images", Device: "/dev/disk/by-id/virtio-full"}}
	_, err := a.Apply(t.Context(), Change{Document: doc, Destroy: []string{"disk/virtio-full"}})
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "not ESOS's own") {
		t.Error(err)
	}
	if len(m.Lost()) > 0 {
		t.Errorf("lost %v", m.Lost())
	}
	if err := a.LocateDisk(t.Context(), "virtio-full", true); !errors.Is(err, ErrNotOwner) {
		t.Error(err)
	}
}

func TestLocateDisk(t *testing.T) {
	a, m := rack(t, true)
	const slot = "/sys/class/enclosure/0:0:8:0/Slot 04"
	m.File(slot+"/locate", "0\n")
	m.File(slot+"/device/block/vdb/size", "1")
	m.Add(&storagefake.Device{Name: "md1", Type: "raid1", Size: 1 << 30, Below: []string{"vdb"}})
	for _, on := range []bool{true, false} {
		if err := a.LocateDisk(t.Context(), "virtio-full", on); err != nil {
			t.Fatal(err)
		}
		s, err := a.Storage(t.Context())
		if err != nil || s.Slots["vdb"].Locate != on || s.Slots["vdb"].Slot != "Slot 04" {
			t.Errorf("%+v, %v", s.Slots, err)
		}
	}
	if err := a.LocateDisk(t.Context(), "md1", true); err == nil || !strings.Contains(err.Error(), "raid1") {
		t.Error(err)
	}
	if err := a.LocateDisk(t.Context(), "virtio-blank", true); err == nil || !strings.Contains(err.Error(), "ledctl") {
		t.Error(err)
	}
}

// TestStorageChanged: an event leads to a look, and a look that finds nothing
// to do touches nothing: no event comes of it.
func TestStorageChanged(t *testing.T) {
	a, m := rack(t, true)
	a.StorageChanged() // nothing stands on disks: nobody looks
	if len(a.kick) > 0 {
		t.Error("a machine without storage is looked at for each disk")
	}
	doc := document()
	doc.Storage.FileSystems = []config.FileSystem{{Name: "images", Device: "/dev/disk/by-id/virtio-blank"}}
	apply(t, a, Change{Document: doc})
	before := len(m.Calls())
	a.StorageChanged()
	if err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if calls := m.Calls()[before:]; len(calls) > 0 {
		t.Errorf("it touched %v", calls)
	}
}

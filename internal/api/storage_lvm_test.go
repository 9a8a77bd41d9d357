package api

import (
	"fmt"
	"net/http"
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
)

// TestGroupsOf: groups that are declared and others, a VDO with the numbers of
// its pool, nothing of what LVM keeps for itself.
func TestGroupsOf(t *testing.T) {
	t.Parallel()
	full := 81.5
	doc := &config.Document{ID: "0a0b0c0d-0000-4000-8000-000000000001", Storage: config.Storage{VolumeGroups: []config.VolumeGroup{
		{Name: "vg0", Devices: []string{"/dev/disk/by-id/virtio-a"}, Volumes: []config.Volume{{Name: "backup", Type: config.VDO}}},
	}}}
	m := storagefake.New()
	m.Disk("vda", "a", 10<<30)
	blocks, err := block.Read(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	now := appliance.Storage{Declared: doc, Storage: layer.Storage{Blocks: blocks}}
	now.LVM.Groups = []lvm.Group{
		{Name: "vg0", UUID: "A", Size: 10 << 30, Free: 1 << 30, Extent: 4 << 20, Tags: []string{layer.GroupTag(doc, "vg0")}, Devices: []lvm.Device{{Path: "/dev/vda", Free: 1 << 30}},
			Volumes: []lvm.Volume{
				{Name: "backup", Type: "vdo", Size: 20 << 30, Pool: "backup_vdopool"},
				{Name: "backup_vdopool", Type: "vdo-pool", Size: 9 << 30, Data: &full, Used: 7 << 30},
				{Name: "backup_vdopool_vdata", Type: "linear", Hidden: true},
				{Name: "db.hourly-20261128-120000", Type: "thin", Tags: []string{"esos.snapshot"}},
				{Name: "pvmove0", Type: "mirror", Moves: "/dev/vda"},
			}},
		{Name: "vg0", UUID: "B"},
	}
	all := groupsOf(now)
	if len(all) != 2 || !all[0].Declared || all[1].Declared || all[0].Free != 1<<30 || len(all[0].Devices) != 1 || all[0].Devices[0].As != "/dev/disk/by-id/virtio-a" {
		t.Fatalf("%+v", all)
	}
	v := all[0].Volumes
	if len(v) != 2 || !v[0].Declared || v[0].Physical != 9<<30 || v[0].Data == nil || *v[0].Data != full || v[0].Snapshot || !v[1].Snapshot || v[1].Declared {
		t.Errorf("%+v", v)
	}
}

// TestVolumeGroupsUnread: what LVM does not tell is said, and the rest is there.
func TestVolumeGroupsUnread(t *testing.T) {
	t.Parallel()
	doc := &config.Document{Storage: config.Storage{VolumeGroups: []config.VolumeGroup{{Name: "vg0"}}}}
	now := appliance.Storage{Declared: doc, Storage: layer.Storage{Blocks: &block.Inventory{}}, Seen: &layer.Observed{}}
	now.LVM.Err = fmt.Errorf("look at the volume groups: no answer")
	if s := storageOf(now); len(s.Problems) != 1 || len(s.VolumeGroups) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestStorageHasGroups asks for it.
func TestStorageHasGroups(t *testing.T) {
	a, _ := newSnapshotArray(t)
	s, _ := must[v1.StorageState](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/storage"})
	if s.VolumeGroups == nil {
		t.Errorf("%+v", s)
	}
}

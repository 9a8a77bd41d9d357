package api

import (
	"slices"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/lvm"
	layerlvm "github.com/esos-project/esos/internal/layer/lvm"
)

// groupsOf are the volume groups in the words of the API.
func groupsOf(now appliance.Storage) []v1.VolumeGroupState {
	all := []v1.VolumeGroupState{}
	for _, g := range now.LVM.Groups {
		w := v1.VolumeGroupState{Name: g.Name, UUID: g.UUID, Size: g.Size, Free: g.Free, Extent: g.Extent, Missing: g.Missing,
			Devices: []v1.VolumeDevice{}, Volumes: []v1.VolumeState{}}
		var declared config.VolumeGroup
		for _, own := range now.Declared.Storage.VolumeGroups {
			if now.LVM.Is(g, now.Declared, own) {
				w.Declared, declared = true, own
			}
		}
		for _, d := range g.Devices {
			w.Devices = append(w.Devices, v1.VolumeDevice{Device: d, As: declaredAs(now, declared, d)})
		}
		for _, v := range g.Volumes {
			if v.Hidden || v.Type == "vdo-pool" || v.Moves != "" {
				continue
			}
			w.Volumes = append(w.Volumes, volumeOf(g, declared, v))
		}
		all = append(all, w)
	}
	return all
}

// declaredAs is the path by which the document calls a physical volume.
func declaredAs(now appliance.Storage, declared config.VolumeGroup, d lvm.Device) string {
	is, ok := now.Blocks.Find(d.Path)
	if !ok || d.Missing {
		return ""
	}
	for _, path := range declared.Devices {
		if own, ok := now.Blocks.Find(path); ok && own.Name == is.Name {
			return path
		}
	}
	return ""
}

func volumeOf(g lvm.Group, declared config.VolumeGroup, v lvm.Volume) v1.VolumeState {
	w := v1.VolumeState{Volume: v, Snapshot: lvm.Has(v.Tags, layerlvm.Snapshot)}
	w.Declared = slices.ContainsFunc(declared.Volumes, func(own config.Volume) bool { return own.Name == v.Name })
	if pool, ok := g.Volume(v.Pool); ok && v.Type == "vdo" {
		w.Physical, w.Data, w.Used, w.Saving, w.Operating = pool.Size, pool.Data, pool.Used, pool.Saving, pool.Operating
	}
	return w
}

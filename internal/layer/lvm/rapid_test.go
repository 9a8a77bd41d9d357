package lvm_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/plan"
)

// TestNothingUnnamedIsLost: whatever a valid document says, and whatever
// happened to the disks, a plan that may be carried out takes nobody's data
// whose name was not given.
func TestNothingUnnamedIsLost(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := machine()
		inForce := document(t)
		if rapid.Bool().Draw(r, "shapes") {
			shapes(inForce)
		}
		serve(t, m, inForce)
		holds(m, "vdf", "xfs")
		declared := inForce.Clone()
		for i := range rapid.IntRange(0, 6).Draw(r, "edits") {
			mutate(r, declared, i)
		}
		if invalid(declared) {
			return
		}
		mishap(r, m)
		names := []string{"disk/virtio-df", "disk/virtio-da", "volume-group/vg0"}
		for _, v := range inForce.Storage.VolumeGroups[0].Volumes {
			names = append(names, "volume/vg0/"+v.Name)
		}
		var named []string
		for _, n := range names {
			if rapid.IntRange(0, 3).Draw(r, n) == 0 {
				named = append(named, n)
			}
		}
		before := m.Lost()
		p := planned(t, m, inForce, declared, named...)
		if len(p.Problems) > 0 || len(p.Needs(named)) > 0 {
			return
		}
		if rapid.Bool().Draw(r, "fails") {
			m.FailAt(rapid.IntRange(1, 20).Draw(r, "at"), rapid.Bool().Draw(r, "after"))
		}
		_, _ = (plan.Runner{}).Run(t.Context(), p)
		for _, lost := range m.Lost()[len(before):] {
			if lost == "somebody's xfs" {
				lost = "disk/virtio-df"
			}
			if lost == "volume-group/vg0" && len(declared.Storage.VolumeGroups) == 0 {
				lost = "disk/virtio-da" // a disk of a group that nobody declares
			}
			if !slices.Contains(named, lost) {
				r.Fatalf("%s is lost, and %q were named:\n%s", lost, named, p.Text(named))
			}
		}
	})
}

func invalid(d *config.Document) bool {
	for _, p := range d.Validate() {
		if !p.Warning {
			return true
		}
	}
	return false
}

// mutate makes one edit.
func mutate(r *rapid.T, d *config.Document, i int) {
	if len(d.Storage.VolumeGroups) == 0 {
		return
	}
	g := vg(d)
	pick := func() *config.Volume {
		if len(g.Volumes) == 0 {
			return &config.Volume{}
		}
		return &g.Volumes[rapid.IntRange(0, len(g.Volumes)-1).Draw(r, fmt.Sprint("volume", i))]
	}
	size := func() config.Size { return config.Size(rapid.IntRange(1, 120).Draw(r, fmt.Sprint("size", i))) * gib }
	switch rapid.IntRange(0, 11).Draw(r, fmt.Sprint("edit", i)) {
	case 0:
		without(d, pick().Name)
	case 1:
		pick().Size = size()
	case 2:
		v := pick()
		v.Was, v.Name = v.Name, v.Name+"x"
	case 3:
		g.Devices = append(g.Devices, path(rapid.SampledFrom([]string{"c", "f"}).Draw(r, fmt.Sprint("device", i))))
	case 4:
		g.Devices = g.Devices[min(1, len(g.Devices)-1):]
	case 5:
		d.Storage.VolumeGroups = nil
	case 6:
		v := pick()
		v.Type, v.Pool, v.Physical = rapid.SampledFrom([]config.VolumeType{config.Linear, config.RAID1, config.ThinDisk, config.VDO}).Draw(r, fmt.Sprint("type", i)), "", 0
		if v.Type == config.ThinDisk {
			v.Pool = "pool"
		}
	case 7:
		v := pick()
		if v.Cache = nil; rapid.Bool().Draw(r, fmt.Sprint("cached", i)) {
			v.Cache = &config.Cache{Device: g.Devices[0], Size: 4 * gib}
		}
	case 8:
		g.Volumes = append(g.Volumes, config.Volume{Name: fmt.Sprint("clone", i), Type: config.ThinDisk, Pool: "pool", CloneOf: pick().Name})
	case 9:
		g.Volumes = append(g.Volumes, config.Volume{Name: fmt.Sprint("new", i), Size: size()})
	case 10:
		pick().ReadOnly = true
	case 11:
		g.UUID = "VG0000-0000-0000-0000-0000-0000-000009"
	}
}

// mishap is what happens to a machine.
func mishap(r *rapid.T, m *storagefake.Machine) {
	if rapid.Bool().Draw(r, "reboot") {
		m.RebootLVM()
	}
	switch rapid.IntRange(0, 5).Draw(r, "mishap") {
	case 0:
		m.Pull("vda")
	case 1:
		m.Pull("vdb")
	case 2:
		m.ForeignGroup("vg0", "theirs", 10*gib, "/dev/vde")
	case 3:
		m.Look("vda").Size *= 2
	}
}

package config

import (
	"strings"
	"testing"
)

// TestVolumes holds what a volume group and its volumes may be.
func TestVolumes(t *testing.T) {
	const disk = "/dev/disk/by-id/virtio-a"
	for _, c := range []struct {
		name string
		edit func(d *Document, g *VolumeGroup)
		want string // in the problem; none if empty
	}{
		{name: "fine", edit: func(*Document, *VolumeGroup) {}},
		{name: "no devices", edit: func(_ *Document, g *VolumeGroup) { g.Devices = nil }, want: "devices: missing"},
		{name: "a volume as a device", edit: func(d *Document, _ *VolumeGroup) {
			d.Storage.VolumeGroups = append(d.Storage.VolumeGroups, VolumeGroup{Name: "vg1", Devices: []string{"/dev/vg0/plain"}})
		}, want: "is a volume itself"},
		{name: "something on a volume as a device", edit: func(d *Document, _ *VolumeGroup) {
			d.Storage.Encrypted = []Encrypted{{Name: "safe", Device: "/dev/vg0/plain", Key: "file"}}
			d.Storage.VolumeGroups = append(d.Storage.VolumeGroups, VolumeGroup{Name: "vg1", Devices: []string{"/dev/mapper/safe"}})
		}},
		{name: "a name of LVM's own", edit: func(_ *Document, g *VolumeGroup) { g.Volumes[0].Name = "x_tmeta" }, want: "LVM keeps for itself"},
		{name: "the name of a VDO's pool", edit: func(_ *Document, g *VolumeGroup) { g.Volumes[0].Name = "backup_vdopool" }, want: "is the name of the pool of volume backup"},
		{name: "no size", edit: func(_ *Document, g *VolumeGroup) { g.Volumes[0].Size = 0 }, want: "size: missing"},
		{name: "thin without a pool", edit: func(_ *Document, g *VolumeGroup) { g.Volumes[2].Pool = "plain" }, want: "is no thin_pool"},
		{name: "clone without a size", edit: func(_ *Document, g *VolumeGroup) { g.Volumes[2].CloneOf, g.Volumes[2].Size = "gone", 0 }},
		{name: "small VDO", edit: func(_ *Document, g *VolumeGroup) { g.Volumes[3].Physical = 1 << 30 }, want: "at least 5GiB"},
		{name: "cache elsewhere", edit: func(_ *Document, g *VolumeGroup) {
			g.Volumes[0].Cache = &Cache{Device: "/dev/disk/by-id/virtio-z", Size: 1 << 30}
		}, want: "cache.device"},
		{name: "mode of a write cache", edit: func(_ *Document, g *VolumeGroup) {
			g.Volumes[0].Cache = &Cache{Device: disk, Size: 1 << 30, Type: "writecache", Mode: "writeback"}
		}, want: "always holds back"},
		{name: "renamed from a name that is declared", edit: func(_ *Document, g *VolumeGroup) { g.Volumes[0].Was = "db01" }, want: "is the name of a volume that is declared"},
		{name: "chunk of a linear volume", edit: func(_ *Document, g *VolumeGroup) { g.Volumes[0].Chunk = 64 << 10 }, want: "does not go with a volume of type linear"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &Document{Version: Version, Name: "array"}
			d.Storage.VolumeGroups = []VolumeGroup{{Name: "vg0", Devices: []string{disk}, Volumes: []Volume{
				{Name: "plain", Size: 1 << 30}, {Name: "pool", Type: ThinPool, Size: 1 << 30}, {Name: "db01", Type: ThinDisk, Pool: "pool", Size: 1 << 30},
				{Name: "backup", Type: VDO, Size: 1 << 40, Physical: 10 << 30},
			}}}
			c.edit(d, &d.Storage.VolumeGroups[0])
			var found []string
			for _, p := range d.Validate() {
				if !p.Warning {
					found = append(found, p.String())
				}
			}
			text := strings.Join(found, "\n")
			if c.want == "" && text != "" || c.want != "" && !strings.Contains(text, c.want) {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

// TestMovePath has what stands on a volume follow its new name.
func TestMovePath(t *testing.T) {
	d := &Document{Devices: []Device{{Name: "a", Path: "/dev/vg0/x"}, {Name: "b", Path: "/dev/vg0/xy"}}}
	d.Storage.FileSystems = []FileSystem{{Name: "f", Device: "/dev/vg0/x"}}
	d.Storage.Arrays = []Array{{Name: "r", Disks: []string{"/dev/sda", "/dev/vg0/x"}}}
	if users := strings.Join(d.UsersOf("/dev/vg0/x"), ", "); users != "device a, array r, file system f" {
		t.Error(users)
	}
	d.MovePath("/dev/vg0/x", "/dev/vg0/y")
	if d.Devices[0].Path != "/dev/vg0/y" || d.Devices[1].Path != "/dev/vg0/xy" || d.Storage.FileSystems[0].Device != "/dev/vg0/y" || d.Storage.Arrays[0].Disks[1] != "/dev/vg0/y" {
		t.Errorf("%+v", d)
	}
}

package config

import (
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Storage is what devices stand on, from bare disks up. Its parts refer to
// block devices by path: disks by /dev/disk/by-id/..., and what is made of them
// by the path that Linux gives it, /dev/md/ARRAY, /dev/VG/VOLUME, /dev/mapper/NAME.
type Storage struct {
	Remote       Remote        `yaml:"remote,omitempty" json:"remote,omitempty" doc:"disks of other arrays that this machine logs in to, as an initiator"`
	Multipath    Multipath     `yaml:"multipath,omitempty" json:"multipath,omitempty" doc:"disks that are reached by several paths"`
	Arrays       []Array       `yaml:"arrays,omitempty" json:"arrays,omitempty" doc:"RAID arrays of Linux (md)"`
	Encrypted    []Encrypted   `yaml:"encrypted,omitempty" json:"encrypted,omitempty" doc:"encrypted block devices (LUKS2)"`
	VolumeGroups []VolumeGroup `yaml:"volume_groups,omitempty" json:"volume_groups,omitempty" doc:"LVM volume groups and their volumes"`
	FileSystems  []FileSystem  `yaml:"filesystems,omitempty" json:"filesystems,omitempty" doc:"file systems for image files, mounted at /mnt/vdisks/NAME"`
	Snapshots    []Snapshots   `yaml:"snapshots,omitempty" json:"snapshots,omitempty" doc:"snapshots of devices that are taken by themselves"`
}

// Array is a RAID array of Linux's md driver, at /dev/md/NAME.
type Array struct {
	Name        string   `yaml:"name" json:"name" doc:"unique name, up to 31 characters; its path is /dev/md/NAME"`
	Level       string   `yaml:"level" json:"level" enum:"0,1,4,5,6,10" doc:"RAID level"`
	Disks       []string `yaml:"disks" json:"disks" doc:"paths of the disks that hold its data, like /dev/disk/by-id/...; one in the place of another replaces it, more of them grow it"`
	Spares      []string `yaml:"spares,omitempty" json:"spares,omitempty" doc:"paths of disks that stand by"`
	Journal     string   `yaml:"journal,omitempty" json:"journal,omitempty" doc:"path of the device that journals writes (levels 4, 5, 6)"`
	WriteMostly []string `yaml:"write_mostly,omitempty" json:"write_mostly,omitempty" doc:"which of the disks are read from only if others fail (level 1)"`
	Chunk       Size     `yaml:"chunk,omitempty" json:"chunk,omitempty" doc:"stripe unit, a power of two from 4KiB; 512KiB by default; not for level 1"`
	Layout      string   `yaml:"layout,omitempty" json:"layout,omitempty" doc:"mdadm's word for where blocks go, of levels 5, 6 and 10: left-symmetric, n2, f2, ..."`
	Bitmap      string   `yaml:"bitmap,omitempty" json:"bitmap,omitempty" enum:"internal,none" doc:"write-intent bitmap, so that a resync after a crash is short: internal (default) or none"`
	Check       string   `yaml:"check,omitempty" json:"check,omitempty" enum:"weekly,monthly,never" doc:"how often all of it is read and compared; monthly by default"`
	Repair      bool     `yaml:"repair,omitempty" json:"repair,omitempty" doc:"a check corrects what differs, rather than counting it only"`
	SpeedMin    Size     `yaml:"speed_min,omitempty" json:"speed_min,omitempty" doc:"bytes a second that a resync gets though others want the disks; the kernel's default without it"`
	SpeedMax    Size     `yaml:"speed_max,omitempty" json:"speed_max,omitempty" doc:"bytes a second that a resync takes at most; the kernel's default without it"`
	UUID        string   `yaml:"uuid,omitempty" json:"uuid,omitempty" doc:"of an array that exists already and is taken up as it is; others get one from the array's ID"`
}

// Encrypted is a block device encrypted with LUKS2, open at /dev/mapper/NAME.
type Encrypted struct {
	Name   string `yaml:"name" json:"name" doc:"unique name; its path is /dev/mapper/NAME"`
	Device string `yaml:"device" json:"device" doc:"path of what holds the encrypted data"`
	Key    string `yaml:"key" json:"key" enum:"tpm2,file,typed" doc:"where its key is: sealed in this machine's TPM2, in a file on the boot medium, or in somebody's head (esos encryption unlock NAME after each boot)"`
	UUID   string `yaml:"uuid,omitempty" json:"uuid,omitempty" doc:"of one that exists already and is taken up; others get one from the array's ID"`
}

// VolumeGroup is an LVM volume group.
type VolumeGroup struct {
	Name       string   `yaml:"name" json:"name" doc:"unique name"`
	Devices    []string `yaml:"devices" json:"devices" doc:"paths of its physical volumes; one that is taken out of the list is emptied first"`
	ExtentSize Size     `yaml:"extent_size,omitempty" json:"extent_size,omitempty" doc:"a power of two from 1KiB; 4MiB by default"`
	UUID       string   `yaml:"uuid,omitempty" json:"uuid,omitempty" doc:"LVM's UUID of one that exists already and is taken up"`
	Volumes    []Volume `yaml:"volumes,omitempty" json:"volumes,omitempty" doc:"its logical volumes; others that it has are left alone"`
}

// VolumeType is what a volume is.
type VolumeType string

// Volume types.
const (
	Linear   VolumeType = "linear"
	Striped  VolumeType = "striped"
	RAID1    VolumeType = "raid1"
	RAID5    VolumeType = "raid5"
	RAID6    VolumeType = "raid6"
	RAID10   VolumeType = "raid10"
	ThinPool VolumeType = "thin_pool"
	ThinDisk VolumeType = "thin"
	VDO      VolumeType = "vdo"
)

// Volume is a logical volume, at /dev/VG/NAME.
type Volume struct {
	Name          string     `yaml:"name" json:"name" doc:"unique name in its volume group; its path is /dev/VG/NAME"`
	Type          VolumeType `yaml:"type,omitempty" json:"type,omitempty" enum:"linear,striped,raid1,raid5,raid6,raid10,thin_pool,thin,vdo" doc:"linear by default; thin lies in a thin_pool; vdo is deduplicated and compressed"`
	Size          Size       `yaml:"size,omitempty" json:"size,omitempty" doc:"what its users see; a whole number of extents is taken; not for a clone"`
	Pool          string     `yaml:"pool,omitempty" json:"pool,omitempty" doc:"of a thin volume: its thin_pool"`
	CloneOf       string     `yaml:"clone_of,omitempty" json:"clone_of,omitempty" doc:"of a thin volume: the thin volume or snapshot of this group whose contents it begins with"`
	Stripes       int        `yaml:"stripes,omitempty" json:"stripes,omitempty" doc:"how many disks data is spread over (striped, raid5, raid6, raid10)"`
	StripeSize    Size       `yaml:"stripe_size,omitempty" json:"stripe_size,omitempty" doc:"a power of two; 64KiB by default"`
	Mirrors       int        `yaml:"mirrors,omitempty" json:"mirrors,omitempty" doc:"copies beside the first one (raid1, raid10); 1 by default"`
	Devices       []string   `yaml:"devices,omitempty" json:"devices,omitempty" doc:"physical volumes that it is made on; those with room by default"`
	Metadata      Size       `yaml:"metadata,omitempty" json:"metadata,omitempty" doc:"of a thin_pool: room for its metadata; LVM's choice by default"`
	Chunk         Size       `yaml:"chunk,omitempty" json:"chunk,omitempty" doc:"of a thin_pool: what its space is handed out in, 64KiB to 1GiB"`
	Physical      Size       `yaml:"physical,omitempty" json:"physical,omitempty" doc:"of a vdo: the space that it takes; at least 5GiB"`
	Deduplication *bool      `yaml:"deduplication,omitempty" json:"deduplication,omitempty" doc:"of a vdo: store equal blocks once; true by default"`
	Compression   *bool      `yaml:"compression,omitempty" json:"compression,omitempty" doc:"of a vdo: compress blocks; true by default"`
	Cache         *Cache     `yaml:"cache,omitempty" json:"cache,omitempty" doc:"a faster device in front of it"`
	ReadOnly      bool       `yaml:"read_only,omitempty" json:"read_only,omitempty" doc:"refuse writes"`
	Was           string     `yaml:"was,omitempty" json:"was,omitempty" doc:"an earlier name; a volume of that name is renamed"`
}

// Cache is a faster device in front of a volume (dm-cache, dm-writecache).
type Cache struct {
	Type   string `yaml:"type,omitempty" json:"type,omitempty" enum:"cache,writecache" doc:"cache (default) keeps what is read and written often, writecache takes writes only"`
	Device string `yaml:"device" json:"device" doc:"path of the physical volume of the same group that it lies on"`
	Size   Size   `yaml:"size" json:"size" doc:"its size"`
	Mode   string `yaml:"mode,omitempty" json:"mode,omitempty" enum:"writethrough,writeback" doc:"of a cache: writethrough (default) loses nothing with the cache device; writeback does"`
}

// FileSystem is a file system for image files, mounted at /mnt/vdisks/NAME.
type FileSystem struct {
	Name    string   `yaml:"name" json:"name" doc:"unique name; it is mounted at /mnt/vdisks/NAME, and labelled with its first 12 characters"`
	Device  string   `yaml:"device" json:"device" doc:"path of what it lies on"`
	Type    string   `yaml:"type,omitempty" json:"type,omitempty" enum:"xfs,ext4,btrfs" doc:"xfs (default), ext4 or btrfs"`
	Options []string `yaml:"options,omitempty" json:"options,omitempty" doc:"further mount options"`
	Trim    string   `yaml:"trim,omitempty" json:"trim,omitempty" enum:"daily,weekly,never" doc:"how often unused space is told to the disks; weekly by default"`
	UUID    string   `yaml:"uuid,omitempty" json:"uuid,omitempty" doc:"of one that exists already and is taken up with what it holds; others get one from the array's ID"`
}

// Snapshots are taken by themselves, of several devices at one moment.
type Snapshots struct {
	Name    string   `yaml:"name" json:"name" doc:"unique name; snapshots are named NAME-YYYYMMDD-HHMMSS"`
	Devices []string `yaml:"devices" json:"devices" doc:"devices that they are taken of, all at the same moment; each on a thin volume, or an image file on xfs or btrfs"`
	Every   string   `yaml:"every" json:"every" doc:"hourly, daily, weekly or monthly, or a time between them like 15m or 6h"`
	At      string   `yaml:"at,omitempty" json:"at,omitempty" doc:"the time of day, UTC, of daily, weekly (Sunday) and monthly (the first) ones, HH:MM; 00:00 by default"`
	Keep    int      `yaml:"keep" json:"keep" doc:"how many are kept; older ones are deleted"`
}

// Remote are disks of other arrays that this machine logs in to.
type Remote struct {
	ISCSI []RemoteISCSI `yaml:"iscsi,omitempty" json:"iscsi,omitempty" doc:"iSCSI targets; their disks are at /dev/disk/by-path/ip-ADDRESS-iscsi-TARGET-lun-N"`
	NVMe  []RemoteNVMe  `yaml:"nvme,omitempty" json:"nvme,omitempty" doc:"NVMe subsystems; their disks are at /dev/disk/by-id/nvme-..."`
}

// RemoteISCSI is a path to an iSCSI target elsewhere.
type RemoteISCSI struct {
	Name   string `yaml:"name" json:"name" doc:"unique name"`
	Target string `yaml:"target" json:"target" doc:"iSCSI name of the target"`
	Portal string `yaml:"portal" json:"portal" doc:"address:port or [v6]:port; port 3260 by default"`
	User   string `yaml:"user,omitempty" json:"user,omitempty" doc:"CHAP name"`
	Secret Secret `yaml:"secret,omitempty" json:"secret,omitempty" doc:"CHAP secret"`
}

// RemoteNVMe is a path to an NVMe subsystem elsewhere.
type RemoteNVMe struct {
	Name      string `yaml:"name" json:"name" doc:"unique name"`
	Subsystem string `yaml:"subsystem" json:"subsystem" doc:"NQN of the subsystem"`
	Transport string `yaml:"transport" json:"transport" enum:"tcp,rdma" doc:"tcp or rdma"`
	Address   string `yaml:"address" json:"address" doc:"address:port or [v6]:port; port 4420 by default"`
}

// Multipath are disks that are reached by several paths.
type Multipath struct {
	Enabled bool           `yaml:"enabled,omitempty" json:"enabled,omitempty" doc:"gather the paths to one disk under /dev/mapper"`
	Maps    []MultipathMap `yaml:"maps,omitempty" json:"maps,omitempty" doc:"the disks whose paths are gathered; no other disk is touched"`
	Policy  string         `yaml:"policy,omitempty" json:"policy,omitempty" enum:"service-time,queue-length,round-robin" doc:"which path the next I/O takes; service-time by default"`
}

// MultipathMap names a disk that is reached by several paths.
type MultipathMap struct {
	Name string `yaml:"name" json:"name" doc:"unique name; its path is /dev/mapper/NAME"`
	WWID string `yaml:"wwid" json:"wwid" doc:"the disk's identifier, as 'esos multipath list' and multipath -ll show it"`
}

// MountDir is where file systems are mounted.
const MountDir = "/mnt/vdisks"

// Path is the block device of an array.
func (a Array) Path() string { return "/dev/md/" + a.Name }

// Path is the block device of what is encrypted, once it is open.
func (e Encrypted) Path() string { return "/dev/mapper/" + e.Name }

// Path is a volume's block device.
func (v Volume) Path(group string) string { return "/dev/" + group + "/" + v.Name }

// Path is where a file system is mounted.
func (f FileSystem) Path() string { return path.Join(MountDir, f.Name) }

// Path is a disk's block device.
func (m MultipathMap) Path() string { return "/dev/mapper/" + m.Name }

// Declared says whether a document has anything for the storage stack.
func (s Storage) Declared() bool {
	return len(s.Remote.ISCSI)+len(s.Remote.NVMe)+len(s.Arrays)+len(s.Encrypted)+len(s.VolumeGroups)+len(s.FileSystems)+len(s.Snapshots) > 0 ||
		s.Multipath.Enabled || len(s.Multipath.Maps) > 0
}

// Provider names the object that makes a path: of a block device, of a mounted
// file system, or of a file on one. It is "" where the document makes none.
func (s Storage) Provider(p string) string {
	for object, made := range s.paths {
		if p == made || strings.HasPrefix(made, MountDir+"/") && strings.HasPrefix(p, made+"/") {
			return object
		}
	}
	return ""
}

// paths visits what the storage makes: objects and their paths.
func (s Storage) paths(visit func(object, path string) bool) {
	for _, m := range s.Multipath.Maps {
		if !visit("multipath/"+m.Name, m.Path()) {
			return
		}
	}
	for _, a := range s.Arrays {
		if !visit("array/"+a.Name, a.Path()) {
			return
		}
	}
	for _, e := range s.Encrypted {
		if !visit("encrypted/"+e.Name, e.Path()) {
			return
		}
	}
	for _, g := range s.VolumeGroups {
		for _, v := range g.Volumes {
			if v.Type != ThinPool && !visit(VolumeObject(g.Name, v.Name), v.Path(g.Name)) {
				return
			}
		}
	}
	for _, f := range s.FileSystems {
		if !visit("filesystem/"+f.Name, f.Path()) {
			return
		}
	}
}

// VolumeObject names a volume: volume/GROUP/NAME.
func VolumeObject(group, name string) string { return "volume/" + group + "/" + name }

// DiskObject names a block device that no object of the document makes, as it
// is given up by: disk/virtio-data01 for /dev/disk/by-id/virtio-data01,
// disk/sda for /dev/sda.
func DiskObject(path string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(path, "/dev/"), "disk/by-id/")
	return "disk/" + name
}

// DerivedUUID is the UUID that an object gets when it is made: from the array's
// ID and the object's name, so that it is known again after a reboot, on
// another boot medium, and by nobody else's document.
func DerivedUUID(arrayID, object string) string {
	sum := sha256.Sum256([]byte(arrayID + "/" + object))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80 // RFC 9562 5.8: version 8, made our own way
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// Clone returns a deep copy.
func (s Storage) Clone() Storage {
	s.Remote.ISCSI = slices.Clone(s.Remote.ISCSI)
	s.Remote.NVMe = slices.Clone(s.Remote.NVMe)
	s.Multipath.Maps = slices.Clone(s.Multipath.Maps)
	s.Arrays = slices.Clone(s.Arrays)
	for i := range s.Arrays {
		a := &s.Arrays[i]
		a.Disks, a.Spares, a.WriteMostly = slices.Clone(a.Disks), slices.Clone(a.Spares), slices.Clone(a.WriteMostly)
	}
	s.Encrypted = slices.Clone(s.Encrypted)
	s.VolumeGroups = slices.Clone(s.VolumeGroups)
	for i := range s.VolumeGroups {
		g := &s.VolumeGroups[i]
		g.Devices, g.Volumes = slices.Clone(g.Devices), slices.Clone(g.Volumes)
		for j := range g.Volumes {
			g.Volumes[j] = g.Volumes[j].Clone()
		}
	}
	s.FileSystems = slices.Clone(s.FileSystems)
	for i := range s.FileSystems {
		s.FileSystems[i].Options = slices.Clone(s.FileSystems[i].Options)
	}
	s.Snapshots = slices.Clone(s.Snapshots)
	for i := range s.Snapshots {
		s.Snapshots[i].Devices = slices.Clone(s.Snapshots[i].Devices)
	}
	return s
}

// Clone returns a deep copy.
func (v Volume) Clone() Volume {
	v.Devices = slices.Clone(v.Devices)
	if v.Deduplication != nil {
		v.Deduplication = new(*v.Deduplication)
	}
	if v.Compression != nil {
		v.Compression = new(*v.Compression)
	}
	if v.Cache != nil {
		v.Cache = new(*v.Cache)
	}
	return v
}

// walk visits the objects of a storage stack, bottom first.
func (s Storage) walk(visit func(name string, object any)) {
	for _, r := range s.Remote.ISCSI {
		visit("remote/"+r.Name, r)
	}
	for _, r := range s.Remote.NVMe {
		visit("remote/"+r.Name, r)
	}
	if s.Multipath.Enabled || s.Multipath.Policy != "" {
		visit("multipath", Multipath{Enabled: s.Multipath.Enabled, Policy: s.Multipath.Policy})
	}
	for _, m := range s.Multipath.Maps {
		visit("multipath/"+m.Name, m)
	}
	for _, a := range s.Arrays {
		visit("array/"+a.Name, a)
	}
	for _, e := range s.Encrypted {
		visit("encrypted/"+e.Name, e)
	}
	for _, g := range s.VolumeGroups {
		own := g
		own.Volumes = nil
		visit("volume-group/"+g.Name, own)
		for _, v := range g.Volumes {
			visit(VolumeObject(g.Name, v.Name), v)
		}
	}
	for _, f := range s.FileSystems {
		visit("filesystem/"+f.Name, f)
	}
	for _, n := range s.Snapshots {
		visit("snapshots/"+n.Name, n)
	}
}

// Uses lists the paths of the block devices that the storage stands on, as
// declared, each part's own before those above it.
func (s Storage) Uses() []string {
	var paths []string
	for _, a := range s.Arrays {
		paths = append(append(paths, a.Disks...), a.Spares...)
		if a.Journal != "" {
			paths = append(paths, a.Journal)
		}
	}
	for _, e := range s.Encrypted {
		paths = append(paths, e.Device)
	}
	for _, g := range s.VolumeGroups {
		paths = append(paths, g.Devices...)
	}
	for _, f := range s.FileSystems {
		paths = append(paths, f.Device)
	}
	return paths
}

package config

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// checkStorage checks the stack below the devices: what each part may be, that
// no block device has two users, and that nothing stands on itself.
func (c *checker) checkStorage() {
	s := &c.doc.Storage
	names := map[string]string{} // where a name or path was used first, by kind and name
	c.checkRemote(s.Remote, names)
	c.checkMultipath(s.Multipath, names)
	for i, a := range s.Arrays {
		c.checkArray(fmt.Sprintf("storage.arrays[%d]", i), a, names)
	}
	for i, e := range s.Encrypted {
		at := fmt.Sprintf("storage.encrypted[%d]", i)
		c.storageName(at+".name", "mapper", e.Name, 64, names)
		c.uuid(at+".uuid", e.UUID)
		if e.Key == "" {
			c.error(at+".key", "missing; tpm2, file or typed")
		}
	}
	for i, g := range s.VolumeGroups {
		c.checkVolumeGroup(fmt.Sprintf("storage.volume_groups[%d]", i), g, names)
	}
	for i, f := range s.FileSystems {
		at := fmt.Sprintf("storage.filesystems[%d]", i)
		c.storageName(at+".name", "filesystem", f.Name, 64, names)
		c.uuid(at+".uuid", f.UUID)
		for j, o := range f.Options {
			if o == "" || strings.ContainsAny(o, ", \t\n") {
				c.error(fmt.Sprintf("%s.options[%d]", at, j), "%q is not one mount option", clip(o))
			}
		}
	}
	c.checkOneUser(s)
	c.checkStacking(s)
	c.checkSnapshots(s, names)
}

// storageName checks a name that must be unique among those of a kind, since
// it becomes part of a path.
func (c *checker) storageName(at, kind, name string, most int, names map[string]string) {
	before := len(c.problems)
	c.name(at, name)
	if len(c.problems) > before {
		return
	}
	if len(name) > most {
		c.error(at, "%q is longer than %d characters", clip(name), most)
	}
	key := kind + " " + name
	if first, twice := names[key]; twice {
		c.error(at, "%q is used at %s already", name, first)
		return
	}
	names[key] = at
}

func (c *checker) uuid(at, u string) {
	if u != "" && !isUUID(strings.ToLower(u)) {
		c.error(at, "%q is no UUID; leave it out to have one made", clip(u))
	}
}

// blockPath checks the path of a block device.
func (c *checker) blockPath(at, p string) {
	switch {
	case p == "":
		c.error(at, "missing; a path like /dev/disk/by-id/...")
	case !strings.HasPrefix(p, "/dev/") || path.Clean(p) != p || len(p) > 400 || strings.ContainsAny(p, "\x00\n\r,|\"' \t"):
		c.error(at, "%q is no path of a block device; it begins with /dev/, like /dev/disk/by-id/...", clip(p))
	case unstableName.MatchString(p):
		c.warn(at, "%s may be another disk after the next boot; name it by /dev/disk/by-id/... ('esos disk list' shows the names)", p)
	}
}

// unstableName matches the names that the kernel gives in the order in which it finds disks.
var unstableName = regexp.MustCompile(`^/dev/(sd[a-z]+|nvme[0-9]+n[0-9]+|dm-[0-9]+|md[0-9]+)(p?[0-9]+)?$`)

// FewestDisks are those that a RAID level needs.
func FewestDisks(level string) int {
	return map[string]int{"0": 2, "1": 2, "4": 3, "5": 3, "6": 4, "10": 2}[level]
}

func (c *checker) checkArray(at string, a Array, names map[string]string) {
	c.storageName(at+".name", "array", a.Name, 31, names) // md's superblock has room for 32 (md_p.h, set_name)
	c.uuid(at+".uuid", a.UUID)
	if a.Level == "" {
		c.error(at+".level", "missing; 0, 1, 4, 5, 6 or 10")
	}
	if n := FewestDisks(a.Level); len(a.Disks) < n {
		c.error(at+".disks", "RAID %s needs at least %d disks, and has %d", a.Level, n, len(a.Disks))
	}
	if len(a.Disks) > 384 {
		c.error(at+".disks", "%d disks are more than the 384 that an array can have", len(a.Disks))
	}
	parity := a.Level == "4" || a.Level == "5" || a.Level == "6"
	switch {
	case a.Level == "0" && len(a.Spares) > 0:
		c.error(at+".spares", "RAID 0 has no redundancy that a spare could restore")
	case a.Level == "0" && (a.Bitmap == "internal" || a.Check != "" && a.Check != "never"):
		c.error(at, "RAID 0 has no redundancy: bitmap and check do not go with it")
	}
	if a.Journal != "" && !parity {
		c.error(at+".journal", "only levels 4, 5 and 6 have a journal")
	}
	if a.Journal != "" && a.Bitmap == "internal" {
		c.error(at+".bitmap", "a journal takes the place of the bitmap; leave bitmap out")
	}
	if a.Chunk != 0 && (a.Level == "1" || !powerOfTwo(a.Chunk) || a.Chunk < 4<<10 || a.Chunk > 64<<20) {
		c.error(at+".chunk", "must be a power of two from 4KiB to 64MiB, and level 1 has none")
	}
	if a.Layout != "" && (a.Level == "0" || a.Level == "1" || a.Level == "4" || !layoutName.MatchString(a.Layout)) {
		c.error(at+".layout", "%q is no layout of level %s; levels 5 and 6 have left-symmetric and its kin, level 10 n2, f2, o2 and the like", clip(a.Layout), a.Level)
	}
	for i, w := range a.WriteMostly {
		if !slices.Contains(a.Disks, w) {
			c.error(fmt.Sprintf("%s.write_mostly[%d]", at, i), "%q is not among the disks of the array", clip(w))
		}
	}
	if len(a.WriteMostly) > 0 && a.Level != "1" {
		c.error(at+".write_mostly", "only level 1 has disks that are read from last")
	}
	if a.SpeedMax != 0 && a.SpeedMin > a.SpeedMax {
		c.error(at+".speed_min", "is more than speed_max")
	}
}

var layoutName = regexp.MustCompile(`^([nfo][2-9]|(left|right)-(a?symmetric)|parity-(first|last))$`)

func powerOfTwo(n Size) bool { return n > 0 && n&(n-1) == 0 }

// lvmSuffix matches the names that LVM keeps for parts of volumes (lvm(8)).
var lvmSuffix = regexp.MustCompile(`_(cdata|cmeta|corig|mimage|mlog|rimage|rmeta|tdata|tmeta|vdata|vorigin|pmspare|imeta|iorig|cvol|wcorig)`)

// KeptByLVM says whether LVM keeps a part of a name for itself.
func KeptByLVM(name string) bool { return lvmSuffix.MatchString(name) }

func (c *checker) checkVolumeGroup(at string, g VolumeGroup, names map[string]string) {
	c.storageName(at+".name", "volume group", g.Name, 64, names)
	if slices.Contains([]string{"disk", "mapper", "md", "block", "char", "input", "net", "pts", "shm", "mqueue", "hugepages", "bus", "cpu", "dri", "snd", "vfio", "bsg", "fd"}, g.Name) {
		c.error(at+".name", "%q is a directory of /dev that belongs to others; take another name", g.Name)
	}
	if len(g.Devices) == 0 {
		c.error(at+".devices", "missing; a volume group needs at least one physical volume")
	}
	if g.ExtentSize != 0 && (!powerOfTwo(g.ExtentSize) || g.ExtentSize < 1<<10 || g.ExtentSize > 16<<30) {
		c.error(at+".extent_size", "must be a power of two from 1KiB to 16GiB")
	}
	if len(g.UUID) > 64 || strings.Trim(g.UUID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		c.error(at+".uuid", "%q is no UUID of LVM; 'vgs -o +uuid' shows it", clip(g.UUID))
	}
	for i, d := range g.Devices {
		if strings.HasPrefix(c.doc.Storage.Provider(d), "volume/") {
			c.error(fmt.Sprintf("%s.devices[%d]", at, i), "%q is a volume itself: LVM does not look for volume groups on volumes, since those on them belong to the hosts that have them", clip(d))
		}
	}
	volumes := map[string]Volume{}
	for _, v := range g.Volumes {
		volumes[v.Name] = v
	}
	for i, v := range g.Volumes {
		c.checkVolume(fmt.Sprintf("%s.volumes[%d]", at, i), g, v, volumes, names)
	}
}

func (c *checker) checkVolume(at string, g VolumeGroup, v Volume, volumes map[string]Volume, names map[string]string) {
	c.storageName(at+".name", "volume "+g.Name, v.Name, 64, names)
	if lvmSuffix.MatchString(v.Name) || v.Name == "snapshot" || v.Name == "pvmove" || strings.HasPrefix(v.Name, "pvmove") {
		c.error(at+".name", "%q is a name that LVM keeps for itself", v.Name)
	}
	if base, ok := strings.CutSuffix(v.Name, "_vdopool"); ok && volumes[base].Type == VDO {
		c.error(at+".name", "%q is the name of the pool of volume %s", v.Name, base)
	}
	if v.Was != "" && (v.Was == v.Name || volumes[v.Was].Name != "") {
		c.error(at+".was", "%q is the name of a volume that is declared", clip(v.Was))
	}
	switch {
	case v.CloneOf != "" && v.Size != 0:
		// It has its origin's to begin with; a larger one grows it.
	case v.CloneOf == "" && v.Size < 1:
		c.error(at+".size", "missing")
	}
	only := func(key string, set bool, types ...VolumeType) {
		if set && !slices.Contains(types, v.kind()) {
			c.error(at+"."+key, "does not go with a volume of type %s", v.kind())
		}
	}
	only("pool", v.Pool != "", ThinDisk)
	only("clone_of", v.CloneOf != "", ThinDisk)
	only("stripes", v.Stripes != 0, Striped, RAID5, RAID6, RAID10, ThinPool)
	only("stripe_size", v.StripeSize != 0, Striped, RAID5, RAID6, RAID10, ThinPool)
	only("mirrors", v.Mirrors != 0, RAID1, RAID10)
	only("metadata", v.Metadata != 0, ThinPool)
	only("chunk", v.Chunk != 0, ThinPool)
	only("physical", v.Physical != 0, VDO)
	only("deduplication", v.Deduplication != nil, VDO)
	only("compression", v.Compression != nil, VDO)
	only("cache", v.Cache != nil, Linear, Striped, RAID1, RAID5, RAID6, RAID10)
	only("read_only", v.ReadOnly, Linear, Striped, RAID1, RAID5, RAID6, RAID10, ThinDisk)
	only("devices", len(v.Devices) > 0, Linear, Striped, RAID1, RAID5, RAID6, RAID10, ThinPool, VDO)
	switch v.kind() {
	case ThinDisk:
		if pool, ok := volumes[v.Pool]; !ok || pool.Type != ThinPool {
			c.error(at+".pool", "%q is no thin_pool of volume group %s", clip(v.Pool), g.Name)
		}
		if v.CloneOf == v.Name {
			c.error(at+".clone_of", "a volume is no clone of itself")
		}
	case VDO:
		if v.Physical < 5<<30 {
			c.error(at+".physical", "a vdo takes at least 5GiB of the volume group; its index and one slab need that (lvmvdo(7))")
		}
	case Striped:
		if v.Stripes < 2 {
			c.error(at+".stripes", "a striped volume has at least 2")
		}
	case ThinPool:
		if v.Chunk != 0 && (v.Chunk < 64<<10 || v.Chunk > 1<<30 || v.Chunk%(64<<10) != 0) {
			c.error(at+".chunk", "must be a multiple of 64KiB up to 1GiB")
		}
	}
	if v.StripeSize != 0 && (!powerOfTwo(v.StripeSize) || v.StripeSize < 4<<10) {
		c.error(at+".stripe_size", "must be a power of two from 4KiB")
	}
	for i, d := range v.Devices {
		if !slices.Contains(g.Devices, d) {
			c.error(fmt.Sprintf("%s.devices[%d]", at, i), "%q is not among the devices of volume group %s", clip(d), g.Name)
		}
	}
	if k := v.Cache; k != nil {
		if !slices.Contains(g.Devices, k.Device) {
			c.error(at+".cache.device", "%q is not among the devices of volume group %s", clip(k.Device), g.Name)
		}
		if k.Size < 8<<20 {
			c.error(at+".cache.size", "must be at least 8MiB")
		}
		if k.Type == "writecache" && k.Mode != "" {
			c.error(at+".cache.mode", "a writecache always holds back writes")
		}
	}
}

// kind is the type with the default written out.
func (v Volume) kind() VolumeType {
	if v.Type == "" {
		return Linear
	}
	return v.Type
}

// checkOneUser sees to it that each block device has one user.
func (c *checker) checkOneUser(s *Storage) {
	users := map[string]string{}
	use := func(at, p string) {
		before := len(c.problems)
		c.blockPath(at, p)
		if len(c.problems) > before && !c.problems[len(c.problems)-1].Warning {
			return
		}
		if first, twice := users[p]; twice {
			c.error(at, "%s is used at %s already", p, first)
			return
		}
		users[p] = at
	}
	for i, a := range s.Arrays {
		at := fmt.Sprintf("storage.arrays[%d]", i)
		for j, d := range a.Disks {
			use(fmt.Sprintf("%s.disks[%d]", at, j), d)
		}
		for j, d := range a.Spares {
			use(fmt.Sprintf("%s.spares[%d]", at, j), d)
		}
		if a.Journal != "" {
			use(at+".journal", a.Journal)
		}
	}
	for i, e := range s.Encrypted {
		use(fmt.Sprintf("storage.encrypted[%d].device", i), e.Device)
	}
	for i, g := range s.VolumeGroups {
		for j, d := range g.Devices {
			use(fmt.Sprintf("storage.volume_groups[%d].devices[%d]", i, j), d)
		}
	}
	for i, f := range s.FileSystems {
		use(fmt.Sprintf("storage.filesystems[%d].device", i), f.Device)
	}
	for i, d := range c.doc.Devices {
		// Others than vdisk_blockio reach a block device by its path, too.
		if first, twice := users[d.Path]; twice && d.Path != "" {
			c.error(fmt.Sprintf("devices[%d].path", i), "%s is used at %s: initiators would destroy what is there", clip(d.Path), first)
		}
	}
}

// checkStacking refuses what stands on itself, over however many parts.
func (c *checker) checkStacking(s *Storage) {
	on := map[string][]string{} // objects by what they stand on
	add := func(object string, paths ...string) {
		for _, p := range paths {
			if below := s.Provider(p); below != "" {
				on[object] = append(on[object], below)
			}
		}
	}
	for _, a := range s.Arrays {
		add("array/"+a.Name, slices.Concat(a.Disks, a.Spares, []string{a.Journal})...)
	}
	for _, e := range s.Encrypted {
		add("encrypted/"+e.Name, e.Device)
	}
	for _, g := range s.VolumeGroups {
		add("volume-group/"+g.Name, g.Devices...)
		for _, v := range g.Volumes {
			on[VolumeObject(g.Name, v.Name)] = []string{"volume-group/" + g.Name}
		}
	}
	for _, f := range s.FileSystems {
		add("filesystem/"+f.Name, f.Device)
	}
	state := map[string]int{}
	var visit func(object string) bool
	visit = func(object string) bool {
		switch state[object] {
		case 1:
			c.error("storage", "%s stands on itself", object)
			return false
		case 2:
			return true
		}
		state[object] = 1
		for _, below := range on[object] {
			if !visit(below) {
				state[object] = 2 // it was told of
				return false
			}
		}
		state[object] = 2
		return true
	}
	s.walk(func(object string, _ any) { visit(object) })
}

func (c *checker) checkSnapshots(s *Storage, names map[string]string) {
	for i, n := range s.Snapshots {
		at := fmt.Sprintf("storage.snapshots[%d]", i)
		c.storageName(at+".name", "snapshots", n.Name, 32, names)
		if len(n.Devices) == 0 {
			c.error(at+".devices", "missing")
		}
		if KeptByLVM(n.Name) {
			c.error(at+".name", "%q has a part that LVM keeps for itself", n.Name)
		}
		var devices []Device
		for j, name := range n.Devices {
			d, err := c.doc.FindDevice(name)
			if err == nil {
				devices = append(devices, *d)
				err = s.SnapshotStore(*d)
			}
			if err != nil {
				c.error(fmt.Sprintf("%s.devices[%d]", at, j), "%v", err)
			}
		}
		if err := SnapshotTogether(devices); err != nil {
			c.error(at+".devices", "%v", err)
		}
		if n.Keep < 1 || n.Keep > 1000 {
			c.error(at+".keep", "must be 1 to 1000")
		}
		if _, err := n.Interval(); err != nil {
			c.error(at+".every", "%v", err)
		}
		if _, err := time.Parse("15:04", n.At); n.At != "" && (err != nil || n.Every != "daily" && n.Every != "weekly" && n.Every != "monthly") {
			c.error(at+".at", "%q is no time of day (HH:MM) of daily, weekly or monthly snapshots", clip(n.At))
		}
	}
}

// Interval is the time between two snapshots; 0 for those that go by the
// calendar (daily, weekly, monthly; hourly ones are taken on the hour).
func (s Snapshots) Interval() (time.Duration, error) {
	switch s.Every {
	case "hourly", "daily", "weekly", "monthly":
		return 0, nil
	}
	d, err := time.ParseDuration(s.Every)
	if err != nil || d < time.Minute || d > 31*24*time.Hour {
		return 0, fmt.Errorf("%q is not hourly, daily, weekly, monthly or a time from 1m to 744h", clip(s.Every))
	}
	return d, nil
}

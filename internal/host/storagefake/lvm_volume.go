package storagefake

import (
	"cmp"
	"slices"
	"strings"
)

// part makes a hidden volume with room of its own.
func (m *Machine) part(g *lvmGroup, name string, size int64, on []*lvmDevice, not map[*lvmDevice]bool) (*lvmVolume, error) {
	v := &lvmVolume{name: name, uuid: m.identity("LV"), kind: "linear", hidden: true, size: size, stripes: 1, copies: 1}
	if err := m.take(g, v, (size+g.extent-1)/g.extent, on, not); err != nil {
		return nil, err
	}
	g.volumes = append(g.volumes, v)
	return v, nil
}

func (g *lvmGroup) drop(v *lvmVolume) {
	for _, p := range v.parts {
		g.drop(p)
	}
	g.volumes = slices.DeleteFunc(g.volumes, func(w *lvmVolume) bool { return w == v })
}

func up(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

func lvcreate(c *lvmCall) error {
	if len(c.args) == 0 {
		return fails("lvm", 3, "Please provide a volume group name")
	}
	group, sub, _ := strings.Cut(c.args[0], "/")
	g, err := c.group(group, false)
	if err != nil {
		return err
	}
	name := c.options["--name"]
	if g.volume(name) != nil {
		return fails("lvm", 5, "Logical Volume \"%s\" already exists in volume group \"%s\"", name, group)
	}
	v := &lvmVolume{
		name: name, uuid: c.m.identity("LV"), kind: c.options["--type"], size: up(max(c.bytes("--size"), c.bytes("--virtualsize")), g.extent), stripes: 1, copies: 1,
		tag: c.options["--addtag"], skip: c.options["--setactivationskip"] == "y",
	}
	var on []*lvmDevice
	for _, p := range c.args[1:] {
		pv, err := c.device(p)
		if err != nil {
			return err
		}
		if pv.group != g {
			return fails("lvm", 5, "Physical Volume \"%s\" not found in Volume Group \"%s\".", p, group)
		}
		on = append(on, pv)
	}
	if v.kind == "thin-pool" && (c.has("--wipesignatures") || c.has("--errorwhenfull")) {
		return fails("lvm", 3, "Option --wipesignatures or --errorwhenfull is unsupported with thin pools.")
	}
	before := slices.Clone(g.volumes)
	if err := c.layOut(g, v, sub, on); err != nil {
		g.volumes = before
		return err
	}
	g.volumes = append(g.volumes, v)
	if c.options["--activate"] == "n" {
		return nil
	}
	if err := c.m.activate(g, v); err != nil {
		g.volumes = before
		return err
	}
	return nil
}

// layOut finds room for a new volume, by what it is.
func (c *lvmCall) layOut(g *lvmGroup, v *lvmVolume, sub string, on []*lvmDevice) error {
	if c.has("--snapshot") {
		origin := g.volume(sub)
		if origin == nil || origin.kind != "thin" {
			return fails("lvm", 5, "the imitation takes snapshots of thin volumes only")
		}
		v.kind, v.size, v.pool, v.origin, v.data = "thin", origin.size, origin.pool, origin.name, origin.data
		g.number(v)
		v.ro = c.options["--permission"] == "r"
		v.device(c.m)
		v.dev.Content = slices.Clone(origin.dev.Content) // what it holds, its origin has, too: nobody misses it
		return nil
	}
	switch v.kind {
	case "linear":
		v.device(c.m)
		return c.m.take(g, v, v.size/g.extent, on, nil)
	case "striped", "raid0", "raid1", "raid5", "raid6", "raid10":
		v.device(c.m)
		return c.legs(g, v, on)
	case "thin-pool":
		v.chunk, v.metadata, v.whenFull = cmp.Or(c.bytes("--chunksize"), 64<<10), up(cmp.Or(c.bytes("--poolmetadatasize"), 4<<20), g.extent), "queue"
		if strings.Contains(c.options["--config"], "activation/error_when_full=1") {
			v.whenFull = "error"
		}
		v.meta = 10
		return c.pool(g, v, map[string]int64{"_tdata": v.size, "_tmeta": v.metadata}, on)
	case "thin":
		pool := g.volume(c.options["--thinpool"])
		if pool == nil || pool.kind != "thin-pool" {
			return fails("lvm", 5, "Thin pool %s not found", c.options["--thinpool"])
		}
		v.pool = pool.name
		g.number(v)
		v.device(c.m)
		return nil
	case "vdo":
		if g.volume(sub) != nil {
			return fails("lvm", 5, "Logical Volume \"%s\" already exists in volume group \"%s\"", sub, g.name)
		}
		physical := up(c.bytes("--size"), g.extent)
		if physical < 5<<30 {
			return fails("lvm", 5, "Minimal required size for VDO volume: 5.00 GiB")
		}
		pool := &lvmVolume{name: sub, uuid: c.m.identity("LV"), kind: "vdo-pool", size: physical, stripes: 1, copies: 1, data: 60,
			compress: c.options["--compression"] == "y", duplicates: c.options["--deduplication"] == "y"}
		if err := c.pool(g, pool, map[string]int64{"_vdata": physical}, on); err != nil {
			return err
		}
		g.volumes = append(g.volumes, pool)
		v.pool = sub
		v.device(c.m)
		return nil
	}
	return fails("lvm", 3, "Invalid argument for --type: %s", v.kind)
}

func (c *lvmCall) pool(g *lvmGroup, v *lvmVolume, parts map[string]int64, on []*lvmDevice) error {
	if c.options["--poolmetadataspare"] == "y" && g.volume("lvol0_pmspare") == nil {
		if _, err := c.m.part(g, "lvol0_pmspare", v.metadata, nil, nil); err != nil {
			return err
		}
	}
	for _, suffix := range []string{"_tdata", "_tmeta", "_vdata"} {
		if size, ok := parts[suffix]; ok {
			p, err := c.m.part(g, v.name+suffix, size, on, nil)
			if err != nil {
				return err
			}
			v.parts = append(v.parts, p)
		}
	}
	return nil
}

// legs lays a striped or RAID volume out on devices of their own.
func (c *lvmCall) legs(g *lvmGroup, v *lvmVolume, on []*lvmDevice) error {
	parity := map[string]int{"raid5": 1, "raid6": 2}[v.kind]
	v.stripes, v.stripeSize = c.number("--stripes", 1), cmp.Or(c.bytes("--stripesize"), 64<<10)
	if v.kind == "raid1" || v.kind == "raid10" {
		v.copies = c.number("--mirrors", 1) + 1
	}
	if v.kind == "raid1" {
		v.stripeSize = 0
	}
	v.size = up(v.size, g.extent*int64(v.stripes))
	used := map[*lvmDevice]bool{}
	for i := range v.stripes*v.copies + parity {
		leg, err := c.leg(g, v, "_rimage_"+string(rune('0'+i)), v.size/int64(v.stripes), on, used)
		if err != nil {
			return err
		}
		v.parts = append(v.parts, leg)
	}
	return nil
}

// leg finds a whole device's room for a part.
func (c *lvmCall) leg(g *lvmGroup, v *lvmVolume, suffix string, size int64, on []*lvmDevice, used map[*lvmDevice]bool) (*lvmVolume, error) {
	for _, p := range g.devices {
		if used[p] || len(on) > 0 && !slices.Contains(on, p) || c.m.where(p) == nil || p.extents-g.used(p) < size/g.extent {
			continue
		}
		used[p] = true
		return c.m.part(g, v.name+suffix, size, []*lvmDevice{p}, nil)
	}
	return nil, fails("lvm", 5, "Insufficient suitable allocatable extents for logical volume %s: %d more required", v.name, size/g.extent)
}

// device makes the block device of a volume, which is there while it is active.
func (v *lvmVolume) device(m *Machine) {
	v.dev = &Device{Name: m.name("dm-"), Type: "lvm", Size: v.size, Super: map[string]any{}, MappedUUID: "LVM-" + v.uuid}
}

// all lists a volume and everything that it stands on.
func (v *lvmVolume) all(g *lvmGroup) []*lvmVolume {
	list := []*lvmVolume{v}
	if p := g.volume(v.pool); p != nil {
		list = append(list, p.all(g)...)
	}
	for _, p := range v.parts {
		list = append(list, p.all(g)...)
	}
	return list
}

// lacks counts the parts of a volume that lie on missing devices.
func (v *lvmVolume) lacks(m *Machine, g *lvmGroup) int {
	n := 0
	for _, w := range v.all(g) {
		for p := range w.room {
			if m.where(p) == nil {
				n++
				break
			}
		}
	}
	return n
}

// spare is how many parts a volume can lack.
func (v *lvmVolume) spare() int {
	switch v.kind {
	case "raid1", "raid10":
		return v.copies - 1
	case "raid5":
		return 1
	case "raid6":
		return 2
	}
	return 0
}

// stands says which block devices an active volume stands on.
func (v *lvmVolume) stands(m *Machine) {
	if v.dev == nil {
		return
	}
	v.dev.Below = nil
	for _, g := range m.groups() {
		if !slices.Contains(g.volumes, v) {
			continue
		}
		for _, w := range v.all(g) {
			for p := range w.room {
				if d := m.where(p); d != nil && !slices.Contains(v.dev.Below, d.Name) {
					v.dev.Below = append(v.dev.Below, d.Name)
				}
			}
		}
	}
	slices.Sort(v.dev.Below)
}

func (m *Machine) activate(g *lvmGroup, v *lvmVolume) error {
	if lacks := v.lacks(m, g); lacks > v.spare() {
		return fails("lvm", 5, "Refusing activation of partial LV %s/%s.  Use '--activationmode partial' to override.", g.name, v.name)
	}
	if v.kind == "vdo-pool" {
		return nil
	}
	v.active = true
	for _, w := range v.all(g) {
		if w.kind != "vdo-pool" {
			w.active = true
		}
	}
	if v.dev == nil {
		return nil
	}
	v.dev.Size, v.dev.ReadOnly, v.dev.MappedUUID = v.size, v.ro, mappedUUID(g, v)
	m.add(v.dev)
	m.links["/dev/"+g.name+"/"+v.name] = v.dev.Name
	m.links["/dev/mapper/"+mapped(g.name, v.name)] = v.dev.Name
	v.stands(m)
	return nil
}

func mapped(group, volume string) string {
	return strings.ReplaceAll(group, "-", "--") + "-" + strings.ReplaceAll(volume, "-", "--")
}

func (m *Machine) deactivate(g *lvmGroup, v *lvmVolume) error {
	if v.dev != nil && v.active {
		if m.devs[v.dev.Name] != nil && (m.busy(v.dev) != "" || len(m.above(v.dev.Name)) > 0) {
			return fails("lvm", 5, "Logical volume %s/%s in use.", g.name, v.name)
		}
		m.remove(v.dev.Name)
	}
	if v.kind == "thin-pool" && slices.ContainsFunc(g.volumes, func(w *lvmVolume) bool { return w.pool == v.name && w.active }) {
		return nil // its public device goes, its users keep it
	}
	if v.active = false; v.dev != nil {
		v.dev.Suspended = false
	}
	return nil
}

func lvchange(c *lvmCall) error {
	var failed error
	for _, full := range c.args {
		g, v, err := c.volume(full, c.has("--activate"))
		if err == nil {
			err = c.change(g, v)
		}
		if err != nil {
			failed = err // the others are done all the same
		}
	}
	return failed
}

func (c *lvmCall) change(g *lvmGroup, v *lvmVolume) error {
	switch c.options["--activate"] {
	case "y":
		if v.skip && !c.has("--ignoreactivationskip") {
			return nil
		}
		return c.m.activate(g, v)
	case "n":
		return c.m.deactivate(g, v)
	}
	if c.has("--addtag") || c.has("--deltag") {
		c.retag(v)
	}
	if p := c.options["--permission"]; p != "" {
		v.ro = p == "r"
		v.dev.ReadOnly = v.ro
	}
	if c.has("--compression") || c.has("--deduplication") {
		if v.kind != "vdo-pool" {
			return fails("lvm", 5, "Operation not permitted on LV %s/%s.", g.name, v.name)
		}
		v.compress, v.duplicates = c.options["--compression"] == "y", c.options["--deduplication"] == "y"
	}
	if w := c.options["--errorwhenfull"]; w != "" {
		v.whenFull = map[string]string{"y": "error", "n": "queue"}[w]
	}
	if mode := c.options["--cachemode"]; mode != "" {
		v.mode = mode
	}
	return nil
}

func lvremove(c *lvmCall) error {
	g, v, err := c.volume(c.args[0], true)
	if err != nil {
		return err
	}
	if n := len(slices.DeleteFunc(slices.Clone(g.volumes), func(w *lvmVolume) bool { return w.pool != v.name || w.hidden })); v.kind == "thin-pool" && n > 0 {
		return fails("lvm", 5, "Removing pool %s/%s will remove %d dependent volume(s). Proceed? [y/n]: [n]\n  Logical volume %s/%s not removed.", g.name, v.name, n, g.name, v.name)
	}
	if v.active {
		return fails("lvm", 5, "Do you really want to remove active logical volume %s/%s? [y/n]: [n]\n  Logical volume %s/%s not removed.", g.name, v.name, g.name, v.name)
	}
	if v.dev != nil {
		c.m.overwrite(v.dev)
	}
	if p := g.volume(v.pool); p != nil && p.kind == "vdo-pool" {
		g.drop(p)
	}
	g.drop(v)
	if !slices.ContainsFunc(g.volumes, func(w *lvmVolume) bool { return w.kind == "thin-pool" }) {
		if p := g.volume("lvol0_pmspare"); p != nil {
			g.drop(p)
		}
	}
	return nil
}

func lvrename(c *lvmCall) error {
	g, v, err := c.volume(c.args[0]+"/"+c.args[1], false)
	if err != nil {
		return err
	}
	to := c.args[2]
	if g.volume(to) != nil {
		return fails("lvm", 5, "Logical Volume \"%s\" already exists in volume group \"%s\"", to, g.name)
	}
	for _, w := range g.volumes {
		if w.pool == v.name {
			w.pool = to
		}
		if w.origin == v.name {
			w.origin = to
		}
	}
	for _, p := range v.parts {
		p.name = to + strings.TrimPrefix(p.name, v.name)
	}
	if v.dev != nil && v.active {
		delete(c.m.links, "/dev/"+g.name+"/"+v.name)
		delete(c.m.links, "/dev/mapper/"+mapped(g.name, v.name))
		v.name = to
		return c.m.activate(g, v)
	}
	v.name = to
	return nil
}

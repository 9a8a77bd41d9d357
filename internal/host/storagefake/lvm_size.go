package storagefake

import (
	"slices"
	"strings"
)

func lvextend(c *lvmCall) error {
	g, v, err := c.volume(c.args[0], false)
	if err != nil {
		return err
	}
	if n := c.bytes("--poolmetadatasize"); n > 0 {
		n = up(n, g.extent)
		if err := c.grow(g, v.parts[1], n, nil); err != nil {
			return err
		}
		v.metadata = n
		return nil
	}
	size := up(c.bytes("--size"), g.extent*int64(max(1, v.stripes)))
	if size <= v.size {
		return fails("lvm", 5, "New size (%d extents) matches existing size (%d extents).", size/g.extent, v.size/g.extent)
	}
	var on []*lvmDevice
	for _, p := range c.args[1:] {
		pv, err := c.device(p)
		if err != nil {
			return err
		}
		on = append(on, pv)
	}
	switch {
	case v.kind == "thin" || v.kind == "vdo":
	case v.kind == "thin-pool" || v.kind == "vdo-pool":
		err = c.grow(g, v.parts[0], size, on)
	case len(v.parts) > 0 && (v.kind == "cache" || v.kind == "writecache"):
		err = c.grow(g, v.parts[0], size, on)
	case len(v.parts) > 0:
		for _, p := range v.parts { // each leg on its own device
			if err = c.grow(g, p, size/int64(v.stripes), nil); err != nil {
				break
			}
		}
	default:
		err = c.grow(g, v, size, on)
	}
	if err != nil {
		return err
	}
	v.resize(c.m, size)
	return nil
}

func (c *lvmCall) grow(g *lvmGroup, v *lvmVolume, size int64, on []*lvmDevice) error {
	if err := c.m.take(g, v, (size-v.size)/g.extent, on, nil); err != nil {
		return err
	}
	v.size = size
	return nil
}

func (v *lvmVolume) resize(m *Machine, size int64) {
	v.size = size
	if v.dev != nil {
		v.dev.Size = size
		v.stands(m)
	}
}

func lvreduce(c *lvmCall) error {
	g, v, err := c.volume(c.args[0], false)
	if err != nil {
		return err
	}
	size := up(c.bytes("--size"), g.extent*int64(max(1, v.stripes)))
	switch {
	case size >= v.size:
		return fails("lvm", 5, "New size given (%d extents) not less than existing size (%d extents)", size/g.extent, v.size/g.extent)
	case v.kind == "thin-pool" || v.kind == "vdo-pool":
		return fails("lvm", 5, "Thin pool volumes %s/%s cannot be reduced in size yet.", g.name, v.name)
	case !c.has("--yes") || c.options["--fs"] != "ignore":
		return fails("lvm", 5, "Do you really want to reduce %s/%s? [y/n]: [n]\n  Logical volume %s/%s NOT reduced.", g.name, v.name, g.name, v.name)
	}
	cut := v.size - size
	for _, w := range append(slices.Clone(v.parts), v) {
		less := cut / g.extent
		if len(v.parts) > 0 && w != v {
			less = cut / int64(max(1, v.stripes)) / g.extent
			w.size -= less * g.extent
		}
		for p, n := range w.room {
			take := min(n, less)
			w.room[p] -= take
			less -= take
		}
	}
	c.m.overwrite(v.dev)
	v.resize(c.m, size)
	return nil
}

func lvconvert(c *lvmCall) error {
	g, v, err := c.volume(c.args[0], c.has("--repair") || c.has("--uncache"))
	if err != nil {
		return err
	}
	switch {
	case c.has("--uncache"):
		return c.uncache(g, v)
	case c.has("--repair"):
		return c.repair(g, v)
	}
	kind := c.options["--type"]
	if kind != "cache" && kind != "writecache" || !c.has("--cachevol") {
		return fails("lvm", 3, "the imitation converts to cache and writecache only")
	}
	_, fast, err := c.volume(c.options["--cachevol"], false)
	if err != nil {
		return err
	}
	switch {
	case !c.has("--yes"):
		return fails("lvm", 5, "Erase all existing data on %s/%s? [y/n]: [n]\n  Conversion aborted.", g.name, fast.name)
	case v.kind == "cache" || v.kind == "writecache" || fast.kind != "linear":
		return fails("lvm", 5, "LV %s/%s is already cached.", g.name, v.name)
	}
	if err := c.m.deactivate(g, fast); err != nil {
		return err
	}
	c.m.overwrite(fast.dev)
	fast.dev = nil
	inner := *v
	inner.name, inner.uuid, inner.hidden, inner.dev = v.name+map[string]string{"cache": "_corig", "writecache": "_wcorig"}[kind], c.m.identity("LV"), true, nil
	fast.name, fast.hidden, fast.active = fast.name+"_cvol", true, true
	v.kind, v.parts, v.room, v.mode, v.pool, v.origin, v.stripes, v.copies = kind, []*lvmVolume{&inner, fast}, nil, "", fast.name, inner.name, 1, 1
	if kind == "cache" {
		v.mode = c.options["--cachemode"]
	}
	g.volumes = append(g.volumes, &inner)
	v.stands(c.m)
	return nil
}

func (c *lvmCall) uncache(g *lvmGroup, v *lvmVolume) error {
	if v.kind != "cache" && v.kind != "writecache" {
		return fails("lvm", 5, "LV %s/%s is not cached.", g.name, v.name)
	}
	inner, fast := v.parts[0], v.parts[1]
	g.drop(fast)
	g.volumes = slices.DeleteFunc(g.volumes, func(w *lvmVolume) bool { return w == inner })
	v.kind, v.parts, v.room, v.mode, v.pool, v.origin, v.stripes, v.copies = inner.kind, inner.parts, inner.room, "", "", "", inner.stripes, inner.copies
	v.stands(c.m)
	return nil
}

// repair finds room for the parts of a RAID volume that are on missing devices.
func (c *lvmCall) repair(g *lvmGroup, v *lvmVolume) error {
	if v.spare() == 0 || v.lacks(c.m, g) > v.spare() {
		return fails("lvm", 5, "Cannot repair %s/%s.", g.name, v.name)
	}
	used := map[*lvmDevice]bool{}
	for _, p := range v.parts {
		for d := range p.room {
			used[d] = true
		}
	}
	for i, p := range v.parts {
		for d := range p.room {
			if c.m.where(d) != nil {
				continue
			}
			leg, err := c.leg(g, v, strings.TrimPrefix(p.name, v.name)+"n", p.size, nil, used)
			if err != nil {
				return err
			}
			g.drop(p)
			leg.name = p.name
			v.parts[i] = leg
		}
	}
	v.stands(c.m)
	return nil
}

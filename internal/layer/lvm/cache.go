package lvm

import (
	"cmp"
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/plan"
)

// cacheKind is LVM's word for a cache's type.
func cacheKind(k *config.Cache) string { return cmp.Or(k.Type, "cache") }

func cacheMode(k *config.Cache) string { return cmp.Or(k.Mode, "writethrough") }

// planNewCache plans the cache of a volume that is made.
func (p *groupPlan) planNewCache(object string, v config.Volume, made plan.ID) {
	if v.Cache == nil || !p.take(object, up(int64(v.Cache.Size), p.extent)) {
		return
	}
	p.attach(object, v, lvm.Volume{Name: v.Name, Size: int64(v.Size)}, made)
}

// planCache puts the declared cache in front of a volume, or takes it away.
func (p *groupPlan) planCache(object string, v config.Volume, have lvm.Volume) {
	if _, mends := p.mended[have.Name]; mends {
		return
	}
	if !cached(have) {
		if v.Cache != nil && p.take(object, up(int64(v.Cache.Size), p.extent)) {
			p.attach(object, v, have, "")
		}
		return
	}
	fast := p.volumes[have.Pool]
	switch k := v.Cache; {
	case k == nil:
		p.detach(object, v, have, fast)
	case have.Type != cacheKind(k) || fast.Size != up(int64(k.Size), p.extent) || !p.liesOn(fast, k.Device):
		if p.take(object, max(0, up(int64(k.Size), p.extent)-fast.Size)) {
			p.attach(object, v, have, p.detach(object, v, have, fast))
		}
	case have.Type == "cache" && have.CacheMode != cacheMode(k):
		p.setCacheMode(object, v, have, cacheMode(k))
	}
}

// liesOn says whether a volume lies on a device, and on no other.
func (p *groupPlan) liesOn(v lvm.Volume, path string) bool {
	inv := p.seen.Storage.Blocks
	want, ok := inv.Find(path)
	if !ok || len(v.Devices) != 1 {
		return false
	}
	is, ok := inv.Find(v.Devices[0])
	return ok && is.Name == want.Name
}

// attach plans to put a cache in front of a volume, once that is there without
// one.
func (p *groupPlan) attach(object string, v config.Volume, have lvm.Volume, after plan.ID) {
	sector := 512
	if d, ok := p.seen.Storage.Blocks.Find(v.Path(p.g.Name)); ok && d.Sector > sector {
		sector = d.Sector
	} else if d, ok := p.seen.Storage.Blocks.Find(v.Cache.Device); !ok || d.Sector > sector {
		sector = max(sector, d.Sector)
	}
	fast := p.name(v.Name + "_cache")
	c := &cache{p: p, name: have.Name, fast: fast, sector: sector, kind: cacheKind(v.Cache), mode: cacheMode(v.Cache), size: up(int64(v.Cache.Size), p.extent), device: v.Cache.Device}
	p.volumes = with(p.volumes, lvm.Volume{Name: fast, Type: "new"})
	id := plan.StepID("cache", object)
	step := plan.Step{
		ID: id, Layer: p.Name(), Object: object, Action: plan.Change, Needs: p.needed(append(p.steps(object, v), after)...),
		Sentence: fmt.Sprintf("Put a %s of %s on %s in front of volume %s", c.words(), human(c.size), c.device, lvm.Full(p.g.Name, v.Name)),
		Do:       func(ctx context.Context, _ plan.Report) error { return c.attach(ctx) },
		Undo:     c.detach,
	}
	p.b.Add(step)
	if coming, ok := p.b.Coming(v.Path(p.g.Name)); ok {
		p.comes(v, id, coming.Size)
	}
}

// detach plans to write back what a cache holds and to remove it.
func (p *groupPlan) detach(object string, v config.Volume, have, fast lvm.Volume) plan.ID {
	c := &cache{p: p, name: have.Name, fast: p.name(v.Name + "_cache"), sector: 512, kind: have.Type, mode: have.CacheMode, size: fast.Size}
	if len(fast.Devices) > 0 {
		c.device = fast.Devices[0]
	}
	if d, ok := p.seen.Storage.Blocks.Find(v.Path(p.g.Name)); ok && d.Sector > 0 {
		c.sector = d.Sector
	}
	sentence := fmt.Sprintf("Take the %s off volume %s", c.words(), lvm.Full(p.g.Name, have.Name))
	if have.Type == "writecache" || have.CacheMode != "writethrough" {
		sentence += ", after what it holds is written"
	}
	return p.change(object, "uncache", sentence, v, nil, c.detach, c.attach)
}

func (p *groupPlan) setCacheMode(object string, v config.Volume, have lvm.Volume, mode string) {
	tool, group, name := p.tool, p.g.Name, have.Name
	set := func(mode string) func(context.Context) error {
		return func(ctx context.Context) error {
			if is, err := p.look(ctx, name); err != nil || is.CacheMode == mode {
				return err
			}
			if err := tool.SetCacheMode(ctx, group, name, mode); err != nil {
				return fmt.Errorf("set the cache of volume %s to %s: %w", lvm.Full(group, name), mode, err)
			}
			return nil
		}
	}
	p.change(object, "cache-mode", fmt.Sprintf("Set the cache of volume %s to %s", lvm.Full(group, name), mode), v,
		[]config.FieldChange{{Field: "cache.mode", Old: have.CacheMode, New: mode}}, set(mode), set(have.CacheMode))
}

// cache is a volume's cache, to be put there or taken away.
type cache struct {
	p          *groupPlan
	name, fast string // the volume, and what becomes its cache
	kind, mode string
	size       int64
	device     string
	sector     int
}

func (c *cache) words() string {
	if c.kind == "writecache" {
		return "write cache"
	}
	return c.mode + " cache"
}

// attach makes what becomes the cache, and puts it in front of the volume. What
// an attempt that was cut off left is made anew: nothing is in it.
func (c *cache) attach(ctx context.Context) error {
	tool, group, full := c.p.tool, c.p.g.Name, lvm.Full(c.p.g.Name, c.name)
	g, _, err := tool.Group(ctx, group)
	if err != nil {
		return fmt.Errorf("cache volume %s: %w", full, err)
	}
	is, there := g.Volume(c.name)
	if !there {
		return fmt.Errorf("cache volume %s: %w", full, errGone)
	}
	if cached(is) {
		return nil
	}
	if err := c.clear(ctx, g); err != nil {
		return err
	}
	n := lvm.New{Group: group, Name: c.fast, Type: "linear", Size: c.size, Devices: []string{c.device}, Tag: fastPart}
	if err := tool.CreateVolume(ctx, n); err != nil {
		return fmt.Errorf("make a cache for volume %s: %w", full, err)
	}
	if err := tool.Attach(ctx, group, c.name, c.fast, c.kind, c.mode, c.sector); err != nil {
		return fmt.Errorf("cache volume %s: %w", full, err)
	}
	return nil
}

// detach takes the cache off, or what was to become it away.
func (c *cache) detach(ctx context.Context) error {
	tool, group, full := c.p.tool, c.p.g.Name, lvm.Full(c.p.g.Name, c.name)
	g, _, err := tool.Group(ctx, group)
	if err != nil {
		return fmt.Errorf("uncache volume %s: %w", full, err)
	}
	if is, there := g.Volume(c.name); there && cached(is) {
		if err := tool.Detach(ctx, group, c.name); err != nil {
			return fmt.Errorf("uncache volume %s: %w", full, err)
		}
	}
	return c.clear(ctx, g)
}

// clear removes what was made to become a cache and became none.
func (c *cache) clear(ctx context.Context, g lvm.Group) error {
	left, there := g.Volume(c.fast)
	if !there || !lvm.Has(left.Tags, fastPart) || left.Hidden {
		return nil
	}
	if err := c.p.tool.RemoveVolume(ctx, g.Name, c.fast); err != nil {
		return fmt.Errorf("remove %s, which was to become a cache: %w", lvm.Full(g.Name, c.fast), err)
	}
	return nil
}

package lvm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/plan"
)

// planVolumes plans the declared volumes: pools before what lies in them,
// origins before their clones.
func (p *groupPlan) planVolumes() {
	done := map[string]bool{}
	byName := make(map[string]config.Volume, len(p.g.Volumes))
	for _, v := range p.g.Volumes {
		byName[v.Name] = v
	}
	var plan func(v config.Volume)
	plan = func(v config.Volume) {
		if done[v.Name] {
			return
		}
		done[v.Name] = true
		for _, below := range []string{v.Pool, v.CloneOf} {
			if w, ok := byName[below]; ok {
				plan(w)
			}
		}
		p.planVolume(v)
	}
	for _, v := range p.g.Volumes {
		plan(v)
	}
}

// planVolume plans one volume.
func (p *groupPlan) planVolume(v config.Volume) {
	object := config.VolumeObject(p.g.Name, v.Name)
	have, there := p.volumes[v.Name]
	if there && (have.Hidden || have.Type == "vdo-pool") {
		p.differ(object, v, "", "%s is a part of another volume; take another name", v.Name)
		return
	}
	if !there && v.Was != "" {
		if old, ok := p.volumes[v.Was]; ok && !old.Hidden && old.Type != "vdo-pool" {
			if have, there = p.rename(v, old); !there {
				return
			}
		}
	}
	_, before := p.seen.Before(object)
	switch {
	case there:
		if _, known := p.seen.Before(p.object); known && !before && have.Name == v.Name && v.Was == "" {
			p.b.Note(object, "it is there already: it is taken up with what it holds")
		}
		p.planPresent(v, have)
	case before && p.found.Name != "":
		p.b.Block(object, "it is not there any more, and it is not made anew with nothing in it: somebody deleted or renamed it. "+
			"If that was meant, take it out of the document; 'vgcfgrestore --list %s' shows what the group was before", p.g.Name)
	case p.frozen != "":
		p.b.Block(object, "it is not there: %s", p.frozen)
	default:
		p.create(v)
	}
}

// rename plans to give a volume its new name.
func (p *groupPlan) rename(v config.Volume, old lvm.Volume) (lvm.Volume, bool) {
	object := config.VolumeObject(p.g.Name, v.Name)
	if p.frozen != "" {
		p.b.Block(object, "%s cannot be renamed: %s", v.Was, p.frozen)
		return old, false
	}
	id := plan.StepID("rename", object)
	tool, group, from, to, uuid := p.tool, p.g.Name, old.Name, v.Name, old.UUID
	move := func(ctx context.Context, from, to string) error {
		g, _, err := tool.Group(ctx, group)
		if err != nil {
			return err
		}
		if now, moved := g.Volume(to); moved && now.UUID == uuid {
			return nil
		}
		if is, there := g.Volume(from); !there || is.UUID != uuid {
			return fmt.Errorf("rename volume %s: %w", lvm.Full(group, from), errGone)
		}
		if err := tool.Rename(ctx, group, from, to); err != nil {
			return fmt.Errorf("rename volume %s to %s: %w", lvm.Full(group, from), to, err)
		}
		return nil
	}
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object, Action: plan.Change,
		Sentence: fmt.Sprintf("Rename volume %s to %s", lvm.Full(group, from), to),
		Changes:  []config.FieldChange{{Field: "name", Old: from, New: to}},
		Do:       func(ctx context.Context, _ plan.Report) error { return move(ctx, from, to) },
		Undo:     func(ctx context.Context) error { return move(ctx, to, from) },
	})
	delete(p.volumes, from)
	for name, v := range p.volumes { // what lies in it follows it
		if v.Pool == from {
			v.Pool = to
		}
		if v.Origin == from {
			v.Origin = to
		}
		p.volumes[name] = v
	}
	p.thinUp[to] = p.thinUp[from]
	old.Name = to
	p.volumes[to] = old
	if old.Active {
		p.comes(v, id, old.Size)
	}
	return old, true
}

// planPresent plans a volume that is there.
func (p *groupPlan) planPresent(v config.Volume, have lvm.Volume) {
	object := config.VolumeObject(p.g.Name, v.Name)
	if !p.bringUp(v, have) {
		return
	}
	p.tellHealth(object, v, have)
	if have.Health == "partial" && len(p.coming) > 0 {
		return // what it is like is seen when it is whole
	}
	inner, ok := p.inner(have)
	if is := kind(inner); !ok || is != typeOf(v) {
		p.differ(object, v, "type", "it is a %s volume, and it is declared as %s; make another volume of that type and copy what it holds", is, typeOf(v))
		return
	}
	if v.Type == config.ThinDisk && have.Pool != v.Pool {
		p.differ(object, v, "pool", "it lies in thin pool %s, and it is declared in %s; make another volume there and copy what it holds", have.Pool, v.Pool)
		return
	}
	if before, ok := p.seen.Before(object); ok && v.CloneOf != "" && cloned(before) != v.CloneOf && !p.wasNamed(v.CloneOf, cloned(before)) {
		p.b.Note(object, "it keeps what it holds: a clone is made once, and another clone_of changes nothing of it; delete it first to have it made anew")
	}
	p.planLayout(object, v, inner)
	if p.frozen != "" {
		p.tellFrozen(object, v, have)
		return
	}
	p.planReadOnly(object, v, have)
	p.planCache(object, v, have)
	p.planSize(object, v, have, inner)
	p.planPool(object, v, have)
	p.planVDO(object, v, have)
}

// cloned is what a volume was declared to be a clone of.
func cloned(before any) string {
	v, _ := before.(config.Volume)
	return v.CloneOf
}

// wasNamed says whether a declared volume is renamed from another name.
func (p *groupPlan) wasNamed(name, was string) bool {
	return slices.ContainsFunc(p.g.Volumes, func(v config.Volume) bool { return v.Name == name && v.Was == was })
}

// inner is the volume behind a cache; a volume itself without one.
func (p *groupPlan) inner(v lvm.Volume) (lvm.Volume, bool) {
	if !cached(v) {
		return v, true
	}
	inner, ok := p.volumes[v.Origin]
	return inner, ok
}

func cached(v lvm.Volume) bool { return v.Type == "cache" || v.Type == "writecache" }

// kind is the document's word for what LVM calls a volume's type.
func kind(v lvm.Volume) config.VolumeType {
	switch {
	case v.Type == "thin-pool":
		return config.ThinPool
	case v.Type == "raid10" || strings.HasPrefix(v.Type, "raid10_"):
		return config.RAID10
	case v.Type == "raid1":
		return config.RAID1
	case strings.HasPrefix(v.Type, "raid5"):
		return config.RAID5
	case strings.HasPrefix(v.Type, "raid6"):
		return config.RAID6
	}
	return config.VolumeType(v.Type)
}

func typeOf(v config.Volume) config.VolumeType {
	if v.Type == "" {
		return config.Linear
	}
	return v.Type
}

// spare is how many devices a volume can lack and have all its data.
func (p *groupPlan) spare(v lvm.Volume) int {
	inner, ok := p.inner(v)
	if !ok || cached(v) {
		return 0 // the cache itself may be what is missing
	}
	switch kind(inner) {
	case config.RAID1, config.RAID10:
		return max(0, inner.Copies-1)
	case config.RAID5:
		return 1
	case config.RAID6:
		return 2
	}
	return 0
}

// unchanged says whether a setting was declared with the same words before;
// field "" is all of them.
func (p *groupPlan) unchanged(object string, declared any, field string) bool {
	before, ok := p.seen.Before(object)
	if !ok {
		return false
	}
	for _, c := range config.Fields(before, declared) {
		if strings.HasPrefix(c.Field, field) {
			return false
		}
	}
	return true
}

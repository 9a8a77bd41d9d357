package lvm

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/plan"
)

// up is n as a whole number of units.
func up(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// unit is what a volume's size is a whole number of: LVM rounds up to it, so
// that a size that is not is no difference for ever.
func (p *groupPlan) unit(have lvm.Volume) int64 {
	switch kind(have) {
	case config.Striped, config.RAID5, config.RAID6, config.RAID10:
		return p.extent * int64(max(1, have.Stripes))
	}
	return p.extent
}

// shape is how a new volume is laid out, with the defaults written out.
func shape(v config.Volume) (stripes, mirrors int) {
	stripes, mirrors = v.Stripes, v.Mirrors
	switch v.Type {
	case config.RAID1:
		stripes, mirrors = 1, max(1, mirrors)
	case config.RAID5:
		stripes = max(2, stripes)
	case config.RAID6:
		stripes = max(3, stripes)
	case config.RAID10:
		stripes, mirrors = max(2, stripes), max(1, mirrors)
	}
	return stripes, mirrors
}

// takes is the room that size bytes of a type take of the group.
func (p *groupPlan) takes(v config.Volume, size int64) int64 {
	stripes, mirrors := shape(v)
	each := up(size, p.extent*int64(max(1, stripes))) / int64(max(1, stripes))
	switch v.Type {
	case config.ThinDisk:
		return 0
	case config.RAID1, config.RAID10:
		return each * int64(max(1, stripes)*(mirrors+1))
	case config.RAID5:
		return each * int64(stripes+1)
	case config.RAID6:
		return each * int64(stripes+2)
	}
	return up(size, p.extent)
}

// take counts off what a volume will take of the group, and refuses it if that
// is more than there is.
func (p *groupPlan) take(object string, n int64) bool {
	if p.free < 0 {
		return true
	}
	if n > p.free {
		p.b.Problem(object, "it takes %s of volume group %s, which has %s left; add a device, or make it smaller", human(n), p.g.Name, human(max(0, p.free)))
		return false
	}
	p.free -= n
	return true
}

// planSize grows a volume while it is used, or cuts it off if that is named.
func (p *groupPlan) planSize(object string, v config.Volume, have, inner lvm.Volume) {
	if v.Size == 0 {
		return // a clone has its origin's
	}
	want := up(int64(v.Size), p.unit(inner))
	switch {
	case have.Size < want:
		if p.take(object, p.takes(v, want)-p.takes(v, have.Size)) {
			p.extend(object, v, have.Name, have.Size, want, "size")
		}
	case have.Size > want:
		p.shrink(object, v, have, want)
	}
}

// extend plans to grow a volume, or the pool that it has for itself.
func (p *groupPlan) extend(object string, v config.Volume, name string, from, to int64, field string) {
	id := plan.ID("extend " + object + " " + field)
	tool, group, devices := p.tool, p.g.Name, v.Devices
	if v.Type == config.ThinDisk || v.Type == config.VDO && field == "size" {
		devices = nil
	}
	what := "volume " + lvm.Full(group, v.Name)
	if field == "physical" {
		what = "the physical room of " + what
	}
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object, Action: plan.Change, Needs: p.needed(p.steps(object, v)...),
		Sentence: fmt.Sprintf("Grow %s from %s to %s", what, human(from), human(to)),
		Changes:  []config.FieldChange{{Field: field, Old: config.Size(from).String(), New: config.Size(to).String()}},
		Do: func(ctx context.Context, _ plan.Report) error {
			is, err := p.look(ctx, name)
			if err != nil {
				return fmt.Errorf("grow volume %s: %w", lvm.Full(group, name), err)
			}
			if is.Size >= to {
				return nil
			}
			if err := tool.Extend(ctx, group, name, to, devices); err != nil {
				return fmt.Errorf("grow volume %s to %s: %w", lvm.Full(group, name), human(to), err)
			}
			return nil
		},
		// It stays larger: cutting it off could take what was written
		// meanwhile, and nothing is hurt by room.
		Undo: keeps,
	})
	if field == "size" {
		p.comes(v, id, to)
	}
}

// steps are those before which a volume is not what a change begins with.
func (p *groupPlan) steps(object string, v config.Volume) []plan.ID {
	needs := []plan.ID{plan.StepID("activate", object), plan.StepID("rename", object), plan.StepID("resume", object)}
	if v.Pool != "" {
		needs = append(needs, plan.ID("extend "+config.VolumeObject(p.g.Name, v.Pool)+" size"))
	}
	return needs
}

// look reads a volume now.
func (p *groupPlan) look(ctx context.Context, name string) (lvm.Volume, error) {
	g, _, err := p.tool.Group(ctx, p.g.Name)
	if err != nil {
		return lvm.Volume{}, err
	}
	v, ok := g.Volume(name)
	if !ok {
		return v, errGone
	}
	return v, nil
}

// shrink plans to cut a volume off, if somebody asks for it, nobody uses it
// and it is named; a volume that is larger for another reason is left.
func (p *groupPlan) shrink(object string, v config.Volume, have lvm.Volume, want int64) {
	before, _ := p.seen.Before(object)
	if was, ok := before.(config.Volume); !ok || was.Size <= v.Size {
		p.b.Note(object, "it has %s, more than the %s that are declared; declare what it has, to keep it", human(have.Size), human(want))
		return
	}
	if v.Type == config.ThinPool {
		p.b.Problem(object, "a thin pool does not shrink from %s to %s: LVM cannot do that; make another one and move its volumes", human(have.Size), human(want))
		return
	}
	if user := p.user(v.Path(p.g.Name)); user != "" {
		p.b.Problem(object, "it does not shrink from %s to %s while %s: what lies past that would be lost under it; give that up first", human(have.Size), human(want), user)
		return
	}
	id := plan.StepID("shrink", object)
	tool, group, name := p.tool, p.g.Name, have.Name
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object, Action: plan.Change, Needs: p.needed(p.steps(object, v)...),
		Sentence: fmt.Sprintf("Cut volume %s off at %s", lvm.Full(group, name), human(want)),
		Changes:  []config.FieldChange{{Field: "size", Old: config.Size(have.Size).String(), New: config.Size(want).String()}},
		Destroys: fmt.Sprintf("the last %s of %s%s are lost, and with them most likely what the rest is part of", human(have.Size-want), human(have.Size), p.signature(v)),
		Do: func(ctx context.Context, _ plan.Report) error {
			is, err := p.look(ctx, name)
			if err != nil {
				return fmt.Errorf("shrink volume %s: %w", lvm.Full(group, name), err)
			}
			if is.Size <= want {
				return nil
			}
			if is.Open {
				return fmt.Errorf("shrink volume %s: somebody uses it", lvm.Full(group, name))
			}
			if err := tool.Reduce(ctx, group, name, want); err != nil {
				return fmt.Errorf("shrink volume %s to %s: %w", lvm.Full(group, name), human(want), err)
			}
			return nil
		},
	})
	p.comes(v, id, want)
}

// signature says what is on a volume, as far as udev found.
func (p *groupPlan) signature(v config.Volume) string {
	if d, ok := p.seen.Storage.Blocks.Find(v.Path(p.g.Name)); ok && d.Signature != "" {
		return " with " + d.Signature
	}
	return ""
}

// user says what uses a path, of what is declared and of what is there; "" if
// nothing does.
func (p *groupPlan) user(path string) string {
	for _, f := range p.declared.Storage.FileSystems {
		if f.Device == path {
			return "file system " + f.Name + " is on it"
		}
	}
	for _, d := range p.declared.Devices {
		if d.Path == path {
			return "device " + d.Name + " is served from it"
		}
	}
	for _, used := range p.declared.Storage.Uses() {
		if used == path {
			return "the document uses it for other storage"
		}
	}
	return occupied(p.seen.Storage.Blocks, path)
}

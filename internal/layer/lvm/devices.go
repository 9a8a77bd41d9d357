package lvm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

// grow plans to use all of a device that became larger, or is about to.
func (p *groupPlan) grow(d pair, coming plan.Coming, comes bool) {
	whole := max(d.pv.Whole, coming.Size)
	more := (whole - d.pv.Start - d.pv.Size) / p.extent * p.extent
	if d.pv.Whole > 0 && d.pv.Whole < d.pv.Start+d.pv.Size {
		p.b.Degraded(p.object, "%s has %s, less than the %s that the volume group has on it: what lies past its end cannot be read", d.path, human(d.pv.Whole), human(d.pv.Start+d.pv.Size))
		return
	}
	// The last MiB may be kept for a second copy of the metadata, and what is
	// at the end of a RAID device.
	if more < p.extent || whole-d.pv.Start-d.pv.Size < 2<<20 {
		return
	}
	id := plan.ID("grow " + p.object + " " + d.name)
	step := plan.Step{
		ID: id, Layer: p.Name(), Object: p.object, Action: plan.Change,
		Sentence: fmt.Sprintf("Let volume group %s use %s more of %s", p.g.Name, human(more), d.path),
		Undo:     keeps, // more room takes nothing from anybody
	}
	if comes {
		step.Needs = []plan.ID{coming.Step}
	}
	tool, path := p.tool, d.pv.Path
	step.Do = func(ctx context.Context, _ plan.Report) error {
		if err := tool.Grow(ctx, path); err != nil {
			return fmt.Errorf("let volume group use all of %s: %w", d.path, err)
		}
		return nil
	}
	p.b.Add(step)
	p.needs = append(p.needs, id)
	p.free += more
}

// add plans to add devices to the group.
func (p *groupPlan) add(devices []string) {
	id := plan.StepID("extend", p.object)
	step := plan.Step{
		ID: id, Layer: p.Name(), Object: p.object, Action: plan.Change,
		Sentence: fmt.Sprintf("Add %s to volume group %s", list(devices), p.g.Name),
	}
	for _, c := range p.claims(devices) {
		if why := c.Missing + c.Refused; why != "" {
			p.differs("devices", "%s: it cannot be added to volume group %s", why, p.g.Name)
			return
		}
		step.Needs = append(step.Needs, disk.Wipe(p.Machine, c, p.b)...)
		p.free += max(0, c.Size-18<<20) / p.extent * p.extent // LVM's label and metadata are before the first extent
	}
	tool, group := p.tool, p.g.Name
	made := false
	step.Do = func(ctx context.Context, _ plan.Report) error {
		left, err := p.outside(ctx, devices)
		if err != nil || len(left) == 0 {
			return err
		}
		made = true
		if err := tool.ExtendGroup(ctx, group, left); err != nil {
			return fmt.Errorf("add %s to volume group %s: %w", list(left), group, err)
		}
		return block.Settle(ctx, p.Machine)
	}
	step.Undo = func(ctx context.Context) error {
		if !made {
			return nil
		}
		left, err := p.outside(ctx, devices)
		if err != nil {
			return err
		}
		for _, d := range devices {
			if slices.Contains(left, d) {
				continue
			}
			if err := tool.ReduceGroup(ctx, group, p.Machine.Real(d)); err != nil {
				return fmt.Errorf("take %s out of volume group %s again: %w", d, group, err)
			}
		}
		return p.unlabel(ctx, devices)
	}
	p.b.Add(step)
	p.needs = append(p.needs, id)
}

// outside are those of some devices that are not in the group now.
func (p *groupPlan) outside(ctx context.Context, devices []string) ([]string, error) {
	g, ok, err := p.tool.Group(ctx, p.g.Name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("look for volume group %s: %w", p.g.Name, errGone)
	}
	var left []string
	for _, d := range devices {
		real := p.Machine.Real(d)
		if !slices.ContainsFunc(g.Devices, func(pv lvm.Device) bool { return !pv.Missing && p.Machine.Real(pv.Path) == real }) {
			left = append(left, d)
		}
	}
	return left, nil
}

// remove plans to take a device out of the group: what lies on it is moved to
// the others first. room is what those have; it returns what is left of it.
func (p *groupPlan) remove(d *lvm.Device, declared []pair, added []string, room int64) int64 {
	used := d.Size - d.Free
	name := d.Path
	kernel := ""
	if b, ok := p.seen.Storage.Blocks.Find(d.Path); ok {
		kernel = b.Name
		if len(b.Links) > 0 {
			name = b.Links[0]
		}
	}
	if used > room {
		p.differs("devices", "%s cannot be taken out of volume group %s: %s lie on it, and the other devices have room for %s; add a device, or delete volumes first",
			name, p.g.Name, human(used), human(max(0, room)))
		return room
	}
	id := plan.ID("reduce " + p.object + " " + kernel)
	var to []string // not those that leave, too
	for _, other := range declared {
		if other.pv != nil {
			to = append(to, other.pv.Path)
		}
	}
	to = append(to, added...)
	step := plan.Step{
		ID: id, Layer: p.Name(), Object: p.object, Action: plan.Change, Needs: p.needed(),
		Sentence: fmt.Sprintf("Take %s out of volume group %s", name, p.g.Name),
	}
	if used > 0 {
		step.Sentence = fmt.Sprintf("Move %s from %s to the other devices of volume group %s, and take it out", human(used), name, p.g.Name)
		step.Disrupts = "volumes are slower while it goes on"
	}
	tool, group, path := p.tool, p.g.Name, d.Path
	step.Do = func(ctx context.Context, report plan.Report) error {
		if err := p.empty(ctx, path, to, report); err != nil {
			return fmt.Errorf("take %s out of volume group %s: %w", name, group, err)
		}
		return nil
	}
	step.Undo = func(ctx context.Context) error {
		if err := tool.StopMoves(ctx, group); err != nil {
			return err
		}
		left, err := p.outside(ctx, []string{path})
		if err != nil || len(left) == 0 {
			return err
		}
		if err := tool.ExtendGroup(ctx, group, left); err != nil {
			return fmt.Errorf("put %s back into volume group %s: %w", name, group, err)
		}
		return nil
	}
	p.b.Add(step)
	p.needs = append(p.needs, id)
	p.b.Frees(kernel, id)
	return room - used
}

// empty moves what is on a device away and takes the device out, each only if
// that is still to do.
func (p *groupPlan) empty(ctx context.Context, path string, to []string, report plan.Report) error {
	g, ok, err := p.tool.Group(ctx, p.g.Name)
	if err != nil {
		return err
	}
	if !ok {
		return errGone
	}
	real := p.Machine.Real(path)
	at := slices.IndexFunc(g.Devices, func(d lvm.Device) bool { return !d.Missing && p.Machine.Real(d.Path) == real })
	if at >= 0 {
		if d := g.Devices[at]; d.Size > d.Free {
			if err := p.tool.Move(ctx, g.Name, d.Path, to, report); err != nil {
				return err
			}
		}
		if err := p.tool.ReduceGroup(ctx, g.Name, path); err != nil {
			return err
		}
	}
	return p.unlabel(ctx, []string{path})
}

// endMoves plans to end moves that were cut off and that nobody wants any more:
// LVM lets nothing of the volumes be changed meanwhile.
func (p *groupPlan) endMoves(leaving []*lvm.Device) {
	for _, v := range p.found.Volumes {
		if v.Moves == "" || slices.ContainsFunc(leaving, func(d *lvm.Device) bool { return d.Path == v.Moves }) {
			continue
		}
		id := plan.StepID("end-move", p.object)
		tool, group := p.tool, p.g.Name
		p.b.Add(plan.Step{
			ID: id, Layer: p.Name(), Object: p.object, Action: plan.Change,
			Sentence: fmt.Sprintf("End the move of what lies on %s of volume group %s, which was cut off", v.Moves, group),
			Do:       func(ctx context.Context, _ plan.Report) error { return tool.StopMoves(ctx, group) },
			Undo:     keeps, // it is neither here nor there, and both are the group's
		})
		p.needs = append(p.needs, id)
		return // one move at a time is all that a group has
	}
}

// repair plans to go on without devices that are gone and that nobody declares
// any more. That is refused where a volume's data went with them.
func (p *groupPlan) repair(gone []*lvm.Device, add []string) bool {
	id := plan.StepID("repair", p.object)
	var raids, uncached []string
	var needs []plan.ID
	for _, v := range visible(p.found) {
		object := config.VolumeObject(p.g.Name, v.Name)
		declared := slices.ContainsFunc(p.g.Volumes, func(w config.Volume) bool { return w.Name == v.Name || w.Was == v.Name })
		switch {
		case v.Health != "partial":
		case !declared && slices.Contains(p.seen.Destroy, object):
			needs = append(needs, plan.StepID(plan.Delete, object))
		case v.Type == "thin": // its pool is told of
		case p.spare(v) > 0:
			raids = append(raids, v.Name)
		case p.onlyCacheGone(v) && !p.wantsCache(v.Name):
			uncached = append(uncached, v.Name)
			p.mended[v.Name] = id
		case p.onlyCacheGone(v):
			p.differs("devices", "%s is gone, and it was the cache of volume %s only, which has all its data: take that cache out of the document, too", p.missing, lvm.Full(p.g.Name, v.Name))
			return true
		default:
			p.differs("devices", "%s is gone, and with it data of volume %s; put it back, or give the volume up first: take it out of the document, and --destroy %s",
				p.missing, lvm.Full(p.g.Name, v.Name), object)
			return true
		}
	}
	if len(add) > 0 && len(raids) > 0 {
		p.differs("devices", "volume group %s lacks %s: put that back to add %s, or take one after the other", p.g.Name, p.missing, list(add))
		return true
	}
	tool, group := p.tool, p.g.Name
	sentence := fmt.Sprintf("Forget %s, which volume group %s lacks", p.missing, group)
	if len(raids) > 0 {
		sentence += fmt.Sprintf("; copy what was on it of %s to other devices", strings.Join(raids, ", "))
	}
	if len(uncached) > 0 {
		sentence += fmt.Sprintf("; take the cache that was on it off %s", strings.Join(uncached, ", "))
	}
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: p.object, Action: plan.Change, Sentence: sentence, Needs: needs,
		Do: func(ctx context.Context, _ plan.Report) error {
			g, ok, err := tool.Group(ctx, group)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("repair volume group %s: %w", group, errGone)
			}
			for _, name := range raids {
				if v, ok := g.Volume(name); !ok || v.Health != "partial" {
					continue
				}
				if err := tool.Activate(ctx, group, name); err != nil {
					return fmt.Errorf("repair volume %s: %w", lvm.Full(group, name), err)
				}
				if err := tool.Repair(ctx, group, name); err != nil {
					return fmt.Errorf("repair volume %s: %w", lvm.Full(group, name), err)
				}
			}
			for _, name := range uncached {
				if v, ok := g.Volume(name); !ok || !cached(v) {
					continue
				}
				if err := tool.Detach(ctx, group, name); err != nil {
					return fmt.Errorf("take the cache off volume %s: %w", lvm.Full(group, name), err)
				}
			}
			if g.Missing == 0 {
				return nil
			}
			if err := tool.ForgetMissing(ctx, group); err != nil {
				return fmt.Errorf("take missing devices out of volume group %s: %w", group, err)
			}
			return nil
		},
		Undo: keeps, // nothing was taken from anybody
	})
	p.needs = append(p.needs, id)
	p.frozen = ""
	for _, d := range gone {
		p.free -= d.Free
	}
	return true
}

// onlyCacheGone says whether all that a volume lacks is a cache that held
// nothing else than copies.
func (p *groupPlan) onlyCacheGone(v lvm.Volume) bool {
	inner, ok := p.inner(v)
	return ok && v.Type == "cache" && v.CacheMode == "writethrough" && inner.Health != "partial"
}

func (p *groupPlan) wantsCache(name string) bool {
	return slices.ContainsFunc(p.g.Volumes, func(v config.Volume) bool { return v.Name == name && v.Cache != nil })
}

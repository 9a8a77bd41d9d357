package lvm

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/plan"
)

// batch activates the volumes of a group. The first step that needs one
// activates all of them with one run of one program: a boot with hundreds of
// volumes takes seconds, not minutes. What did not come up is tried again by
// the step that it belongs to, which tells why.
type batch struct {
	plan  *groupPlan
	names []string
	first string // the volume whose step activated all of them
}

// bring activates a volume.
func (a *batch) bring(ctx context.Context, name string) error {
	p := a.plan
	if a.first == "" {
		a.first = name
		if err := p.tool.Activate(ctx, p.g.Name, a.names...); err == nil || p.active(name) {
			return nil
		}
	}
	if p.active(name) {
		return nil
	}
	if err := p.tool.Activate(ctx, p.g.Name, name); err != nil {
		return fmt.Errorf("activate volume %s: %w", lvm.Full(p.g.Name, name), err)
	}
	return nil
}

// down deactivates a volume again, or all of them if its step was the one that
// activated them.
func (a *batch) down(ctx context.Context, name string) error {
	p, names := a.plan, []string{name}
	if a.first == name {
		a.first, names = "", a.names
	}
	var failed error
	for _, n := range names {
		if !p.active(n) {
			continue
		}
		if err := p.tool.Deactivate(ctx, p.g.Name, n); err != nil && failed == nil {
			failed = fmt.Errorf("deactivate volume %s again: %w", lvm.Full(p.g.Name, n), err)
		}
	}
	return failed
}

// active says whether a volume's block device is there; pools have none.
func (p *groupPlan) active(name string) bool { return p.Machine.Real(devicePath(p.g.Name, name)) != "" }

func devicePath(group, name string) string { return config.Volume{Name: name}.Path(group) }

// activate plans to activate a volume that is there, or is about to be.
func (p *groupPlan) activate(v config.Volume, have lvm.Volume, needs []plan.ID) plan.ID {
	object := config.VolumeObject(p.g.Name, v.Name)
	id := plan.StepID("activate", object)
	up, group, name := p.up, p.g.Name, have.Name
	undo := func(ctx context.Context) error { return up.down(ctx, name) }
	if _, before := p.seen.Before(object); before {
		undo = keeps // the document in force wants it active, too
	}
	up.names = append(up.names, name)
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object, Action: plan.Create, Needs: append(slices.Clone(needs), plan.StepID("rename", object)),
		Sentence: fmt.Sprintf("Activate volume %s", lvm.Full(group, name)),
		Do:       func(ctx context.Context, _ plan.Report) error { return up.bring(ctx, name) },
		Undo:     undo,
	})
	p.comes(v, id, have.Size)
	return id
}

// comes says that a volume's block device is there after a step.
func (p *groupPlan) comes(v config.Volume, id plan.ID, size int64) {
	if v.Type != config.ThinPool {
		p.b.Comes(v.Path(p.g.Name), plan.Coming{Step: id, Size: size})
	}
}

// resume plans to let the I/O of a volume go on that was held for a snapshot,
// by somebody who is not there any more.
func (p *groupPlan) resume(object, name string) {
	tool, group := p.tool, p.g.Name
	p.b.Add(plan.Step{
		ID: plan.StepID("resume", object), Layer: p.Name(), Object: object, Action: plan.Change,
		Sentence: fmt.Sprintf("Resume volume %s, on which all I/O waits", lvm.Full(group, name)),
		Do: func(ctx context.Context, _ plan.Report) error {
			if err := tool.Resume(ctx, group, name); err != nil {
				return fmt.Errorf("resume volume %s: %w", lvm.Full(group, name), err)
			}
			return nil
		},
		Undo: keeps, // nobody wants it to hang again
	})
}

// keeps is the Undo of what may stay: it does no harm, and taking it back
// would.
func keeps(context.Context) error { return nil }

// bringUp plans what must be up before a volume can be used, and says whether
// it can be at all.
func (p *groupPlan) bringUp(v config.Volume, have lvm.Volume) bool {
	object := config.VolumeObject(p.g.Name, v.Name)
	raid := p.spare(have) > 0
	partial := have.Health == "partial" || have.Type == "thin" && p.volumes[have.Pool].Health == "partial"
	needs := p.coming
	mended, mends := p.mended[have.Name]
	switch {
	case mends:
		needs = []plan.ID{mended}
	case partial && len(p.coming) > 0:
		// What it lacks comes with a step of this plan.
	case partial && p.onlyCacheGone(have):
		p.b.Block(object, "its cache lies on %s, which is not there, and holds nothing that the volume does not have; it is served again when that is back, "+
			"or without its cache: take the cache and that device out of the document", p.lacking())
		return false
	case partial && !raid:
		p.b.Block(object, "it lies on a device of volume group %s that is not there: %s; it is served again when that is back", p.g.Name, p.lacking())
		return false
	case partial:
		p.b.Degraded(object, "a device of it is not there: %s; its data is complete, and less protected than declared", p.lacking())
	}
	for _, part := range p.parts(have) {
		if part.Suspended {
			p.resume(config.VolumeObject(p.g.Name, part.Name), part.Name)
		}
	}
	if have.Suspended {
		p.resume(object, have.Name)
	}
	if !p.isUp(have) {
		p.activate(v, have, needs)
	}
	return true
}

// isUp says whether a volume is active. A thin pool is with any of its
// volumes.
func (p *groupPlan) isUp(v lvm.Volume) bool { return v.Active || p.thinUp[v.Name] }

// parts are the hidden parts of a volume that can be suspended on their own.
func (p *groupPlan) parts(v lvm.Volume) []lvm.Volume {
	var found []lvm.Volume
	for _, name := range []string{v.Pool, v.Origin} {
		if part, ok := p.volumes[name]; ok && part.Hidden && name != "" {
			found = append(found, part)
		}
	}
	return found
}

var errGone = errors.New("it is not there any more; look at the plan again")

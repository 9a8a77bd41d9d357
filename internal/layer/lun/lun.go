// Package lun is the layer of LUN maps: which number leads a host group, or
// everybody else, to which device.
package lun

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/device"
	"github.com/esos-project/esos/internal/plan"
)

// Engine is the part of an engine that this layer drives.
type Engine interface {
	layer.Source
	PutLUN(ctx context.Context, target, group string, l config.LUN) error
	DeleteLUN(ctx context.Context, target, group string, lun int) error
}

// Layer plans LUNs.
type Layer struct{ Engine Engine }

// Name is lun.
func (Layer) Name() string { return "lun" }

// Observe reads the engine.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	return seen.Read(ctx, l.Engine)
}

// Plan maps, changes and unmaps the LUNs of groups that stay. Those of a
// group or target that is deleted go with it. LUNs to a device that cannot be
// had now are left as they are.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	p := planner{Layer: l, seen: seen, b: b, devices: make(map[string]*config.Device, len(declared.Devices))}
	for i := range declared.Devices {
		p.devices[declared.Devices[i].Name] = &declared.Devices[i]
	}
	had := make(map[string]config.Target, len(seen.Engine.Targets))
	for _, t := range seen.Engine.Targets {
		had[t.Name] = t
	}
	for _, want := range declared.Targets {
		have := had[want.Name]
		p.plan(want.Name, "", want.LUNs, have.LUNs)
		groups := make(map[string][]config.LUN, len(have.Groups))
		for _, g := range have.Groups {
			groups[g.Name] = g.LUNs
		}
		for _, g := range want.Groups {
			p.plan(want.Name, g.Name, g.LUNs, groups[g.Name])
		}
	}
}

type planner struct {
	Layer
	seen    *layer.Observed
	b       *plan.Builder
	devices map[string]*config.Device // declared
}

// leaves says whether the device that a LUN leads to goes away, for good or
// to be made anew: then the LUN must be unmapped before.
func (p *planner) leaves(name string) bool {
	if p.b.Blocked("device/" + name) {
		return false
	}
	have := p.seen.Device(name)
	return have != nil && device.FateOf(have, p.devices[name]) != device.Keep
}

func (p *planner) plan(target, group string, want, have []config.LUN) {
	had := make(map[int]config.LUN, len(have))
	for _, l := range have {
		had[l.LUN] = l
	}
	declared := make(map[int]bool, len(want))
	for _, w := range want {
		declared[w.LUN] = true
		h, mapped := had[w.LUN]
		switch {
		case mapped && p.leaves(h.Device):
			p.unmap(target, group, h)
			p.mapTo(target, group, w)
		case mapped:
			p.change(target, group, h, w)
		default:
			p.mapTo(target, group, w)
		}
	}
	for _, h := range have {
		if !declared[h.LUN] {
			p.unmap(target, group, h)
		}
	}
}

func where(target, group string) string {
	if group == "" {
		return "the default map of target " + target
	}
	return "host group " + group + " of target " + target
}

func leadsTo(l config.LUN) string {
	if l.ReadOnly {
		return l.Device + " (read-only)"
	}
	return l.Device
}

func (p *planner) mapTo(target, group string, want config.LUN) {
	if p.b.Blocked("device/" + want.Device) {
		return
	}
	needs := []plan.ID{plan.StepID(plan.Create, "device/"+want.Device), plan.StepID(plan.Create, "target/"+target)}
	if group != "" {
		needs = append(needs, plan.StepID(plan.Create, "group/"+target+"/"+group))
	}
	object := config.LUNObject(target, group, want.LUN)
	p.b.Add(plan.Step{
		Layer: p.Name(), Object: object, Action: plan.Create,
		Needs:    append(needs, plan.StepID(plan.Delete, object)),
		Sentence: fmt.Sprintf("Map LUN %d of %s to %s", want.LUN, where(target, group), leadsTo(want)),
		Do:       func(ctx context.Context, _ plan.Report) error { return p.Engine.PutLUN(ctx, target, group, want) },
		Undo:     func(ctx context.Context) error { return p.Engine.DeleteLUN(ctx, target, group, want.LUN) },
	})
}

func (p *planner) change(target, group string, have, want config.LUN) {
	changes := config.Fields(have, want)
	if len(changes) == 0 || p.b.Blocked("device/"+want.Device) {
		return
	}
	p.b.Add(plan.Step{
		Layer: p.Name(), Object: config.LUNObject(target, group, want.LUN), Action: plan.Change, Changes: changes,
		Needs:    []plan.ID{plan.StepID(plan.Create, "device/"+want.Device)},
		Sentence: fmt.Sprintf("Change LUN %d of %s to %s", want.LUN, where(target, group), leadsTo(want)),
		Disrupts: layer.Sessions(p.seen.Logins(target, group), "see"),
		Do:       func(ctx context.Context, _ plan.Report) error { return p.Engine.PutLUN(ctx, target, group, want) },
		Undo:     func(ctx context.Context) error { return p.Engine.PutLUN(ctx, target, group, have) },
	})
}

func (p *planner) unmap(target, group string, have config.LUN) {
	object := config.LUNObject(target, group, have.LUN)
	p.b.Need(plan.StepID(plan.Delete, "device/"+have.Device), plan.StepID(plan.Delete, object))
	p.b.Add(plan.Step{
		Layer: p.Name(), Object: object, Action: plan.Delete,
		Sentence: fmt.Sprintf("Unmap LUN %d of %s from %s", have.LUN, where(target, group), have.Device),
		Disrupts: layer.Sessions(p.seen.Logins(target, group), "see"),
		Do: func(ctx context.Context, _ plan.Report) error {
			return p.Engine.DeleteLUN(ctx, target, group, have.LUN)
		},
		Undo: func(ctx context.Context) error { return p.Engine.PutLUN(ctx, target, group, have) },
	})
}

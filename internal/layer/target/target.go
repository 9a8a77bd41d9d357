// Package target is the layer of targets: their names, settings and whether
// initiators may log in. A new target is enabled after all else is in place,
// so that no initiator sees half of its LUNs.
package target

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Engine is the part of an engine that this layer drives.
type Engine interface {
	layer.Source
	PutTarget(ctx context.Context, t config.Target) error
	DeleteTarget(ctx context.Context, name string) error
	PutGroup(ctx context.Context, target string, g config.Group) error
	PutLUN(ctx context.Context, target, group string, l config.LUN) error
}

// Layer plans targets.
type Layer struct{ Engine Engine }

// Name is target.
func (Layer) Name() string { return "target" }

// Observe reads the engine.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	return seen.Read(ctx, l.Engine)
}

// own is a target without what other layers plan.
func own(t config.Target) config.Target {
	t = t.WithDefaults()
	t.Groups, t.LUNs = nil, nil
	return t
}

// Plan makes, changes and deletes targets.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	had := make(map[string]config.Target, len(seen.Engine.Targets))
	for _, t := range seen.Engine.Targets {
		had[t.Name] = t
	}
	names := make(map[string]bool, len(declared.Targets))
	for _, t := range declared.Targets {
		names[t.Name] = true
		want := own(t)
		have, ok := had[t.Name]
		switch {
		case !ok:
			l.create(want, b)
		case own(have).Driver != want.Driver:
			// Its initiators would be others, in groups that mean nothing to
			// the new transport: nobody means that by one word.
			b.Problem("target/"+t.Name, "is served by driver %s, and a target's driver does not change to %s; remove the target and apply, then declare it anew",
				own(have).Driver, want.Driver)
		default:
			l.change(own(have), want, seen, b)
		}
	}
	for _, have := range seen.Engine.Targets {
		if !names[have.Name] {
			l.remove(have, seen, b)
		}
	}
}

func (l Layer) create(want config.Target, b *plan.Builder) {
	object := "target/" + want.Name
	closed := want
	closed.Disabled = true
	b.Add(plan.Step{
		Layer: l.Name(), Object: object, Action: plan.Create,
		Sentence: "Create target " + want.Name,
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutTarget(ctx, closed) },
		Undo:     func(ctx context.Context) error { return l.Engine.DeleteTarget(ctx, want.Name) },
	})
	if want.Disabled {
		return
	}
	b.Add(plan.Step{
		ID: plan.ID("enable " + object), Layer: l.Name(), Object: object, Action: plan.Change, Phase: plan.Enable,
		Needs:    []plan.ID{plan.StepID(plan.Create, object)},
		Sentence: "Enable target " + want.Name,
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutTarget(ctx, want) },
		Undo:     func(ctx context.Context) error { return l.Engine.PutTarget(ctx, closed) },
	})
}

func (l Layer) change(have, want config.Target, seen *layer.Observed, b *plan.Builder) {
	changes := config.Fields(have, want)
	if len(changes) == 0 {
		return
	}
	step := plan.Step{
		Layer: l.Name(), Object: "target/" + want.Name, Action: plan.Change, Changes: changes,
		Sentence: "Change target " + want.Name,
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutTarget(ctx, want) },
		Undo:     func(ctx context.Context) error { return l.Engine.PutTarget(ctx, have) },
	}
	switch {
	case want.Disabled && !have.Disabled:
		step.Sentence = "Disable target " + want.Name
		step.Phase = plan.Teardown
		step.Disrupts = layer.Sessions(sessions(seen, want.Name), "use")
	case have.Disabled && !want.Disabled:
		step.Sentence = "Enable target " + want.Name
		step.Phase = plan.Enable
	}
	b.Add(step)
}

func sessions(seen *layer.Observed, target string) int {
	n := 0
	for _, s := range seen.Sessions {
		if s.Target == target {
			n++
		}
	}
	return n
}

// remove deletes a target with its groups and LUNs in one step.
func (l Layer) remove(have config.Target, seen *layer.Observed, b *plan.Builder) {
	luns := len(have.LUNs)
	for _, g := range have.Groups {
		luns += len(g.LUNs)
	}
	b.Add(plan.Step{
		Layer: l.Name(), Object: "target/" + have.Name, Action: plan.Delete,
		Sentence: fmt.Sprintf("Delete target %s (host groups: %d, LUNs: %d)", have.Name, len(have.Groups), luns),
		Destroys: seen.Loss("target/"+have.Name, layer.Sessions(sessions(seen, have.Name), "use")),
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.DeleteTarget(ctx, have.Name) },
		Undo:     func(ctx context.Context) error { return l.restore(ctx, have) },
	})
}

// restore brings a target back with all that was in it, and enables it last.
func (l Layer) restore(ctx context.Context, t config.Target) error {
	closed := own(t)
	closed.Disabled = true
	if err := l.Engine.PutTarget(ctx, closed); err != nil {
		return err
	}
	for _, lun := range t.LUNs {
		if err := l.Engine.PutLUN(ctx, t.Name, "", lun); err != nil {
			return err
		}
	}
	for _, g := range t.Groups {
		if err := l.Engine.PutGroup(ctx, t.Name, g); err != nil {
			return err
		}
		for _, lun := range g.LUNs {
			if err := l.Engine.PutLUN(ctx, t.Name, g.Name, lun); err != nil {
				return err
			}
		}
	}
	return l.Engine.PutTarget(ctx, own(t))
}

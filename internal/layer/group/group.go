// Package group is the layer of host groups: which initiators of a target see
// the same LUNs.
package group

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Engine is the part of an engine that this layer drives.
type Engine interface {
	layer.Source
	PutGroup(ctx context.Context, target string, g config.Group) error
	DeleteGroup(ctx context.Context, target, group string) error
	PutLUN(ctx context.Context, target, group string, l config.LUN) error
}

// Layer plans host groups.
type Layer struct{ Engine Engine }

// Name is group.
func (Layer) Name() string { return "group" }

// Observe reads the engine.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	return seen.Read(ctx, l.Engine)
}

// Plan makes, changes and deletes the groups of targets that stay. Those of a
// target that is deleted go with it.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	had := make(map[string]config.Target, len(seen.Engine.Targets))
	for _, t := range seen.Engine.Targets {
		had[t.Name] = t
	}
	for _, t := range declared.Targets {
		l.target(t, had[t.Name], seen, b)
	}
}

func (l Layer) target(want, have config.Target, seen *layer.Observed, b *plan.Builder) {
	had := make(map[string]config.Group, len(have.Groups))
	for _, g := range have.Groups {
		had[g.Name] = g
	}
	names := make(map[string]bool, len(want.Groups))
	for _, g := range want.Groups {
		names[g.Name] = true
		g.LUNs = nil
		old, exists := had[g.Name]
		old.LUNs = nil
		changes := config.Fields(old, g)
		if exists && len(changes) == 0 {
			continue
		}
		step := plan.Step{
			Layer: l.Name(), Object: object(want.Name, g.Name), Action: plan.Create,
			Needs:    []plan.ID{plan.StepID(plan.Create, "target/"+want.Name)},
			Sentence: fmt.Sprintf("Create host group %s of target %s", g.Name, want.Name),
			Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutGroup(ctx, want.Name, g) },
			Undo:     func(ctx context.Context) error { return l.Engine.DeleteGroup(ctx, want.Name, g.Name) },
		}
		if exists {
			step.Action, step.Changes = plan.Change, changes
			step.Sentence = fmt.Sprintf("Change %s of host group %s of target %s", whatOf(changes), g.Name, want.Name)
			step.Undo = func(ctx context.Context) error { return l.Engine.PutGroup(ctx, want.Name, old) }
		}
		b.Add(step)
	}
	for _, g := range have.Groups {
		if names[g.Name] {
			continue
		}
		b.Add(plan.Step{
			Layer: l.Name(), Object: object(want.Name, g.Name), Action: plan.Delete,
			Sentence: fmt.Sprintf("Delete host group %s of target %s (LUNs: %d)", g.Name, want.Name, len(g.LUNs)),
			Disrupts: layer.Sessions(seen.Logins(want.Name, g.Name), "use"),
			Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.DeleteGroup(ctx, want.Name, g.Name) },
			Undo:     func(ctx context.Context) error { return l.restore(ctx, want.Name, g) },
		})
	}
}

// whatOf names for people what changes of a group.
func whatOf(changes []config.FieldChange) string {
	initiators, attributes := false, false
	for _, c := range changes {
		is := strings.HasPrefix(c.Field, "attributes[")
		initiators, attributes = initiators || !is, attributes || is
	}
	switch {
	case initiators && attributes:
		return "initiators and attributes"
	case attributes:
		return "attributes"
	}
	return "initiators"
}

func object(target, group string) string { return "group/" + target + "/" + group }

// restore brings a group back with its LUNs.
func (l Layer) restore(ctx context.Context, target string, g config.Group) error {
	if err := l.Engine.PutGroup(ctx, target, g); err != nil {
		return err
	}
	for _, lun := range g.LUNs {
		if err := l.Engine.PutLUN(ctx, target, g.Name, lun); err != nil {
			return err
		}
	}
	return nil
}

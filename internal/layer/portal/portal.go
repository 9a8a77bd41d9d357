// Package portal is the layer of portals: the addresses that initiators
// connect to, and who may run discovery there.
package portal

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
	PutPortal(ctx context.Context, p config.Portal) error
	DeletePortal(ctx context.Context, name string) error
	PutDiscovery(ctx context.Context, a config.Auth) error
}

// Layer plans portals.
type Layer struct{ Engine Engine }

// Name is portal.
func (Layer) Name() string { return "portal" }

// Observe reads the engine.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	return seen.Read(ctx, l.Engine)
}

// Plan opens, moves and closes portals.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	had := map[string]config.Portal{}
	for _, p := range seen.Engine.ISCSI.Portals {
		had[p.Name] = p.WithDefaults()
	}
	declaredNames := map[string]bool{}
	for _, p := range declared.ISCSI.Portals {
		declaredNames[p.Name] = true
		want := p.WithDefaults()
		have, open := had[p.Name]
		if open && len(config.Fields(have, want)) == 0 {
			continue
		}
		step := plan.Step{
			Layer: l.Name(), Object: "portal/" + p.Name, Action: plan.Create,
			Sentence: fmt.Sprintf("Open portal %s on %s", p.Name, p.Address),
			Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutPortal(ctx, p) },
			Undo:     func(ctx context.Context) error { return l.Engine.DeletePortal(ctx, p.Name) },
		}
		switch {
		case open && have.Address != want.Address:
			// Closed before any other opens: two may swap their addresses.
			l.closing(have, seen, b)
			step.Needs = []plan.ID{plan.StepID(plan.Delete, step.Object)}
		case open:
			step.Action, step.Changes = plan.Change, config.Fields(have, want)
			step.Sentence = fmt.Sprintf("Change portal %s", p.Name)
			step.Disrupts = layer.Sessions(l.users(seen, p.Name), "use")
			step.Undo = func(ctx context.Context) error { return l.Engine.PutPortal(ctx, have) }
		}
		b.Add(step)
	}
	for _, have := range seen.Engine.ISCSI.Portals {
		if declaredNames[have.Name] {
			continue
		}
		l.closing(have, seen, b)
	}
	l.discovery(declared.ISCSI.Discovery, seen.Engine.ISCSI.Discovery, b)
}

func (l Layer) closing(have config.Portal, seen *layer.Observed, b *plan.Builder) {
	b.Add(plan.Step{
		Layer: l.Name(), Object: "portal/" + have.Name, Action: plan.Delete,
		Sentence: fmt.Sprintf("Close portal %s on %s", have.Name, have.Address),
		Disrupts: layer.Sessions(l.users(seen, have.Name), "use"),
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.DeletePortal(ctx, have.Name) },
		Undo:     func(ctx context.Context) error { return l.Engine.PutPortal(ctx, have) },
	})
}

func (l Layer) users(seen *layer.Observed, portal string) int {
	n := 0
	for _, s := range seen.Sessions {
		if s.Portal == portal {
			n++
		}
	}
	return n
}

func (l Layer) discovery(want, have config.Auth, b *plan.Builder) {
	changes := config.Fields(have, want)
	if len(changes) == 0 {
		return
	}
	b.Add(plan.Step{
		Layer: l.Name(), Object: "discovery", Action: plan.Change, Changes: changes,
		Sentence: "Change who may run discovery",
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutDiscovery(ctx, want) },
		Undo:     func(ctx context.Context) error { return l.Engine.PutDiscovery(ctx, have) },
	})
}

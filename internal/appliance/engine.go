package appliance

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// chooser is an engine that the document chooses (choice.Engine).
type chooser interface {
	Use(ctx context.Context, name string) error
}

// useEngine starts the engine of the document in force.
func (a *Appliance) useEngine(ctx context.Context) error {
	if c, ok := a.engine.(chooser); ok {
		return c.Use(ctx, a.current.EngineName())
	}
	return nil
}

// planEngine plans that another engine serves. One cannot take over from the
// other what initiators use: it is served by both, or by neither, for a while.
func (a *Appliance) planEngine(next, before *config.Document, seen *layer.Observed, b *plan.Builder) {
	old, name := a.engine.Name(), next.EngineName()
	c, ok := a.engine.(chooser)
	if old == name || !ok && name == before.EngineName() {
		return
	}
	if !ok {
		b.Problem("engine", "this program serves with engine %s only", old)
		return
	}
	if s := seen.Engine; len(s.Devices)+len(s.Targets)+len(s.DeviceGroups) > len(s.Foreign) {
		b.Problem("engine", "cannot change from %s to %s while something is served (devices: %d, targets: %d): its initiators would be cut off; apply a document without devices and targets first, then one with engine: %s and all of them",
			old, name, len(s.Devices), len(s.Targets), name)
		return
	}
	seen.Engine, seen.Sessions = engine.State{}, nil // the next one begins with nothing
	change := plan.StepID(plan.Change, "array")
	for _, needs := range needing(next) {
		b.Need(needs, change)
	}
	b.Layer()
	b.Add(plan.Step{
		Layer: "engine", Object: "array", Action: plan.Change, Phase: plan.Prepare,
		Sentence: fmt.Sprintf("Serve with engine %s instead of %s", name, old),
		Do:       func(ctx context.Context, _ plan.Report) error { return c.Use(ctx, name) },
		Undo:     func(ctx context.Context) error { return c.Use(ctx, old) },
	})
}

// needing are the steps that the new engine has to be there for; groups and
// LUNs need their targets.
func needing(d *config.Document) []plan.ID {
	needs := []plan.ID{plan.StepID(plan.Change, "discovery")}
	for _, x := range d.SCSI().Devices {
		needs = append(needs, plan.StepID(plan.Create, "device/"+x.Name))
	}
	for _, x := range d.ISCSI.Portals {
		needs = append(needs, plan.StepID(plan.Create, "portal/"+x.Name))
	}
	for _, x := range d.Targets {
		needs = append(needs, plan.StepID(plan.Create, "target/"+x.Name))
	}
	for _, x := range d.DeviceGroups {
		needs = append(needs, plan.StepID(plan.Create, "device-group/"+x.Name))
	}
	return needs
}

package appliance

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// chooser is an engine that the document chooses (choice.Engine).
type chooser interface {
	// Use starts an engine; the one before must serve nothing.
	Use(ctx context.Context, name string) error
	// Replace ends what the one before serves.
	Replace(ctx context.Context, name string) error
}

// useEngine starts the engine of the document in force.
func (a *Appliance) useEngine(ctx context.Context) error {
	if c, ok := a.engine.(chooser); ok {
		return c.Use(ctx, a.current.EngineName())
	}
	return nil
}

// planEngine plans that another engine serves. One cannot take over from the
// other what initiators use: all of it ends, and begins anew with the other.
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
	step := plan.Step{
		Layer: "engine", Object: "array", Action: plan.Change, Phase: plan.Prepare, Consent: "engine",
		Sentence: fmt.Sprintf("Serve with engine %s instead of %s", name, old),
		Do:       func(ctx context.Context, _ plan.Report) error { return c.Replace(ctx, name) },
		// What the old one served is put back by the next reconciliation.
		Undo: func(ctx context.Context) error { return c.Replace(ctx, old) },
	}
	step.Destroys, step.Disrupts = endOf(seen)
	seen.Engine, seen.Sessions = engine.State{}, nil // the next one begins with nothing
	change := plan.StepID(plan.Change, "array")
	for _, needs := range needing(next) {
		b.Need(needs, change)
	}
	b.Layer()
	b.Add(step)
}

// endOf says what ends with all that an engine serves: what is lost or who is
// cut off, else that it is gone for a moment.
func endOf(seen *layer.Observed) (destroys, disrupts string) {
	var lost []string
	for _, d := range seen.Engine.Devices {
		if d.Handler == config.Memory && !seen.Engine.Foreign["device/"+d.Name] {
			lost = append(lost, d.Name)
		}
	}
	var ends []string
	if n := len(seen.Sessions); n > 0 {
		ends = append(ends, fmt.Sprintf("all sessions (%d) are cut off", n))
	}
	if len(lost) > 0 {
		ends = append(ends, "the contents of memory disks ("+strings.Join(lost, ", ")+") are lost")
	}
	if len(ends) > 0 {
		return strings.Join(append(ends, "persistent reservations do not move along"), "; "), ""
	}
	if s := seen.Engine; len(s.Devices)+len(s.Targets) > len(s.Foreign) {
		return "", "nothing is served for a moment; persistent reservations do not move along"
	}
	return "", ""
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

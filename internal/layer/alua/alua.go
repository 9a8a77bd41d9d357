// Package alua is the layer of device groups: through which target ports
// devices are reached, and in which access state (ALUA).
package alua

import (
	"context"
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Engine is the part of an engine that this layer drives.
type Engine interface {
	layer.Source
	PutDeviceGroup(ctx context.Context, g config.DeviceGroup) error
	DeleteDeviceGroup(ctx context.Context, name string) error
}

// Layer plans device groups.
type Layer struct{ Engine Engine }

// Name is alua.
func (Layer) Name() string { return "alua" }

// Observe reads the engine.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	return seen.Read(ctx, l.Engine)
}

// normal writes defaults out and leaves the order of devices out of account.
func normal(g config.DeviceGroup) config.DeviceGroup {
	g = g.Clone()
	slices.Sort(g.Devices)
	for i := range g.TargetGroups {
		g.TargetGroups[i] = g.TargetGroups[i].WithDefaults()
	}
	return g
}

// Plan sets and deletes device groups. Devices that cannot be had now are left
// out of theirs.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	had := make(map[string]config.DeviceGroup, len(seen.Engine.DeviceGroups))
	for _, g := range seen.Engine.DeviceGroups {
		had[g.Name] = normal(g)
	}
	names := map[string]bool{}
	for _, g := range declared.DeviceGroups {
		names[g.Name] = true
		want := normal(g)
		want.Devices = slices.DeleteFunc(want.Devices, func(d string) bool {
			return b.Blocked("device/"+d) && seen.Device(d) == nil
		})
		have, exists := had[g.Name]
		changes := config.Fields(have, want)
		if exists && len(changes) == 0 {
			continue
		}
		step := plan.Step{
			Layer: l.Name(), Object: "device-group/" + g.Name, Action: plan.Create,
			Sentence: fmt.Sprintf("Create device group %s (devices: %d, target groups: %d)", g.Name, len(g.Devices), len(g.TargetGroups)),
			Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutDeviceGroup(ctx, want) },
			Undo:     func(ctx context.Context) error { return l.Engine.DeleteDeviceGroup(ctx, g.Name) },
		}
		if exists {
			step.Action, step.Changes = plan.Change, changes
			step.Sentence = "Change device group " + g.Name
			step.Undo = func(ctx context.Context) error { return l.Engine.PutDeviceGroup(ctx, have) }
		}
		for _, d := range want.Devices {
			step.Needs = append(step.Needs, plan.StepID(plan.Create, "device/"+d))
		}
		b.Add(step)
	}
	for _, have := range seen.Engine.DeviceGroups {
		if names[have.Name] {
			continue
		}
		b.Add(plan.Step{
			Layer: l.Name(), Object: "device-group/" + have.Name, Action: plan.Delete,
			Sentence: "Delete device group " + have.Name,
			Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.DeleteDeviceGroup(ctx, have.Name) },
			Undo:     func(ctx context.Context) error { return l.Engine.PutDeviceGroup(ctx, have) },
		})
	}
}

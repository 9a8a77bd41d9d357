// Package device is the layer of devices: what LUNs can lead to, served by an
// engine.
package device

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
	PutDevice(ctx context.Context, d config.Device) error
	DeleteDevice(ctx context.Context, name string) error
}

// Layer plans devices.
type Layer struct{ Engine Engine }

// Name is device.
func (Layer) Name() string { return "device" }

// Observe reads the engine.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	return seen.Read(ctx, l.Engine)
}

// Fate is what becomes of a device that is served.
type Fate int

// Fates of a device.
const (
	Keep     Fate = iota // as it is, or changed while it is served
	Recreate             // deleted and made anew: its LUNs are unmapped meanwhile
	Remove               // not declared any more
)

// FateOf says what Plan does with a device that is served. want is nil when it
// is not declared.
func FateOf(have, want *config.Device) Fate {
	switch {
	case want == nil:
		return Remove
	case len(rigid(have, want)) > 0:
		return Recreate
	default:
		return Keep
	}
}

// differences lists the settings that differ. The size of what has its own is
// not ours to set, and a store that is larger than declared is served whole.
func differences(have, want *config.Device) []config.FieldChange {
	h, w := have.WithDefaults(), want.WithDefaults()
	h.Identity.NAA, w.Identity.NAA = strings.ToLower(h.Identity.NAA), strings.ToLower(w.Identity.NAA)
	if h.Identity.T10ID == "" { // the engine cannot tell, of a device that it did not make
		w.Identity.T10ID = ""
	}
	if w.Size == 0 || w.Size < h.Size || w.Handler == config.BlockIO || w.Handler == config.CDROM {
		w.Size = h.Size
	}
	return config.Fields(h, w)
}

// rigid lists the differences that cannot be made while a device is served.
func rigid(have, want *config.Device) []config.FieldChange {
	var fixed []config.FieldChange
	for _, c := range differences(have, want) {
		live := c.Field == "size" || attribute(c.Field) || c.Field == "path" && want.Handler == config.CDROM && have.Handler == config.CDROM
		if !live {
			fixed = append(fixed, c)
		}
	}
	return fixed
}

// attribute says whether a setting is one of the engine's own, which are set
// while a device is served; if the kernel refuses, it says so.
func attribute(field string) bool { return strings.HasPrefix(field, "attributes[") }

// Plan makes, changes and removes devices.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	devices := declared.SCSI().Devices // the others are the NVMe layer's
	names := make(map[string]bool, len(devices))
	for i := range devices {
		want := &devices[i]
		names[want.Name] = true
		if b.Blocked("device/" + want.Name) {
			continue
		}
		have := seen.Device(want.Name)
		switch {
		case have == nil:
			l.create(*want, b)
		case l.shrinks(have, want, seen, b):
		case l.cannotGrow(have, want, seen, b):
		case FateOf(have, want) == Recreate:
			l.recreate(*have, *want, seen, b)
		default:
			l.change(*have, *want, grown(have, want, seen, b), seen.Engine.Silent, b)
		}
	}
	for _, have := range seen.Engine.Devices {
		if !names[have.Name] {
			l.remove(have, seen, b)
		}
	}
}

// shrinks refuses a smaller size of a device that has no store; those of image
// files are refused by the layer below.
func (l Layer) shrinks(have, want *config.Device, seen *layer.Observed, b *plan.Builder) bool {
	if want.Handler != have.Handler || want.Handler != config.Memory && want.Handler != config.NullIO || want.Size >= have.Size {
		return false
	}
	if v, ok := seen.Before("device/" + want.Name); ok && v.(config.Device).Size == want.Size {
		return false
	}
	b.Problem("device/"+want.Name, "has %s and is not cut to %s; remove it and make a new one", have.Size.Human(), want.Size.Human())
	return true
}

// cannotGrow refuses a larger size where the engine cannot have it.
func (l Layer) cannotGrow(have, want *config.Device, seen *layer.Observed, b *plan.Builder) bool {
	why := seen.Engine.NoGrow[want.Handler]
	if why == "" || want.Handler != have.Handler || want.Size <= have.Size {
		return false
	}
	tell := b.Problem
	if v, ok := seen.Before("device/" + want.Name); ok && v.(config.Device).Size == want.Size {
		tell = b.Block // it is no wish of this change, which goes on without it
	}
	tell("device/"+want.Name, "has %s and does not become %s: %s", have.Size.Human(), want.Size.Human(), why)
	return true
}

func describe(d config.Device) string {
	text := string(d.Handler)
	if d.Path != "" {
		text += " on " + d.Path
	}
	if d.Size != 0 {
		text += ", " + d.Size.Human()
	}
	return text
}

func (l Layer) create(want config.Device, b *plan.Builder) {
	b.Add(plan.Step{
		Layer: l.Name(), Object: "device/" + want.Name, Action: plan.Create,
		Needs:    []plan.ID{plan.StepID(plan.Create, "image/"+want.Name), plan.StepID(plan.Change, "image/"+want.Name)},
		Sentence: fmt.Sprintf("Create device %s (%s)", want.Name, describe(want)),
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutDevice(ctx, want) },
		Undo:     func(ctx context.Context) error { return l.Engine.DeleteDevice(ctx, want.Name) },
	})
}

func (l Layer) change(have, want config.Device, grown config.Size, silent bool, b *plan.Builder) {
	changes := differences(&have, &want)
	larger := max(grown, want.Size)
	if grown > 0 {
		changes = append(changes, config.FieldChange{Field: storeField, Old: have.Size.String(), New: grown.String()})
	}
	if len(changes) == 0 {
		return
	}
	sentence := "Change device " + want.Name
	if want.Handler == config.CDROM {
		sentence = fmt.Sprintf("Insert %s into drive %s", want.Path, want.Name)
		if want.Path == "" {
			sentence = fmt.Sprintf("Eject %s from drive %s", have.Path, want.Name)
		}
	} else if larger > have.Size {
		sentence = fmt.Sprintf("Grow device %s from %s to %s", want.Name, have.Size.Human(), larger.Human())
		if silent {
			b.Note("device/"+want.Name, "initiators are not told that it grows: have them look ('iscsiadm -m session -R' and 'multipathd resize map NAME' on Linux, Rescan Disks on Windows, Rescan Storage on ESXi), and then grow what is on it")
		}
	}
	back := have
	back.Size = max(back.Size, want.Size) // nothing is ever cut
	b.Add(plan.Step{
		Layer: l.Name(), Object: "device/" + want.Name, Action: plan.Change, Changes: changes,
		Needs:    []plan.ID{plan.StepID(plan.Change, "image/"+want.Name)},
		Sentence: sentence,
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutDevice(ctx, want) },
		Undo:     func(ctx context.Context) error { return l.Engine.PutDevice(ctx, back) },
	})
}

// recreate deletes a device and makes it anew with what cannot be changed
// while it is served.
func (l Layer) recreate(have, want config.Device, seen *layer.Observed, b *plan.Builder) {
	object := "device/" + want.Name
	fixed := rigid(&have, &want)
	b.Add(plan.Step{
		Layer: l.Name(), Object: object, Action: plan.Delete, Changes: fixed,
		Sentence: fmt.Sprintf("Stop device %s to make it anew (%s)", have.Name, joinChanges(fixed)),
		Destroys: l.loss(have, seen),
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.DeleteDevice(ctx, have.Name) },
		Undo:     func(ctx context.Context) error { return l.Engine.PutDevice(ctx, have) },
	})
	disrupts := ""
	if have.Handler != want.Handler || have.Path != want.Path {
		disrupts = "initiators find other data under the same identity"
	}
	b.Add(plan.Step{
		Layer: l.Name(), Object: object, Action: plan.Create, Disrupts: disrupts,
		Needs:    []plan.ID{plan.StepID(plan.Delete, object), plan.StepID(plan.Create, "image/"+want.Name), plan.StepID(plan.Change, "image/"+want.Name)},
		Sentence: fmt.Sprintf("Create device %s (%s)", want.Name, describe(want)),
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.PutDevice(ctx, want) },
		Undo:     func(ctx context.Context) error { return l.Engine.DeleteDevice(ctx, want.Name) },
	})
}

func joinChanges(changes []config.FieldChange) string {
	texts := make([]string, len(changes))
	for i, c := range changes {
		texts[i] = c.String()
	}
	return strings.Join(texts, ", ")
}

// loss says what is lost when a device is deleted, "" if nothing is.
func (l Layer) loss(have config.Device, seen *layer.Observed) string {
	var losses []string
	if have.Handler == config.Memory {
		losses = append(losses, fmt.Sprintf("its contents (%s in memory) are lost", have.Size.Human()))
	}
	if n := seen.Users(have.Name); n > 0 {
		losses = append(losses, layer.Sessions(n, "use"))
	}
	return seen.Loss("device/"+have.Name, strings.Join(losses, "; "))
}

func (l Layer) remove(have config.Device, seen *layer.Observed, b *plan.Builder) {
	phase := plan.Teardown
	if have.Handler == config.Memory {
		phase = plan.Final // it cannot be brought back, so all else is done before
	}
	b.Add(plan.Step{
		Layer: l.Name(), Object: "device/" + have.Name, Action: plan.Delete, Phase: phase,
		Sentence: fmt.Sprintf("Delete device %s (%s)", have.Name, describe(have)),
		Destroys: l.loss(have, seen),
		Do:       func(ctx context.Context, _ plan.Report) error { return l.Engine.DeleteDevice(ctx, have.Name) },
		Undo:     func(ctx context.Context) error { return l.Engine.PutDevice(ctx, have) },
	})
}

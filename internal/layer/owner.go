package layer

import (
	"context"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/plan"
)

// IfOwner returns l where the whole machine is ESOS's to set up (an appliance).
// Elsewhere, where `esos serve` is one program among others, it returns a layer
// that looks at nothing and refuses documents that declare what l would set up.
func IfOwner(owns bool, l Layer, declares func(*config.Document) bool) Layer {
	if owns {
		return l
	}
	return refusing{name: l.Name(), declares: declares}
}

// Named is a layer that does nothing, for IfOwner to refuse in its name.
func Named(name string) Layer {
	return refusing{name: name, declares: func(*config.Document) bool { return false }}
}

// refusing stands for a layer on a machine that is not ours.
type refusing struct {
	name     string
	declares func(*config.Document) bool
}

// Name is that of the layer it stands for.
func (r refusing) Name() string { return r.name }

// Observe looks at nothing.
func (refusing) Observe(context.Context, *config.Document, *Observed) error { return nil }

// Plan refuses what would change the machine.
func (r refusing) Plan(declared *config.Document, _ *Observed, b *plan.Builder) {
	if r.declares(declared) {
		b.Problem(r.name, "this machine is not ESOS's own: esos serve sets up %s on an appliance only (booted from an ESOS medium, or --appliance); remove the section from the document, and use the machine's own tools", r.name)
	}
}

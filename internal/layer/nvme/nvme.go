// Package nvme is the layer of what is served over NVMe-oF: ports, subsystems
// and namespaces of the kernel's NVMe target, beside whichever engine serves
// SCSI.
//
//	nvme       the layer, and the order of its steps
//	ports      addresses
//	subsystems who may connect
//	namespaces devices as hosts see them
//	links      which subsystem is reached at which port
//	felt       who notices
package nvme

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/nvmet"
	"github.com/esos-project/esos/internal/plan"
)

// Target is the part of the kernel's NVMe target that this layer drives
// (nvmet.Target).
type Target interface {
	Observe(ctx context.Context) (nvmet.State, error)
	PutPort(ctx context.Context, p nvmet.Port) error
	DeletePort(ctx context.Context, id int) error
	PutSubsystem(ctx context.Context, s nvmet.Subsystem) error
	DeleteSubsystem(ctx context.Context, nqn string) error
	PutNamespace(ctx context.Context, nqn string, ns nvmet.Namespace) error
	DeleteNamespace(ctx context.Context, nqn string, nsid int) error
	Open(ctx context.Context, nqn string, ports []int) error
	Close(ctx context.Context, nqn string, ports []int) error
}

// Layer plans ports, subsystems and namespaces.
type Layer struct {
	Target  Target // nil where there is none: documents that declare NVMe are refused
	DataDir string // relative paths of devices are below it
}

// Name is nvme.
func (Layer) Name() string { return "nvme" }

// Observe reads the kernel's NVMe target.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	if l.Target != nil {
		seen.NVMe.State, seen.NVMe.Err = l.Target.Observe(ctx)
	}
	return ctx.Err()
}

// planner is one plan in the making.
type planner struct {
	Layer
	declared *config.Document
	seen     *layer.Observed
	b        *plan.Builder

	ports      map[int]*nvmet.Port         // that are there, by number
	subsystems map[string]*nvmet.Subsystem // that are there
	names      map[int]string              // of ports that are declared, or were
	gone       map[int]bool                // ports that are closed, to be deleted or made anew
	refused    map[string]bool             // objects that are left as they are
}

// Plan adds the steps. In Teardown, hosts are cut off first and what they used
// goes then; in Enable, they are let in when all is there.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	before := seen.InForce != nil && seen.InForce.NVMe.Declared()
	switch {
	case l.Target == nil:
		if declared.NVMe.Declared() {
			b.Problem("nvme", "this program serves no NVMe-oF; remove the section nvme from the document")
		}
		return
	case seen.NVMe.Err != nil:
		if declared.NVMe.Declared() || before {
			seen.Refuse(b, "nvme", declared.NVMe, "%v", seen.NVMe.Err)
		}
		return
	}
	p := &planner{Layer: l, declared: declared, seen: seen, b: b, ports: map[int]*nvmet.Port{}, subsystems: map[string]*nvmet.Subsystem{},
		names: map[int]string{}, gone: map[int]bool{}, refused: map[string]bool{}}
	for i := range seen.NVMe.Ports {
		p.ports[seen.NVMe.Ports[i].ID] = &seen.NVMe.Ports[i]
	}
	for i := range seen.NVMe.Subsystems {
		p.subsystems[seen.NVMe.Subsystems[i].NQN] = &seen.NVMe.Subsystems[i]
	}
	if seen.InForce != nil {
		for _, port := range seen.InForce.NVMe.Ports {
			p.names[port.ID] = port.Name
			if have := p.ports[port.ID]; have != nil {
				have.Ours = true // though the words about it are lost
			}
		}
		for _, s := range seen.InForce.NVMe.Subsystems {
			if have := p.subsystems[s.NQN]; have != nil {
				have.Ours = true
			}
		}
	}
	for _, port := range declared.NVMe.Ports {
		p.names[port.ID] = port.Name
	}
	p.planPorts()
	p.planLinks()
	p.planNamespaces()
	p.planSubsystems()
	p.removePorts()
}

// add adds a step of this layer.
func (p *planner) add(s plan.Step) {
	s.Layer = p.Name()
	p.b.Add(s)
}

// portObject names a port: as it is declared or was, or by its number.
func (p *planner) portObject(id int) string {
	if name, ok := p.names[id]; ok {
		return "nvme-port/" + name
	}
	return fmt.Sprintf("nvme-port/%d", id)
}

// do makes a step's Do of a call.
func do(call func(ctx context.Context) error) func(context.Context, plan.Report) error {
	return func(ctx context.Context, _ plan.Report) error { return call(ctx) }
}

package nvme

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/nvmet"
	"github.com/esos-project/esos/internal/plan"
)

// planPorts makes and changes ports. One whose address changes is closed and
// made anew: the kernel takes no other address while it is open.
func (p *planner) planPorts() {
	wanted := map[int]bool{}
	for _, port := range p.declared.NVMe.Ports {
		wanted[port.ID] = true
		object := "nvme-port/" + port.Name
		want, err := nvmet.PortOf(port)
		if err != nil {
			p.refused[object] = true
			p.b.Problem(object, "%v", err)
			continue
		}
		have := p.ports[port.ID]
		create := plan.Step{
			Object: object, Action: plan.Create,
			Sentence: fmt.Sprintf("Create NVMe port %s (%s on %s)", port.Name, want.Transport, want.Address),
			Do:       do(func(ctx context.Context) error { return p.Target.PutPort(ctx, want) }),
			Undo:     func(ctx context.Context) error { return p.Target.DeletePort(ctx, want.ID) },
		}
		if have == nil {
			p.add(create)
			continue
		}
		changes := config.Fields(*have, want)
		switch moved := have.Transport != want.Transport || have.Address != want.Address || have.InCapsuleSize != want.InCapsuleSize; {
		case len(changes) == 0:
		case !have.Ours:
			p.refused[object] = true
			p.seen.Refuse(p.b, object, port, "the kernel has a port %d already that somebody else set up (%s on %s): give this port another id, or remove that one (nvmetcli, or %s/ports/%d)",
				port.ID, have.Transport, have.Address, nvmet.Root, port.ID)
		case moved && len(have.Links) > 0:
			p.gone[port.ID] = true // removePorts closes it
			create.Needs = []plan.ID{plan.StepID(plan.Delete, object)}
			p.add(create)
		default:
			back := *have
			p.add(plan.Step{
				Object: object, Action: plan.Change, Changes: changes,
				Sentence: "Change NVMe port " + port.Name,
				Do:       do(func(ctx context.Context) error { return p.Target.PutPort(ctx, want) }),
				Undo:     func(ctx context.Context) error { return p.Target.PutPort(ctx, back) },
			})
		}
	}
	for _, have := range p.ports {
		if have.Ours && !wanted[have.ID] {
			p.gone[have.ID] = true
		}
	}
}

// removePorts closes the ports that are gone: after everything that is reached
// there was taken from them.
func (p *planner) removePorts() {
	for _, have := range p.seen.NVMe.Ports {
		if !p.gone[have.ID] {
			continue
		}
		var foreign []string // subsystems of somebody else
		for _, nqn := range have.Links {
			if s := p.subsystems[nqn]; s != nil && !s.Ours {
				foreign = append(foreign, nqn)
			}
		}
		step := plan.Step{
			Object: p.portObject(have.ID), Action: plan.Delete,
			Sentence: fmt.Sprintf("Delete NVMe port %s (%s on %s)", p.portObject(have.ID)[len("nvme-port/"):], have.Transport, have.Address),
			Do:       do(func(ctx context.Context) error { return p.Target.DeletePort(ctx, have.ID) }),
			Undo: func(ctx context.Context) error {
				if err := p.Target.PutPort(ctx, have); err != nil {
					return err
				}
				for _, nqn := range foreign {
					if err := p.Target.Open(ctx, nqn, []int{have.ID}); err != nil {
						return err
					}
				}
				return nil
			},
		}
		if len(foreign) > 0 {
			step.Disrupts = fmt.Sprintf("subsystems that somebody else set up are reached there: %v", foreign)
		}
		p.add(step)
	}
}

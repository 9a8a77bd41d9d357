package nvme

import (
	"context"
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/nvmet"
	"github.com/esos-project/esos/internal/plan"
)

// planSubsystems makes, changes and deletes subsystems: what hosts know them
// by, and who may connect.
func (p *planner) planSubsystems() {
	declared := map[string]bool{}
	for _, s := range p.declared.NVMe.Subsystems {
		declared[s.NQN] = true
		object, want := "nvme-subsystem/"+s.NQN, nvmet.SubsystemOf(s)
		have := p.subsystems[s.NQN]
		if have == nil {
			p.add(plan.Step{
				Object: object, Action: plan.Create,
				Sentence: fmt.Sprintf("Create NVMe subsystem %s (%s)", s.NQN, access(want)),
				Do:       do(func(ctx context.Context) error { return p.Target.PutSubsystem(ctx, want) }),
				Undo:     func(ctx context.Context) error { return p.Target.DeleteSubsystem(ctx, s.NQN) },
			})
			continue
		}
		own := *have
		own.Namespaces = nil
		changes := config.Fields(own, want)
		switch {
		case !have.Ours:
			p.seen.Refuse(p.b, object, ownOf(s), "the kernel has it already, and somebody else set it up: give this one another nqn, or remove that one (nvmetcli, or %s/subsystems)", nvmet.Root)
		case len(changes) == 0:
		case (have.Serial != want.Serial || have.Model != want.Model) && p.exposed(s.NQN):
			p.seen.Refuse(p.b, object, ownOf(s), "hosts know it by serial %q and model %q, which stay as long as it is there; remove the subsystem, and then make it anew", have.Serial, have.Model)
		default:
			p.add(plan.Step{
				Object: object, Action: plan.Change, Changes: changes, Disrupts: p.shutOut(own, want),
				Sentence: fmt.Sprintf("Change NVMe subsystem %s (%s)", s.NQN, access(want)),
				Do:       do(func(ctx context.Context) error { return p.Target.PutSubsystem(ctx, want) }),
				Undo:     func(ctx context.Context) error { return p.Target.PutSubsystem(ctx, own) },
			})
		}
	}
	for _, have := range p.seen.NVMe.Subsystems {
		if !have.Ours || declared[have.NQN] {
			continue
		}
		p.add(plan.Step{
			Object: "nvme-subsystem/" + have.NQN, Action: plan.Delete,
			Sentence: fmt.Sprintf("Delete NVMe subsystem %s (namespaces: %d)", have.NQN, len(have.Namespaces)),
			// As a target that is used: it goes only if it is named.
			Destroys: p.felt(have.NQN, nil),
			Do:       do(func(ctx context.Context) error { return p.Target.DeleteSubsystem(ctx, have.NQN) }),
			Undo:     func(ctx context.Context) error { return p.Target.PutSubsystem(ctx, have) }, // its namespaces and links have steps of their own
		})
	}
}

// ownOf is a subsystem as config.Objects has it.
func ownOf(s config.NVMeSubsystem) config.NVMeSubsystem {
	s.Namespaces = nil
	return s
}

func access(s nvmet.Subsystem) string {
	if s.AllowAnyHost {
		return "every host may connect"
	}
	return fmt.Sprintf("hosts: %d", len(s.Hosts))
}

func (p *planner) exposed(nqn string) bool {
	return slices.ContainsFunc(p.seen.NVMe.Ports, func(port nvmet.Port) bool { return slices.Contains(port.Links, nqn) })
}

// shutOut says who is connected and may not be any more.
func (p *planner) shutOut(have, want nvmet.Subsystem) string {
	in := func(s nvmet.Subsystem, host string) bool {
		return s.AllowAnyHost || slices.ContainsFunc(s.Hosts, func(h nvmet.Host) bool { return h.NQN == host })
	}
	narrower := have.AllowAnyHost && !want.AllowAnyHost || slices.ContainsFunc(have.Hosts, func(h nvmet.Host) bool { return !in(want, h.NQN) })
	if !narrower {
		return ""
	}
	if !p.seen.NVMe.Tells {
		if p.exposed(want.NQN) {
			return "hosts that may not connect any more stay connected until they leave: this kernel cannot cut them off"
		}
		return ""
	}
	return p.feltBy(want.NQN, func(host string) bool { return !in(want, host) })
}

package nvme

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/plan"
)

// planLinks cuts subsystems off from ports, and lets hosts reach them at
// others.
func (p *planner) planLinks() {
	declared := map[string]bool{}
	for _, s := range p.declared.NVMe.Subsystems {
		declared[s.NQN] = true
		object := "nvme-subsystem/" + s.NQN
		if have := p.subsystems[s.NQN]; have != nil && !have.Ours {
			continue // planSubsystems says why
		}
		wanted := map[int]bool{}
		var open []int
		needs := []plan.ID{plan.StepID(plan.Create, object), plan.StepID(plan.Change, object)}
		for _, port := range p.declared.NVMe.PortsOf(s) {
			if p.refused["nvme-port/"+port.Name] {
				continue
			}
			wanted[port.ID] = true
			if p.gone[port.ID] || !p.linked(port.ID, s.NQN) {
				open = append(open, port.ID)
				needs = append(needs, plan.StepID(plan.Create, "nvme-port/"+port.Name))
			}
		}
		p.close(s.NQN, func(id int) bool { return !wanted[id] || p.gone[id] })
		if len(open) == 0 {
			continue
		}
		p.add(plan.Step{
			ID: plan.ID("enable " + object), Object: object, Action: plan.Change, Phase: plan.Enable, Needs: needs,
			Sentence: fmt.Sprintf("Let hosts reach NVMe subsystem %s at %s", s.NQN, p.portNames(open)),
			Do:       do(func(ctx context.Context) error { return p.Target.Open(ctx, s.NQN, open) }),
			Undo:     func(ctx context.Context) error { return p.Target.Close(ctx, s.NQN, open) },
		})
	}
	for _, have := range p.seen.NVMe.Subsystems {
		if have.Ours && !declared[have.NQN] {
			p.close(have.NQN, func(int) bool { return true })
		}
	}
}

func (p *planner) linked(port int, nqn string) bool {
	have := p.ports[port]
	if have == nil {
		return false
	}
	for _, l := range have.Links {
		if l == nqn {
			return true
		}
	}
	return false
}

// close cuts a subsystem off from those ports of which that is said: also from
// ports that somebody else made.
func (p *planner) close(nqn string, which func(port int) bool) {
	var ports []int
	for _, have := range p.seen.NVMe.Ports {
		if p.linked(have.ID, nqn) && which(have.ID) {
			ports = append(ports, have.ID)
		}
	}
	if len(ports) == 0 {
		return
	}
	object := "nvme-subsystem/" + nqn
	p.add(plan.Step{
		ID: plan.ID("close " + object), Object: object, Action: plan.Change, Phase: plan.Teardown,
		Sentence: fmt.Sprintf("Cut NVMe subsystem %s off from %s", nqn, p.portNames(ports)),
		Disrupts: p.felt(nqn, ports),
		Do:       do(func(ctx context.Context) error { return p.Target.Close(ctx, nqn, ports) }),
		Undo:     func(ctx context.Context) error { return p.Target.Open(ctx, nqn, ports) },
	})
}

func (p *planner) portNames(ids []int) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = strings.TrimPrefix(p.portObject(id), "nvme-port/")
	}
	if len(names) == 1 {
		return "port " + names[0]
	}
	return "ports " + strings.Join(names, ", ")
}

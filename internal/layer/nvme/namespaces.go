package nvme

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/nvmet"
	"github.com/esos-project/esos/internal/plan"
)

// planNamespaces makes, changes and deletes namespaces.
func (p *planner) planNamespaces() {
	wanted := map[string]bool{}
	for _, s := range p.declared.NVMe.Subsystems {
		if have := p.subsystems[s.NQN]; have != nil && !have.Ours {
			for _, ns := range have.Namespaces {
				wanted[config.NamespaceObject(s.NQN, ns.NSID)] = true
			}
			continue // planSubsystems says why
		}
		for _, ns := range s.Namespaces {
			object := config.NamespaceObject(s.NQN, ns.NSID)
			wanted[object] = true
			d, err := p.declared.FindDevice(ns.Device)
			if err != nil || p.b.Blocked("device/"+ns.Device) {
				continue // the layer below says why
			}
			want := nvmet.NamespaceOf(ns, *d, p.DataDir)
			have := p.namespace(s.NQN, ns.NSID)
			switch {
			case have == nil:
				p.create(object, s.NQN, ns.Device, want)
			case have.Enabled && nvmet.Rigid(*have, want):
				p.remove(s.NQN, *have, "Take", "away to make it anew")
				p.create(object, s.NQN, ns.Device, want)
			default:
				p.change(object, s.NQN, *d, *have, want)
			}
		}
	}
	for _, s := range p.seen.NVMe.Subsystems {
		if !s.Ours {
			continue
		}
		for _, have := range s.Namespaces {
			if !wanted[config.NamespaceObject(s.NQN, have.NSID)] {
				p.remove(s.NQN, have, "Delete", "")
			}
		}
	}
}

func (p *planner) namespace(nqn string, nsid int) *nvmet.Namespace {
	s := p.subsystems[nqn]
	if s == nil {
		return nil
	}
	for i := range s.Namespaces {
		if s.Namespaces[i].NSID == nsid {
			return &s.Namespaces[i]
		}
	}
	return nil
}

// create makes a namespace: once its image file is there, and the engine and
// other namespaces have let go of its store.
func (p *planner) create(object, nqn, device string, want nvmet.Namespace) {
	disrupts := ""
	if was := p.seen.Device(device); was != nil && was.Handler == config.FileIO && was.WithDefaults().BlockSize == 512 {
		disrupts = "as a LUN it had blocks of 512 bytes, as a namespace it has those of its file system (4096 as a rule): partitions and file systems made there are not found"
	}
	p.add(plan.Step{
		Object: object, Action: plan.Create, Disrupts: disrupts,
		Needs: []plan.ID{plan.StepID(plan.Create, "nvme-subsystem/"+nqn), plan.StepID(plan.Delete, object), plan.StepID(plan.Delete, "device/"+device),
			plan.StepID(plan.Create, "image/"+device), plan.StepID(plan.Change, "image/"+device)},
		Sentence: fmt.Sprintf("Create namespace %d of NVMe subsystem %s (device %s on %s)", want.NSID, nqn, device, want.Path),
		Do:       do(func(ctx context.Context) error { return p.Target.PutNamespace(ctx, nqn, want) }),
		Undo:     func(ctx context.Context) error { return p.Target.DeleteNamespace(ctx, nqn, want.NSID) },
	})
	p.b.Need(plan.ID("enable nvme-subsystem/"+nqn), plan.StepID(plan.Create, object))
	if p.seen.InForce == nil {
		return
	}
	for _, s := range p.seen.InForce.NVMe.Subsystems { // where the device was before
		for _, ns := range s.Namespaces {
			if was := config.NamespaceObject(s.NQN, ns.NSID); ns.Device == device && was != object {
				p.b.Need(plan.StepID(plan.Create, object), plan.StepID(plan.Delete, was))
			}
		}
	}
}

// change sets what hosts need not miss the namespace for: its ANA group and
// its size, and finishes one that was begun.
func (p *planner) change(object, nqn string, d config.Device, have, want nvmet.Namespace) {
	changes := config.Fields(have, want)
	size := p.seen.Stores[d.Path].Size
	if d.Handler == config.FileIO && int64(d.Size) > size {
		size = int64(d.Size) // the layer below grows it
	}
	if coming, ok := p.b.Coming(d.Path); ok && d.Handler == config.BlockIO {
		size = max(size, coming.Size) // as do the layers below that
	}
	if len(changes) == 0 && size == have.Size {
		return
	}
	sentence := fmt.Sprintf("Change namespace %d of NVMe subsystem %s", want.NSID, nqn)
	if len(changes) == 0 {
		sentence = fmt.Sprintf("Tell hosts that namespace %d of NVMe subsystem %s has %s", want.NSID, nqn, config.Size(size).Human())
	}
	back := have
	p.add(plan.Step{
		Object: object, Action: plan.Change, Changes: changes, Sentence: sentence,
		Needs: []plan.ID{plan.StepID(plan.Change, "image/"+d.Name)},
		Do:    do(func(ctx context.Context) error { return p.Target.PutNamespace(ctx, nqn, want) }),
		Undo: func(ctx context.Context) error {
			if !back.Enabled {
				return nil // it was never finished
			}
			return p.Target.PutNamespace(ctx, nqn, back)
		},
	})
}

// remove takes a namespace away.
func (p *planner) remove(nqn string, have nvmet.Namespace, verb, why string) {
	object := config.NamespaceObject(nqn, have.NSID)
	sentence := fmt.Sprintf("%s namespace %d of NVMe subsystem %s (%s)", verb, have.NSID, nqn, have.Path)
	if why != "" {
		sentence += " " + why
	}
	disrupts := ""
	if have.Enabled {
		disrupts = p.felt(nqn, nil)
	}
	p.add(plan.Step{
		Object: object, Action: plan.Delete, Sentence: sentence, Disrupts: disrupts,
		Do: do(func(ctx context.Context) error { return p.Target.DeleteNamespace(ctx, nqn, have.NSID) }),
		Undo: func(ctx context.Context) error {
			if !have.Enabled {
				return nil // it was never finished
			}
			return p.Target.PutNamespace(ctx, nqn, have)
		},
	})
	// Whoever takes the store over waits for that.
	if v, ok := p.seen.Before(object); ok {
		device := v.(config.NVMeNamespace).Device
		for _, next := range []plan.ID{plan.StepID(plan.Create, "device/"+device), plan.StepID(plan.Delete, "image/"+device)} {
			p.b.Need(next, plan.StepID(plan.Delete, object))
		}
	}
}

package process

import (
	"slices"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/scsi"
)

// target is a target that is served. spec says all of it, its groups and LUNs
// in the order of their creation; it is guarded by Process.mu.
type target struct {
	spec control.Target
	scsi *scsi.Target
}

// target finds a target. The caller holds mu or change.
func (p *Process) target(name string) *target {
	for _, t := range p.targets {
		if t.spec.Name == name {
			return t
		}
	}
	return nil
}

// putTarget makes a target, or changes its settings.
func (p *Process) putTarget(spec control.Target) error {
	p.change.Lock()
	defer p.change.Unlock()
	t := p.target(spec.Name)
	fresh := t == nil
	if fresh {
		t = &target{scsi: scsi.NewTarget(spec.Name)}
	}
	if err := p.serveTarget(t.scsi, spec); err != nil {
		return err
	}
	p.mu.Lock()
	spec.LUNs, spec.Groups = t.spec.LUNs, t.spec.Groups
	t.spec = spec
	if fresh {
		p.targets = append(p.targets, t)
	}
	p.mu.Unlock()
	p.access.applyTarget(spec.Name)
	return nil
}

// deleteTarget ends a target and its sessions.
func (p *Process) deleteTarget(name string) error {
	p.change.Lock()
	defer p.change.Unlock()
	t := p.target(name)
	if t == nil {
		return nil
	}
	p.server.RemoveTarget(name)
	p.mu.Lock()
	p.targets = slices.DeleteFunc(p.targets, func(o *target) bool { return o == t })
	p.mu.Unlock()
	p.access.applyTarget(name)
	return nil
}

// putGroup makes a host group, or changes whom it takes in.
func (p *Process) putGroup(r control.GroupRequest) error {
	p.change.Lock()
	defer p.change.Unlock()
	t := p.target(r.Target)
	if t == nil {
		return notFound("target", r.Target)
	}
	if err := t.scsi.PutGroup(r.Group.Name, r.Group.Initiators); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := t.group(r.Group.Name); i >= 0 {
		t.spec.Groups[i].Initiators = r.Group.Initiators
		return nil
	}
	t.spec.Groups = append(t.spec.Groups, control.Group{Name: r.Group.Name, Initiators: r.Group.Initiators})
	return nil
}

// deleteGroup ends a host group with its LUN map.
func (p *Process) deleteGroup(m control.Map) error {
	p.change.Lock()
	defer p.change.Unlock()
	t := p.target(m.Target)
	if t == nil || m.Group == "" {
		return nil
	}
	t.scsi.DeleteGroup(m.Group)
	p.mu.Lock()
	defer p.mu.Unlock()
	t.spec.Groups = slices.DeleteFunc(t.spec.Groups, func(g control.Group) bool { return g.Name == m.Group })
	return nil
}

// group is the index of a group in spec, -1 if there is none.
func (t *target) group(name string) int {
	return slices.IndexFunc(t.spec.Groups, func(g control.Group) bool { return g.Name == name })
}

// luns is the LUN map of a group ("": the default one), nil if there is none.
func (t *target) luns(group string) *[]control.LUN {
	if group == "" {
		return &t.spec.LUNs
	}
	if i := t.group(group); i >= 0 {
		return &t.spec.Groups[i].LUNs
	}
	return nil
}

// lunMap finds the target and the LUN map that m names.
func (p *Process) lunMap(m control.Map) (*target, *[]control.LUN, error) {
	t := p.target(m.Target)
	if t == nil {
		return nil, nil, notFound("target", m.Target)
	}
	luns := t.luns(m.Group)
	if luns == nil {
		return nil, nil, notFound("group", m.Group+" in target "+m.Target)
	}
	return t, luns, nil
}

// putLUN maps a LUN. When it returns, nothing of what the LUN led to before is
// under way any more.
func (p *Process) putLUN(r control.LUNRequest) error {
	p.change.Lock()
	defer p.change.Unlock()
	t, luns, err := p.lunMap(r.Map)
	if err != nil {
		return err
	}
	d := p.devices[r.LUN.Device]
	if d == nil {
		return notFound("device", r.LUN.Device)
	}
	if r.LUN.LUN < 0 || r.LUN.LUN > int(scsi.MaxLUN) {
		return control.Errorf(control.Refused, "LUN %d is out of range: 0 to %d", r.LUN.LUN, scsi.MaxLUN)
	}
	if err := t.scsi.PutLUN(r.Group, scsi.Mapping{LUN: scsi.LUN(r.LUN.LUN), Unit: d.unit, ReadOnly: r.LUN.ReadOnly}); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(*luns, func(l control.LUN) bool { return l.LUN == r.LUN.LUN }); i >= 0 {
		(*luns)[i] = r.LUN
		return nil
	}
	*luns = append(*luns, r.LUN)
	return nil
}

// deleteLUN unmaps a LUN. When it returns, nothing of it is under way any more.
func (p *Process) deleteLUN(r control.LUNRequest) error {
	p.change.Lock()
	defer p.change.Unlock()
	t, luns, err := p.lunMap(r.Map)
	if control.Is(err, control.NotFound) {
		return nil
	}
	if r.LUN.LUN < 0 || r.LUN.LUN > int(scsi.MaxLUN) {
		return nil
	}
	t.scsi.DeleteLUN(r.Group, scsi.LUN(r.LUN.LUN))
	p.mu.Lock()
	defer p.mu.Unlock()
	*luns = slices.DeleteFunc(*luns, func(l control.LUN) bool { return l.LUN == r.LUN.LUN })
	return nil
}

package process

import (
	"cmp"
	"slices"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/scsi"
)

// observe tells everything that is served.
func (p *Process) observe() control.State {
	groups := p.access.list()
	p.mu.RLock()
	defer p.mu.RUnlock()
	s := control.State{
		Devices:      make([]control.Device, 0, len(p.devices)),
		Portals:      make([]control.Portal, 0, len(p.portals)),
		Targets:      make([]control.Target, 0, len(p.targets)),
		Discovery:    p.discovery,
		DeviceGroups: groups,
	}
	for _, d := range p.devices {
		s.Devices = append(s.Devices, d.served())
	}
	slices.SortFunc(s.Devices, func(a, b control.Device) int { return cmp.Compare(a.Name, b.Name) })
	for _, o := range p.portals {
		s.Portals = append(s.Portals, o.spec)
	}
	for _, t := range p.targets {
		// The lists are copied: they are encoded after the lock is given back.
		spec := t.spec
		spec.LUNs = slices.Clone(spec.LUNs)
		spec.Groups = slices.Clone(spec.Groups)
		for i := range spec.Groups {
			spec.Groups[i].LUNs = slices.Clone(spec.Groups[i].LUNs)
		}
		s.Targets = append(s.Targets, spec)
	}
	return s
}

// statistics are the counters of every LUN.
func (p *Process) statistics() []control.LUNStatistics {
	p.mu.RLock()
	targets := slices.Clone(p.targets)
	p.mu.RUnlock()
	out := []control.LUNStatistics{}
	for _, t := range targets {
		for _, c := range t.scsi.Counters() {
			out = append(out, control.LUNStatistics{
				Target: t.scsi.Name(), Group: c.Group, LUN: int(c.LUN), Device: c.Unit, Counters: counters(c.Counters),
			})
		}
	}
	return out
}

func counters(c scsi.Counters) control.Counters {
	return control.Counters{
		Reads: c.Reads, Writes: c.Writes, Other: c.Other, ReadBytes: c.ReadBytes, WriteBytes: c.WriteBytes, Errors: c.Errors,
		ReadLatency:  control.Histogram(c.ReadLatency),
		WriteLatency: control.Histogram(c.WriteLatency),
	}
}

package process

import (
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/scsi"
)

// accessStates are the ALUA device groups: which devices are reached how well
// through which target ports. A group may name devices and targets that are
// not there (yet); it holds for them once they are.
//
// Its lock is its own and is held for moments only: an initiator that sets
// states (SET TARGET PORT GROUPS) comes from within a task, and changes wait
// for tasks to end.
type accessStates struct {
	process *Process
	mu      sync.Mutex
	groups  []control.DeviceGroup
}

// put sets a device group as a whole.
func (a *accessStates) put(g control.DeviceGroup) error {
	for _, tg := range g.TargetGroups {
		if _, ok := stateCode(tg.State); !ok {
			return control.Errorf(control.Refused, "target group %s: there is no access state %q", tg.Name, tg.State)
		}
		if tg.ID < 1 || tg.ID > 65535 {
			return control.Errorf(control.Refused, "target group %s: its id %d is not within 1 to 65535", tg.Name, tg.ID)
		}
	}
	a.mu.Lock()
	var gone []string
	if i := a.index(g.Name); i >= 0 {
		for _, d := range a.groups[i].Devices {
			if !slices.Contains(g.Devices, d) {
				gone = append(gone, d)
			}
		}
		a.groups[i] = g
	} else {
		a.groups = append(a.groups, g)
	}
	a.mu.Unlock()
	a.apply(append(gone, g.Devices...)...)
	return nil
}

// delete ends a device group: its devices are active on all ports again.
func (a *accessStates) delete(name string) error {
	a.mu.Lock()
	i := a.index(name)
	if i < 0 {
		a.mu.Unlock()
		return nil
	}
	devices := a.groups[i].Devices
	a.groups = slices.Delete(a.groups, i, i+1)
	a.mu.Unlock()
	a.apply(devices...)
	return nil
}

// index is where a group is, -1 if there is none. The caller holds mu.
func (a *accessStates) index(name string) int {
	return slices.IndexFunc(a.groups, func(g control.DeviceGroup) bool { return g.Name == name })
}

// of is the group that a device is in. The caller holds mu.
func (a *accessStates) of(device string) *control.DeviceGroup {
	for i := range a.groups {
		if slices.Contains(a.groups[i].Devices, device) {
			return &a.groups[i]
		}
	}
	return nil
}

// list returns a copy of the groups.
func (a *accessStates) list() []control.DeviceGroup {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := slices.Clone(a.groups)
	for i := range list {
		list[i].TargetGroups = slices.Clone(list[i].TargetGroups)
	}
	return list
}

// applyTarget brings the devices of every group that names a target up to it.
func (a *accessStates) applyTarget(target string) {
	a.mu.Lock()
	var devices []string
	for _, g := range a.groups {
		for _, tg := range g.TargetGroups {
			if slices.ContainsFunc(tg.Targets, func(t control.GroupTarget) bool { return t.Name == target }) {
				devices = append(devices, g.Devices...)
				break
			}
		}
	}
	a.mu.Unlock()
	a.apply(devices...)
}

// apply brings the units of devices up to their group. Initiators whose state
// changes by it are told.
func (a *accessStates) apply(devices ...string) {
	if len(devices) == 0 {
		return
	}
	p := a.process
	p.mu.RLock()
	ports := make(map[string][]uint16, len(p.targets))
	for _, t := range p.targets {
		for _, id := range slices.Sorted(maps.Values(t.spec.RelativeIDs)) {
			ports[t.spec.Name] = append(ports[t.spec.Name], uint16(id))
		}
	}
	units := make(map[string]*scsi.Unit, len(devices))
	for _, name := range devices {
		if d := p.devices[name]; d != nil {
			units[name] = d.unit
		}
	}
	p.mu.RUnlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, u := range units {
		u.SetAccess(portGroups(a.of(name), ports))
	}
}

// portGroups is g as units take it; nil for a device in no group.
func portGroups(g *control.DeviceGroup, ports map[string][]uint16) []scsi.PortGroup {
	if g == nil {
		return nil
	}
	var out []scsi.PortGroup
	for _, tg := range g.TargetGroups {
		state, _ := stateCode(tg.State)
		pg := scsi.PortGroup{ID: uint16(tg.ID), State: state, Preferred: tg.Preferred}
		for _, t := range tg.Targets {
			if t.RelativeID != 0 {
				pg.Ports = append(pg.Ports, uint16(t.RelativeID)) // on the peer node
				continue
			}
			pg.Ports = append(pg.Ports, ports[t.Name]...)
		}
		out = append(out, pg)
	}
	return out
}

// set takes over what an initiator set with SET TARGET PORT GROUPS. The unit
// that it asked takes the states over by itself; the other devices of the
// group follow here, and the daemon is told.
func (a *accessStates) set(device string, states map[uint16]scsi.AccessState) error {
	a.mu.Lock()
	g := a.of(device)
	if g == nil {
		a.mu.Unlock()
		return control.Errorf(control.Refused, "device %s is in no device group", device)
	}
	tgs := slices.Clone(g.TargetGroups) // lists that were handed out stay as they are
	detail := map[string]string{}
	for i := range tgs {
		if s, ok := states[uint16(tgs[i].ID)]; ok {
			tgs[i].State = stateName(s)
			detail[tgs[i].Name] = tgs[i].State
		}
	}
	g.TargetGroups = tgs
	name := g.Name
	others := slices.DeleteFunc(slices.Clone(g.Devices), func(d string) bool { return d == device })
	a.mu.Unlock()
	// Their units take their own locks; the one that asks holds its own.
	go a.apply(others...)
	a.process.publish("alua.changed", name, "an initiator changed the access states of device group "+name, detail)
	return nil
}

// stateCode is the access state of a name of SCST and of the document.
func stateCode(name string) (scsi.AccessState, bool) {
	switch name {
	case "", "active":
		return scsi.ActiveOptimized, true
	case "nonoptimized":
		return scsi.ActiveNonOptimized, true
	case "standby":
		return scsi.Standby, true
	case "unavailable":
		return scsi.Unavailable, true
	case "offline":
		return scsi.Offline, true
	case "transitioning":
		return scsi.Transitioning, true
	}
	return 0, false
}

// stateName is the name of an access state.
func stateName(s scsi.AccessState) string {
	switch s {
	case scsi.ActiveOptimized:
		return "active"
	case scsi.ActiveNonOptimized:
		return "nonoptimized"
	case scsi.Standby:
		return "standby"
	case scsi.Unavailable:
		return "unavailable"
	case scsi.Offline:
		return "offline"
	case scsi.Transitioning:
		return "transitioning"
	}
	return strconv.Itoa(int(s))
}

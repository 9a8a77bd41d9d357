package native

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/native/control"
)

// wanted is what the process was asked to serve and serves. A process that is
// started in another's place is given it; one that is found running tells it.
type wanted struct{ state control.State }

func (w *wanted) clear()                  { w.state = control.State{} }
func (w *wanted) set(state control.State) { w.state = state }

// place is where a named element is, or belongs, in a list. Names are looked
// up one by one: a list is put in its order and seldom searched.
func place[T any](list []T, named func(T) bool) int {
	if i := slices.IndexFunc(list, named); i >= 0 {
		return i
	}
	return len(list)
}

// put sets an element of a list: in place of the one it replaces, else at the end.
func put[T any](list []T, named func(T) bool, e T) []T {
	if i := place(list, named); i < len(list) {
		list[i] = e
		return list
	}
	return append(list, e)
}

func (w *wanted) device(name string) (control.Device, bool) {
	i := place(w.state.Devices, func(d control.Device) bool { return d.Name == name })
	if i == len(w.state.Devices) {
		return control.Device{}, false
	}
	return w.state.Devices[i], true
}

func (w *wanted) putDevice(d control.Device) {
	w.state.Devices = put(w.state.Devices, func(o control.Device) bool { return o.Name == d.Name }, d)
}

func (w *wanted) deleteDevice(name string) {
	w.state.Devices = slices.DeleteFunc(w.state.Devices, func(d control.Device) bool { return d.Name == name })
}

func (w *wanted) portal(name string) (control.Portal, bool) {
	i := place(w.state.Portals, func(p control.Portal) bool { return p.Name == name })
	if i == len(w.state.Portals) {
		return control.Portal{}, false
	}
	return w.state.Portals[i], true
}

func (w *wanted) putPortal(p control.Portal) {
	w.state.Portals = put(w.state.Portals, func(o control.Portal) bool { return o.Name == p.Name }, p)
}

func (w *wanted) deletePortal(name string) {
	w.state.Portals = slices.DeleteFunc(w.state.Portals, func(p control.Portal) bool { return p.Name == name })
}

// target returns the target of that name, nil if there is none.
func (w *wanted) target(name string) *control.Target {
	i := place(w.state.Targets, func(t control.Target) bool { return t.Name == name })
	if i == len(w.state.Targets) {
		return nil
	}
	return &w.state.Targets[i]
}

// putTarget sets a target's own settings; its groups and LUNs stay.
func (w *wanted) putTarget(t control.Target) {
	t.LUNs, t.Groups = nil, nil
	if old := w.target(t.Name); old != nil {
		t.LUNs, t.Groups = old.LUNs, old.Groups
	}
	w.state.Targets = put(w.state.Targets, func(o control.Target) bool { return o.Name == t.Name }, t)
}

func (w *wanted) deleteTarget(name string) {
	w.state.Targets = slices.DeleteFunc(w.state.Targets, func(t control.Target) bool { return t.Name == name })
}

func (w *wanted) putGroup(target string, g control.Group) {
	t := w.target(target)
	if t == nil {
		return
	}
	g.LUNs = nil
	same := func(o control.Group) bool { return o.Name == g.Name }
	if i := place(t.Groups, same); i < len(t.Groups) {
		g.LUNs = t.Groups[i].LUNs
	}
	t.Groups = put(t.Groups, same, g)
}

func (w *wanted) deleteGroup(target, group string) {
	if t := w.target(target); t != nil {
		t.Groups = slices.DeleteFunc(t.Groups, func(g control.Group) bool { return g.Name == group })
	}
}

// luns is the LUN map that m names, nil if there is none.
func (w *wanted) luns(m control.Map) *[]control.LUN {
	t := w.target(m.Target)
	if t == nil || m.Group == "" {
		if t == nil {
			return nil
		}
		return &t.LUNs
	}
	i := place(t.Groups, func(g control.Group) bool { return g.Name == m.Group })
	if i == len(t.Groups) {
		return nil
	}
	return &t.Groups[i].LUNs
}

func (w *wanted) putLUN(m control.Map, l control.LUN) {
	if luns := w.luns(m); luns != nil {
		*luns = put(*luns, func(o control.LUN) bool { return o.LUN == l.LUN }, l)
	}
}

func (w *wanted) deleteLUN(m control.Map, lun int) {
	if luns := w.luns(m); luns != nil {
		*luns = slices.DeleteFunc(*luns, func(l control.LUN) bool { return l.LUN == lun })
	}
}

func (w *wanted) putDeviceGroup(g control.DeviceGroup) {
	w.state.DeviceGroups = put(w.state.DeviceGroups, func(o control.DeviceGroup) bool { return o.Name == g.Name }, g)
}

func (w *wanted) deleteDeviceGroup(name string) {
	w.state.DeviceGroups = slices.DeleteFunc(w.state.DeviceGroups, func(g control.DeviceGroup) bool { return g.Name == name })
}

// replay gives a new process everything that was wanted of the last one. What
// cannot be had any more is reported and left out, so that one lost disk does
// not keep the others away; only losing the process itself is an error.
//
// Portals come last: until then initiators are refused by the network and try
// again; a target or LUN that they would not find could be given up for good.
func (e *Engine) replay(ctx context.Context, c *control.Client) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := replaying{engine: e, ctx: ctx}
	begun := time.Now()
	for _, d := range e.wanted.state.Devices {
		served, err := e.serveDevice(ctx, c, d, nil)
		if r.did("device", d.Name, err) {
			r.served.putDevice(served)
		}
	}
	for _, t := range e.wanted.state.Targets {
		if r.did("target", t.Name, c.PutTarget(ctx, t)) {
			r.served.putTarget(t)
			r.maps(c, t)
		}
	}
	for _, g := range e.wanted.state.DeviceGroups {
		if r.did("device_group", g.Name, c.PutDeviceGroup(ctx, g)) {
			r.served.putDeviceGroup(g)
		}
	}
	if r.did("discovery", "discovery", c.PutDiscovery(ctx, e.wanted.state.Discovery)) {
		r.served.state.Discovery = e.wanted.state.Discovery
	}
	for _, p := range e.wanted.state.Portals {
		_, err := e.openPortal(ctx, c, p)
		if r.did("portal", p.Name, err) {
			r.served.putPortal(p)
		}
	}
	if r.lost != nil {
		return r.lost
	}
	e.wanted = r.served
	e.log.Info("gave the new esos-target what the last one served", "devices", len(e.wanted.state.Devices),
		"targets", len(e.wanted.state.Targets), "left_out", r.left, "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// replaying is a replay under way.
type replaying struct {
	engine *Engine
	ctx    context.Context // of the one call that it belongs to
	served wanted          // what the new process has taken
	left   int             // how much was left out
	lost   error           // the process is gone again
}

// maps gives a target its groups and LUNs.
func (r *replaying) maps(c *control.Client, t control.Target) {
	luns := func(m control.Map, luns []control.LUN) {
		for _, l := range luns {
			if r.did("lun", fmt.Sprintf("LUN %d of %s", l.LUN, engine.LUNMap(m.Target, m.Group)), c.PutLUN(r.ctx, m, l)) {
				r.served.putLUN(m, l)
			}
		}
	}
	luns(control.Map{Target: t.Name}, t.LUNs)
	for _, g := range t.Groups {
		if r.did("group", t.Name+"/"+g.Name, c.PutGroup(r.ctx, t.Name, g)) {
			r.served.putGroup(t.Name, g)
			luns(control.Map{Target: t.Name, Group: g.Name}, g.LUNs)
		}
	}
}

// did notes how a step went and says whether it went well.
func (r *replaying) did(kind, object string, err error) bool {
	switch {
	case r.lost != nil:
		return false
	case err == nil:
		return true
	case errors.Is(err, control.ErrClosed) || r.ctx.Err() != nil:
		r.lost = err
		return false
	}
	r.left++
	r.engine.log.Error("could not serve again after the target process ended", "object", object, "err", err)
	r.engine.hub.publish(engine.Event{
		Time: time.Now(), Kind: kind + ".failed", Object: object,
		Message: fmt.Sprintf("after the target process ended, %s could not be served again: %v", object, err),
	})
	return false
}

func itoa(n int) string { return strconv.Itoa(n) }

// atoi is the number that s is, 0 if it is none.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

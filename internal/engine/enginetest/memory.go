// Package enginetest is for tests of what stands on an engine, and of
// engines: Memory serves nobody but behaves like an engine.
package enginetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// Memory is an engine that keeps what it is told. Its fields are set before use.
type Memory struct {
	// Fail, if not nil, is asked before each change; its error refuses it.
	Fail func(op, object string) error
	// Unsupported is returned by Supports.
	Unsupported []error
	// Shared and Foreign are returned by Observe.
	Shared  bool
	Foreign map[string]bool

	mu       sync.Mutex
	state    engine.State
	sessions []engine.Session
	calls    []string
	events   chan engine.Event
}

var _ engine.Engine = (*Memory)(nil)

// Name is memory.
func (*Memory) Name() string { return "memory" }

// Supports returns what the test set.
func (m *Memory) Supports(*config.Document) []error { return m.Unsupported }

// SetSessions says who is logged in.
func (m *Memory) SetSessions(s ...engine.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions = s
}

// Calls returns the changes made since the last call, like "PutDevice db01".
func (m *Memory) Calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls
	m.calls = nil
	return c
}

// Forget drops all that is served, as a crash of the target process does.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = engine.State{}
}

// Emit sends an event to whoever listens. Events must have been called.
func (m *Memory) Emit(e engine.Event) {
	m.mu.Lock()
	ch := m.events
	m.mu.Unlock()
	ch <- e
}

// change notes a call and asks Fail; with an error nothing is changed.
func (m *Memory) change(op, object string, do func() error) error {
	if m.Fail != nil {
		if err := m.Fail(op, object); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, op+" "+object)
	return do()
}

// Observe returns a copy of what is served.
func (m *Memory) Observe(context.Context) (engine.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := config.Document{Devices: m.state.Devices, ISCSI: m.state.ISCSI, Targets: m.state.Targets, DeviceGroups: m.state.DeviceGroups}
	c := d.Clone()
	return engine.State{Devices: c.Devices, ISCSI: c.ISCSI, Targets: c.Targets, DeviceGroups: c.DeviceGroups,
		Shared: m.Shared, Foreign: maps.Clone(m.Foreign)}, nil
}

// put replaces the item that same finds, or appends it.
func put[T any](list *[]T, item T, same func(T) bool) {
	if i := slices.IndexFunc(*list, same); i >= 0 {
		(*list)[i] = item
		return
	}
	*list = append(*list, item)
}

// PutDevice refuses to cut a device and to change what needs a new one.
func (m *Memory) PutDevice(_ context.Context, d config.Device) error {
	return m.change("PutDevice", d.Name, func() error {
		same := func(have config.Device) bool { return have.Name == d.Name }
		if i := slices.IndexFunc(m.state.Devices, same); i >= 0 {
			have := m.state.Devices[i]
			switch {
			case d.Size != 0 && d.Size < have.Size:
				return fmt.Errorf("device %q cannot shrink", d.Name)
			case d.Handler != have.Handler || d.BlockSize != have.BlockSize:
				return fmt.Errorf("device %q cannot be changed while it is served", d.Name)
			}
			if d.Size == 0 {
				d.Size = have.Size
			}
		}
		put(&m.state.Devices, d, same)
		return nil
	})
}

// DeleteDevice refuses a device that a LUN leads to.
func (m *Memory) DeleteDevice(_ context.Context, name string) error {
	return m.change("DeleteDevice", name, func() error {
		leads := func(l config.LUN) bool { return l.Device == name }
		for _, t := range m.state.Targets {
			if slices.ContainsFunc(t.LUNs, leads) {
				return fmt.Errorf("a LUN of target %s leads to device %q", t.Name, name)
			}
			for _, g := range t.Groups {
				if slices.ContainsFunc(g.LUNs, leads) {
					return fmt.Errorf("a LUN of group %s of target %s leads to device %q", g.Name, t.Name, name)
				}
			}
		}
		m.state.Devices = slices.DeleteFunc(m.state.Devices, func(d config.Device) bool { return d.Name == name })
		return nil
	})
}

// PutPortal sets a portal.
func (m *Memory) PutPortal(_ context.Context, p config.Portal) error {
	return m.change("PutPortal", p.Name, func() error {
		for _, have := range m.state.ISCSI.Portals {
			if have.Address == p.Address && have.Name != p.Name {
				return fmt.Errorf("listen on %s: address already in use", p.Address)
			}
		}
		put(&m.state.ISCSI.Portals, p, func(have config.Portal) bool { return have.Name == p.Name })
		return nil
	})
}

// DeletePortal closes a portal.
func (m *Memory) DeletePortal(_ context.Context, name string) error {
	return m.change("DeletePortal", name, func() error {
		m.state.ISCSI.Portals = slices.DeleteFunc(m.state.ISCSI.Portals, func(p config.Portal) bool { return p.Name == name })
		return nil
	})
}

// PutDiscovery sets who may run discovery.
func (m *Memory) PutDiscovery(_ context.Context, a config.Auth) error {
	return m.change("PutDiscovery", "discovery", func() error {
		m.state.ISCSI.Discovery = a
		return nil
	})
}

// PutTarget sets a target, not its groups and LUNs.
func (m *Memory) PutTarget(_ context.Context, t config.Target) error {
	return m.change("PutTarget", t.Name, func() error {
		t = t.Clone()
		t.Groups, t.LUNs = nil, nil
		if have := m.target(t.Name); have != nil {
			t.Groups, t.LUNs = have.Groups, have.LUNs
		}
		put(&m.state.Targets, t, func(have config.Target) bool { return have.Name == t.Name })
		return nil
	})
}

func (m *Memory) target(name string) *config.Target {
	for i := range m.state.Targets {
		if m.state.Targets[i].Name == name {
			return &m.state.Targets[i]
		}
	}
	return nil
}

// DeleteTarget deletes a target with its groups and LUNs.
func (m *Memory) DeleteTarget(_ context.Context, name string) error {
	return m.change("DeleteTarget", name, func() error {
		m.state.Targets = slices.DeleteFunc(m.state.Targets, func(t config.Target) bool { return t.Name == name })
		return nil
	})
}

// PutGroup sets a group's initiators.
func (m *Memory) PutGroup(_ context.Context, target string, g config.Group) error {
	return m.change("PutGroup", target+"/"+g.Name, func() error {
		t := m.target(target)
		if t == nil {
			return fmt.Errorf("no target %s", target)
		}
		g.LUNs = nil
		for _, have := range t.Groups {
			if have.Name == g.Name {
				g.LUNs = have.LUNs
			}
		}
		put(&t.Groups, g, func(have config.Group) bool { return have.Name == g.Name })
		return nil
	})
}

// DeleteGroup deletes a group with its LUNs.
func (m *Memory) DeleteGroup(_ context.Context, target, group string) error {
	return m.change("DeleteGroup", target+"/"+group, func() error {
		if t := m.target(target); t != nil {
			t.Groups = slices.DeleteFunc(t.Groups, func(g config.Group) bool { return g.Name == group })
		}
		return nil
	})
}

func (m *Memory) luns(target, group string) *[]config.LUN {
	t := m.target(target)
	if t == nil {
		return nil
	}
	if group == "" {
		return &t.LUNs
	}
	for i := range t.Groups {
		if t.Groups[i].Name == group {
			return &t.Groups[i].LUNs
		}
	}
	return nil
}

// PutLUN maps a LUN to a device that must be there.
func (m *Memory) PutLUN(_ context.Context, target, group string, l config.LUN) error {
	return m.change("PutLUN", fmt.Sprintf("%s/%s/%d", target, group, l.LUN), func() error {
		luns := m.luns(target, group)
		if luns == nil {
			return fmt.Errorf("no group %q of target %s", group, target)
		}
		if !slices.ContainsFunc(m.state.Devices, func(d config.Device) bool { return d.Name == l.Device }) {
			return fmt.Errorf("no device %q", l.Device)
		}
		put(luns, l, func(have config.LUN) bool { return have.LUN == l.LUN })
		return nil
	})
}

// DeleteLUN unmaps a LUN.
func (m *Memory) DeleteLUN(_ context.Context, target, group string, lun int) error {
	return m.change("DeleteLUN", fmt.Sprintf("%s/%s/%d", target, group, lun), func() error {
		if luns := m.luns(target, group); luns != nil {
			*luns = slices.DeleteFunc(*luns, func(l config.LUN) bool { return l.LUN == lun })
		}
		return nil
	})
}

// PutDeviceGroup sets a device group.
func (m *Memory) PutDeviceGroup(_ context.Context, g config.DeviceGroup) error {
	return m.change("PutDeviceGroup", g.Name, func() error {
		put(&m.state.DeviceGroups, g.Clone(), func(have config.DeviceGroup) bool { return have.Name == g.Name })
		return nil
	})
}

// DeleteDeviceGroup deletes a device group.
func (m *Memory) DeleteDeviceGroup(_ context.Context, name string) error {
	return m.change("DeleteDeviceGroup", name, func() error {
		m.state.DeviceGroups = slices.DeleteFunc(m.state.DeviceGroups, func(g config.DeviceGroup) bool { return g.Name == name })
		return nil
	})
}

// Sessions returns what SetSessions set.
func (m *Memory) Sessions(context.Context) ([]engine.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sessions), nil
}

// CloseSession drops a session.
func (m *Memory) CloseSession(_ context.Context, id string) error {
	return m.change("CloseSession", id, func() error {
		i := slices.IndexFunc(m.sessions, func(s engine.Session) bool { return s.ID == id })
		if i < 0 {
			return fmt.Errorf("no session %q", id)
		}
		m.sessions = slices.Delete(slices.Clone(m.sessions), i, i+1)
		return nil
	})
}

// Statistics counts nothing.
func (m *Memory) Statistics(context.Context) (engine.Statistics, error) {
	return engine.Statistics{}, nil
}

// Events passes on what Emit sends.
func (m *Memory) Events(ctx context.Context) (<-chan engine.Event, error) {
	in, out := make(chan engine.Event), make(chan engine.Event)
	m.mu.Lock()
	m.events = in
	m.mu.Unlock()
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-in:
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, nil
}

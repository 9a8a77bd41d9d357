package native

import (
	"context"
	"errors"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/internal/host"
)

// PutPortal implements engine.Engine. A portal whose address or group changes
// is closed and opened again: its connections end.
func (e *Engine) PutPortal(ctx context.Context, p config.Portal) error {
	wire := portalOut(p.WithDefaults())
	var served control.Portal
	err := e.change(ctx, func(c *control.Client) (err error) {
		old, have := e.wanted.portal(p.Name)
		switch {
		case have && old.Address == wire.Address && old.Group == wire.Group:
			served = wire
			return c.PutPortal(ctx, wire, nil)
		case have:
			// The old address has to be free first: the new one may contain it.
			if err := c.DeletePortal(ctx, p.Name); err != nil {
				return err
			}
		}
		if served, err = e.openPortal(ctx, c, wire); err != nil && have {
			if _, back := e.openPortal(ctx, c, old); back != nil {
				e.wanted.deletePortal(p.Name)
				err = errors.Join(err, fmt.Errorf("and its old address could not be taken again: %w", back))
			}
		}
		return err
	}, func(w *wanted) { w.putPortal(served) })
	if err != nil {
		return fmt.Errorf("put portal %s: %w", p.Name, err)
	}
	return nil
}

// openPortal binds p's address and hands the socket to the process.
func (e *Engine) openPortal(ctx context.Context, c *control.Client, p control.Portal) (control.Portal, error) {
	l, err := host.ListenTCP(ctx, p.Address)
	if err != nil {
		return p, err
	}
	defer l.Close()
	return p, c.PutPortal(ctx, p, l)
}

// DeletePortal implements engine.Engine. The portal's connections end.
func (e *Engine) DeletePortal(ctx context.Context, name string) error {
	err := e.change(ctx,
		func(c *control.Client) error { return c.DeletePortal(ctx, name) },
		func(w *wanted) { w.deletePortal(name) })
	if err != nil {
		return fmt.Errorf("delete portal %s: %w", name, err)
	}
	return nil
}

// PutDiscovery implements engine.Engine.
func (e *Engine) PutDiscovery(ctx context.Context, a config.Auth) error {
	wire := authOut(a)
	err := e.change(ctx,
		func(c *control.Client) error { return c.PutDiscovery(ctx, wire) },
		func(w *wanted) { w.state.Discovery = wire })
	if err != nil {
		return fmt.Errorf("put discovery authentication: %w", err)
	}
	return nil
}

// PutTarget implements engine.Engine. What changes holds for logins to come;
// a target that is disabled logs its initiators out.
func (e *Engine) PutTarget(ctx context.Context, t config.Target) error {
	wire := targetOut(t.WithDefaults())
	err := e.change(ctx,
		func(c *control.Client) error { return c.PutTarget(ctx, wire) },
		func(w *wanted) { w.putTarget(wire) })
	if err != nil {
		return fmt.Errorf("put target %s: %w", t.Name, err)
	}
	return nil
}

// DeleteTarget implements engine.Engine. Its sessions end.
func (e *Engine) DeleteTarget(ctx context.Context, name string) error {
	err := e.change(ctx,
		func(c *control.Client) error { return c.DeleteTarget(ctx, name) },
		func(w *wanted) { w.deleteTarget(name) })
	if err != nil {
		return fmt.Errorf("delete target %s: %w", name, err)
	}
	return nil
}

// PutGroup implements engine.Engine. Sessions stay in the group that they fell
// into at their login.
func (e *Engine) PutGroup(ctx context.Context, target string, g config.Group) error {
	wire := control.Group{Name: g.Name, Initiators: g.Initiators}
	err := e.change(ctx,
		func(c *control.Client) error { return c.PutGroup(ctx, target, wire) },
		func(w *wanted) { w.putGroup(target, wire) })
	if err != nil {
		return fmt.Errorf("put group %s of target %s: %w", g.Name, target, err)
	}
	return nil
}

// DeleteGroup implements engine.Engine.
func (e *Engine) DeleteGroup(ctx context.Context, target, group string) error {
	err := e.change(ctx,
		func(c *control.Client) error { return c.DeleteGroup(ctx, target, group) },
		func(w *wanted) { w.deleteGroup(target, group) })
	if err != nil {
		return fmt.Errorf("delete group %s of target %s: %w", group, target, err)
	}
	return nil
}

// PutLUN implements engine.Engine. Initiators of the group are told.
func (e *Engine) PutLUN(ctx context.Context, target, group string, l config.LUN) error {
	m, wire := control.Map{Target: target, Group: group}, control.LUN(l)
	err := e.change(ctx,
		func(c *control.Client) error { return c.PutLUN(ctx, m, wire) },
		func(w *wanted) { w.putLUN(m, wire) })
	if err != nil {
		return fmt.Errorf("put LUN %d of %s: %w", l.LUN, engine.LUNMap(m.Target, m.Group), err)
	}
	return nil
}

// DeleteLUN implements engine.Engine. Initiators of the group are told.
func (e *Engine) DeleteLUN(ctx context.Context, target, group string, lun int) error {
	m := control.Map{Target: target, Group: group}
	err := e.change(ctx,
		func(c *control.Client) error { return c.DeleteLUN(ctx, m, lun) },
		func(w *wanted) { w.deleteLUN(m, lun) })
	if err != nil {
		return fmt.Errorf("delete LUN %d of %s: %w", lun, engine.LUNMap(m.Target, m.Group), err)
	}
	return nil
}

// PutDeviceGroup implements engine.Engine.
func (e *Engine) PutDeviceGroup(ctx context.Context, g config.DeviceGroup) error {
	wire := deviceGroupOut(g)
	err := e.change(ctx,
		func(c *control.Client) error { return c.PutDeviceGroup(ctx, wire) },
		func(w *wanted) { w.putDeviceGroup(wire) })
	if err != nil {
		return fmt.Errorf("put device group %s: %w", g.Name, err)
	}
	return nil
}

// DeleteDeviceGroup implements engine.Engine.
func (e *Engine) DeleteDeviceGroup(ctx context.Context, name string) error {
	err := e.change(ctx,
		func(c *control.Client) error { return c.DeleteDeviceGroup(ctx, name) },
		func(w *wanted) { w.deleteDeviceGroup(name) })
	if err != nil {
		return fmt.Errorf("delete device group %s: %w", name, err)
	}
	return nil
}

package choice

import (
	"context"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// The rest of engine.Engine is passed on to whoever serves.

func (c *Engine) do(what func(Serving) error) error {
	s, err := c.serving()
	if err != nil {
		return err
	}
	return what(s)
}

// PutDevice implements engine.Engine.
func (c *Engine) PutDevice(ctx context.Context, d config.Device) error {
	return c.do(func(s Serving) error { return s.PutDevice(ctx, d) })
}

// DeleteDevice implements engine.Engine.
func (c *Engine) DeleteDevice(ctx context.Context, name string) error {
	return c.do(func(s Serving) error { return s.DeleteDevice(ctx, name) })
}

// PutPortal implements engine.Engine.
func (c *Engine) PutPortal(ctx context.Context, p config.Portal) error {
	return c.do(func(s Serving) error { return s.PutPortal(ctx, p) })
}

// DeletePortal implements engine.Engine.
func (c *Engine) DeletePortal(ctx context.Context, name string) error {
	return c.do(func(s Serving) error { return s.DeletePortal(ctx, name) })
}

// PutDiscovery implements engine.Engine.
func (c *Engine) PutDiscovery(ctx context.Context, a config.Auth) error {
	return c.do(func(s Serving) error { return s.PutDiscovery(ctx, a) })
}

// PutTarget implements engine.Engine.
func (c *Engine) PutTarget(ctx context.Context, t config.Target) error {
	return c.do(func(s Serving) error { return s.PutTarget(ctx, t) })
}

// DeleteTarget implements engine.Engine.
func (c *Engine) DeleteTarget(ctx context.Context, name string) error {
	return c.do(func(s Serving) error { return s.DeleteTarget(ctx, name) })
}

// PutGroup implements engine.Engine.
func (c *Engine) PutGroup(ctx context.Context, target string, g config.Group) error {
	return c.do(func(s Serving) error { return s.PutGroup(ctx, target, g) })
}

// DeleteGroup implements engine.Engine.
func (c *Engine) DeleteGroup(ctx context.Context, target, group string) error {
	return c.do(func(s Serving) error { return s.DeleteGroup(ctx, target, group) })
}

// PutLUN implements engine.Engine.
func (c *Engine) PutLUN(ctx context.Context, target, group string, l config.LUN) error {
	return c.do(func(s Serving) error { return s.PutLUN(ctx, target, group, l) })
}

// DeleteLUN implements engine.Engine.
func (c *Engine) DeleteLUN(ctx context.Context, target, group string, lun int) error {
	return c.do(func(s Serving) error { return s.DeleteLUN(ctx, target, group, lun) })
}

// PutDeviceGroup implements engine.Engine.
func (c *Engine) PutDeviceGroup(ctx context.Context, g config.DeviceGroup) error {
	return c.do(func(s Serving) error { return s.PutDeviceGroup(ctx, g) })
}

// DeleteDeviceGroup implements engine.Engine.
func (c *Engine) DeleteDeviceGroup(ctx context.Context, name string) error {
	return c.do(func(s Serving) error { return s.DeleteDeviceGroup(ctx, name) })
}

// CloseSession implements engine.Engine.
func (c *Engine) CloseSession(ctx context.Context, id string) error {
	return c.do(func(s Serving) error { return s.CloseSession(ctx, id) })
}

// Observe implements engine.Engine.
func (c *Engine) Observe(ctx context.Context) (v engine.State, err error) {
	err = c.do(func(s Serving) error {
		v, err = s.Observe(ctx)
		return err
	})
	return v, err
}

// Sessions implements engine.Engine.
func (c *Engine) Sessions(ctx context.Context) (v []engine.Session, err error) {
	err = c.do(func(s Serving) error {
		v, err = s.Sessions(ctx)
		return err
	})
	return v, err
}

// Statistics implements engine.Engine.
func (c *Engine) Statistics(ctx context.Context) (v engine.Statistics, err error) {
	err = c.do(func(s Serving) error {
		v, err = s.Statistics(ctx)
		return err
	})
	return v, err
}

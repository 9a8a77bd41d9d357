package native

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/native/control"
)

// Observe implements engine.Engine: the process tells what it serves.
func (e *Engine) Observe(ctx context.Context) (engine.State, error) {
	var s control.State
	err := e.ask(ctx, func(c *control.Client) (err error) {
		s, err = c.Observe(ctx)
		return err
	})
	if err != nil {
		return engine.State{}, fmt.Errorf("observe native engine: %w", err)
	}
	return stateIn(s), nil
}

// Addresses tells where each portal really listens, by its name: the port that
// the system picked, for one that was declared with port 0.
func (e *Engine) Addresses(ctx context.Context) (map[string]string, error) {
	var s control.State
	err := e.ask(ctx, func(c *control.Client) (err error) {
		s, err = c.Observe(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("observe portals: %w", err)
	}
	bound := make(map[string]string, len(s.Portals))
	for _, p := range s.Portals {
		bound[p.Name] = p.Bound
	}
	return bound, nil
}

// briefly bounds a question that people wait for: a process that hangs must not
// hang them.
func (e *Engine) briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.proc.pulse)
}

// Sessions implements engine.Engine.
func (e *Engine) Sessions(ctx context.Context) ([]engine.Session, error) {
	ctx, cancel := e.briefly(ctx)
	defer cancel()
	var got []control.Session
	err := e.ask(ctx, func(c *control.Client) (err error) {
		got, err = c.Sessions(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	out := make([]engine.Session, len(got))
	for i, s := range got {
		out[i] = engine.Session{
			ID: s.ID, Target: s.Target, Group: s.Group, Initiator: s.Initiator, ISID: s.ISID, Address: s.Address,
			Portal: s.Portal, Since: s.Since, LUNs: s.LUNs, Active: s.Active, Counters: countersIn(s.Counters),
		}
	}
	return out, nil
}

// CloseSession implements engine.Engine. A session that is gone is no error.
func (e *Engine) CloseSession(ctx context.Context, id string) error {
	err := e.ask(ctx, func(c *control.Client) error { return c.CloseSession(ctx, id) })
	if err != nil {
		return fmt.Errorf("close session %s: %w", id, err)
	}
	return nil
}

// Statistics implements engine.Engine. They count from the start of the
// process.
func (e *Engine) Statistics(ctx context.Context) (engine.Statistics, error) {
	ctx, cancel := e.briefly(ctx)
	defer cancel()
	var got []control.LUNStatistics
	err := e.ask(ctx, func(c *control.Client) (err error) {
		got, err = c.Statistics(ctx)
		return err
	})
	if err != nil {
		return engine.Statistics{}, fmt.Errorf("read statistics: %w", err)
	}
	out := engine.Statistics{LUNs: make([]engine.LUNStatistics, len(got))}
	for i, l := range got {
		out.LUNs[i] = engine.LUNStatistics{
			Target: l.Target, Group: l.Group, LUN: l.LUN, Device: l.Device, Counters: countersIn(l.Counters),
		}
	}
	return out, nil
}

func countersIn(c control.Counters) engine.Counters {
	return engine.Counters{
		Reads: c.Reads, Writes: c.Writes, Other: c.Other, ReadBytes: c.ReadBytes, WriteBytes: c.WriteBytes, Errors: c.Errors,
		ReadLatency:  engine.Histogram(c.ReadLatency),
		WriteLatency: engine.Histogram(c.WriteLatency),
	}
}

// stateIn is a process's state in the words of the document.
func stateIn(s control.State) engine.State {
	out := engine.State{ISCSI: config.ISCSI{Discovery: authIn(s.Discovery)}}
	for _, d := range s.Devices {
		out.Devices = append(out.Devices, deviceIn(d))
	}
	for _, p := range s.Portals {
		out.ISCSI.Portals = append(out.ISCSI.Portals, config.Portal{Name: p.Name, Address: p.Address, Group: p.Group, Announce: p.Announce})
	}
	for _, t := range s.Targets {
		out.Targets = append(out.Targets, targetIn(t))
	}
	for _, g := range s.DeviceGroups {
		out.DeviceGroups = append(out.DeviceGroups, deviceGroupIn(g))
	}
	return out
}

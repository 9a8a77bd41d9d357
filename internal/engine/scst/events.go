package scst

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/esos-project/esos/internal/engine"
)

// Events implements engine.Engine. SCST is asked from time to time, and a
// session that came and went in between was never there. Logins that were
// refused are in the kernel's log only.
func (e *Engine) Events(ctx context.Context) (<-chan engine.Event, error) {
	out := make(chan engine.Event, 64)
	before, err := e.glance(ctx)
	if err != nil {
		return nil, fmt.Errorf("listen to SCST: %w", err)
	}
	go func() {
		defer close(out)
		tick := time.NewTicker(e.opt.Poll)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now, err := e.glance(ctx)
			if err != nil {
				if ctx.Err() == nil {
					e.log.Warn("SCST's sessions cannot be looked at", "err", err)
				}
				continue
			}
			for _, ev := range changes(before, now) {
				select {
				case out <- ev:
				case <-ctx.Done():
					return
				}
			}
			before = now
		}
	}()
	return out, nil
}

// glance reads the sessions by their identifiers.
func (e *Engine) glance(ctx context.Context) (map[string]engine.Session, error) {
	sessions, err := e.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]engine.Session, len(sessions))
	for _, s := range sessions {
		out[s.ID] = s
	}
	return out, nil
}

// changes are the events between two glances.
func changes(before, now map[string]engine.Session) []engine.Event {
	var out []engine.Event
	tell := func(kind, text string, s engine.Session) {
		out = append(out, engine.Event{
			Time: time.Now(), Kind: kind, Object: s.Target, Message: fmt.Sprintf(text, s.Initiator, s.Target),
			Detail: map[string]string{"initiator": s.Initiator, "address": s.Address, "session": s.ID},
		})
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if _, stays := now[id]; !stays {
			tell("session.closed", "initiator %s is logged out of target %s", before[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if _, was := before[id]; !was {
			tell("session.opened", "initiator %s is logged in to target %s", now[id])
		}
	}
	return out
}

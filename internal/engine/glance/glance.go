// Package glance tells events of a target that tells nothing by itself: it is
// looked at from time to time, and what differs has happened in between. A
// session that came and went between two glances was never there.
package glance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/esos-project/esos/internal/engine"
)

// Glance is what events are told from.
type Glance struct {
	Sessions []engine.Session
	// Refused counts logins by target; nil where nobody counts them.
	Refused map[string]uint64
}

// Events looks now and every so often until ctx ends, when the channel is
// closed. A look that fails is one that did not happen: failed hears of it.
func Events(ctx context.Context, every time.Duration, look func(context.Context) (Glance, error), failed func(error)) (<-chan engine.Event, error) {
	before, err := look(ctx)
	if err != nil {
		return nil, err
	}
	out := make(chan engine.Event, 64)
	go func() {
		defer close(out)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now, err := look(ctx)
			if err != nil {
				if ctx.Err() == nil {
					failed(err)
				}
				continue
			}
			for _, ev := range before.changes(now) {
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

// byID are the sessions by their identifiers.
func (g Glance) byID() map[string]engine.Session {
	out := make(map[string]engine.Session, len(g.Sessions))
	for _, s := range g.Sessions {
		out[s.ID] = s
	}
	return out
}

// changes are the events between two glances.
func (g Glance) changes(now Glance) []engine.Event {
	var out []engine.Event
	session := func(kind, text string, s engine.Session) {
		out = append(out, engine.Event{
			Time: time.Now(), Kind: kind, Object: s.Target, Message: fmt.Sprintf(text, s.Initiator, s.Target),
			Detail: map[string]string{"initiator": s.Initiator, "address": s.Address, "session": s.ID},
		})
	}
	were, are := g.byID(), now.byID()
	for _, id := range slices.Sorted(maps.Keys(were)) {
		if _, stays := are[id]; !stays {
			session("session.closed", "initiator %s is logged out of target %s", were[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(are)) {
		if _, was := were[id]; !was {
			session("session.opened", "initiator %s is logged in to target %s", are[id])
		}
	}
	for _, target := range slices.Sorted(maps.Keys(now.Refused)) {
		was := g.Refused[target] // 0 of a target that is new
		if n := now.Refused[target]; n > was {
			out = append(out, engine.Event{
				Time: time.Now(), Kind: "login.refused", Object: target,
				Message: fmt.Sprintf("target %s refused %d logins: the initiator is in no host group, or did not prove who it is (the kernel's log may say more)", target, n-was),
			})
		}
	}
	return out
}

package lio

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/esos-project/esos/internal/engine"
)

// Events implements engine.Engine. The kernel tells nothing by itself: it is
// asked from time to time, and a session that came and went in between was
// never there.
func (e *Engine) Events(ctx context.Context) (<-chan engine.Event, error) {
	out := make(chan engine.Event, 64)
	before, err := e.glance()
	if err != nil {
		return nil, fmt.Errorf("listen to LIO: %w", err)
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
			now, err := e.glance()
			if err != nil {
				e.log.Warn("LIO's sessions cannot be looked at", "err", err)
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

// glance is what events are told from.
type glance struct {
	sessions map[string]engine.Session
	refused  map[string]uint64 // logins by target
}

func (e *Engine) glance() (glance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := glance{sessions: map[string]engine.Session{}, refused: map[string]uint64{}}
	sessions, err := e.sessions()
	if err != nil {
		return g, err
	}
	for _, s := range sessions {
		g.sessions[s.ID] = s
	}
	err = e.eachTarget(func(p place) error {
		at := path.Join(p.path(), "fabric_statistics/iscsi_login_stats")
		names, err := e.k.list(at)
		if err != nil {
			return err
		}
		for _, file := range []string{"authenticate_fails", "authorize_fails"} {
			if !slices.Contains(names, file) {
				continue
			}
			n, err := e.k.number(path.Join(at, file))
			if err != nil {
				return err
			}
			g.refused[p.name] += n
		}
		return nil
	})
	return g, err
}

// changes are the events between two glances.
func (g glance) changes(now glance) []engine.Event {
	var out []engine.Event
	session := func(kind, text string, s engine.Session) {
		out = append(out, engine.Event{
			Time: time.Now(), Kind: kind, Object: s.Target, Message: fmt.Sprintf(text, s.Initiator, s.Target),
			Detail: map[string]string{"initiator": s.Initiator, "address": s.Address, "session": s.ID},
		})
	}
	for _, id := range slices.Sorted(maps.Keys(g.sessions)) {
		if _, stays := now.sessions[id]; !stays {
			session("session.closed", "initiator %s is logged out of target %s", g.sessions[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now.sessions)) {
		if _, was := g.sessions[id]; !was {
			session("session.opened", "initiator %s is logged in to target %s", now.sessions[id])
		}
	}
	for _, target := range slices.Sorted(maps.Keys(now.refused)) {
		was := g.refused[target] // 0 of a target that is new
		if n := now.refused[target]; n > was {
			out = append(out, engine.Event{
				Time: time.Now(), Kind: "login.refused", Object: target,
				Message: fmt.Sprintf("target %s refused %d logins: the initiator is in no host group, or did not prove who it is (the kernel's log may say more)", target, n-was),
			})
		}
	}
	return out
}

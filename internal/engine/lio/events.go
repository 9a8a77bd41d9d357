package lio

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/glance"
)

// Events implements engine.Engine. The kernel tells nothing by itself.
func (e *Engine) Events(ctx context.Context) (<-chan engine.Event, error) {
	events, err := glance.Events(ctx, e.opt.Poll, e.glance, func(err error) { e.log.Warn("LIO's sessions cannot be looked at", "err", err) })
	if err != nil {
		return nil, fmt.Errorf("listen to LIO: %w", err)
	}
	return events, nil
}

func (e *Engine) glance(context.Context) (glance.Glance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := glance.Glance{Refused: map[string]uint64{}}
	var err error
	if g.Sessions, err = e.sessions(); err != nil {
		return g, err
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
			g.Refused[p.name] += n
		}
		return nil
	})
	return g, err
}

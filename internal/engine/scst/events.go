package scst

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/glance"
)

// Events implements engine.Engine. Logins that were refused are in the
// kernel's log only.
func (e *Engine) Events(ctx context.Context) (<-chan engine.Event, error) {
	events, err := glance.Events(ctx, e.opt.Poll, e.glance, func(err error) { e.log.Warn("SCST's sessions cannot be looked at", "err", err) })
	if err != nil {
		return nil, fmt.Errorf("listen to SCST: %w", err)
	}
	return events, nil
}

func (e *Engine) glance(ctx context.Context) (glance.Glance, error) {
	sessions, err := e.Sessions(ctx)
	return glance.Glance{Sessions: sessions}, err
}

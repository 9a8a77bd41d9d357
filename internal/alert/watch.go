package alert

import (
	"context"
	"log/slog"
	"time"
)

// Rule looks at one thing of the machine and brings the board up to date.
type Rule interface {
	// Check returns an error if it cannot tell; the board is left as it is then.
	Check(ctx context.Context, b *Board) error
}

// Watcher runs rules.
type Watcher struct {
	Board *Board
	Rules []Rule
	Log   *slog.Logger
	// Changed tells that something of the machine may be different. It may be
	// nil: then only time tells.
	Changed <-chan struct{}
	// Every is how often the rules run anyway: 10 s if 0.
	Every time.Duration
}

// Run runs the rules at once and whenever there is reason to, until ctx ends.
func (w Watcher) Run(ctx context.Context) {
	if w.Every == 0 {
		w.Every = 10 * time.Second
	}
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	said := make([]string, len(w.Rules)) // the last error of each rule
	for ctx.Err() == nil {
		for i, r := range w.Rules {
			text := ""
			if err := r.Check(ctx, w.Board); err != nil {
				text = err.Error()
			}
			if text != said[i] && text != "" && ctx.Err() == nil {
				w.Log.Warn("part of the machine cannot be watched", "err", text)
			}
			said[i] = text
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case _, more := <-w.Changed:
			if !more {
				w.Changed = nil
			}
		}
	}
}

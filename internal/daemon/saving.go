package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/persist/machine"
)

// Saver saves the settings of a machine that runs from memory to its medium
// (machine.Machine).
type Saver interface {
	Save(ctx context.Context, reason string) (persist.Saved, error)
	// Last is how the last save went, whoever made it.
	Last() (machine.Last, error)
}

// SaveFailed is the alert of settings that could not be saved.
const SaveFailed = "medium.save_failed"

// keptTime is how long a change waits for the medium. One that hangs must not
// keep an administrator from changing anything.
const keptTime = 30 * time.Second

// kept is what a change waits for before it is done (appliance.Options.Kept):
// a save to the medium. Nil without a saver.
func kept(s Saver) func(ctx context.Context, reason string) error {
	if s == nil {
		return nil
	}
	return func(ctx context.Context, reason string) error {
		saved := make(chan error, 1) // a write to a medium that hangs cannot be called off
		go func() {
			_, err := s.Save(ctx, reason)
			saved <- err
		}()
		select {
		case err := <-saved:
			return err
		case <-time.After(keptTime):
			return fmt.Errorf("the medium has not taken it within %v; it is waited for", keptTime)
		}
	}
}

// saving saves in the background what changes leave to it: none fails because
// of the medium. While saving fails there is an alert, and it is tried again.
type saving struct {
	saver Saver
	board *alert.Board
	log   *slog.Logger
	// subscribe gives the events from now on.
	subscribe func(ctx context.Context) (<-chan appliance.Event, error)

	// reserved tells that initiators changed reservations that have to survive.
	reserved <-chan struct{}

	settle  time.Duration // after a change, for more to come
	longest time.Duration // that changes in a row may put it off
	retry   time.Duration // after a failure
	look    time.Duration // between looks at how others' saves went
}

// keepSaving saves until ctx ends. Without a saver there is nothing to do.
func keepSaving(ctx context.Context, o Options, app *appliance.Appliance, board *alert.Board) error {
	if o.Saver == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	reserved := make(chan struct{}, 1)
	state := filepath.Join(o.DataDir, "state")
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := host.WatchDir(ctx, state, func() { poke(reserved) }); err != nil {
			o.Log.Warn("reservations are saved late", "err", err)
		}
	}()
	defer func() { cancel(); <-watched }()
	return saving{saver: o.Saver, board: board, log: o.Log, reserved: reserved,
		subscribe: func(ctx context.Context) (<-chan appliance.Event, error) { return app.Subscribe(ctx, -1) },
		settle:    2 * time.Second, longest: 15 * time.Second, retry: 30 * time.Second, look: time.Minute}.run(ctx)
}

func (s saving) run(ctx context.Context) error {
	events, err := s.subscribe(ctx)
	if err != nil {
		return fmt.Errorf("follow changes, to save them: %w", err)
	}
	// The first save is at once: a daemon that ended may have had one to do.
	due, latest, reason := time.NewTimer(0), time.Time{}, "start of the daemon"
	defer due.Stop()
	look := time.NewTicker(s.look)
	defer look.Stop()
	after := func(why string) {
		now := time.Now()
		if latest.IsZero() {
			latest = now.Add(s.longest)
		}
		reason = why
		due.Reset(max(0, min(s.settle, latest.Sub(now))))
	}
	var seen time.Time // the last save that is known of
	for {
		select {
		case <-ctx.Done():
			return nil // what is not saved yet is at shutdown, or by the next daemon
		case e, more := <-events:
			switch {
			case !more && ctx.Err() != nil:
				return nil
			case !more: // so many that we lagged behind: surely something changed
				if events, err = s.subscribe(ctx); err != nil {
					return fmt.Errorf("follow changes, to save them: %w", err)
				}
				after("changes")
			case e.Kind == "apply.done":
				after("apply: " + e.Message)
			case e.Kind == "medium.back":
				after("the medium is back")
			}
		case <-s.reserved:
			after("reservations of initiators")
		case <-due.C:
			latest, seen = time.Time{}, time.Now()
			if !s.save(ctx, reason) {
				due.Reset(s.retry)
			}
		case <-look.C:
			last, err := s.saver.Last()
			if err != nil || !last.When.After(seen) {
				continue
			}
			seen = last.When
			if last.Error != "" {
				s.failed(last.Error)
				reason = last.Reason
				due.Reset(s.retry)
			} else {
				s.well(last.Generation)
			}
		}
	}
}

// save saves once, and says whether that went well.
func (s saving) save(ctx context.Context, reason string) bool {
	saved, err := s.saver.Save(ctx, reason)
	if ctx.Err() != nil {
		return true // it is over
	}
	var held *machine.HeldError
	if errors.As(err, &held) {
		return false // no failure: heldSettings tells of it
	}
	if err != nil {
		s.failed(err.Error())
		return false
	}
	s.well(saved.Generation.Number)
	if saved.Unchanged {
		return true
	}
	s.log.Info("settings saved to the medium", "generation", saved.Generation.Number, "reason", reason, "took", saved.Took.Round(time.Millisecond))
	for _, w := range saved.Warnings {
		s.log.Warn("settings saved to the medium", "warning", w)
	}
	return true
}

func (s saving) failed(why string) {
	s.board.Raise(alert.Alert{ID: SaveFailed, Severity: alert.Critical, Object: "medium",
		Message: "settings are not saved: " + why + ". It is tried again"})
}

func (s saving) well(generation int) {
	s.board.Clear(SaveFailed, "medium.saved", fmt.Sprintf("settings are saved again, as generation %d", generation))
}

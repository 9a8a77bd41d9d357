package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/persist/machine"
)

// stick is a medium that can be pulled.
type stick struct {
	mu    sync.Mutex
	began time.Time
	gone  bool
	saves []string // when, and why
	last  machine.Last
}

func (s *stick) Save(_ context.Context, reason string) (persist.Saved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves = append(s.saves, fmt.Sprintf("%v %s", time.Since(s.began), reason))
	if s.gone {
		return persist.Saved{}, &machine.MediumError{Err: errors.New("no stick")}
	}
	return persist.Saved{Generation: persist.Generation{Number: len(s.saves)}}, nil
}

func (s *stick) Last() (machine.Last, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, nil
}

func (s *stick) pull(gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = gone
}

func TestSaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		medium := &stick{began: time.Now()}
		var mu sync.Mutex
		var told []string
		board := alert.NewBoard(func(kind, object, message string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf("%v %s %s: %s", time.Since(medium.began), kind, object, message))
		})
		events := make(chan appliance.Event)
		ctx, cancel := context.WithCancel(t.Context())
		s := saving{saver: medium, board: board, log: slog.New(slog.DiscardHandler), settle: 2 * time.Second, longest: 15 * time.Second, retry: 30 * time.Second, look: time.Minute,
			subscribe: func(context.Context) (<-chan appliance.Event, error) { return events, nil }}
		done := make(chan error)
		go func() { done <- s.run(ctx) }()
		tell := func(kind, message string) {
			events <- appliance.Event{Event: engine.Event{Kind: kind, Message: message}}
		}
		at := func(d time.Duration) { time.Sleep(d - time.Since(medium.began)); synctest.Wait() }

		at(10 * time.Second)
		tell("session.opened", "no change of the settings")
		tell("apply.done", "revision 1")
		at(11 * time.Second)
		tell("apply.done", "revision 2") // one save for both
		for i := range 20 {              // a script: it is not put off for ever
			at(time.Duration(20+i) * time.Second)
			tell("apply.done", fmt.Sprintf("revision %d", 3+i))
		}
		at(50 * time.Second)
		medium.pull(true)
		tell("apply.done", "revision 99")
		at(100 * time.Second) // fails at 52 s, and again at 82 s
		medium.pull(false)
		tell("medium.back", "")
		at(150 * time.Second)
		// esos sync by a timer fails, and its word is read: tried again.
		medium.mu.Lock()
		medium.last = machine.Last{When: time.Now(), Reason: "timer", Error: "no stick"}
		medium.mu.Unlock()
		at(299 * time.Second)
		// Somebody else's save ends the alert, too.
		medium.pull(true)
		tell("apply.done", "revision 100")
		at(310 * time.Second)
		medium.mu.Lock()
		medium.last = machine.Last{When: time.Now(), Generation: 50}
		medium.mu.Unlock()
		medium.pull(false)
		at(320 * time.Second)
		mu.Lock()
		if active := board.Active(); len(active) != 1 || active[0].ID != SaveFailed || active[0].Severity != alert.Critical {
			t.Errorf("alerts while saving fails: %+v", active)
		}
		mu.Unlock()
		at(400 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []string{"0s start of the daemon", "13s apply: revision 2", "35s apply: revision 17", "41s apply: revision 22",
			"52s apply: revision 99", "1m22s apply: revision 99", "1m42s the medium is back", "3m30s timer", "5m1s apply: revision 100", "5m31s apply: revision 100"}
		if d := cmp.Diff(want, medium.saves); d != "" {
			t.Errorf("saves (-want +got):\n%s", d)
		}
		prefixes := []string{"52s medium.save_failed medium: settings are not saved: no stick; the machine runs on", "1m42s medium.saved medium: settings are saved again, as generation 7",
			"3m0s medium.save_failed medium: settings are not saved: no stick", "3m30s medium.saved", "5m1s medium.save_failed", "5m31s medium.saved"}
		if len(told) != len(prefixes) {
			t.Fatalf("events: %q", told)
		}
		for i, p := range prefixes {
			if !strings.HasPrefix(told[i], p) {
				t.Errorf("event %q, want %q", told[i], p)
			}
		}
	})
}

// TestSavingLags: more events than can be followed are a reason to save, too.
func TestSavingLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		medium := &stick{began: time.Now()}
		subscribed := 0
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := saving{saver: medium, board: alert.NewBoard(func(string, string, string) {}), log: slog.New(slog.DiscardHandler), settle: time.Second, longest: time.Second, retry: time.Second, look: time.Hour,
			subscribe: func(context.Context) (<-chan appliance.Event, error) {
				events := make(chan appliance.Event)
				if subscribed++; subscribed == 1 {
					close(events)
				}
				return events, nil
			}}
		done := make(chan error)
		go func() { done <- s.run(ctx) }()
		time.Sleep(10 * time.Second)
		cancel()
		if err := <-done; err != nil || subscribed != 2 || len(medium.saves) < 1 || !strings.HasSuffix(medium.saves[len(medium.saves)-1], "changes") {
			t.Errorf("%v, subscribed %d times, saves %q", err, subscribed, medium.saves)
		}
	})
}

package glance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine"
)

func TestChanges(t *testing.T) {
	a := engine.Session{ID: "1", Target: "t", Initiator: "a", Address: "192.0.2.1"}
	b := engine.Session{ID: "2", Target: "t", Initiator: "b", Address: "192.0.2.2"}
	back := a
	back.ID = "3"
	for _, c := range []struct {
		name        string
		before, now Glance
		want        []string
	}{
		{"nothing", Glance{Sessions: []engine.Session{a}}, Glance{Sessions: []engine.Session{a}}, nil},
		{"one comes", Glance{}, Glance{Sessions: []engine.Session{a}}, []string{"session.opened a 1"}},
		{"one goes, one stays", Glance{Sessions: []engine.Session{a, b}}, Glance{Sessions: []engine.Session{b}}, []string{"session.closed a 1"}},
		{"away and back", Glance{Sessions: []engine.Session{a}}, Glance{Sessions: []engine.Session{back}}, []string{"session.closed a 1", "session.opened a 3"}},
		{"refused", Glance{Refused: map[string]uint64{"t": 2}}, Glance{Refused: map[string]uint64{"t": 5, "u": 0}}, []string{"login.refused t"}},
		{"a counter that began anew", Glance{Refused: map[string]uint64{"t": 2}}, Glance{Refused: map[string]uint64{"t": 1}}, nil},
	} {
		var got []string
		for _, ev := range c.before.changes(c.now) {
			if ev.Kind == "login.refused" {
				got = append(got, ev.Kind+" "+ev.Object)
				continue
			}
			got = append(got, fmt.Sprint(ev.Kind, " ", ev.Detail["initiator"], " ", ev.Detail["session"]))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestEvents: a look that fails is told of and changes nothing; the channel
// ends with the context.
func TestEvents(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken, looks, failures := errors.New("broken"), 0, 0
	look := func(context.Context) (Glance, error) {
		looks++
		switch looks {
		case 1:
			return Glance{}, nil
		case 2:
			return Glance{}, broken
		}
		return Glance{Sessions: []engine.Session{{ID: "1", Target: "t", Initiator: "a"}}}, nil
	}
	events, err := Events(ctx, time.Millisecond, look, func(err error) {
		if failures++; !errors.Is(err, broken) {
			t.Errorf("failed: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if ev := <-events; ev.Kind != "session.opened" || ev.Object != "t" {
		t.Errorf("event %+v", ev)
	}
	cancel()
	for ev := range events {
		t.Errorf("one more: %+v", ev)
	}
	if failures != 1 {
		t.Errorf("%d failures, want 1", failures)
	}
	if _, err := Events(t.Context(), time.Millisecond, func(context.Context) (Glance, error) { return Glance{}, broken }, nil); !errors.Is(err, broken) {
		t.Errorf("a first look that fails: %v", err)
	}
}

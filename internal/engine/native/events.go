package native

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/native/control"
)

// hub hands events to everyone who asked for them. Events that come before
// anybody asked wait for the first one.
type hub struct {
	mu      sync.Mutex
	subs    map[*subscriber]struct{}
	early   []engine.Event
	anybody bool
	closed  bool
}

// subscriber is one reader of events. A slow one loses the newest events
// rather than to hold up the others; it is told how many.
type subscriber struct {
	ch   chan engine.Event
	lost int
}

const (
	subscriberRoom = 1024
	earlyRoom      = 1024
)

// publish hands e out; it never waits.
func (h *hub) publish(e engine.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.anybody && !h.closed {
		if len(h.early) < earlyRoom {
			h.early = append(h.early, e)
		}
		return
	}
	for s := range h.subs {
		if s.lost > 0 {
			select {
			case s.ch <- lostEvents(s.lost):
				s.lost = 0
			default:
			}
		}
		select {
		case s.ch <- e:
		default:
			s.lost++
		}
	}
}

// subscribe returns the events from now on, until ctx or the hub ends.
func (h *hub) subscribe(ctx context.Context) <-chan engine.Event {
	s := &subscriber{ch: make(chan engine.Event, subscriberRoom)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(s.ch)
		return s.ch
	}
	if h.subs == nil {
		h.subs = map[*subscriber]struct{}{}
	}
	h.subs[s] = struct{}{}
	h.anybody = true
	for _, e := range h.early {
		s.ch <- e // there is room: earlyRoom is no more than subscriberRoom
	}
	h.early = nil
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, ok := h.subs[s]; ok {
			delete(h.subs, s)
			close(s.ch)
		}
	})
	return s.ch
}

// close ends every subscription.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		delete(h.subs, s)
		close(s.ch)
	}
}

func lostEvents(n int) engine.Event {
	return engine.Event{
		Time: time.Now(), Kind: "events.lost", Object: "events",
		Message: "some events were dropped because they came faster than they could be taken",
		Detail:  map[string]string{"count": itoa(n)},
	}
}

// Events implements engine.Engine.
func (e *Engine) Events(ctx context.Context) (<-chan engine.Event, error) {
	return e.hub.subscribe(ctx), nil
}

// heard takes what the process says by itself: events, and records for the log.
func (e *Engine) heard(ev control.Event) {
	if ev.Lost > 0 {
		e.hub.publish(lostEvents(ev.Lost))
	}
	if ev.Log == "" {
		e.hub.publish(engine.Event{Time: ev.Time, Kind: ev.Kind, Object: ev.Object, Message: ev.Message, Detail: ev.Detail})
		return
	}
	var level slog.Level
	if level.UnmarshalText([]byte(ev.Log)) != nil {
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{slog.String("process", "esos-target")}
	for _, k := range slices.Sorted(maps.Keys(ev.Detail)) {
		attrs = append(attrs, slog.String(k, ev.Detail[k]))
	}
	e.log.LogAttrs(context.Background(), level, ev.Message, attrs...)
}

package process

import (
	"context"
	"log/slog"
	"time"

	"github.com/esos-project/esos/internal/engine/native/control"
)

// logHandler sends log records to the daemon, which has the array's log. The
// process itself has no file to write to.
type logHandler struct {
	publish func(control.Event)
	attrs   []slog.Attr
	group   string // prefix of keys
}

// NewLog makes a logger whose records go to the daemon as events.
func NewLog(publish func(control.Event)) *slog.Logger {
	return slog.New(&logHandler{publish: publish})
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// Handle implements slog.Handler.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	e := control.Event{Time: r.Time, Message: r.Message, Log: r.Level.String()}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	add := func(key string, v slog.Value) {
		if e.Detail == nil {
			e.Detail = map[string]string{}
		}
		e.Detail[key] = v.Resolve().String()
	}
	for _, a := range h.attrs {
		add(a.Key, a.Value)
	}
	r.Attrs(func(a slog.Attr) bool {
		add(h.group+a.Key, a.Value)
		return true
	})
	h.publish(e)
	return nil
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		n.attrs = append(n.attrs, a)
	}
	return &n
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	n := *h
	n.group += name + "."
	return &n
}

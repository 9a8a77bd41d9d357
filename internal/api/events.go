package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2/sse"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
)

type eventsInput struct {
	Follow bool  `query:"follow" default:"true" doc:"Go on with what happens from now on."`
	Since  int64 `query:"since" minimum:"0" doc:"Only events after the one with this ID."`
	// A browser sends this by itself when it connects again; it wins.
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"As since."`
}

// keepAlive is how often a stream without events says that it is alive.
const keepAlive = 15 * time.Second

// Heartbeat is what keeps a stream alive through proxies, and finds out that
// its reader is gone.
type Heartbeat struct {
	Time time.Time `json:"time"`
}

// events are the route that streams what happens.
func (s *Server) events() {
	sse.Register(s.huma, operation(Viewer, http.MethodGet, "/events", "getEvents", "state", "Follow what happens (server-sent events)"),
		map[string]any{"message": v1.Event{}, "heartbeat": Heartbeat{}},
		func(ctx context.Context, in *eventsInput, send sse.Sender) {
			since := in.Since
			if n, err := strconv.ParseInt(in.LastEventID, 10, 64); err == nil && n >= 0 {
				since = n
			}
			if err := s.stream(ctx, since, in.Follow, send); err != nil && ctx.Err() == nil {
				s.log.Debug("an event stream ended", "err", err)
			}
		})
}

func (s *Server) stream(ctx context.Context, since int64, follow bool, send sse.Sender) error {
	emit := func(e appliance.Event) error {
		return send(sse.Message{ID: int(e.ID), Data: v1.Event{ID: e.ID, Event: e.Event}})
	}
	if !follow {
		past, err := s.app.Events(ctx, since)
		if err != nil {
			return err
		}
		for _, e := range past {
			if err := emit(e); err != nil {
				return err
			}
		}
		return nil
	}
	events, err := s.app.Subscribe(ctx, since)
	if err != nil {
		return err
	}
	if err := send.Data(Heartbeat{s.now()}); err != nil { // the headers go out
		return err
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return nil // too slow, or the end: the reader connects again
			}
			err = emit(e)
		case <-alive.C:
			err = send.Data(Heartbeat{s.now()})
		case <-s.stopping:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

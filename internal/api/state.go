package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/engine"
)

type (
	statusOutput struct {
		Body v1.Status
	}
	sessionsOutput struct {
		Body []engine.Session
	}
	sessionInput struct {
		ID string `path:"id" maxLength:"200" doc:"The session's ID, as the list has it."`
	}
	statisticsOutput struct {
		Body engine.Statistics
	}
	operationsOutput struct {
		Body []v1.Operation
	}
	operationInput struct {
		ID   string `path:"id" maxLength:"64" doc:"The operation's ID."`
		Wait int    `query:"wait" minimum:"0" maximum:"60" doc:"Seconds to wait for it to get further than seen."`
		Seen string `query:"seen" maxLength:"64" doc:"The ETag of the last answer; without it, waits for the end."`
	}
	oneOperationOutput struct {
		ETag string `header:"ETag"`
		Body v1.Operation
	}
)

// state are the routes that tell how the array is.
func (s *Server) state() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/status", "getStatus", "state", "See the array at a glance"),
		func(ctx context.Context, _ *nothing) (*statusOutput, error) {
			st, err := s.status(ctx)
			return &statusOutput{st}, err
		})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/sessions", "listSessions", "sessions", "List the initiators that are logged in"),
		func(ctx context.Context, _ *nothing) (*sessionsOutput, error) {
			all, err := s.app.Sessions(ctx)
			if err != nil {
				return nil, answer(err)
			}
			return &sessionsOutput{append([]engine.Session{}, all...)}, nil
		})
	huma.Register(s.huma, operation(Operator, http.MethodDelete, "/sessions/{id}", "closeSession", "sessions", "Log an initiator out"),
		func(ctx context.Context, in *sessionInput) (*nothing, error) {
			all, err := s.app.Sessions(ctx)
			if err != nil {
				return nil, answer(err)
			}
			if !slices.ContainsFunc(all, func(x engine.Session) bool { return x.ID == in.ID }) {
				return nil, problem(http.StatusNotFound, v1.ProblemNotFound, fmt.Sprintf("there is no session %q; it may have ended by itself", in.ID))
			}
			return nil, answer(s.app.CloseSession(ctx, in.ID))
		})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/statistics", "getStatistics", "state", "Read the counters of all LUNs"),
		func(ctx context.Context, _ *nothing) (*statisticsOutput, error) {
			st, err := s.app.Statistics(ctx)
			if err != nil {
				return nil, answer(err)
			}
			st.LUNs = append([]engine.LUNStatistics{}, st.LUNs...)
			return &statisticsOutput{st}, nil
		})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/operations", "listOperations", "operations", "List the latest operations, newest first"),
		func(context.Context, *nothing) (*operationsOutput, error) {
			all := []v1.Operation{}
			for _, op := range s.app.Operations() {
				all = append(all, operationOf(op))
			}
			return &operationsOutput{all}, nil
		})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/operations/{id}", "getOperation", "operations", "Read how far an operation is"), s.getOperation)
}

// operationTick is how often a waiting request looks. Steps take longer.
const operationTick = 20 * time.Millisecond

// getOperation reads an operation, and waits for it to get on.
func (s *Server) getOperation(ctx context.Context, in *operationInput) (*oneOperationOutput, error) {
	deadline := time.After(time.Duration(in.Wait) * time.Second)
	tick := time.NewTicker(operationTick)
	defer tick.Stop()
	for {
		op, err := s.app.Operation(in.ID)
		if err != nil {
			return nil, answer(err)
		}
		w := operationOf(op)
		if w.State != v1.Running {
			s.refresh(ctx) // who follows a change may use at once what it brought
		}
		out := &oneOperationOutput{progressTag(w), w}
		if in.Wait == 0 || w.State != v1.Running || in.Seen != "" && out.ETag != in.Seen {
			return out, nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return out, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.stopping:
			return out, nil
		}
	}
}

// progressTag differs whenever an operation got on.
func progressTag(op v1.Operation) string {
	text, err := json.Marshal(op)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return quote(hex.EncodeToString(sum[:8]))
}

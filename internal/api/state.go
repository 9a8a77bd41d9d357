package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
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

// operationTick is how often a waiting request looks at an operation. One of
// many steps is told less often: each time all of them are.
func operationTick(op *appliance.Operation) time.Duration {
	return 20 * time.Millisecond * time.Duration(1+len(op.Plan.Steps)/50)
}

// getOperation reads an operation, and waits for it to get on.
func (s *Server) getOperation(ctx context.Context, in *operationInput) (*oneOperationOutput, error) {
	op, err := s.app.Operation(in.ID)
	if err != nil {
		return nil, answer(err)
	}
	deadline := time.After(time.Duration(in.Wait) * time.Second)
	tick := time.NewTicker(operationTick(op))
	defer tick.Stop()
	// The tag is older than what is told, if anything: nothing is missed. Who
	// has seen something waits at least once, for more to come.
	tag := progressTag(op)
	for first := true; in.Wait > 0 && running(op) && (first || in.Seen == "" || tag == in.Seen); first = false {
		select {
		case <-op.Ended():
		case <-tick.C:
		case <-deadline:
			in.Wait = 0
		case <-s.stopping:
			in.Wait = 0
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		tag = progressTag(op)
	}
	w := operationOf(op)
	if w.State != v1.Running {
		s.refresh(ctx) // who follows a change may use at once what it brought
	}
	return &oneOperationOutput{tag, w}, nil
}

func running(op *appliance.Operation) bool {
	select {
	case <-op.Ended():
		return false
	default:
		return true
	}
}

// progressTag differs whenever an operation got on.
func progressTag(op *appliance.Operation) string { return quote(strconv.FormatUint(op.Version(), 10)) }

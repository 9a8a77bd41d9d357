package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
)

type (
	driftInput struct {
		Body v1.DriftChange
	}
	changeDriftInput struct {
		Match
		Body v1.DriftChange
	}
)

// drift are the routes of what somebody changed by hand.
func (s *Server) drift() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/drift", "getDrift", "drift", "Tell what was changed by hand, and what would undo it"),
		func(ctx context.Context, in *PlanInput) (*planOutput, error) {
			return s.plannedDrift(ctx, appliance.Change{Revert: true, Destroy: in.Destroy})
		})
	for _, way := range []struct {
		name, id, does string
		change         func(v1.DriftChange) appliance.Change
	}{
		{"revert", "Revert", "Undo what was changed by hand", func(b v1.DriftChange) appliance.Change {
			return appliance.Change{Revert: true, Objects: b.Objects, Why: b.Why, Destroy: b.Destroy}
		}},
		{"adopt", "Adopt", "Write what was changed by hand into the document", func(b v1.DriftChange) appliance.Change {
			return appliance.Change{Adopt: true, Objects: b.Objects, Why: b.Why}
		}},
	} {
		huma.Register(s.huma, operation(Viewer, http.MethodPost, "/drift/"+way.name+"/plan", "plan"+way.id+"Drift", "drift", "Tell what it would change to "+lower(way.does)),
			func(ctx context.Context, in *driftInput) (*planOutput, error) {
				return s.plannedDrift(ctx, way.change(in.Body))
			})
		huma.Register(s.huma, changing(operation(Operator, http.MethodPost, "/drift/"+way.name, way.name+"Drift", "drift", way.does)),
			func(ctx context.Context, in *changeDriftInput) (*operationOutput, error) {
				if err := in.given(); err != nil {
					return nil, err
				}
				p, c := asker(ctx), way.change(in.Body)
				c.Who, c.IfMatch = p.name, in.etag()
				c.Permit = func(old, next *config.Document) error { return permitChange(p, old, next, c.Destroy) }
				return s.begin(ctx, c)
			})
	}
}

func lower(sentence string) string { return strings.ToLower(sentence[:1]) + sentence[1:] }

func (s *Server) plannedDrift(ctx context.Context, c appliance.Change) (*planOutput, error) {
	doc, _, err := s.document(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.app.PlanChange(ctx, c)
	if err != nil {
		return nil, answer(err)
	}
	return &planOutput{planOf(p, doc, c.Destroy)}, nil
}

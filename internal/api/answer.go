package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/library"
	"github.com/esos-project/esos/internal/plan"
	"github.com/esos-project/esos/internal/snapshot"
)

// answer turns an error of those below into one that says what to do.
func answer(err error) error {
	var failed *failure
	var problems config.Problems
	var conflicts *appliance.ConflictError
	var refused *appliance.RefusedError
	var destroys *appliance.DestroysError
	var noDrift *appliance.NoDriftError
	var notAdopted *appliance.AdoptError
	var noSnapshot *snapshot.RefusedError
	var noFile *library.RefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		return failed
	case errors.As(err, &problems):
		f := problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, "the document is not valid; nothing was changed")
		for _, p := range problems {
			f.Errors = append(f.Errors, faultOf(p))
		}
		return f
	case errors.As(err, &conflicts):
		return problem(http.StatusPreconditionFailed, v1.ProblemConflict, err.Error())
	case errors.As(err, &refused):
		f := problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, "this cannot be carried out; nothing was changed")
		for _, n := range refused.Problems {
			f.Errors = append(f.Errors, v1.Fault{Location: n.Object, Message: n.Message})
		}
		return f
	case errors.As(err, &destroys):
		return refusal(destroys)
	case errors.As(err, &noDrift):
		return problem(http.StatusNotFound, v1.ProblemNotFound, err.Error())
	case errors.As(err, &noSnapshot), errors.As(err, &noFile):
		return problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, err.Error())
	case errors.As(err, &notAdopted):
		return problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, err.Error())
	case errors.Is(err, config.ErrNotFound), errors.Is(err, appliance.ErrNoRevision), errors.Is(err, appliance.ErrNoOperation):
		return problem(http.StatusNotFound, v1.ProblemNotFound, err.Error())
	case errors.Is(err, host.ErrTooLarge):
		return problem(http.StatusRequestEntityTooLarge, v1.ProblemInvalid, err.Error())
	case errors.Is(err, config.ErrExists), errors.Is(err, fs.ErrExist), errors.Is(err, snapshot.ErrUsed):
		return problem(http.StatusConflict, v1.ProblemConflict, err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem(http.StatusServiceUnavailable, v1.ProblemBusy, err.Error()+"; try again later")
	}
	return problem(http.StatusInternalServerError, v1.ProblemFailed, err.Error())
}

// refusal says what a change would destroy.
func refusal(e *appliance.DestroysError) error {
	f := problem(http.StatusConflict, v1.ProblemDestroys,
		"this would destroy something; nothing was changed. If it is meant, name in destroy: "+strings.Join(e.Needs, ", "))
	f.Needs = e.Needs
	for _, s := range e.Plan.Steps {
		if s.Destroys != "" {
			f.Errors = append(f.Errors, v1.Fault{Location: s.Object, Message: s.Sentence + ": " + s.Destroys})
		}
	}
	return f
}

func faultOf(p config.Problem) v1.Fault {
	f := v1.Fault{Location: p.Path, Message: p.Message}
	if p.Line > 0 {
		f.Location = strings.TrimSpace(fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Path))
	}
	return f
}

func revisionOf(r appliance.Revision) v1.Revision {
	return v1.Revision{Number: r.Number, When: r.When, Who: r.Who, Why: r.Why, ETag: quote(r.ETag)}
}

func revisionsOf(rs []appliance.Revision) []v1.Revision {
	all := make([]v1.Revision, 0, len(rs))
	for _, r := range rs {
		all = append(all, revisionOf(r))
	}
	return all
}

// planOf is a plan as answers show it; doc is the document that it is for, and
// destroy what was named already.
func planOf(p *plan.Plan, doc *config.Document, destroy []string) v1.Plan {
	w := v1.Plan{Steps: make([]v1.Step, 0, len(p.Steps)), Text: p.Text(destroy), Needs: p.Needs(destroy)}
	for _, s := range p.Steps {
		step := v1.Step{ID: string(s.ID), Layer: s.Layer, Object: s.Object, Action: string(s.Action), Sentence: s.Sentence,
			Destroys: s.Destroys, Disrupts: s.Disrupts}
		step.Changes = fieldsOf(s.Changes)
		w.Steps = append(w.Steps, step)
	}
	for _, x := range doc.Validate().Warnings() {
		x.Warning = false // it stands among warnings
		w.Warnings = append(w.Warnings, x.String())
	}
	for _, n := range p.Notes {
		w.Notes = append(w.Notes, v1.Fault{Location: n.Object, Message: n.Message})
	}
	for _, d := range p.Drift {
		w.Drift = append(w.Drift, v1.Drift{Object: d.Object, What: string(d.What), Message: d.Message, Fields: fieldsOf(d.Fields), Foreign: d.Foreign, Left: d.Left})
	}
	for _, c := range p.Adopts {
		w.Adopts = append(w.Adopts, v1.Adopts{Object: c.Object, Action: c.Action, Fields: fieldsOf(c.Fields)})
	}
	for _, n := range p.Problems {
		w.Refused = append(w.Refused, v1.Fault{Location: n.Object, Message: n.Message})
	}
	return w
}

func fieldsOf(changes []config.FieldChange) (all []v1.FieldChange) {
	for _, c := range changes {
		all = append(all, v1.FieldChange(c))
	}
	return all
}

// operationOf is an operation as answers show it.
func operationOf(op *appliance.Operation) v1.Operation {
	p := op.Progress()
	w := v1.Operation{ID: op.ID, State: p.State, Who: op.Who, Why: op.Why, Started: op.Started, Done: p.Done,
		Changed: p.Changed, Error: p.Error, Steps: make([]v1.Progress, 0, len(p.Steps))}
	if !p.Ended.IsZero() {
		w.Ended = &p.Ended
		w.Revision = p.Revision.Number
	}
	for i, s := range p.Steps {
		step := op.Plan.Steps[i]
		w.Steps = append(w.Steps, v1.Progress{ID: string(step.ID), Sentence: step.Sentence, State: string(s.State), Fraction: s.Fraction, Error: s.Error})
	}
	for _, n := range p.Problems {
		w.Warnings = append(w.Warnings, n.Object+": "+n.Message)
	}
	return w
}

// status is the array at a glance, with where its API is.
func (s *Server) status(ctx context.Context) (v1.Status, error) {
	st, err := s.app.Status(ctx)
	if err != nil {
		return v1.Status{}, answer(err)
	}
	w := v1.Status{Name: st.Name, Version: s.version, Engine: st.Engine, Started: s.started, Revision: revisionOf(st.Revision),
		State: st.State, Problems: st.Problems, Drift: st.Drift, Devices: st.Devices, Targets: st.Targets, LUNs: st.LUNs, Sessions: st.Sessions,
		Portals: append([]string{}, st.Portals...), Alerts: s.activeAlerts(), Unconfirmed: unconfirmedOf(st.Unconfirmed)}
	if w.API, w.Fingerprint, err = s.tcp.where(); w.API != "" {
		w.API = "https://" + w.API
	}
	if err != nil {
		w.State, w.Problems = appliance.StateDegraded, append(w.Problems, "api: "+err.Error())
	}
	return w, nil
}

package plan

import (
	"context"
	"fmt"
)

// State is how far a step is.
type State string

// States of a step.
const (
	Waiting State = "waiting"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
	Undone  State = "undone"
	Skipped State = "skipped" // something that it needs failed, or it was not allowed
)

// Runner carries a plan out.
type Runner struct {
	// Repair says whether a step only restores what was declared already. If
	// one fails, the plan goes on without it and what needs it.
	Repair func(s *Step) bool
	// Closing, if not nil, ends even undoing. It outlives the context of Run,
	// whose end begins the undoing.
	Closing context.Context
	// Observe hears each change of a step's state, and how far a running one is.
	Observe func(index int, s State, fraction float64, err error)
}

// Error tells which step failed and what became of the others.
type Error struct {
	Step     string   // the sentence of the step that failed
	Object   string   // what it was about
	Err      error    // why
	Undone   int      // steps that were undone
	NotBack  []string // steps that could not be undone: sentence and why
	Finished int      // steps that had been done before
}

// Error is one sentence on the step and one on the rest.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %v", e.Step, e.Err)
	if e.Finished > 0 {
		text += fmt.Sprintf("; undid %d of %s", e.Undone, count(e.Finished, "step"))
	}
	for _, n := range e.NotBack {
		text += "; not undone: " + n
	}
	return text
}

// Unwrap returns why the step failed.
func (e *Error) Unwrap() error { return e.Err }

// Run carries the plan's steps out, one after the other. If one fails that is
// no repair, those done before are undone, last one first, and the error is an
// *Error. failures are those of repairs: what is still not as declared.
func (r Runner) Run(ctx context.Context, p *Plan) (failures []Note, err error) {
	missing := map[ID]bool{}
	var done []int
	for i := range p.Steps {
		s := &p.Steps[i]
		repair := r.Repair != nil && r.Repair(s)
		err := ctx.Err()
		for _, need := range s.Needs {
			if missing[need] && err == nil {
				err = fmt.Errorf("needs %q, which failed", need)
				if repair {
					missing[s.ID] = true
					r.observe(i, Skipped, 0, err)
				}
			}
		}
		if missing[s.ID] {
			continue
		}
		began := err == nil
		if began {
			r.observe(i, Running, 0, nil)
			err = s.Do(ctx, func(fraction float64) { r.observe(i, Running, fraction, nil) })
		}
		switch {
		case err == nil:
			r.observe(i, Done, 1, nil)
			if !repair {
				done = append(done, i)
			}
		case repair && ctx.Err() == nil:
			missing[s.ID] = true
			r.observe(i, Failed, 0, err)
			failures = append(failures, Note{Object: s.Object, Message: fmt.Sprintf("%s: %v", s.Sentence, err), Degraded: true})
		default:
			r.observe(i, Failed, 0, err)
			if began && s.Undo != nil {
				// It may have been done in part. Its own error is what is
				// told; one from here would say the same again.
				_ = s.Undo(r.undoing(ctx))
			}
			return failures, r.undo(ctx, p, done, s, err)
		}
	}
	return failures, nil
}

// Undo takes back every step of a plan that Run carried out whole, for when
// what comes after it fails.
func (r Runner) Undo(ctx context.Context, p *Plan, why error) error {
	var done []int
	for i := range p.Steps {
		if r.Repair == nil || !r.Repair(&p.Steps[i]) {
			done = append(done, i)
		}
	}
	return r.undo(ctx, p, done, &Step{Sentence: "Save the document"}, why)
}

func (r Runner) undo(ctx context.Context, p *Plan, done []int, failed *Step, why error) error {
	e := &Error{Step: failed.Sentence, Object: failed.Object, Err: why, Finished: len(done)}
	ctx = r.undoing(ctx)
	for k := len(done) - 1; k >= 0; k-- {
		s := &p.Steps[done[k]]
		if s.Undo == nil {
			e.NotBack = append(e.NotBack, s.Sentence)
			continue
		}
		if err := s.Undo(ctx); err != nil {
			e.NotBack = append(e.NotBack, fmt.Sprintf("%s: %v", s.Sentence, err))
			continue
		}
		e.Undone++
		r.observe(done[k], Undone, 0, nil)
	}
	return e
}

// undoing is the context to undo in: what is cancelled must still be put back.
func (r Runner) undoing(ctx context.Context) context.Context {
	if r.Closing != nil {
		return r.Closing
	}
	return context.WithoutCancel(ctx)
}

func (r Runner) observe(i int, s State, fraction float64, err error) {
	if r.Observe != nil {
		r.Observe(i, s, fraction, err)
	}
}

package appliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	disklayer "github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

// Change is a wish for another document: a whole one, or an edit of the one
// in force.
type Change struct {
	Document *config.Document
	Edit     func(*config.Document) error
	Who, Why string
	Destroy  []string // objects that are given up, like device/db01 or image/db01
	IfMatch  string   // the ETag that must be in force; any when empty
	DryRun   bool     // plan only
	// Revert undoes what was changed by hand, and Adopt writes it into the
	// document instead and changes nothing else: of Objects, of all if there are
	// none. Either stands in place of Document and Edit.
	Revert, Adopt bool
	Objects       []string
	// Permit, if not nil, may refuse the document that the change leads to.
	Permit func(before, next *config.Document) error
	// ConfirmWithin is how long a change of the network waits to be confirmed
	// before it is undone: ConfirmTime if 0, MaxConfirmTime at most.
	ConfirmWithin time.Duration
}

// ConflictError says that another document is in force than the change is for.
type ConflictError struct{ InForce Revision }

// Error says who was faster.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("the document was changed meanwhile: revision %d by %s is in force; read it and make the change again", e.InForce.Number, e.InForce.Who)
}

// RefusedError says that a plan cannot be carried out at all.
type RefusedError struct{ Problems []plan.Note }

// Error lists the reasons.
func (e *RefusedError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Object + ": " + p.Message
	}
	return strings.Join(lines, "\n")
}

// DestroysError says what must be named before a plan is carried out.
type DestroysError struct {
	Needs []string // names to be given in Change.Destroy
	Plan  *plan.Plan
}

// Error says what would be lost, and what to do if that is wanted.
func (e *DestroysError) Error() string {
	var lines []string
	for _, s := range e.Plan.Steps {
		if s.Destroys != "" {
			lines = append(lines, fmt.Sprintf("%s: %s", s.Sentence, s.Destroys))
		}
	}
	return fmt.Sprintf("%s; if that is wanted, name --destroy %s", strings.Join(lines, "\n"), strings.Join(e.Needs, " --destroy "))
}

// Plan tells what the document would change, without doing it. Errors are
// those of the document itself (config.Problems) or of looking at the machine;
// what forbids to carry the plan out is in its Problems and Needs.
func (a *Appliance) Plan(ctx context.Context, doc *config.Document) (*plan.Plan, error) {
	return a.PlanChange(ctx, Change{Document: doc})
}

// PlanChange is Plan for any change: it minds Edit, Destroy and IfMatch too.
func (a *Appliance) PlanChange(ctx context.Context, c Change) (*plan.Plan, error) {
	before, rev := a.inForce()
	_, k, err := a.planned(ctx, c, before, rev)
	if err != nil {
		return nil, err
	}
	if c.Revert {
		a.noteDrift(k.plan.Drift)
	}
	return k.plan, nil
}

// planned is the document that a change leads to, and the plan that leads there
// and is carried out, with what it leaves left out. Before it is carried out its
// Problems and Needs have to be looked at.
func (a *Appliance) planned(ctx context.Context, c Change, before *config.Document, rev Revision) (*config.Document, *look, error) {
	if c.Adopt {
		return a.planAdoption(ctx, c, before, rev)
	}
	next, err := a.next(c, before, rev)
	if err != nil {
		return nil, nil, err
	}
	k, err := a.plan(ctx, next, before, c.Destroy)
	if err != nil {
		return nil, nil, err
	}
	if c.Revert {
		if err := known(k.plan.Drift, c.Objects); err != nil {
			return nil, nil, err
		}
		k.plan = onlyObjects(k.plan, c.Objects)
	} else if rev.Number == 0 || len(config.Diff(before, next)) > 0 {
		k.plan = a.leaveDrift(k)
	}
	if len(k.plan.Problems) == 0 {
		k.plan = withoutForbiddenRepairs(k.plan, k.repair, k.seen.Engine.Foreign, c.Destroy)
	}
	markLeft(k.plan)
	return next, k, nil
}

// next is the complete and checked document that a change leads to.
func (a *Appliance) next(c Change, before *config.Document, rev Revision) (*config.Document, error) {
	if c.IfMatch != "" && c.IfMatch != rev.ETag {
		return nil, &ConflictError{InForce: rev}
	}
	var next *config.Document
	switch {
	case c.Revert:
		next = before.Clone()
	case c.Document != nil:
		next = c.Document.Clone()
	case c.Edit != nil:
		next = before.Clone()
		if err := c.Edit(next); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("a change needs a document or an edit")
	}
	next.KeepSecrets(before)
	if err := next.Validate().Err(); err != nil {
		return nil, err // before it is completed: a broken one cannot be
	}
	if err := config.Complete(next, before); err != nil {
		return nil, err
	}
	if err := next.Validate().Err(); err != nil {
		return nil, fmt.Errorf("completed document: %w", err)
	}
	return next, nil
}

// look is a plan and what it is made from.
type look struct {
	plan *plan.Plan
	// repair tells steps that restore what was declared already from those that
	// the change wants.
	repair func(*plan.Step) bool
	seen   *layer.Observed
}

// plan looks at the machine and plans.
func (a *Appliance) plan(ctx context.Context, next, before *config.Document, destroy []string) (*look, error) {
	seen := &layer.Observed{InForce: before, Destroy: destroy}
	if err := layer.Observe(ctx, a.layers, next, seen); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	a.shared.Store(seen.Engine.Shared) // before another engine is planned for
	var b plan.Builder
	a.planEngine(next, before, seen, &b)
	for _, unable := range a.engine.Supports(next.SCSI()) {
		b.Problem("engine/"+next.EngineName(), "%v", unable)
	}
	for _, l := range a.layers {
		b.Layer()
		l.Plan(next, seen, &b)
	}
	p, err := b.Plan()
	if err != nil {
		return nil, err
	}
	k := &look{plan: p, repair: repairs(seen.Before, next, p, destroy), seen: seen}
	p.Drift = slices.DeleteFunc(findDrift(k, before), a.notByHand())
	return k, nil
}

// repairs returns what tells repairs: steps whose object has the same words in
// both documents, and that have nothing to do with a step that is wanted. What
// of the storage is named in destroy, and taken away for that, is wanted though
// no document ever had it.
func repairs(had func(object string) (any, bool), next *config.Document, p *plan.Plan, destroy []string) func(*plan.Step) bool {
	if p.Empty() {
		return func(*plan.Step) bool { return false }
	}
	has := config.Objects(next)
	restores := func(s *plan.Step) bool {
		if ofStorage(s) && s.Action == plan.Delete && s.Destroys != "" && s.Allowed(destroy) {
			return false
		}
		object := s.Object
		if name, ok := strings.CutPrefix(object, "image/"); ok {
			object = "device/" + name
		}
		old, was := had(object)
		now, is := has[object]
		if !is {
			return !was // declared in neither: a remainder that is cleared away
		}
		return was && reflect.DeepEqual(old, now)
	}
	// A LUN that is unmapped for a device to be made anew is no repair,
	// though the document says the same about it: follow the needs both ways.
	isWanted := linked(p, func(s *plan.Step) bool { return !restores(s) })
	return func(s *plan.Step) bool { return !isWanted[s.ID] }
}

// ofStorage says whether a step takes apart what devices stand on.
func ofStorage(s *plan.Step) bool {
	return s.Phase == plan.Clear || s.Layer == (disklayer.Layer{}).Name()
}

// linked returns the steps that start picks and all that are tied to them by
// needs, in either direction.
func linked(p *plan.Plan, start func(*plan.Step) bool) map[plan.ID]bool {
	index := make(map[plan.ID]int, len(p.Steps))
	for i := range p.Steps {
		index[p.Steps[i].ID] = i
	}
	ties := make([][]int, len(p.Steps))
	var todo []int
	for i := range p.Steps {
		for _, need := range p.Steps[i].Needs {
			if j, ok := index[need]; ok {
				ties[i], ties[j] = append(ties[i], j), append(ties[j], i)
			}
		}
		if start(&p.Steps[i]) {
			todo = append(todo, i)
		}
	}
	reached := map[plan.ID]bool{}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id := p.Steps[i].ID; !reached[id] {
			reached[id] = true
			todo = append(todo, ties[i]...)
		}
	}
	return reached
}

// Apply carries a change out. It checks and plans at once; the work itself
// goes on after it returned, even when ctx ends: follow the Operation. Until
// that has ended, other changes wait. If a step fails, those done before are
// undone and the old document stays in force. Errors: config.Problems,
// *ConflictError, *RefusedError, *DestroysError; nothing was done then.
func (a *Appliance) Apply(ctx context.Context, c Change) (*Operation, error) {
	if c.DryRun {
		p, err := a.PlanChange(ctx, c)
		if err != nil {
			return nil, err
		}
		return a.newOperation(c, p), nil
	}
	select {
	case <-a.applies:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another change to end: %w", ctx.Err())
	case <-a.ctx.Done():
		return nil, errors.New("the appliance is closing")
	}
	op, run, err := a.begin(ctx, c)
	if err != nil {
		a.applies <- struct{}{}
		return nil, err
	}
	a.work.Go(func() {
		defer func() { a.applies <- struct{}{} }()
		run()
	})
	return op, nil
}

// begin prepares a change up to the point where the machine is touched.
func (a *Appliance) begin(ctx context.Context, c Change) (*Operation, func(), error) {
	before, rev := a.inForce()
	next, k, err := a.planned(ctx, c, before, rev)
	if err == nil && c.Permit != nil {
		err = c.Permit(before, next)
	}
	if err == nil {
		err = a.refuseWhileUnconfirmed(before, next)
	}
	if err != nil {
		return nil, nil, err
	}
	p, repair := k.plan, k.repair
	if len(p.Problems) > 0 {
		return nil, nil, &RefusedError{Problems: p.Problems}
	}
	if needs := p.Needs(c.Destroy); len(needs) > 0 {
		return nil, nil, &DestroysError{Needs: needs, Plan: p}
	}
	var pending *pendingRevision
	if rev.Number == 0 || len(config.Diff(before, next)) > 0 {
		text, err := config.Marshal(next)
		if err != nil {
			return nil, nil, err
		}
		// Written before anything is touched: a full disk is found now.
		if pending, err = a.store.prepare(text, Revision{Who: c.Who, Why: c.Why}); err != nil {
			return nil, nil, fmt.Errorf("keep the document as a revision: %w", err)
		}
	}
	// Before the first document there is no network to go back to.
	waits := rev.Number > 0 && cuts(p, repair)
	op := a.newOperation(c, p)
	ctx, cancel := context.WithCancel(a.ctx)
	op.cancel = cancel
	return op, func() {
		defer cancel()
		if waits {
			if err := a.expect(op, c.ConfirmWithin, before.Network); err != nil {
				if pending != nil {
					pending.abandon()
				}
				op.end(rev, false, nil, err)
				return
			}
		}
		a.run(ctx, op, next, pending, repair)
	}, nil
}

// withoutForbiddenRepairs leaves out steps that destroy, that nobody asked for
// in this change and that were not named: they become notes. What is tied to
// them goes with them, or LUNs would be unmapped for a device that stays.
func withoutForbiddenRepairs(p *plan.Plan, repair func(*plan.Step) bool, foreign map[string]bool, destroy []string) *plan.Plan {
	forbidden := func(s *plan.Step) bool { return !s.Allowed(destroy) && repair(s) }
	out := linked(p, forbidden)
	kept := *p
	kept.Steps, kept.Notes = nil, slices.Clone(p.Notes)
	for i := range p.Steps {
		s := &p.Steps[i]
		if forbidden(s) {
			kept.Notes = append(kept.Notes, plan.Note{Object: s.Object, Degraded: !foreign[s.Object], // nobody misses what others set up
				Message: fmt.Sprintf("left: %s (%s); name --destroy %s to have it done", s.Sentence, s.Destroys, s.Object)})
		}
		if !out[s.ID] {
			kept.Steps = append(kept.Steps, *s)
		}
	}
	return &kept
}

// run carries the plan out, keeps the document and tells how it went.
func (a *Appliance) run(ctx context.Context, op *Operation, next *config.Document, pending *pendingRevision, repair func(*plan.Step) bool) {
	_, rev := a.inForce()
	runner := plan.Runner{Repair: repair, Closing: a.undoing, Observe: op.observe}
	var failures []plan.Note
	err := a.beginWork(op.Plan)
	if err == nil {
		failures, err = runner.Run(ctx, op.Plan)
	}
	if err == nil && pending != nil {
		var kept Revision
		if kept, err = pending.commit(); err != nil {
			err = runner.Undo(ctx, op.Plan, err)
		} else {
			rev = kept
		}
	} else if pending != nil {
		pending.abandon()
	}
	if err == nil {
		if err := a.endWork(op.Plan, failures); err != nil {
			a.log.Warn("a change has ended", "err", err) // the next look puts that right
		}
	}
	changed := pending != nil || !op.Plan.Empty()
	problems := append(degraded(op.Plan.Notes), failures...)
	if err != nil {
		if err := a.confirm.failed(op); err != nil {
			problems = append(problems, plan.Note{Object: "network", Message: err.Error()})
		}
		a.event("apply.failed", "array", fmt.Sprintf("change by %s failed: %v", op.Who, err))
		op.end(rev, false, problems, err)
		a.Kick() // what of the old document is served now?
		return
	}
	a.mu.Lock()
	a.current, a.revision = next, rev
	a.mu.Unlock()
	a.nowUnconfirmed(op, rev)
	a.setProblems(problems)
	a.noteDrift(slices.DeleteFunc(slices.Clone(op.Plan.Drift), func(d plan.Drift) bool { return !d.Left }))
	if changed {
		problems = append(problems, a.keep(ctx, op)...)
		a.event("apply.done", "array", fmt.Sprintf("revision %d by %s is in force (steps: %d)", rev.Number, op.Who, len(op.Plan.Steps)))
	}
	if slices.ContainsFunc(op.Plan.Steps, func(s plan.Step) bool { return s.Reveals }) {
		a.Kick() // what is on it can be brought up now
	}
	op.end(rev, changed, problems, nil)
}

// keep makes a change outlive a power cut before anybody hears that it is done.
func (a *Appliance) keep(ctx context.Context, op *Operation) []plan.Note {
	if a.kept == nil {
		return nil
	}
	err := a.kept(ctx, "apply: "+cmp.Or(op.Why, "by "+op.Who))
	if err == nil {
		return nil
	}
	return []plan.Note{{Object: "medium", Degraded: true, Message: fmt.Sprintf(
		"this change is in force, but it is not saved: after a reboot or a power cut it would be gone: %v", err)}}
}

func degraded(notes []plan.Note) []plan.Note {
	var d []plan.Note
	for _, n := range notes {
		if n.Degraded {
			d = append(d, n)
		}
	}
	return d
}

// Rollback applies an older revision again, as a new one. c says who, why and
// what may be destroyed.
func (a *Appliance) Rollback(ctx context.Context, number int, c Change) (*Operation, error) {
	doc, _, err := a.store.read(number)
	if err != nil {
		return nil, err
	}
	c.Document, c.Edit = nil, func(now *config.Document) error {
		*now = *doc.Restored(now)
		return nil
	}
	if c.Why == "" {
		c.Why = fmt.Sprintf("rollback to revision %d", number)
	}
	return a.Apply(ctx, c)
}

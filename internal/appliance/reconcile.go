package appliance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/plan"
)

// Reconcile brings what is served to what is declared: after a start, after
// the target process died, and when something that was missing may be back.
// It does what it can; the rest is told by Status. It never destroys, and what
// somebody changed by hand it leaves: only what is not there at all is put in
// place. Where a change was cut off everything is brought back: what differs
// there is of that change's making.
func (a *Appliance) Reconcile(ctx context.Context) error {
	_, err := a.reconcile(ctx)
	return err
}

// reconcile also says whether steps failed.
func (a *Appliance) reconcile(ctx context.Context) (failed bool, err error) {
	select {
	case <-a.applies:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { a.applies <- struct{}{} }()
	doc, _ := a.inForce()
	doc = a.confirm.overlay(doc)
	k, err := a.plan(ctx, doc, doc, nil)
	if err != nil {
		a.setProblems([]plan.Note{{Object: "array", Message: err.Error(), Degraded: true}})
		return false, nil
	}
	p := a.leaveDrift(k)
	p = withoutForbiddenRepairs(p, k.repair, k.seen.Engine.Foreign, nil)
	markLeft(p)
	a.noteDrift(slices.DeleteFunc(slices.Clone(p.Drift), func(d plan.Drift) bool { return !d.Left }))
	if err := a.beginWork(p); err != nil {
		return false, fmt.Errorf("reconcile: %w", err)
	}
	var skipped []plan.Note
	revealed := false
	runner := plan.Runner{Repair: func(*plan.Step) bool { return true }, Observe: func(i int, s plan.State, _ float64, _ error) {
		switch {
		case s == plan.Skipped:
			skipped = append(skipped, plan.Note{Object: p.Steps[i].Object})
		case s == plan.Done && p.Steps[i].Reveals:
			revealed = true
		}
	}}
	failures, err := runner.Run(ctx, p)
	if err != nil {
		return false, fmt.Errorf("reconcile: %w", err) // ctx ended
	}
	// Whatever was not finished was in this plan, or is as declared.
	still := slices.Concat(degraded(p.Notes), failures)
	if err := a.finish(append(skipped, still...), func(string) bool { return true }); err != nil {
		return false, fmt.Errorf("reconcile: %w", err)
	}
	if n := len(p.Steps) - len(failures); n > 0 {
		a.event("array.reconciled", "array", fmt.Sprintf("what is served was brought to what is declared (steps: %d, failed: %d)", len(p.Steps), len(failures)))
	}
	a.setProblems(slices.Concat(p.Problems, still))
	if revealed {
		a.Kick() // what is on it can be brought up now
	}
	return len(failures) > 0, nil
}

// setProblems notes why not all is served, with an event when that changes.
func (a *Appliance) setProblems(problems []plan.Note) {
	a.mu.Lock()
	before := a.problems
	a.problems = problems
	a.mu.Unlock()
	for _, p := range problems {
		if !slices.Contains(before, p) {
			a.event("array.degraded", p.Object, p.Message)
		}
	}
	if len(before) > 0 && len(problems) == 0 {
		a.event("array.ok", "array", "all that is declared is served")
	}
}

// Kick asks for a reconciliation soon.
func (a *Appliance) Kick() {
	select {
	case a.kick <- struct{}{}:
	default: // one is due already
	}
}

// Retry asks for a reconciliation if not all that is declared is served: what
// was missing may be back.
func (a *Appliance) Retry() {
	a.mu.Lock()
	well := len(a.problems) == 0
	a.mu.Unlock()
	if !well {
		a.Kick()
	}
}

// driftTicks is how many retry times pass between two looks for drift.
const driftTicks = 10

// watch reconciles when asked, and from time to time while not all is served.
func (a *Appliance) watch() {
	timer := time.NewTicker(a.retry)
	defer timer.Stop()
	ticks := 0
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-a.kick:
		case <-timer.C:
			a.mu.Lock()
			well := len(a.problems) == 0
			a.mu.Unlock()
			if ticks++; well {
				if ticks%driftTicks != 0 {
					continue
				}
				if a.shared.Load() {
					a.lookForDrift()
				}
				if doc, _ := a.inForce(); !doc.Storage.Declared() {
					continue
				}
				// Nobody tells that a thin pool fills up, or a file system.
			}
		}
		failed, err := a.reconcile(a.ctx)
		if err != nil && a.ctx.Err() == nil {
			a.event("array.degraded", "array", err.Error())
		}
		if failed {
			// What was tried may have caused events itself, and these a kick: an
			// array that does not start comes and goes. It is not tried at once again.
			select {
			case <-a.ctx.Done():
			case <-time.After(min(a.retry, breath)):
			}
		}
	}
}

// breath is how long nothing is tried again after something failed.
const breath = 5 * time.Second

// listen notes what the engine tells, and reconciles when it began anew.
func (a *Appliance) listen(heard <-chan engine.Event) {
	for e := range heard {
		a.note(e)
		switch e.Kind {
		case "target.restarted", "device.failed":
			a.Kick()
		}
	}
}

package appliance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/network"
	"github.com/esos-project/esos/internal/plan"
)

// Unconfirmed is a change of the network that nobody has confirmed yet. It is
// undone at the deadline, or as soon as the daemon starts again: whoever was
// cut off by it needs no way to the machine to get it back.
type Unconfirmed struct {
	Revision int       `json:"revision"` // that it made; 0 while it is carried out
	Who      string    `json:"who"`
	Why      string    `json:"why,omitempty"`
	Deadline time.Time `json:"deadline"`
}

// Times to confirm a change of the network in.
const (
	ConfirmTime    = time.Minute
	MaxConfirmTime = 10 * time.Minute
)

// Errors of Confirm and UndoNetwork.
var (
	// ErrNothingUnconfirmed says that no change of the network waits.
	ErrNothingUnconfirmed = errors.New("no change of the network waits to be confirmed")
	// ErrNotInForce says that the change is still being carried out.
	ErrNotInForce = errors.New("the change of the network is still being carried out; try again in a moment")
)

// cuts says whether a plan could cut off whoever asked for it: it changes
// interfaces in ways that were not in force before.
func cuts(p *plan.Plan, repair func(*plan.Step) bool) bool {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Layer == network.Name && strings.HasPrefix(s.Object, "interface/") && !repair(s) {
			return true
		}
	}
	return false
}

// refuseWhileUnconfirmed says why a change cannot be made now. Two changes that
// wait could be undone in no order that is sure to be the right one.
func (a *Appliance) refuseWhileUnconfirmed(before, next *config.Document) error {
	c := &a.confirm
	c.mu.Lock()
	defer c.mu.Unlock()
	refuse := func(format string, args ...any) error {
		return &RefusedError{Problems: []plan.Note{{Object: "network", Message: fmt.Sprintf(format, args...)}}}
	}
	switch {
	case c.undoing:
		return refuse("a change of the network is being undone just now; try again in a moment")
	case c.pending != nil && len(config.Fields(before.Network, next.Network)) > 0:
		return refuse("a change of the network by %s waits to be confirmed until %s: confirm or undo it first (esos network confirm, esos network undo)",
			c.pending.Who, c.pending.Deadline.Local().Format(time.TimeOnly))
	}
	return nil
}

// expect keeps on disk what the network was, and sees to it that it is so again
// unless op's change of it is confirmed in time. It comes before the first step.
func (a *Appliance) expect(op *Operation, within time.Duration, old config.Network) error {
	if within == 0 {
		within = a.confirmTime
	}
	within = min(within, MaxConfirmTime)
	u := &Unconfirmed{Who: op.Who, Why: op.Why, Deadline: time.Now().Add(within).UTC().Truncate(time.Millisecond)}
	waiting, stop := context.WithCancel(a.ctx)
	if err := a.confirm.begin(u, old, op, stop); err != nil {
		stop()
		return fmt.Errorf("prepare to undo this change of the network if nobody confirms it: %w", err)
	}
	a.work.Go(func() {
		select {
		case <-waiting.Done():
		case <-time.After(within):
			a.expire(u)
		}
	})
	return nil
}

// expire undoes a change that was not confirmed in time.
func (a *Appliance) expire(u *Unconfirmed) {
	op, ok := a.confirm.undo(u)
	switch {
	case !ok: // it was confirmed, or failed, meanwhile
	case op != nil:
		// Steps after those of the network take long. They are undone, too.
		op.Cancel()
	default:
		a.undo("not confirmed in time")
	}
}

// nowUnconfirmed notes that an operation is done. A change that took longer than it
// may wait is undone at once.
func (a *Appliance) nowUnconfirmed(op *Operation, rev Revision) {
	if u := a.confirm.carried(op, rev.Number); u != nil && !time.Now().Before(u.Deadline) {
		a.work.Go(func() { a.expire(u) })
	}
}

// undoPause is how long is waited before the undoing of a change is tried
// again: what keeps the revision from being written may pass.
const undoPause = 5 * time.Second

// undo puts the old network back, the machine's first: a change of something
// else may be going on for hours, and its end need not be waited for.
func (a *Appliance) undo(why string) {
	for {
		err := a.putBack()
		if err == nil {
			if err = a.revert(why); err == nil {
				return
			}
		}
		if a.ctx.Err() != nil {
			return // the next start goes on with it
		}
		a.event("network.failed", "network", fmt.Sprintf("the change of the network cannot be undone, it is tried again: %v", err))
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(undoPause):
		}
	}
}

// putBack brings the machine's network to what it was.
func (a *Appliance) putBack() error {
	doc, _ := a.inForce()
	doc = a.confirm.overlay(doc)
	seen := &layer.Observed{InForce: doc}
	if err := a.network.Observe(a.ctx, doc, seen); err != nil {
		return fmt.Errorf("put the network back: %w", err)
	}
	var b plan.Builder
	a.network.Plan(doc, seen, &b)
	p, err := b.Plan()
	if err != nil {
		return fmt.Errorf("put the network back: %w", err)
	}
	failures, err := plan.Runner{Repair: func(*plan.Step) bool { return true }}.Run(a.ctx, p)
	if err != nil {
		return fmt.Errorf("put the network back: %w", err)
	}
	for _, f := range failures {
		// Most likely a cable, or a port that is not there: no reason to leave
		// the document as it is.
		a.event("network.degraded", f.Object, f.Message)
	}
	return nil
}

// revert makes a revision that has the old network again, once no other change
// is being carried out.
func (a *Appliance) revert(why string) error {
	select {
	case <-a.applies:
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
	defer func() { a.applies <- struct{}{} }()
	kept, err := a.revertDocument(why)
	if err != nil {
		return err
	}
	if err := a.confirm.clear(); err != nil {
		return err
	}
	_ = a.saveNetwork(a.ctx, kept.Why) // an event tells
	a.Kick()
	return nil
}

// revertDocument puts a document in force that has the network of before. The
// machine is brought to it by others.
func (a *Appliance) revertDocument(why string) (Revision, error) {
	before, rev := a.inForce()
	next := a.confirm.overlay(before)
	if len(config.Fields(before.Network, next.Network)) == 0 {
		return rev, nil // it never came into force, or is undone already
	}
	text, err := config.Marshal(next)
	if err != nil {
		return rev, err
	}
	changed := rev.Number
	if u := a.confirm.waiting(); u != nil && u.Revision > 0 {
		changed = u.Revision
	}
	reason := fmt.Sprintf("network change of revision %d undone: %s", changed, why)
	pending, err := a.store.prepare(text, Revision{Who: "esos", Why: reason})
	if err != nil {
		return rev, fmt.Errorf("keep the document as a revision: %w", err)
	}
	if rev, err = pending.commit(); err != nil {
		return rev, err
	}
	a.mu.Lock()
	a.current, a.revision = next, rev
	a.mu.Unlock()
	a.event("network.undone", "network", fmt.Sprintf("revision %d is in force: %s", rev.Number, reason))
	return rev, nil
}

// saveNetwork makes what became of a change outlive a power cut. That it did
// not is told, and undoes nothing.
func (a *Appliance) saveNetwork(ctx context.Context, reason string) error {
	if a.kept == nil {
		return nil
	}
	if err := a.kept(ctx, reason); err != nil {
		a.event("network.save_failed", "network", fmt.Sprintf("what became of the change of the network is not saved to the medium: %v", err))
		return err
	}
	return nil
}

// undoInterrupted undoes, at the start, a change that was waiting when the
// daemon or the machine ended. It comes before what is declared is served.
func (a *Appliance) undoInterrupted() error {
	waits, err := a.confirm.load()
	if err != nil {
		a.event("network.damaged", "network", err.Error())
	}
	if !waits {
		return nil
	}
	_, err = a.revertDocument("the daemon or the machine started anew before it was confirmed")
	return err
}

// undoneInterrupted forgets the change, once the machine was brought back.
func (a *Appliance) undoneInterrupted() error {
	if a.confirm.waiting() == nil {
		return nil
	}
	if err := a.confirm.clear(); err != nil {
		return err
	}
	// A medium that is slow to come must not keep initiators waiting.
	a.work.Go(func() { _ = a.saveNetwork(a.ctx, "network change undone") })
	return nil
}

// Unconfirmed returns the change of the network that waits; nil if none does.
func (a *Appliance) Unconfirmed() *Unconfirmed { return a.confirm.waiting() }

// ConfirmNetwork keeps the change of the network that waits. revision names it;
// 0 is whichever waits.
func (a *Appliance) ConfirmNetwork(ctx context.Context, revision int, who string) error {
	u, err := a.confirm.confirm(revision)
	if err != nil {
		return err
	}
	a.event("network.confirmed", "network", fmt.Sprintf("%s confirmed the network change of revision %d", who, u.Revision))
	if err := a.saveNetwork(ctx, "network change confirmed"); err != nil {
		return fmt.Errorf("the change of the network stays, but that is not saved: after a power cut it would be undone: %w", err)
	}
	return nil
}

// UndoNetwork undoes the change of the network that waits without waiting.
func (a *Appliance) UndoNetwork(_ context.Context, who string) error {
	u := a.confirm.waiting()
	if u == nil {
		return ErrNothingUnconfirmed
	}
	op, ok := a.confirm.undo(u)
	if !ok {
		return ErrNothingUnconfirmed
	}
	if op != nil {
		return ErrNotInForce
	}
	ended := make(chan struct{})
	a.work.Go(func() { defer close(ended); a.undo("by " + who) })
	select {
	case <-ended:
		return nil
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
}

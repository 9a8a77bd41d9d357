package appliance

import (
	"context"
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/plan"
)

// Refused says why the document that Options.Adopt gave is not in force; nil
// if it is, or none was asked for.
func (a *Appliance) Refused() error { return a.refused }

// adopt puts a first document in force. A machine that is still starting up
// may lack disks and addresses: unlike a change that somebody waits for, it is
// carried out as far as it goes, and the rest is tried again. The error is of
// the array itself; a document that cannot be taken is a.refused.
func (a *Appliance) adopt(ctx context.Context, ask func() (*config.Document, error)) error {
	doc, err := ask()
	if err == nil {
		err = a.adoptDocument(ctx, doc)
	}
	if err != nil && ctx.Err() == nil {
		a.refused = err
		return nil
	}
	return err
}

func (a *Appliance) adoptDocument(ctx context.Context, doc *config.Document) error {
	before, rev := a.inForce()
	next, err := a.next(Change{Document: doc}, before, rev)
	if err != nil {
		return err
	}
	// Disks pass for known ones, whose absence is borne; image files have to
	// be made.
	known := next.Clone()
	known.Devices = slices.DeleteFunc(known.Devices, func(d config.Device) bool { return d.Handler == config.FileIO })
	k, err := a.plan(ctx, next, known, nil)
	if err != nil {
		return err
	}
	p := a.leaveDrift(k)
	if len(p.Problems) > 0 {
		return &RefusedError{Problems: p.Problems}
	}
	text, err := config.Marshal(next)
	if err != nil {
		return err
	}
	pending, err := a.store.prepare(text, Revision{Who: "esos", Why: "first document"})
	if err != nil {
		return fmt.Errorf("keep the document as a revision: %w", err)
	}
	if err := a.beginWork(p); err != nil {
		pending.abandon()
		return err
	}
	failures, err := plan.Runner{Repair: func(*plan.Step) bool { return true }}.Run(ctx, p)
	if err != nil {
		pending.abandon()
		return err // ctx ended
	}
	if err := a.endWork(p, failures); err != nil {
		pending.abandon()
		return err
	}
	kept, err := pending.commit()
	if err != nil {
		return fmt.Errorf("keep the document as a revision: %w", err)
	}
	a.mu.Lock()
	a.current, a.revision = next, kept
	a.mu.Unlock()
	a.setProblems(slices.Concat(degraded(p.Notes), failures))
	a.event("apply.done", "array", fmt.Sprintf("revision %d, the first document, is in force (steps: %d, failed: %d)", kept.Number, len(p.Steps), len(failures)))
	return nil
}

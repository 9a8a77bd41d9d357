package appliance

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/library"
	"github.com/esos-project/esos/internal/plan"
)

func imageLibrary(o Options) library.Library {
	return library.Library{MountDir: config.MountDir, DataDir: o.DataDir, InMemory: o.InMemory, Mounted: host.Files{}.Mounted}
}

// Images lists the image files and ISO files.
func (a *Appliance) Images(context.Context) ([]library.File, error) {
	doc, _ := a.inForce()
	return a.library.List(doc)
}

// CopyImage copies an image file. The work goes on after it returned, even when
// ctx ends; other changes do not wait for it.
func (a *Appliance) CopyImage(_ context.Context, from, to, who string) (*Operation, error) {
	document := func() *config.Document { doc, _ := a.inForce(); return doc }
	object := "file " + to
	p := &plan.Plan{Steps: []plan.Step{{
		ID: plan.StepID(plan.Create, object), Layer: "vdisk", Object: object, Action: plan.Create,
		Sentence: fmt.Sprintf("Copy %s to %s", from, to),
		Do: func(ctx context.Context, report plan.Report) error {
			return a.library.Copy(ctx, document, from, to, func(done, of int64) {
				if report != nil && of > 0 {
					report(float64(done) / float64(of))
				}
			})
		},
	}}}
	op := a.newOperation(Change{Who: who, Why: "copy " + from + " to " + to}, p)
	ctx, cancel := context.WithCancel(a.ctx)
	op.cancel = cancel
	a.work.Go(func() {
		defer cancel()
		_, err := plan.Runner{Closing: a.undoing, Observe: op.observe}.Run(ctx, p)
		if err == nil {
			a.event("image.copied", object, fmt.Sprintf("%s was copied to %s by %s", from, to, who))
		}
		op.end(Revision{}, err == nil, nil, err)
	})
	return op, nil
}

// ReceiveImage puts what r gives into a file of a file system.
func (a *Appliance) ReceiveImage(ctx context.Context, fileSystem, name string, r io.Reader, length int64, sum, who string) (library.Received, error) {
	got, err := a.library.Receive(ctx, fileSystem, name, r, length, sum)
	if err == nil {
		a.event("image.received", "file "+got.Path, fmt.Sprintf("%s (%s, SHA-256 %s) was received from %s", got.Path, config.Size(got.Size).Human(), got.SHA256, who))
	}
	return got, err
}

// DeleteImage deletes a file that no device uses. It must be named in destroy;
// the error is a *DestroysError otherwise.
func (a *Appliance) DeleteImage(ctx context.Context, path string, destroy []string, who string) error {
	done, err := a.mayApply(ctx)
	if err != nil {
		return err
	}
	defer done()
	doc, _ := a.inForce()
	d, err := a.library.Deleting(doc, path)
	if err != nil {
		return err
	}
	if !slices.Contains(destroy, d.Object) {
		step := plan.Step{ID: plan.StepID(plan.Delete, d.Object), Layer: "vdisk", Object: d.Object, Action: plan.Delete, Sentence: "Delete file " + d.Path,
			Destroys: fmt.Sprintf("%s with %s of data is lost", config.Size(d.Size).Human(), config.Size(d.Allocated).Human())}
		return &DestroysError{Needs: []string{d.Object}, Plan: &plan.Plan{Steps: []plan.Step{step}}}
	}
	if err := a.library.Delete(d); err != nil {
		return err
	}
	a.event("image.deleted", "file "+d.Path, fmt.Sprintf("%s (%s) was deleted by %s", d.Path, config.Size(d.Size).Human(), who))
	return nil
}

package appliance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/plan"
	"github.com/esos-project/esos/internal/snapshot"
	"github.com/esos-project/esos/internal/upkeep"
)

// Snapshots takes and looks after snapshots of devices (*snapshot.Service).
type Snapshots interface {
	Take(ctx context.Context, r snapshot.Request) ([]snapshot.Snapshot, error)
	List(ctx context.Context, doc *config.Document) ([]snapshot.Snapshot, error)
	Find(ctx context.Context, doc *config.Document, device, name string) (snapshot.Snapshot, error)
	Delete(ctx context.Context, doc *config.Document, device, name string) error
	Retain(ctx context.Context, doc *config.Document, n config.Snapshots) ([]snapshot.Snapshot, error)
	ResumeLeft(ctx context.Context) error
}

func snapshots(o Options) Snapshots {
	if o.Snapshots != nil {
		return o.Snapshots
	}
	files, ok := o.Files.(snapshot.Files)
	if !ok {
		files = host.Files{}
	}
	return snapshot.New(snapshot.Options{Machine: o.Storage, Files: files, DataDir: o.DataDir})
}

// mayApply waits until nothing else is carried out, and keeps others from it
// until done is called.
func (a *Appliance) mayApply(ctx context.Context) (done func(), err error) {
	select {
	case <-a.applies:
		return func() { a.applies <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another change to end: %w", ctx.Err())
	case <-a.ctx.Done():
		return nil, errors.New("the appliance is closing")
	}
}

// resumeLeft lets go of devices that the daemon before this one held when it
// was killed. Nothing waits for it to go well: what can be served is.
func (a *Appliance) resumeLeft(ctx context.Context) {
	if err := a.snapshots.ResumeLeft(ctx); err != nil {
		a.snapshotFailed("held-devices", err)
	}
}

// Snapshots lists the snapshots of devices. What could not be looked at is
// told by the error beside those that were found.
func (a *Appliance) Snapshots(ctx context.Context) ([]snapshot.Snapshot, error) {
	doc, _ := a.inForce()
	return a.snapshots.List(ctx, doc)
}

// TakeSnapshot takes snapshots of devices, all of one moment. The work is not
// cut off when ctx ends, though nothing new is begun then.
func (a *Appliance) TakeSnapshot(ctx context.Context, devices []string, name, who string) ([]snapshot.Snapshot, error) {
	done, err := a.mayApply(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return a.takeSnapshot(ctx, devices, name, "", who)
}

func (a *Appliance) takeSnapshot(ctx context.Context, devices []string, name, schedule, who string) ([]snapshot.Snapshot, error) {
	doc, _ := a.inForce()
	r := snapshot.Request{Name: name, Schedule: schedule}
	for _, n := range devices {
		d, err := doc.FindDevice(n)
		if err != nil {
			return nil, fmt.Errorf("take a snapshot: %w", err)
		}
		r.Devices = append(r.Devices, *d)
	}
	made, err := a.snapshots.Take(ctx, r)
	if err != nil {
		return nil, err
	}
	a.event("snapshot.taken", "device/"+strings.Join(devices, ","), fmt.Sprintf("snapshot %s of %s was taken for %s", made[0].Name, strings.Join(devices, ", "), who))
	return made, nil
}

// DeleteSnapshot deletes a snapshot that nothing uses. It must be named in
// destroy; the error is a *DestroysError otherwise.
func (a *Appliance) DeleteSnapshot(ctx context.Context, device, name string, destroy []string, who string) error {
	done, err := a.mayApply(ctx)
	if err != nil {
		return err
	}
	defer done()
	doc, _ := a.inForce()
	snap, err := a.snapshots.Find(ctx, doc, device, name)
	if err != nil {
		return err
	}
	if !slices.Contains(destroy, snap.Object()) {
		step := plan.Step{ID: plan.StepID(plan.Delete, snap.Object()), Layer: "snapshot", Object: snap.Object(), Action: plan.Delete,
			Sentence: "Delete snapshot " + snap.ID(),
			Destroys: fmt.Sprintf("what was on device %s at %s (UTC) is lost, as far as it has changed since", device, snap.Taken.UTC().Format("2006-01-02 15:04:05"))}
		return &DestroysError{Needs: []string{snap.Object()}, Plan: &plan.Plan{Steps: []plan.Step{step}}}
	}
	if err := a.snapshots.Delete(ctx, doc, device, name); err != nil {
		return err
	}
	a.event("snapshot.deleted", "device/"+device, fmt.Sprintf("snapshot %s was deleted by %s", snap.ID(), who))
	return nil
}

// takeScheduled takes the snapshots of a schedule, and deletes those that it
// keeps no longer. If none can be taken, old ones are not deleted either: they
// may be the last ones that there will be.
func (a *Appliance) takeScheduled(ctx context.Context, schedule string) (err error) {
	defer func() { a.snapshotFailed("snapshots/"+schedule, err) }()
	done, err := a.mayApply(ctx)
	if err != nil {
		return err
	}
	defer done()
	doc, _ := a.inForce()
	i := slices.IndexFunc(doc.Storage.Snapshots, func(n config.Snapshots) bool { return n.Name == schedule })
	if i < 0 {
		return nil // it was taken out of the document meanwhile
	}
	n := doc.Storage.Snapshots[i]
	if _, err := a.takeSnapshot(ctx, n.Devices, n.Name, n.Name, "schedule "+n.Name); err != nil {
		return err
	}
	deleted, err := a.snapshots.Retain(ctx, doc, n)
	for _, snap := range deleted {
		a.event("snapshot.deleted", "device/"+snap.Device, fmt.Sprintf("snapshot %s was deleted: schedule %s keeps %d", snap.ID(), n.Name, n.Keep))
	}
	if err != nil {
		return fmt.Errorf("the snapshots were taken, but older ones stay that schedule %s keeps no longer: %w", n.Name, err)
	}
	return nil
}

// snapshotFailed tells why something about snapshots is not as it should be
// (Status, and an event), or with nil that it is again.
func (a *Appliance) snapshotFailed(object string, err error) {
	if err != nil && a.ctx.Err() != nil {
		return // it is begun again after the next start
	}
	a.mu.Lock()
	before, failed := a.snapshotProblems[object]
	delete(a.snapshotProblems, object)
	if err != nil {
		if a.snapshotProblems == nil {
			a.snapshotProblems = map[string]string{}
		}
		a.snapshotProblems[object] = err.Error()
	}
	a.mu.Unlock()
	if err != nil && (!failed || before != err.Error()) {
		a.event("snapshot.failed", object, err.Error())
	}
}

// snapshotTroubles are sentences of what snapshotFailed told, of schedules that
// are still declared; locked.
func (a *Appliance) snapshotTroubles(doc *config.Document) (all []string) {
	for _, object := range slices.Sorted(maps.Keys(a.snapshotProblems)) {
		name, schedule := strings.CutPrefix(object, "snapshots/")
		if schedule && !slices.ContainsFunc(doc.Storage.Snapshots, func(n config.Snapshots) bool { return n.Name == name }) {
			continue
		}
		all = append(all, object+": "+a.snapshotProblems[object])
	}
	return all
}

// SnapshotJobs are the snapshots that the document in force schedules.
func (a *Appliance) SnapshotJobs() (jobs []upkeep.Job) {
	doc, _ := a.inForce()
	for _, n := range doc.Storage.Snapshots {
		jobs = append(jobs, upkeep.Job{
			Name: "snapshots/" + n.Name, Kind: "snapshots", Retry: snapshotRetry,
			Next: func(_, last time.Time) time.Time { return snapshot.Next(n, last) },
			Do:   func(ctx context.Context) error { return a.takeScheduled(ctx, n.Name) },
		})
	}
	return jobs
}

// snapshotRetry is how long after a failure a snapshot is tried again.
const snapshotRetry = 5 * time.Minute

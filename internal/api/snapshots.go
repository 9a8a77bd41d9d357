package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/snapshot"
)

type (
	snapshotsOutput struct {
		Body v1.SnapshotList
	}
	takeSnapshotInput struct {
		Body v1.SnapshotRequest
	}
	snapshotInput struct {
		Device  string   `path:"device" maxLength:"64" doc:"The device's name."`
		Name    string   `path:"name" maxLength:"64" doc:"The snapshot's name, with its time."`
		Destroy []string `query:"destroy,explode" maxItems:"10" doc:"snapshot/DEVICE@NAME, or nothing is deleted."`
	}
)

// snapshots are the routes of snapshots of devices. What is taken by itself is
// declared in the document.
func (s *Server) snapshots() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/snapshots", "listSnapshots", "snapshots", "List the snapshots of devices"),
		func(ctx context.Context, _ *nothing) (*snapshotsOutput, error) {
			all, err := s.app.Snapshots(ctx)
			out := &snapshotsOutput{v1.SnapshotList{Snapshots: snapshotsOf(all)}}
			if err != nil {
				out.Body.Problems = []string{err.Error()}
			}
			return out, nil
		})
	take := operation(Operator, http.MethodPost, "/snapshots", "takeSnapshot", "snapshots", "Take snapshots of devices, all of one moment")
	take.DefaultStatus = http.StatusCreated
	huma.Register(s.huma, take, func(ctx context.Context, in *takeSnapshotInput) (*snapshotsOutput, error) {
		ctx, cancel := context.WithTimeout(ctx, snapshotTime)
		defer cancel()
		made, err := s.app.TakeSnapshot(ctx, in.Body.Devices, in.Body.Name, asker(ctx).name)
		if err != nil {
			return nil, answer(err)
		}
		return &snapshotsOutput{v1.SnapshotList{Snapshots: snapshotsOf(made)}}, nil
	})
	huma.Register(s.huma, operation(Admin, http.MethodDelete, "/snapshots/{device}/{name}", "deleteSnapshot", "snapshots", "Delete a snapshot"),
		func(ctx context.Context, in *snapshotInput) (*nothing, error) {
			ctx, cancel := context.WithTimeout(ctx, snapshotTime)
			defer cancel()
			return nil, answer(s.app.DeleteSnapshot(ctx, in.Device, in.Name, in.Destroy, asker(ctx).name))
		})
}

// snapshotTime is how long a snapshot waits for other changes to end.
const snapshotTime = changeWait

func snapshotsOf(all []snapshot.Snapshot) []v1.Snapshot {
	list := make([]v1.Snapshot, 0, len(all))
	for _, x := range all {
		w := v1.Snapshot{Device: x.Device, Name: x.Name, Schedule: x.Schedule, Taken: x.Taken, Size: x.Size, Path: x.Path, UsedBy: x.Users}
		if x.Volume != nil {
			w.Group, w.Volume, w.Pool = x.Volume.Group, x.Volume.Name, x.Volume.Pool
		}
		list = append(list, w)
	}
	return list
}

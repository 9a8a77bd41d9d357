package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/smart"
	"github.com/esos-project/esos/internal/layer"
)

type (
	storageOutput struct {
		Body v1.StorageState
	}
	locateInput struct {
		Body v1.Locate
	}
)

// storage are the routes of what devices stand on, as it is. What it should be
// is in the document.
func (s *Server) storage() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/storage", "getStorage", "storage", "See the disks and what is made of them"),
		func(ctx context.Context, _ *nothing) (*storageOutput, error) {
			now, err := s.app.Storage(ctx)
			if err != nil {
				return nil, storageAnswer(err)
			}
			return &storageOutput{storageOf(now)}, nil
		})
	huma.Register(s.huma, operation(Operator, http.MethodPost, "/storage/disks/{name}/locate", "locateDisk", "storage", "Make the LED at a disk blink, or stop"),
		func(ctx context.Context, in *locateInput) (*nothing, error) {
			return nil, storageAnswer(s.app.LocateDisk(ctx, at(ctx).name, in.Body.On))
		})
}

// storageAnswer tells what kept something from being done to the storage.
func storageAnswer(err error) error {
	if errors.Is(err, appliance.ErrNotOwner) || errors.Is(err, appliance.ErrNotNow) {
		return problem(http.StatusConflict, v1.ProblemConflict, err.Error())
	}
	return answer(err)
}

// storageOf is the storage in the words of the API.
func storageOf(now appliance.Storage) v1.StorageState {
	out := v1.StorageState{Disks: []v1.Disk{}, Blocks: []v1.Disk{}, Arrays: arraysOf(now), Remote: remoteOf(now), Multipath: multipathOf(now), VolumeGroups: groupsOf(now)}
	if now.LVM.Err != nil && len(now.Declared.Storage.VolumeGroups) > 0 {
		out.Problems = append(out.Problems, now.LVM.Err.Error())
	}
	for _, d := range now.Blocks.Devices() {
		w := diskOf(now, d)
		switch {
		case slices.Contains([]string{"disk", "rom", "mpath"}, d.Type):
			out.Disks = append(out.Disks, w)
		case d.Size > 0: // loop devices that nothing is behind are none
			out.Blocks = append(out.Blocks, w)
		}
	}
	return out
}

func diskOf(now appliance.Storage, d block.Device) v1.Disk {
	h := now.Holder(d)
	w := v1.Disk{Device: d, ID: d.Friendly(), Claimed: h.By, Why: h.Why, Holds: layer.Holds(now.Blocks, d)}
	w.Free = w.Why == "" && w.Holds == ""
	if slot, ok := now.Slots[d.Name]; ok {
		w.Location = &slot
	}
	if health, ok := now.Health[smart.Key(d.Model, d.Serial, d.Name)]; ok && d.Type == "disk" {
		w.SMART = &health.Health
		w.Trouble, _ = health.Trouble()
	}
	return w
}

package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/layer/raid"
)

type (
	checkArrayInput struct {
		Body v1.CheckArray
	}
	failDiskInput struct {
		Body v1.FailDisk
	}
)

// Arrays acts on RAID arrays, beyond what the document says of them.
type Arrays interface {
	CheckArray(ctx context.Context, name, action string) error
	FailArrayDisk(ctx context.Context, name, disk string) error
}

// arrays are the routes of what is done to RAID arrays. Which there are is in
// the document.
func (s *Server) arrays() {
	huma.Register(s.huma, operation(Operator, http.MethodPost, "/storage/arrays/{name}/check", "checkArray", "storage", "Begin or end a check of a RAID array"),
		func(ctx context.Context, in *checkArrayInput) (*nothing, error) {
			return nil, arrayAnswer(s.app.CheckArray(ctx, at(ctx).name, in.Body.Action))
		})
	huma.Register(s.huma, operation(Operator, http.MethodPost, "/storage/arrays/{name}/fail", "failArrayDisk", "storage", "Take a disk of a RAID array for failed, if the array works without it"),
		func(ctx context.Context, in *failDiskInput) (*nothing, error) {
			return nil, arrayAnswer(s.app.FailArrayDisk(ctx, at(ctx).name, in.Body.Disk))
		})
}

// arrayAnswer tells what kept something from being done to an array.
func arrayAnswer(err error) error {
	if errors.Is(err, mdadm.ErrBusy) || errors.Is(err, raid.ErrCannot) {
		return problem(http.StatusConflict, v1.ProblemConflict, err.Error())
	}
	return storageAnswer(err)
}

// arraysOf are the RAID arrays in the words of the API.
func arraysOf(now appliance.Storage) []v1.ArrayState {
	all := []v1.ArrayState{}
	names := map[string]string{}
	for _, a := range now.Declared.Storage.Arrays {
		names[raid.UUID(now.Declared, a)] = a.Name
	}
	for _, a := range now.RAID.Arrays {
		w := v1.ArrayState{Array: a, Declared: names[a.UUID]}
		if c, ok := now.RAID.Checks[a.UUID]; ok {
			w.Check = &v1.ArrayCheck{Action: c.Action, Begun: c.Begun, Finished: c.Finished, Mismatches: c.Mismatches}
		}
		all = append(all, w)
	}
	return all
}

// Package wizards leads through what an administrator does in the first hours:
// setting a new array up, making a LUN out of disks, and replacing a disk that
// failed. Each is a sequence of forms that ends in one plan.
package wizards

import (
	"context"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Actions are the wizards.
func Actions() []frame.Action {
	return []frame.Action{
		{Title: "First Boot", Does: "Set a new array up: password, network, time and mail, step by step", Command: "esos account password admin", Do: firstBoot},
		{Title: "Make Me a LUN", Does: "From disks to an initiator in one flow: array, volume, device, target, host group, LUN", Command: "esos lun map", Do: makeLUN},
		{Title: "Replace a Failed Disk", Does: "Find the disk that failed, put another in its place, and watch the rebuild", Command: "esos array replace-disk", Do: replaceDisk},
	}
}

// now is what wizards ask the array for when they begin.
type now struct {
	doc      *config.Document
	storage  v1.StorageState
	network  v1.NetworkState
	sessions []engine.Session
}

// look asks the array for all that the parts of it say they can.
func look(ctx context.Context, d *frame.Desk) (now, error) {
	var n now
	var err error
	if n.doc, err = d.Document(ctx); err != nil {
		return n, err
	}
	if n.storage, err = d.Client().Storage(ctx); err != nil {
		return n, err
	}
	if n.network, err = d.Client().Network(ctx); err != nil {
		return n, err
	}
	n.sessions, err = d.Client().Sessions(ctx)
	return n, err
}

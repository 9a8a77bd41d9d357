package lvm

import (
	"context"
	"fmt"
	"time"
)

// metadata is the room for a group's metadata on each of its devices. LVM's
// 1 MiB is full after about 500 volumes and snapshots, of which a change must
// find room for two copies; it cannot be grown later (pvcreate(8)).
const metadata = 16 << 20

// CreateGroup makes a volume group of devices on which nothing is: LVM asks
// before it overwrites what it knows, and gets no answer.
func (t Tool) CreateGroup(ctx context.Context, name string, extent int64, tag string, devices []string) error {
	args := append([]string{"--addtag", tag, "--physicalextentsize", bytes(extent), "--metadatasize", bytes(metadata), name}, devices...)
	return t.run(ctx, "vgcreate", args...)
}

// RemoveGroup removes a group that has no volumes; LVM refuses, unasked, where
// it has any. Its devices stay prepared for another one.
func (t Tool) RemoveGroup(ctx context.Context, name string) error {
	return t.run(ctx, "vgremove", name)
}

// RemoveDevices takes LVM's label off devices that are in no group.
func (t Tool) RemoveDevices(ctx context.Context, devices []string) error {
	return t.run(ctx, "pvremove", devices...)
}

// ExtendGroup adds devices on which nothing is.
func (t Tool) ExtendGroup(ctx context.Context, name string, devices []string) error {
	return t.run(ctx, "vgextend", append([]string{"--metadatasize", bytes(metadata), name}, devices...)...)
}

// ReduceGroup takes a device on which no volume lies out of a group.
func (t Tool) ReduceGroup(ctx context.Context, name, device string) error {
	return t.run(ctx, "vgreduce", name, device)
}

// ForgetMissing takes devices that are gone out of a group. LVM refuses where
// a volume lies on one.
func (t Tool) ForgetMissing(ctx context.Context, name string) error {
	return t.run(ctx, "vgreduce", "--removemissing", name)
}

// Grow has a group use all of a device that became larger.
func (t Tool) Grow(ctx context.Context, device string) error { return t.run(ctx, "pvresize", device) }

// moveLook is how often a move is looked at.
const moveLook = 2 * time.Second

// Move moves what lies on a device to others of its group, all others without
// to, while it is used. A move that was cut off goes on (pvmove(8)). progress
// hears how far it is, 0 to 1.
func (t Tool) Move(ctx context.Context, group, device string, to []string, progress func(float64)) error {
	ended := make(chan error, 1)
	go func() { ended <- t.run(ctx, "pvmove", append([]string{"--interval", "1", device}, to...)...) }()
	tick := time.NewTicker(moveLook)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			if done, ok := t.moved(ctx, group, device); ok {
				progress(done)
			}
		}
	}
}

// moved is how far a move is.
func (t Tool) moved(ctx context.Context, group, device string) (float64, bool) {
	g, ok, err := t.Group(ctx, group)
	if err != nil || !ok { // how far it is matters to nobody's data
		return 0, false
	}
	for _, v := range g.Volumes {
		if v.Moves == device && v.Synced != nil {
			return *v.Synced / 100, true
		}
	}
	return 0, false
}

// StopMoves ends what Move began and did not finish; what has been moved stays
// where it is now.
func (t Tool) StopMoves(ctx context.Context, group string) error {
	g, ok, err := t.Group(ctx, group)
	if err != nil || !ok {
		return err
	}
	for _, v := range g.Volumes {
		if v.Moves == "" {
			continue
		}
		if err := t.run(ctx, "pvmove", "--abort", v.Moves); err != nil {
			return fmt.Errorf("end the move off %s: %w", v.Moves, err)
		}
	}
	return nil
}

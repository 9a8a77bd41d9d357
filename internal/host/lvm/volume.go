package lvm

import (
	"context"
	"strconv"

	"github.com/esos-project/esos/internal/host"
)

// New is a volume that is to be made.
type New struct {
	Group, Name string
	Type        string // lvcreate's --type; snapshot for a clone of Origin
	Size        int64  // bytes; of thin and vdo the virtual size, none for a snapshot
	Pool        string // of a thin volume its pool, of a vdo the name that its pool gets
	Origin      string
	Stripes     int
	StripeSize  int64
	Mirrors     int
	Metadata    int64
	Chunk       int64
	Physical    int64 // bytes that a vdo takes of the group
	Deduplicate bool
	Compress    bool
	Devices     []string // physical volumes to make it on
	Tag         string
}

// CreateVolume makes a volume and activates it.
//
// --yes answers one question only: whether signatures in the new volume's
// space are wiped (lvcreate(8), --wipesignatures). That space is the group's
// free one, which belongs to nobody: what is found there are remains of
// volumes that were deleted. A name that is taken is refused regardless.
func (t Tool) CreateVolume(ctx context.Context, n New) error {
	fresh := []string{"--yes", "--wipesignatures", "y"}
	args := []string{"--type", n.Type, "--name", n.Name}
	if n.Tag != "" {
		args = append(args, "--addtag", n.Tag)
	}
	switch n.Type {
	case "snapshot":
		return t.run(ctx, "lvcreate", "--snapshot", "--setactivationskip", "n", "--name", n.Name, Full(n.Group, n.Origin))
	case "thin":
		return t.run(ctx, "lvcreate", append(args, "--virtualsize", bytes(n.Size), "--thinpool", n.Pool, n.Group)...)
	case "vdo":
		args = append(append(args, fresh...), "--size", bytes(n.Physical), "--virtualsize", bytes(n.Size),
			"--deduplication", yesNo(n.Deduplicate), "--compression", yesNo(n.Compress), Full(n.Group, n.Pool))
		return t.run(ctx, "lvcreate", append(args, n.Devices...)...)
	case "thin-pool":
		// The spare metadata volume is what a damaged pool is repaired into.
		args = append(args, "--poolmetadataspare", "y")
		fresh = []string{"--yes"} // it wipes, but takes no option for that
		if n.Metadata != 0 {
			args = append(args, "--poolmetadatasize", bytes(n.Metadata))
		}
		if n.Chunk != 0 {
			args = append(args, "--chunksize", bytes(n.Chunk))
		}
	}
	args = append(append(args, fresh...), "--size", bytes(n.Size))
	if n.Stripes > 0 {
		args = append(args, "--stripes", strconv.Itoa(n.Stripes))
	}
	if n.StripeSize > 0 {
		args = append(args, "--stripesize", bytes(n.StripeSize))
	}
	if n.Mirrors > 0 {
		args = append(args, "--mirrors", strconv.Itoa(n.Mirrors))
	}
	return t.run(ctx, "lvcreate", append(append(args, n.Group), n.Devices...)...)
}

func yesNo(b bool) string {
	if b {
		return "y"
	}
	return "n"
}

// RemoveVolume deactivates a volume and removes it. LVM refuses where somebody
// has it open, and where others lie in it: nothing is answered for it.
func (t Tool) RemoveVolume(ctx context.Context, group, name string) error {
	if err := t.run(ctx, "lvchange", "--activate", "n", Full(group, name)); err != nil {
		return err
	}
	return t.run(ctx, "lvremove", Full(group, name))
}

// Activate activates volumes. A RAID volume that lacks a device is if it has
// all its data, others that lack one are not (--activationmode in lvm(8)).
// Those that can be are activated even if it fails for others.
func (t Tool) Activate(ctx context.Context, group string, names ...string) error {
	args := []string{"--activate", "y", "--ignoreactivationskip", "--activationmode", "degraded"}
	for _, n := range names {
		args = append(args, Full(group, n))
	}
	return t.run(ctx, "lvchange", args...)
}

// Deactivate deactivates a volume.
func (t Tool) Deactivate(ctx context.Context, group, name string) error {
	return t.run(ctx, "lvchange", "--activate", "n", Full(group, name))
}

// Extend grows a volume to size, on those devices if there are any. A file
// system on it is none of LVM's business here.
func (t Tool) Extend(ctx context.Context, group, name string, size int64, devices []string) error {
	return t.run(ctx, "lvextend", append([]string{"--size", bytes(size), Full(group, name)}, devices...)...)
}

// ExtendMetadata grows the metadata of a thin pool.
func (t Tool) ExtendMetadata(ctx context.Context, group, pool string, size int64) error {
	return t.run(ctx, "lvextend", "--poolmetadatasize", bytes(size), Full(group, pool))
}

// Reduce cuts a volume off at size, whatever is there: whoever calls has the
// consent of whom it belongs to.
func (t Tool) Reduce(ctx context.Context, group, name string, size int64) error {
	return t.run(ctx, "lvreduce", "--yes", "--fs", "ignore", "--size", bytes(size), Full(group, name))
}

// Rename renames a volume, while it is used.
func (t Tool) Rename(ctx context.Context, group, from, to string) error {
	return t.run(ctx, "lvrename", group, from, to)
}

// SetReadOnly says whether a volume refuses writes.
func (t Tool) SetReadOnly(ctx context.Context, group, name string, ro bool) error {
	permission := "rw"
	if ro {
		permission = "r"
	}
	return t.run(ctx, "lvchange", "--permission", permission, Full(group, name))
}

// SetVDO says what a VDO pool does with what is written from now on.
func (t Tool) SetVDO(ctx context.Context, group, pool string, deduplicate, compress bool) error {
	return t.run(ctx, "lvchange", "--deduplication", yesNo(deduplicate), "--compression", yesNo(compress), Full(group, pool))
}

// SetWhenFull has a full thin pool answer errors at once.
func (t Tool) SetWhenFull(ctx context.Context, group, pool string) error {
	return t.run(ctx, "lvchange", "--errorwhenfull", "y", Full(group, pool))
}

// Repair has a RAID volume use other devices in the place of missing ones. Its
// only question is whether it should (lvmraid(7)).
func (t Tool) Repair(ctx context.Context, group, name string) error {
	return t.run(ctx, "lvconvert", "--yes", "--repair", Full(group, name))
}

// Resume resumes a volume that somebody suspended and left so.
func (t Tool) Resume(ctx context.Context, group, name string) error {
	_, err := t.Machine.Output(ctx, host.Call{Name: "dmsetup", Args: []string{"resume", Mapped(group, name)}})
	return err
}

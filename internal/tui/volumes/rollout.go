package volumes

import (
	"context"
	"fmt"
	"path"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// rolled is how a snapshot becomes a device, and who gets it.
type rolled struct {
	to, target, group string
	readOnly          bool
}

// rollOut is the form that makes a device of a snapshot, and gives it to a host
// group in the same change.
func rollOut(d *frame.Desk, snap v1.Snapshot) {
	with(d, func(s state) {
		var r rolled
		var taken []string
		for _, v := range s.doc.Devices {
			taken = append(taken, v.Name)
		}
		f := &frame.Form{Title: "Make a device of " + id(snap), Command: "esos snapshot clone " + id(snap), Submit: "Plan",
			Intro: "The device has a serial number and NAA of its own, so that hosts tell it from the one that the snapshot was taken of.",
			Help: "A clone shares the space of what it is made of, and is written to like any other device. A host that mounts it and the original has two file systems of one UUID: " +
				"mount the clone with -o nouuid (xfs), or give it another one. To go back to a snapshot map the clone in the place of the device."}
		mapped := func() bool { return r.target != "" }
		f.Fields = []frame.Field{
			{Label: "Device name", Text: &r.to, Check: frame.Name(64, taken), Hint: "Of the device that is made; its volume or image file is called the same."},
			{Label: "Read-only", Yes: &r.readOnly, Hint: "Serve the snapshot itself, which nobody can change; it is kept for as long."},
			{Label: "Map to target", One: &r.target, Columns: pick.TargetColumns(), Options: append([]frame.Option{{Value: "", Cells: []string{"(not now)"}}}, pick.Targets(s.doc)...),
				Hint: "The target whose initiators get it, at the lowest free LUN. It can be mapped later, too (Devices)."},
			{Label: "Host group", One: &r.group, Show: mapped, Columns: []string{"group", "initiators"},
				Hint: "The host group of the target that gets it; the default map is for all others."},
		}
		f.Fields[2].Changed = func() {
			r.group = ""
			f.Fields[3].Options = append([]frame.Option{{Value: "", Cells: []string{"(default map)", "all that are in no group"}}}, pick.Groups(s.doc, r.target)...)
		}
		f.Fields[2].Changed()
		f.Do = func() {
			if snap.Volume != "" {
				d.Change(r.change(f, snap, func(doc *config.Document) error {
					return doc.CloneSnapshot(snap.Group, config.Volume{Name: snap.Volume, Pool: snap.Pool, Size: config.Size(snap.Size)}, r.to, r.readOnly)
				}))
				return
			}
			image(d, f, snap, r)
		}
		d.Form(f)
	})
}

// change adds the device by make, and maps it.
func (r rolled) change(f *frame.Form, snap v1.Snapshot, add func(*config.Document) error) frame.Change {
	why := fmt.Sprintf("esos snapshot clone %s --to %s", id(snap), r.to)
	if r.readOnly {
		why += " --read-only"
	}
	if r.target != "" {
		why += fmt.Sprintf("; esos lun map %s %s", r.target, r.to)
		if r.group != "" {
			why += " --group " + r.group
		}
	}
	return frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error {
		if err := add(doc); err != nil || r.target == "" {
			return err
		}
		_, err := doc.MapLUN(r.target, r.group, config.LUN{LUN: -1, Device: r.to, ReadOnly: r.readOnly})
		return err
	}}
}

// image copies the file of a snapshot, which takes no space and no time where
// blocks are shared, and adds a device with it.
func image(d *frame.Desk, f *frame.Form, snap v1.Snapshot, r rolled) {
	file := snap.Path
	add := func() {
		d.Change(r.change(f, snap, func(doc *config.Document) error {
			return doc.AddDevice(config.Device{Name: r.to, Handler: config.FileIO, Path: file, ReadOnly: r.readOnly})
		}))
	}
	if r.readOnly {
		add()
		return
	}
	file = path.Join(path.Dir(path.Dir(snap.Path)), r.to+".img")
	d.Ask("Copy the image file?", fmt.Sprintf("%s is copied to %s first; it shares blocks with it. The plan of the device follows.", snap.Path, file), "Copy", func() {
		d.Follow("Copy the image file", func(ctx context.Context) (v1.Operation, error) { return d.Client().CopyImage(ctx, snap.Path, file) }, func(v1.Operation) { add() })
	})
}

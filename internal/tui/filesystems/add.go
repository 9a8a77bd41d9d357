package filesystems

import (
	"fmt"
	"slices"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// addFileSystem asks what file system is to be made, and on which device.
func addFileSystem(d *frame.Desk) {
	look(d, func(s seen) {
		options, disks := s.blocks()
		a := &addition{desk: d, disks: disks, kind: "xfs", trims: "weekly", before: "new"}
		var taken []string
		for _, f := range s.doc.Storage.FileSystems {
			taken = append(taken, f.Name)
		}
		a.form = &frame.Form{Title: "Add file system", Command: "esos filesystem create NAME --device PATH", Submit: "Go on",
			Help: "The file system is made on the whole device, and mounted at /mnt/vdisks/NAME from now on. What a device holds is lost only after its name was typed."}
		a.form.Fields = []frame.Field{
			{Label: "Device", One: &a.device, Options: options, Columns: blockColumns(), Check: frame.Needed, Changed: a.chosen,
				Hint: "Where it is to lie: a disk, an array, a volume, an encrypted device. It takes all of it."},
			{Label: "What is there", One: &a.before, Show: a.takeable, Columns: []string{"do", "what that means"},
				Options: []frame.Option{{Value: "new", Cells: []string{"make a new one", "what is there is lost, after its name was typed"}}, {Value: "keep", Cells: []string{"take it up", "with the files that it holds"}}},
				Hint:    "The device holds a file system already."},
			{Label: "Name", Text: &a.name, Check: frame.Name(64, taken), Hint: "It is mounted at /mnt/vdisks/NAME, and labelled with the first 12 characters."},
			{Label: "Type", One: &a.kind, Show: func() bool { return !a.keeps() }, Columns: []string{"type", "what it is good for"}, Hint: "xfs is good for nearly all.",
				Options: []frame.Option{
					{Value: "xfs", Cells: []string{"xfs", "large image files; copies and snapshots at once. The best for most"}},
					{Value: "ext4", Cells: []string{"ext4", "well known; copies take time and space, and there are no snapshots"}},
					{Value: "btrfs", Cells: []string{"btrfs", "as xfs, with checksums over the data; slower for random writes"}},
				}},
			trimField(&a.trims),
			optionsField(&a.options),
		}
		a.form.Do = a.make
		d.Form(a.form)
	})
}

// addition is a form for a new file system.
type addition struct {
	desk                                       *frame.Desk
	form                                       *frame.Form
	disks                                      map[string]v1.Disk
	device, before, name, kind, trims, options string
}

// takeable says whether the device holds a file system of a type that ESOS has.
func (a *addition) takeable() bool {
	disk := a.disks[a.device]
	return slices.Contains([]string{"xfs", "ext4", "btrfs"}, disk.Signature) && disk.UUID != ""
}

func (a *addition) keeps() bool { return a.takeable() && a.before == "keep" }

// chosen follows the choice of a device: what is there is never lost by default.
func (a *addition) chosen() {
	a.before = "new"
	if a.takeable() {
		a.before = "keep"
	}
}

func (a *addition) make() {
	f := config.FileSystem{Name: a.name, Device: a.device, Type: a.kind, Options: frame.Words(a.options)}
	why := fmt.Sprintf("esos filesystem create %s --device %s", f.Name, f.Device)
	if a.keeps() {
		disk := a.disks[a.device]
		f.Type, f.UUID = disk.Signature, disk.UUID
	}
	why += " --type " + f.Type
	if f.UUID != "" {
		why += " --uuid " + f.UUID
	}
	if a.trims != "weekly" {
		f.Trim = a.trims
		why += " --trim " + f.Trim
	}
	for _, o := range f.Options {
		why += " --option " + o
	}
	a.desk.Change(frame.Change{Why: why, From: a.form, Edit: func(doc *config.Document) error { return doc.AddFileSystem(f) }})
}

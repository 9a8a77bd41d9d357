package filesystems

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// chooseFileRemoval has the file chosen that is to go.
func chooseFileRemoval(d *frame.Desk) {
	chooseTree(d, frame.Picker{Title: "Remove VDisk file", Command: "esos image delete PATH", Intro: "On which file system is the file?"}, func(on v1.FileSystemState) {
		frame.Load(d, "Look for files", func(ctx context.Context) ([]file, error) { return filesOn(ctx, d.Client(), on.Name) }, func(all []file) {
			if len(all) == 0 {
				d.Say("Remove VDisk file", "There is no file on "+on.Name+".")
				return
			}
			p := frame.Picker{Title: "Remove VDisk file", Command: "esos image delete PATH", Columns: []string{"file", "size", "allocated", "used by"},
				Intro: "Which file? One that a device uses goes with the device."}
			by := map[string]file{}
			for _, f := range all {
				by[f.Path] = f
				p.Options = append(p.Options, frame.Option{Value: f.Path, Cells: []string{f.Name, pick.Size(f.Size), pick.Size(f.Allocated), strings.Join(f.Devices, ", ")}})
			}
			choose(d, p, func(chosen string) { removeFile(d, by[chosen]) })
		})
	})
}

// removeFile deletes a file that no device uses, after its name was typed; of
// one that a device uses it says so, and leads to the device.
func removeFile(d *frame.Desk, f file) {
	if len(f.Devices) > 0 {
		removeUser(d, f)
		return
	}
	// Without the name nothing is deleted: the array answers what has to be
	// named, and what is lost.
	frame.LoadElse(d, "Look at "+f.Name, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, d.Client().DeleteImage(ctx, f.Path, nil)
	}, func(struct{}) {}, func(err error) {
		var refused *client.Error
		if errors.As(err, &refused) && refused.Type == v1.ProblemDestroys && len(refused.Needs) == 1 {
			confirmDeletion(d, f, refused)
			return
		}
		d.Fail("Delete "+f.Name, err)
	})
}

// confirmDeletion has the name of what is deleted typed.
func confirmDeletion(d *frame.Desk, f file, refused *client.Error) {
	object := refused.Needs[0]
	lost := ""
	for _, e := range refused.Errors {
		lost += e.Message + "\n"
	}
	if lost == "" {
		lost = fmt.Sprintf("%s with %s is lost.\n", f.Path, pick.Size(f.Size))
	}
	var typed string
	form := &frame.Form{Title: "This deletes " + f.Name, Intro: lost + "\nType " + object + " to have it deleted.", Submit: "Delete", Command: "esos image delete " + f.Path + " --destroy " + object}
	form.Fields = []frame.Field{{Label: "Name", Text: &typed, Hint: "exactly " + object, Check: func(s string) error {
		if s != object {
			return fmt.Errorf("not %s: nothing is deleted", object)
		}
		return nil
	}}}
	form.Do = func() {
		d.Do("Delete "+f.Name, func(ctx context.Context) error { return d.Client().DeleteImage(ctx, f.Path, []string{object}) }, func() {
			d.Close(form)
			d.Toast(frame.Good, "Done: "+f.Name+" is deleted.")
		})
	}
	d.Form(form)
}

// removeUser leads from a file to the device that uses it.
func removeUser(d *frame.Desk, f file) {
	name := f.Devices[0]
	if len(f.Devices) > 1 {
		d.Warn("File "+f.Name+" cannot be removed", "Devices "+strings.Join(f.Devices, ", ")+" use it. Remove them first (Devices), or take the ISO file out of the drives.")
		return
	}
	frame.Load(d, "Read device "+name, d.Document, func(doc *config.Document) {
		dev, err := doc.FindDevice(name)
		if err != nil {
			d.Fail("Remove file "+f.Name, err)
			return
		}
		if dev.Handler == config.CDROM {
			d.Ask("File "+f.Name+" is in a drive", "CD-ROM drive "+name+" has it inserted. Take it out, then it can be deleted.", "Take it out", func() {
				d.Change(frame.Change{Why: "esos device eject " + name, Done: func() { removeFile(d, alone(f)) }, Edit: func(doc *config.Document) error {
					now, err := doc.FindDevice(name)
					if err == nil {
						now.Path = ""
					}
					return err
				}})
			})
			return
		}
		removeDevice(d, f, doc, name)
	})
}

func alone(f file) file {
	f.Devices = nil
	return f
}

// removeDevice asks what becomes of a device and its file.
func removeDevice(d *frame.Desk, f file, doc *config.Document, name string) {
	text := fmt.Sprintf("%s is the store of device %s: initiators have their data there.", path.Base(f.Name), name)
	mapped := doc.Clone().RemoveDevice(name, false)
	unmap, flag := mapped != nil, ""
	if unmap {
		leads, _, _ := strings.Cut(strings.TrimPrefix(mapped.Error(), fmt.Sprintf("remove device %q: ", name)), ";")
		text += "\n\nThe device is in use: " + leads + ". Removing it takes it away from the initiators that use it now."
		flag = " --unmap"
	}
	text += "\n\nIts plan is shown before anything is done."
	remove := func(destroy ...string) func() {
		return func() {
			c := frame.Change{Why: "esos device delete " + name + flag, Destroy: destroy, Edit: func(doc *config.Document) error { return doc.RemoveDevice(name, unmap) }}
			if len(destroy) > 0 {
				c.Why += " --destroy " + destroy[0]
			}
			d.Change(c)
		}
	}
	d.Choose("File "+f.Name+" is used by device "+name, text,
		frame.Answer{Text: "Cancel", Do: func() {}},
		frame.Answer{Text: "Remove device, keep file", Do: remove()},
		frame.Answer{Text: "Remove both", Do: remove("image/" + name)})
}

package filesystems

import (
	"fmt"
	"path"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// addVDisk asks for a new image file and the device that serves it; on is the
// file system that is proposed.
func addVDisk(d *frame.Desk, on string) {
	look(d, func(s seen) {
		options := s.choices(unwritable)
		if len(options) == 0 {
			d.Ask("There is no file system yet", "Image files are put on file systems, and the array has none. Make one on a disk, an array, a volume or an encrypted device.",
				"Add one", func() { addFileSystem(d) })
			return
		}
		v := &vdisk{desk: d, seen: s, on: on, space: "thin"}
		if v.on == "" {
			v.on = first(options)
		}
		var taken []string
		for _, dev := range s.doc.Devices {
			taken = append(taken, dev.Name)
		}
		v.form = &frame.Form{Title: "Add VDisk file", Command: "esos device create NAME --path PATH --size SIZE", Submit: "Go on",
			Help: "An image file belongs to a device: both are made here. Map the device to initiators afterwards, in the menu Devices."}
		v.form.Fields = []frame.Field{
			{Label: "File system", One: &v.on, Options: options, Columns: choiceColumns(), Check: frame.Needed, Changed: v.changed, Hint: "Where the file is put."},
			{Note: "-"},
			{Label: "Device name", Text: &v.name, Check: frame.Name(64, taken), Changed: v.named, Hint: "What the device is called that serves the file."},
			{Label: "File name", Text: &v.file, Check: v.checkFile, Hint: "What the file is called. One that is there already is served with what it holds."},
			{Label: "Size", Text: &v.size, Check: v.checkSize, Changed: v.changed, Hint: "in any unit: 100GiB, 1.5TB. A device can grow later, and never shrinks."},
			{Label: "Space", One: &v.space, Columns: []string{"", "what that means"}, Changed: v.changed, Hint: "Thin is quick to make and saves space; allocated can never run out of it.",
				Options: []frame.Option{
					{Value: "thin", Cells: []string{"thin", "space is taken as it is written"}},
					{Value: "thick", Cells: []string{"allocated", "all space is taken now: it cannot run out later"}},
				}},
			{Note: "More than is free there now: writes of initiators fail once the file system is full. Keep an eye on it, or take less.", Show: v.over},
		}
		v.changed()
		v.form.Do = v.make
		d.Form(v.form)
	})
}

// vdisk is a form for an image file with its device.
type vdisk struct {
	desk                        *frame.Desk
	form                        *frame.Form
	seen                        seen
	on, name, file, size, space string
	proposed                    string // file name
}

// changed follows the choice of a file system.
func (v *vdisk) changed() {
	f, ok := v.seen.find(v.on)
	note := "Choose a file system that is mounted."
	if ok {
		note = fmt.Sprintf("%s are free on %s, of %s.", pick.Size(f.Free), f.Name, pick.Size(f.Size))
	}
	v.form.Fields[1].Note = note
}

// named proposes a file name, until another one is typed.
func (v *vdisk) named() {
	if v.file == v.proposed {
		v.proposed = ""
		if v.name != "" {
			v.proposed = v.name + ".img"
		}
		v.file = v.proposed
	}
}

func (v *vdisk) path() string { return path.Join(config.MountDir, v.on, v.file) }

func (v *vdisk) checkFile(s string) error {
	if err := fileName(s); err != nil {
		return err
	}
	for _, dev := range v.seen.doc.Devices {
		if dev.Path == path.Join(config.MountDir, v.on, s) {
			return fmt.Errorf("device %s serves that file already", dev.Name)
		}
	}
	return nil
}

// free is what the file system has left.
func (v *vdisk) free() config.Size {
	f, _ := v.seen.find(v.on)
	return config.Size(f.Free)
}

func (v *vdisk) checkSize(s string) error {
	if err := frame.Size(false)(s); err != nil {
		return err
	}
	n, err := config.ParseSize(s)
	switch {
	case err != nil:
		return err
	case n%512 != 0:
		return fmt.Errorf("a whole number of blocks of 512 bytes")
	case v.space == "thick" && n > v.free():
		return fmt.Errorf("only %s are free on %s: take less, or make it thin", v.free().Human(), v.on)
	}
	return nil
}

// over says whether a thin file could outgrow its file system.
func (v *vdisk) over() bool {
	n, err := config.ParseSize(v.size)
	return err == nil && v.space == "thin" && v.on != "" && n > v.free()
}

func (v *vdisk) make() {
	size, err := config.ParseSize(v.size)
	if err != nil {
		v.desk.Fail("Add VDisk file", err)
		return
	}
	dev := config.Device{Name: v.name, Handler: config.FileIO, Path: v.path(), Size: size}
	why := fmt.Sprintf("esos device create %s --path %s --size %s", dev.Name, dev.Path, size)
	if v.space == "thick" {
		dev.Provisioning = config.Thick
		why += " --thick"
	}
	v.desk.Change(frame.Change{Why: why, From: v.form, Edit: func(doc *config.Document) error { return doc.AddDevice(dev) }})
}

package filesystems

import (
	"fmt"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// volumeBelow finds the volume that a device is, or that an encrypted device
// lies on; "" if there is none.
func volumeBelow(doc *config.Document, device string) (group, volume string) {
	for range len(doc.Storage.Encrypted) + 1 {
		object := doc.Storage.Provider(device)
		if v, ok := strings.CutPrefix(object, "volume/"); ok {
			group, volume, _ = strings.Cut(v, "/")
			return group, volume
		}
		name, ok := strings.CutPrefix(object, "encrypted/")
		if !ok {
			return "", ""
		}
		e, err := doc.FindEncrypted(name)
		if err != nil {
			return "", ""
		}
		device = e.Device
	}
	return "", ""
}

// growsBy says what has to grow for what lies on a device to follow.
func growsBy(doc *config.Document, device string) string {
	if g, v := volumeBelow(doc, device); v != "" {
		return "with volume " + g + "/" + v
	}
	if object := doc.Storage.Provider(device); object != "" {
		return "with " + strings.Replace(object, "/", " ", 1)
	}
	return "with its disk, once that is larger"
}

// chooseGrowth has the file system chosen that is to grow.
func chooseGrowth(d *frame.Desk) {
	look(d, func(s seen) {
		s.chooseFileSystem(d, frame.Picker{Title: "Grow file system", Command: "esos volume resize GROUP/VOLUME SIZE", Intro: "Which one?",
			Help: "A file system grows with what it lies on, while it is in use."}, unwritable, func(f v1.FileSystemState) { grow(d, f) })
	})
}

// grow grows the volume below a file system, which follows in the same change.
func grow(d *frame.Desk, fs v1.FileSystemState) {
	look(d, func(s seen) {
		group, name := volumeBelow(s.doc, fs.Device)
		_, v, err := s.doc.FindVolume(group, name)
		if name == "" || err != nil {
			d.Say("Grow file system "+fs.Name, "It grows by itself, "+growsBy(s.doc, fs.Device)+": while it is in use, in the same change.\n\n"+
				"Give an array more disks in the menu Software RAID; a disk of another array or of a RAID controller is grown there.")
			return
		}
		growVolume(d, fs, group, *v)
	})
}

func growVolume(d *frame.Desk, fs v1.FileSystemState, group string, v config.Volume) {
	volume := group + "/" + v.Name
	var size string
	want := func(now config.Size, s string) (config.Size, error) {
		more, add := strings.CutPrefix(strings.TrimSpace(s), "+")
		n, err := config.ParseSize(more)
		if err != nil {
			return 0, fmt.Errorf("a new size such as 200GiB, or what is added, such as +50GiB")
		}
		if add {
			if now == 0 {
				return 0, fmt.Errorf("the volume has its size from what it is a clone of: type the new size, without +")
			}
			n += now
		}
		if n <= now {
			return 0, fmt.Errorf("it has %s already; file systems do not shrink", now.Human())
		}
		return n, nil
	}
	f := &frame.Form{Title: "Grow file system " + fs.Name, Command: "esos volume resize " + volume + " +50GiB", Submit: "Go on",
		Intro: fmt.Sprintf("It lies on volume %s, which has %s. The volume is made larger, and the file system follows while it is in use.", volume, v.Size.Human()),
		Help:  "The plan says whether the volume group has the room. Nothing shrinks."}
	f.Fields = []frame.Field{{Label: "New size", Text: &size, Hint: "in any unit: 200GiB, 1.5TB; or with a + what is added: +50GiB",
		Check: func(s string) error { _, err := want(v.Size, s); return err }}}
	f.Do = func() {
		d.Change(frame.Change{Why: "esos volume resize " + volume + " " + strings.TrimSpace(size), From: f, Edit: func(doc *config.Document) error {
			_, now, err := doc.FindVolume(group, v.Name)
			if err != nil {
				return err
			}
			n, err := want(now.Size, size)
			if err != nil {
				return fmt.Errorf("grow volume %s: %w", volume, err)
			}
			now.Size = n
			return nil
		}})
	}
	d.Form(f)
}

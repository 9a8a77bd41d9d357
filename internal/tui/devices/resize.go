package devices

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

func resizeOne(d *frame.Desk) {
	oneOf(d, "Resize Device", func(_ *config.Document, v config.Device) string { return fixed(v) }, func(name string) { resize(d, name) })
}

// fixed says why a device has no size of its own that could grow, "" if it has.
func fixed(v config.Device) string {
	switch {
	case v.Handler == config.BlockIO:
		return "it is as large as the block device that it stands on; grow that, and it grows by itself (LVM menu)"
	case v.Handler == config.CDROM:
		return "a CD is as large as its file"
	case v.Handler.PassThrough():
		return "a SCSI device that is passed on has its own size"
	}
	return ""
}

// resize asks for a larger size.
func resize(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		have, err := s.Doc.FindDevice(name)
		if err != nil {
			d.Fail("Resize device "+name, err)
			return
		}
		if why := fixed(*have); why != "" {
			d.Say("Resize device "+name, "This cannot be resized here: "+why+".")
			return
		}
		block := strconv.Itoa(have.WithDefaults().BlockSize)
		var size string
		f := &frame.Form{Title: "Resize Device " + name, Command: "esos device resize " + name + " SIZE", Submit: "Grow",
			Intro: "It has " + have.Size.Human() + ". It grows while it is in use; initiators are told where the engine can. Devices do not shrink.",
			Fields: []frame.Field{{Label: "New size", Text: &size, Hint: "Such as 200GiB, or +50GiB for what is added.", Check: func(s string) error {
				v, err := grown(have.Size, s)
				if err != nil {
					return err
				}
				return whole(strconv.FormatInt(int64(v), 10), block)
			}}}}
		f.Do = func() {
			d.Change(frame.Change{Why: pick.Command("device", "resize", name, size), From: f, Edit: func(doc *config.Document) error {
				v, err := doc.FindDevice(name)
				if err != nil {
					return err
				}
				v.Size, err = grown(v.Size, size)
				return err
			}})
		}
		d.Form(f)
	})
}

// grown is the size that was typed, which is larger.
func grown(have config.Size, text string) (config.Size, error) {
	more, add := strings.CutPrefix(text, "+")
	if err := frame.Size(false)(more); err != nil {
		return 0, err
	}
	v, err := config.ParseSize(more)
	if add {
		v += have
	}
	if err == nil && v <= have {
		err = fmt.Errorf("it has %s: larger than that", have.Human())
	}
	return v, err
}

package devices

import (
	"context"
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

func mediumOfOne(d *frame.Desk) {
	oneOf(d, "Insert or Eject CD", func(_ *config.Document, v config.Device) string {
		if v.Handler != config.CDROM {
			return "it is no CD-ROM drive (vcdrom)"
		}
		return ""
	}, func(name string) { medium(d, name) })
}

// medium asks what is to be in a CD-ROM drive.
func medium(d *frame.Desk, name string) {
	frame.Load(d, "Look for ISO files", func(ctx context.Context) (*ground, error) { return survey(ctx, d) }, func(g *ground) {
		v, err := g.doc.FindDevice(name)
		if err == nil && v.Handler != config.CDROM {
			d.Say("Insert or eject", "Device "+name+" is no CD-ROM drive (vcdrom) but "+string(v.Handler)+".")
			return
		}
		if err != nil {
			d.Fail("Insert or eject", err)
			return
		}
		iso := v.Path
		if iso == "" {
			iso = emptyDrive
		}
		isos := g.isos()
		if !slices.ContainsFunc(isos, func(o frame.Option) bool { return o.Value == iso }) {
			isos = append(isos, frame.Option{Value: iso, Cells: []string{iso, ""}})
		}
		var other string
		f := &frame.Form{Title: "CD-ROM Drive " + name, Command: "esos device insert " + name + " ISO", Submit: "Change",
			Help: "Hosts see that the medium changed. ISO files are uploaded in the File Systems menu.",
			Fields: []frame.Field{{Label: "In the drive", One: &iso, Options: isos, Columns: []string{"file", "size"},
				Hint: "The ISO file that is in the drive; nothing ejects it."},
				{Label: "Path", Text: &other, Check: frame.Needed, Show: func() bool { return iso == typed }, Hint: "Of an ISO file: absolute, or below the data directory."}}}
		f.Do = func() {
			path := iso
			if iso == typed {
				path = other
			}
			why := pick.Command("device", "insert", name, path)
			if iso == emptyDrive {
				path, why = "", pick.Command("device", "eject", name)
			}
			d.Change(frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error {
				v, err := doc.FindDevice(name)
				if err != nil {
					return err
				}
				if v.Handler != config.CDROM {
					return fmt.Errorf("device %s is no CD-ROM drive any more", name)
				}
				v.Path = path
				return nil
			}})
		}
		d.Form(f)
	})
}

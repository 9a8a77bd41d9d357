package volumes

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// remove asks which volumes are to be deleted.
func remove(d *frame.Desk) {
	with(d, func(s state) {
		p := &frame.Picker{Title: "Remove LV", Command: "esos volume delete", Columns: volumeColumns(), Many: true,
			Intro: "The volumes are deleted with what they hold. Each must be named before anything is done.",
			Help:  "A thin pool is deleted together with the volumes in it: mark all of them. Snapshots in it go with it."}
		for _, v := range s.volumes() {
			p.Options = append(p.Options, v.option(s, v.keeps(s)))
		}
		p.Do = func(chosen []string) {
			if len(chosen) == 0 {
				d.Say("Nothing is marked", "Space marks the volumes that are to be deleted.")
				return
			}
			removeThese(d, s, chosen, func() { d.Close(p) })
		}
		d.Pick(p)
	})
}

// keeps says what keeps a volume from being deleted, but for volumes in it.
func (v volume) keeps(s state) string {
	if v.in.twice {
		return "two volume groups have the name " + v.in.name + "; give one of them another name first: vgrename UUID NAME"
	}
	if users := s.doc.UsersOf(v.path()); len(users) > 0 {
		return fmt.Sprintf("it is used by %s; delete that first", strings.Join(users, ", "))
	}
	return ""
}

// removeThese deletes volumes, GROUP/VOLUME each.
func removeThese(d *frame.Desk, s state, chosen []string, done func()) {
	var declared []string
	c := frame.Change{Why: "esos volume delete " + strings.Join(chosen, " "), Done: done}
	for _, v := range s.volumes() {
		for _, full := range chosen {
			if v.full() != full {
				continue
			}
			if why := v.keeps(s); why != "" {
				d.Warn("Volume "+full+" cannot be deleted", why)
				return
			}
			if in := s.doc.UsersOfVolume(v.in.name, v.Name, chosen...); v.declared && len(in) > 0 {
				d.Warn("Volume "+full+" cannot be deleted", "These lie in it: "+strings.Join(in, ", ")+".\n\nRemove LV deletes several volumes at once: mark the pool and all that lies in it.")
				return
			}
			c.Destroy = append(c.Destroy, config.VolumeObject(v.in.name, v.Name))
			if v.declared {
				declared = append(declared, full)
			}
		}
	}
	c.Edit = func(doc *config.Document) error { return doc.RemoveVolumes(declared...) }
	d.Change(c)
}

package wizards

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// watch shows how far the rebuild of an array is, until it is whole. old is the
// disk that was replaced, whose LED need not blink any more; nil if none was.
func watch(d *frame.Desk, array string, old *lack) {
	told := false
	d.List(&frame.List{Title: "Rebuild of array " + array, Command: "esos array show " + array,
		Help:    "The array copies to the new disk what was on the old one. It is used on meanwhile. Leaving this screen does not stop it.",
		Columns: []frame.Column{{Title: ""}, {Title: "", Wide: true}},
		Empty:   "The array is not there.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			s, err := d.Client().Storage(ctx)
			if err != nil {
				return nil, err
			}
			rows, whole := rebuildRows(doc, s, array)
			if whole && !told {
				told = true
				if old != nil && old.there && old.disk.Location != nil {
					_ = d.Client().LocateDisk(ctx, old.disk.ID, false) // the disk may be gone, and its LED with it
				}
				d.Update(func() { d.Toast(frame.Good, "Array "+array+" has all of its disks again.") })
			}
			return rows, nil
		}})
}

// rebuildRows are what is to be seen of a rebuild, and whether nothing is left
// of it.
func rebuildRows(doc *config.Document, s v1.StorageState, array string) (rows []frame.Row, whole bool) {
	a, err := doc.FindArray(array)
	if err != nil {
		return nil, false
	}
	line := func(name, value string, l frame.Level) {
		rows = append(rows, frame.Row{ID: name, Cells: []string{name, value}, Level: l})
	}
	for _, now := range s.Arrays {
		if now.Declared != array {
			continue
		}
		whole = now.Running() && now.Degraded == 0 && !now.Sync.Busy()
		for _, p := range a.Disks {
			d, there := diskAt(s, p)
			m, in := now.Member(d.Name)
			whole = whole && there && in && m.Is("in_sync") && !m.Is("replacement")
		}
		line("Array", fmt.Sprintf("%s, RAID %s of %d disks", array, a.Level, len(a.Disks)), frame.Plain)
		switch {
		case whole:
			line("State", "whole: the array has all of its disks", frame.Good)
			line("Next", "nothing: Esc goes back", frame.Plain)
		case now.Degraded > 0:
			line("State", fmt.Sprintf("degraded: %d of %d disks", now.Disks-now.Degraded, now.Disks), frame.Bad)
		default:
			line("State", now.State, frame.Plain)
		}
		if now.Sync.Busy() {
			const width = 40
			full := int(width * now.Sync.Done)
			line("Rebuild", fmt.Sprintf("[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", width-full), syncText(now)), frame.Warn)
			if now.Sync.Speed > 0 {
				line("Speed", config.Size(now.Sync.Speed).Human()+" a second", frame.Plain)
				if each := placeSize(*a, now); each > 0 {
					left := time.Duration(float64(each) * (1 - now.Sync.Done) / float64(now.Sync.Speed) * float64(time.Second))
					line("Left", "about "+left.Round(time.Second).String(), frame.Plain)
				}
			}
		}
		for _, m := range now.Members {
			name := m.Kernel
			for _, d := range s.Disks {
				if d.Name == m.Kernel {
					name = d.ID
				}
			}
			place := "spare"
			if m.Role >= 0 {
				place = fmt.Sprintf("place %d", m.Role)
			}
			l := frame.Good
			switch {
			case m.Is("faulty"):
				l = frame.Bad
			case !m.Is("in_sync"):
				l = frame.Warn
			}
			line("Disk "+name, place+": "+strings.ReplaceAll(strings.Join(m.State, ", "), "_", " "), l)
		}
	}
	return rows, whole
}

// placeSize is about what each place of an array takes of its disk.
func placeSize(a config.Array, now v1.ArrayState) int64 {
	n := int64(len(a.Disks))
	switch a.Level {
	case "4", "5":
		return now.Size / max(1, n-1)
	case "6":
		return now.Size / max(1, n-2)
	case "10":
		return 2 * now.Size / max(1, n)
	}
	return now.Size
}

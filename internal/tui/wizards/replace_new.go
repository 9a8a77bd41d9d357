package wizards

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// replacement puts another disk in the place of one.
type replacement struct {
	desk *frame.Desk
	lack lack

	page  *frame.Page
	known map[string]bool // disks that were there when it began; nil before the first look
}

// explain says which disk it is, where, and what to do.
func (r *replacement) explain() {
	l := r.lack
	var b strings.Builder
	pair := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", name, value)
		}
	}
	fmt.Fprintf(&b, "Disk %s of array %s: %s.\n\n", l.name(), l.array.Name, l.what)
	pair("Array", fmt.Sprintf("%s, RAID %s of %d disks", l.array.Name, l.array.Level, len(l.array.Disks)))
	pair("Disk", l.name())
	pair("Model", l.disk.Model)
	pair("Serial", l.disk.Serial)
	pair("Path", l.disk.Path)
	if s := l.disk.Location; s != nil {
		pair("Slot", strings.TrimSpace(s.Slot+" of enclosure "+s.Enclosure+" "+s.Model))
	}
	b.WriteString("\n1. ")
	switch {
	case !l.there:
		b.WriteString("The disk is gone. If it was pulled by mistake, plug it in again: the array takes it back, and copies only what changed.\n")
	case l.disk.Location != nil:
		b.WriteString("Press b: the LED at the disk blinks. Pull the disk, and no other one.\n")
	default:
		b.WriteString("No enclosure tells where it is: look for the serial number above. Pull the disk, and no other one. Or let it be, if there is room for one more.\n")
	}
	fmt.Fprintf(&b, "2. Plug in a new one of at least %s.\n3. Press n to choose it. The plan is shown before anything is done.\n\nThe array is used on meanwhile.", pick.Size(r.need()))
	if l.now.Degraded > 0 {
		b.WriteString(" Until the rebuild is done it survives fewer failures, or none: do not pull another disk.")
	}
	b.WriteString("\n")
	r.page = &frame.Page{Title: "Replace " + l.name(), Command: fmt.Sprintf("esos array replace-disk %s %s NEW", l.array.Name, l.name()), Text: b.String(),
		Help: "The first step of a replacement: find the disk.",
		Keys: []frame.PageKey{
			{Key: 'n', Does: "new disk", Do: r.choose},
			{Key: 'b', Does: "LED on", Do: func() { light(r.desk, l, true) }},
			{Key: 'o', Does: "LED off", Do: func() { light(r.desk, l, false) }},
		}}
	r.desk.Page(r.page)
}

// need is the least size of the new disk: about what each place of the array
// takes.
func (r *replacement) need() int64 { return placeSize(r.lack.array, r.lack.now) }

// choose waits for the new disk: the list is read anew all the time, and a disk
// that was not there before is proposed by itself.
func (r *replacement) choose() {
	r.known = nil
	l := &frame.List{Title: "The disk in the place of " + r.lack.name(), Command: r.page.Command,
		Help:    "Free disks. It is read anew all the time: a disk that is plugged in now is proposed. What cannot be chosen says why.",
		Columns: []frame.Column{{Title: "disk"}, {Title: "size", Right: true}, {Title: "is", Wide: true}, {Title: "slot"}, {Title: "on it"}, {Title: "model and serial"}},
		Empty:   "There is no disk. Plug one in."}
	l.Read = func(ctx context.Context) ([]frame.Row, error) {
		s, err := r.desk.Client().Storage(ctx)
		if err != nil {
			return nil, err
		}
		rows, came := r.candidates(s)
		if came != nil {
			r.desk.Update(func() { r.propose(l, *came) })
		}
		return rows, nil
	}
	l.Keys = []frame.RowKey{{Key: 'c', Does: "choose", Do: func(row frame.Row) {
		d := row.Value.(v1.Disk)
		if row.Why != "" {
			r.desk.Say("It cannot be chosen", d.ID+": "+row.Why)
			return
		}
		r.carryOut(d)
	}}}
	r.desk.List(l)
}

// candidates are the disks, those that can be chosen first; came is one that
// was just plugged in and can be.
func (r *replacement) candidates(s v1.StorageState) (rows []frame.Row, came *v1.Disk) {
	first := r.known == nil
	if first {
		r.known = map[string]bool{}
	}
	for _, d := range s.Disks {
		if d.Type == "rom" || d.Size == 0 {
			continue
		}
		row := r.row(d)
		isNew := !first && !r.known[d.ID]
		r.known[d.ID] = true
		if isNew && row.Why == "" {
			came = &d
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b frame.Row) int { return min(1, len(a.Why)) - min(1, len(b.Why)) })
	return rows, came
}

func (r *replacement) row(d v1.Disk) frame.Row {
	row := frame.Row{ID: d.ID, Value: d, Level: frame.Good, Why: d.Why}
	is := "free"
	spare := slices.Contains(r.lack.array.Spares, pick.Path(d))
	switch {
	case spare:
		row.Why, is = "", "a spare of this array"
	case d.Why != "":
		is = "in use"
	case d.Size < r.need():
		row.Why, is = fmt.Sprintf("it has %s, and a place of the array takes %s", pick.Size(d.Size), pick.Size(r.need())), "too small"
	case d.Holds != "":
		is, row.Level = "free, but not blank", frame.Warn
	case d.Trouble != "":
		is, row.Level = "free, but will fail", frame.Warn
	}
	if row.Why != "" {
		row.Level = frame.Dim
	}
	slot := ""
	if d.Location != nil {
		slot = d.Location.Slot
	}
	row.Cells = []string{d.ID, pick.Size(d.Size), is, slot, d.Holds, strings.TrimSpace(d.Model + " " + d.Serial)}
	return row
}

// propose asks whether a disk that was just plugged in is the new one.
func (r *replacement) propose(l *frame.List, d v1.Disk) {
	if !r.desk.Shows(l) {
		return
	}
	text := fmt.Sprintf("%s, %s %s, was just plugged in. Take it in the place of %s?", d.ID, pick.Size(d.Size), strings.TrimSpace(d.Model), r.lack.name())
	if d.Holds != "" {
		text += "\n\nIt is not blank: " + d.Holds + ". That would be lost."
	}
	r.desk.Ask("A new disk is there", text, "Take it", func() { r.carryOut(d) })
}

// carryOut shows the plan, and the rebuild after it.
func (r *replacement) carryOut(d v1.Disk) {
	name, old, by := r.lack.array.Name, r.lack.path, pick.Path(d)
	r.desk.Change(frame.Change{Why: fmt.Sprintf("array replace-disk %s %s %s", name, r.lack.name(), d.ID),
		Edit: func(doc *config.Document) error {
			a, err := doc.FindArray(name)
			if err != nil {
				return err
			}
			return a.ReplaceDisk(old, by)
		},
		Done: func() {
			r.desk.Close(r.page)
			watch(r.desk, name, &r.lack)
		}})
}

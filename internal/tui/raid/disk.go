package raid

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// edit changes one array of a document.
func edit(x array, change func(*config.Array) error) func(*config.Document) error {
	return func(doc *config.Document) error {
		a, err := doc.FindArray(x.Name)
		if err != nil {
			return err
		}
		return change(a)
	}
}

// notFaulty says why a member cannot be taken for failed.
func notFaulty(m member) string {
	switch {
	case m.now == nil:
		return "the array does not have it now"
	case m.now.Is("faulty"):
		return "it has failed already"
	}
	return ""
}

func pickFaulty(d *frame.Desk, x array) {
	whichDisk(d, x, "Which disk of "+x.Name+" has failed?", notFaulty, func(m member) { faulty(d, x, m) })
}

// faulty takes a disk for failed.
func faulty(d *frame.Desk, x array, m member) {
	if why := notFaulty(m); why != "" {
		d.Say("Not "+m.ID, m.ID+": "+why+".")
		return
	}
	d.Ask("Take "+m.ID+" for failed?", fmt.Sprintf("Array %s (RAID %s, %s) uses it no more, and a spare takes its place if there is one. An array that would not work without it keeps it.", x.Name, x.Level, x.State()),
		"Set faulty", func() {
			d.Do("Take "+m.ID+" for failed", func(ctx context.Context) error { return d.Client().FailDisk(ctx, x.Name, m.now.Kernel) },
				func() {
					d.Toast(frame.Good, m.ID+" is taken for failed. Replace Device names another disk in its place.")
				})
		})
}

// addSpare asks for disks that stand by.
func addSpare(d *frame.Desk, x array) {
	if x.Level == "0" {
		d.Say("No spares", "RAID 0 has no redundancy that a spare could restore.")
		return
	}
	k := x.others()
	var spares []string
	f := &frame.Form{Title: "Add Device to " + x.Name, Command: "esos array add-spare " + x.Name + " DISK...",
		Intro: fmt.Sprintf("Disks that stand by (spares) for RAID %s, %s. One takes the place of a disk that fails by itself, and is filled at once if a disk is missing now.", x.Level, x.State()),
		Help:  "What a disk holds is lost: the plan says what that is, and asks for its name."}
	f.Fields = []frame.Field{{Label: "Disks", Many: &spares, Options: k.Options, Columns: pick.BlockColumns(), Check: frame.Needed,
		Hint: "At least as large as the smallest disk of the array. Space marks one, Enter is done."}}
	f.Do = func() {
		d.Change(frame.Change{Why: "esos array add-spare " + x.Name + " " + strings.Join(spares, " "), From: f, Edit: edit(x, func(a *config.Array) error {
			a.Spares = append(a.Spares, k.Paths(spares...)...)
			return nil
		})})
	}
	d.Form(f)
}

// notRemoved says why a disk cannot be taken away from an array.
func notRemoved(m member) string {
	switch {
	case m.Place == "spare":
		return ""
	case m.Path == "":
		return "it is not declared: it goes by itself once its place is filled"
	case m.Place == "journal":
		return "an array keeps its journal"
	}
	return "it has a place among those that hold data: replace it by another disk (Replace Device)"
}

func pickRemoved(d *frame.Desk, x array) {
	whichDisk(d, x, "Remove which disk from "+x.Name+"?", notRemoved, func(m member) { removeDisk(d, x, m) })
}

// removeDisk takes a spare away.
func removeDisk(d *frame.Desk, x array, m member) {
	if why := notRemoved(m); why != "" {
		d.Say("Not "+m.ID, m.ID+": "+why+".")
		return
	}
	d.Change(frame.Change{Why: "esos array remove-disk " + x.Name + " " + m.ID, Edit: edit(x, func(a *config.Array) error { return a.RemoveSpares([]string{m.Path}) })})
}

// replace asks for a disk in the place of another; old is its path, if that is
// known.
func replace(d *frame.Desk, x array, old string) {
	if x.Level == "0" {
		d.Say("Not with RAID 0", "RAID 0 has no redundancy that a disk could be replaced with: declare another array and move the data.")
		return
	}
	var olds []frame.Option
	first := ""
	k := x.others()
	for _, m := range x.members() {
		switch {
		case m.Path == "" || m.Place == "journal":
		case m.Place == "spare":
			why := ""
			if m.now == nil {
				why = "the array does not have it now"
			}
			k.Add(m.Path, frame.Option{Value: m.ID, Cells: []string{m.ID, m.bytes(), "spare", "of this array", ""}, Why: why})
		default:
			olds = append(olds, frame.Option{Value: m.Path, Cells: []string{m.ID, m.State}})
			if first == "" && m.Level == frame.Bad {
				first = m.Path
			}
		}
	}
	if at := x.at(old); at < 0 {
		old = first
	}
	var by string
	f := &frame.Form{Title: "Replace a disk of " + x.Name, Command: "esos array replace-disk " + x.Name + " OLD NEW",
		Intro: "A disk that works stays in use until all of it is copied to the new one. One that has failed or is gone is taken out at once. What is on the old disk stays there: wipe it later.",
		Help:  "The new disk must be at least as large as the smallest disk of the array. A spare that is chosen takes the place for good."}
	f.Fields = []frame.Field{
		{Label: "Old disk", One: &old, Options: olds, Columns: []string{"disk", "state"}, Check: frame.Needed, Hint: "The disk that goes."},
		{Label: "New disk", One: &by, Options: k.Options, Columns: pick.BlockColumns(), Check: frame.Needed, Hint: "The disk in its place. What it holds is lost: the plan says what, and asks for its name."},
	}
	f.Do = func() {
		short := strings.TrimPrefix(config.DiskObject(old), "disk/")
		d.Change(frame.Change{Why: "esos array replace-disk " + x.Name + " " + short + " " + by, From: f, Edit: edit(x, func(a *config.Array) error { return a.ReplaceDisk(old, k.Path(by)) })})
	}
	d.Form(f)
}

// at is the place of a disk in an array, by its path.
func (x array) at(path string) int {
	for i, p := range x.Disks {
		if p == path {
			return i
		}
	}
	return -1
}

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

// lack is what an array lacks, or is about to: one of its disks. Without a path
// it is an array that only can be looked at.
type lack struct {
	array config.Array
	now   v1.ArrayState
	path  string  // of the disk, as the document has it
	disk  v1.Disk // if it is there
	there bool
	what  string // became of it
	level frame.Level
	why   string // nothing can be done here
}

// replaceDisk shows the disks that failed, to have one replaced.
func replaceDisk(d *frame.Desk) {
	d.List(&frame.List{Title: "Replace a failed disk", Command: "esos array list",
		Help:    "Arrays that lack a disk, disks that say that they will fail, and rebuilds that are under way. It is read anew all the time. Enter on a disk leads to another one in its place; the array is used on meanwhile.",
		Columns: []frame.Column{{Title: "array"}, {Title: "disk"}, {Title: "is", Wide: true}, {Title: "slot"}, {Title: "size", Right: true}, {Title: "level"}},
		Empty:   "No array lacks a disk, none is being rebuilt, and no disk of an array says that it will fail. There is nothing to replace.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			s, err := d.Client().Storage(ctx)
			if err != nil {
				return nil, err
			}
			return lackRows(lacks(doc, s)), nil
		},
		Keys: []frame.RowKey{
			{Key: 'r', Does: "replace", Do: func(r frame.Row) { chosen(d, r) }},
			{Key: 'w', Does: "watch rebuild", Do: func(r frame.Row) { watch(d, r.Value.(lack).array.Name, nil) }},
			{Key: 'b', Does: "LED on", Do: func(r frame.Row) { light(d, r.Value.(lack), true) }},
			{Key: 'o', Does: "LED off", Do: func(r frame.Row) { light(d, r.Value.(lack), false) }},
		}})
}

func chosen(d *frame.Desk, r frame.Row) {
	switch l := r.Value.(lack); {
	case l.why != "":
		d.Say("It is not replaced here", l.why)
	case l.path == "":
		watch(d, l.array.Name, nil)
	default:
		(&replacement{desk: d, lack: l}).explain()
	}
}

// lacks are what all arrays lack.
func lacks(doc *config.Document, s v1.StorageState) []lack {
	var all []lack
	for _, a := range doc.Storage.Arrays {
		i := slices.IndexFunc(s.Arrays, func(x v1.ArrayState) bool { return x.Declared == a.Name })
		if i < 0 {
			all = append(all, lack{array: a, what: "not there", level: frame.Bad, why: "Array " + a.Name + " is not running: too many of its disks are not there. Plug them in again; esos status says more."})
			continue
		}
		now := s.Arrays[i]
		before := len(all)
		for _, p := range a.Disks {
			if l, lacking := lackOf(a, now, s, p); lacking {
				all = append(all, l)
			}
		}
		if now.Sync.Busy() && (now.Sync.Action == "recover" || now.Sync.Action == "resync") && len(all) == before {
			all = append(all, lack{array: a, now: now, what: syncText(now), level: frame.Warn})
		}
	}
	for _, x := range s.Arrays {
		if x.Declared == "" && x.Degraded > 0 {
			all = append(all, lack{array: config.Array{Name: x.Name, Level: x.Level}, now: x, what: fmt.Sprintf("lacks %d disks", x.Degraded), level: frame.Bad,
				why: "Array " + x.Name + " is not declared by the document, and ESOS leaves it alone. Take it up first: RAID, Add Array, or esos array create --uuid " + x.UUID})
		}
	}
	return all
}

// lackOf looks at one disk that an array is to have.
func lackOf(a config.Array, now v1.ArrayState, s v1.StorageState, path string) (lack, bool) {
	l := lack{array: a, now: now, path: path, level: frame.Bad}
	l.disk, l.there = diskAt(s, path)
	m, in := now.Member(l.disk.Name)
	switch {
	case !now.Running():
		l.what, l.path = now.State, ""
		l.why = "Array " + a.Name + " is not running: too many of its disks are not there. Plug them in again; esos status says more."
		return l, !l.there || !in
	case !l.there:
		l.what = "not plugged in"
	case in && m.Is("faulty"):
		l.what = "failed"
	case !in && now.Degraded > 0:
		l.what = "not in the array"
	case in && l.disk.Trouble != "":
		l.what, l.level = "will fail: "+l.disk.Trouble, frame.Warn
	default:
		return l, false
	}
	if now.Sync.Busy() {
		l.what += "; " + syncText(now)
	}
	if a.Level == "0" {
		l.why = "A RAID 0 has no redundancy: what was on the disk is lost, and nothing can be copied to another one. Delete the array, make another one, and get the data back from a backup."
	}
	return l, true
}

func lackRows(all []lack) []frame.Row {
	var rows []frame.Row
	for _, l := range all {
		slot := ""
		if l.disk.Location != nil {
			slot = l.disk.Location.Slot
		}
		size := ""
		if l.there {
			size = pick.Size(l.disk.Size)
		}
		rows = append(rows, frame.Row{ID: l.array.Name + " " + l.path, Level: l.level, Value: l, Why: l.why,
			Cells: []string{l.array.Name, l.name(), l.what, slot, size, "RAID " + l.array.Level}})
	}
	return rows
}

// name is what people call the disk.
func (l lack) name() string {
	if l.there {
		return l.disk.ID
	}
	return strings.TrimPrefix(l.path, "/dev/disk/by-id/")
}

// light makes the LED at a disk blink, or stop.
func light(d *frame.Desk, l lack, on bool) {
	if !l.there {
		d.Say("There is no LED to light", "The disk is not plugged in, so that it cannot be told where it was. Its name has its serial number, which is printed on it: "+l.name())
		return
	}
	if l.disk.Location == nil {
		d.Say("There is no LED to light", "No enclosure tells where "+l.name()+" is. Its serial number is printed on it: "+l.disk.Serial)
		return
	}
	d.Do("Light the LED", func(ctx context.Context) error { return d.Client().LocateDisk(ctx, l.disk.ID, on) }, func() {
		d.Toast(frame.Good, map[bool]string{true: "The LED at " + l.name() + " blinks.", false: "The LED at " + l.name() + " is off."}[on])
	})
}

// syncText is what an array does by itself, and how far it is.
func syncText(a v1.ArrayState) string {
	what := map[string]string{"recover": "rebuild", "resync": "first sync"}[a.Sync.Action]
	if what == "" {
		what = a.Sync.Action
	}
	return fmt.Sprintf("%s %.0f %%", what, 100*a.Sync.Done)
}

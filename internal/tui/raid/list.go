package raid

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/inventory"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/hardware"
)

// List shows all arrays, and what can be done to each.
func List(d *frame.Desk) {
	on := func(do func(*frame.Desk, array)) func(frame.Row) {
		return func(r frame.Row) {
			x := r.Value.(array)
			if !x.Declared() {
				d.Say("It is not declared", fmt.Sprintf("Array %s is not ESOS's yet: it is left alone, and not started after a boot. Press t to take it up with what it holds, or d to delete it.", x.called()))
				return
			}
			do(d, x)
		}
	}
	d.List(&frame.List{
		Title: "Linux MD Status", Command: "esos array list",
		Help:    "RAID arrays: those that are declared, and those that disks say they are part of besides. What an array does by itself (resync, recover, check, reshape) shows with how far it is.",
		Columns: []frame.Column{{Title: "array"}, {Title: "level"}, {Title: "state"}, {Title: "disks", Right: true}, {Title: "size", Right: true}, {Title: "at work"}, {Title: "path", Extra: true, Wide: true}},
		Empty:   "There is no RAID array. Press a to make disks into one.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			s, err := read(ctx, d)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, x := range s.arrays() {
				rows = append(rows, x.row())
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Does: "disks", Do: func(r frame.Row) { disksOf(d, r.Value.(array)) }},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { Add(d) }},
			{Key: 'd', Does: "delete", Do: func(r frame.Row) { remove(d, r.Value.(array)) }},
			{Key: 's', Does: "spare", Do: on(addSpare)},
			{Key: 'r', Does: "replace", Do: on(func(d *frame.Desk, x array) { replace(d, x, "") })},
			{Key: 'g', Does: "grow", Do: on(grow)},
			{Key: 'c', Does: "check", Do: on(check)},
			{Key: 'e', Does: "settings", Do: on(settings)},
			{Key: 't', Does: "take up", Do: func(r frame.Row) { takeUp(d, r.Value.(array)) }},
			{Key: 'i', Does: "all of it", Do: func(r frame.Row) { show(d, r.Value.(array)) }},
		},
	})
}

func (x array) row() frame.Row {
	state := strings.TrimSuffix(x.State(), ", not declared")
	if sync := x.sync(); sync != "" {
		state, _, _ = strings.Cut(state, ", "+x.Now.Sync.Action)
	}
	state = strings.TrimSuffix(state, " disks") // the next column says it
	r := frame.Row{ID: x.key(), Level: x.level(), Value: x,
		Cells: []string{x.called(), "RAID " + x.Level, state, fmt.Sprint(x.count()), x.bytes(), x.sync(), x.Path()}}
	switch {
	case !x.Declared():
		r.Why = "It is not declared, and left alone: t takes it up with what it holds."
		r.Cells[6] = ""
		if x.Now.Kernel != "" {
			r.Cells[6] = "/dev/" + x.Now.Kernel
		}
	case x.Now == nil || !x.Now.Running():
		r.Why = "It does not work. Enter shows which of its disks are missing."
	case x.Now.Degraded > 0 && x.sync() == "":
		r.Why = "It lacks a disk: r names another one in its place."
	}
	return r
}

// key tells arrays apart.
func (x array) key() string {
	if x.Declared() {
		return "name " + x.Name
	}
	return "uuid " + x.Now.UUID
}

// disksOf shows the disks of an array.
func disksOf(d *frame.Desk, x array) {
	key := x.key()
	now := func(ctx context.Context) (array, error) {
		s, err := read(ctx, d)
		if err != nil {
			return array{}, err
		}
		for _, x := range s.arrays() {
			if x.key() == key {
				return x, nil
			}
		}
		return array{}, fmt.Errorf("there is no array %s any more", x.called())
	}
	type row struct {
		array
		member
	}
	on := func(do func(array, member)) func(frame.Row) {
		return func(r frame.Row) {
			v := r.Value.(row)
			if !v.Declared() {
				d.Say("It is not declared", "Array "+v.called()+" is not ESOS's yet: take it up first.")
				return
			}
			do(v.array, v.member)
		}
	}
	d.List(&frame.List{
		Title: "Array " + x.called(), Command: "esos array show " + x.called(),
		Help: "The disks of the array: those that are declared, and those that it has besides. A disk that holds data is not taken away but replaced; a spare can be removed. " +
			"What a disk is declared as and what it is at the moment can differ: a spare that took the place of a failed disk is being filled, or in sync.",
		Columns: []frame.Column{{Title: "disk"}, {Title: "as"}, {Title: "state"}, {Title: "kernel", Extra: true}, {Title: "size", Right: true}, {Title: "health"}, {Title: "slot", Extra: true}},
		Empty:   "Nothing is known of its disks.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			x, err := now(ctx)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, m := range x.members() {
				r := frame.Row{ID: m.ID, Level: m.Level, Value: row{x, m}, Why: fmt.Sprintf("RAID %s, %s", x.Level, x.State()),
					Cells: []string{m.ID, m.Place, m.State, m.kernel(), m.bytes(), inventory.Health(m.Disk), inventory.Slot(m.Disk)}}
				if m.Disk.Trouble != "" {
					r.Why += "\n" + m.ID + ": " + m.Disk.Trouble
				}
				rows = append(rows, r)
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Does: "the disk", Do: func(r frame.Row) {
				v := r.Value.(row)
				if !v.there {
					d.Say("It is not there", v.ID+" is not in the machine: plug it in, or replace it by another one.")
					return
				}
				hardware.ShowDisk(d, v.Disk.Name)
			}},
			{Key: 'r', Does: "replace", Do: on(func(x array, m member) { replace(d, x, m.Path) })},
			{Key: 'f', Does: "faulty", Do: on(func(x array, m member) { faulty(d, x, m) })},
			{Key: 's', Does: "add spare", Do: on(func(x array, _ member) { addSpare(d, x) })},
			{Key: 'x', Does: "remove", Do: on(func(x array, m member) { removeDisk(d, x, m) })},
			{Key: 'l', Does: "LED", Do: func(r frame.Row) {
				if v := r.Value.(row); v.there {
					hardware.Locate(d, v.Disk)
				}
			}},
			{Key: 'i', Does: "the array", Do: func(r frame.Row) { show(d, r.Value.(row).array) }},
		},
	})
}

func (m member) kernel() string {
	if m.now != nil {
		return m.now.Kernel
	}
	return m.Disk.Name
}

func (m member) bytes() string {
	if !m.there {
		return ""
	}
	return sizeOf(m.Disk.Size)
}

// show shows all that is known of an array.
func show(d *frame.Desk, x array) {
	d.Page(&frame.Page{Title: "Array " + x.called(), Command: "esos array show " + x.called(), Text: x.Pairs().Text(),
		Help: "All that is declared of the array, and all that is known of it."})
}

package hardware

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/inventory"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Disks shows all disks, and what can be done to each.
func Disks(d *frame.Desk) { disks(d, false) }

// disks shows the disks; all says whether what Linux made of them, too.
func disks(d *frame.Desk, all bool) {
	on := func(do func(*frame.Desk, v1.Disk)) func(frame.Row) {
		return func(r frame.Row) { do(d, r.Value.(v1.Disk)) }
	}
	l := &frame.List{
		Title: "Disks", Command: "esos disk list",
		Help: "All disks: what each is called, who has it, and why it cannot be chosen for something new. Nothing is read from the disks for this, and none is woken; how they are is of the last hourly look (SMART).",
		Columns: []frame.Column{{Title: "disk"}, {Title: "size", Right: true}, {Title: "kind"}, {Title: "used by"}, {Title: "health"},
			{Title: "holds", Extra: true, Wide: true}, {Title: "kernel", Extra: true}, {Title: "slot", Extra: true}, {Title: "model", Extra: true}, {Title: "serial", Extra: true}},
		Empty: "There is no disk. Remote Disks logs in to those of other arrays.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			now, err := d.Client().Storage(ctx)
			list := now.Disks
			if all {
				list = slices.Concat(now.Disks, now.Blocks)
			}
			var rows []frame.Row
			for _, k := range list {
				used, why := inventory.Used(k), k.Why
				if k.Claimed == "" && k.Why != "" {
					used = "(see below)"
				}
				if k.Trouble != "" {
					why = k.Trouble
				}
				rows = append(rows, frame.Row{ID: k.Name, Level: level(k), Why: why, Value: k,
					Cells: []string{k.ID, config.Size(k.Size).Human(), inventory.Kind(k), used, inventory.Health(k), k.Holds, k.Name, inventory.Slot(k), k.Model, k.Serial}})
			}
			return rows, err
		},
		Keys: []frame.RowKey{
			{Does: "all of it", Do: func(r frame.Row) { ShowDisk(d, r.Value.(v1.Disk).Name) }},
			{Key: 'l', Does: "LED", Do: on(Locate)},
			{Key: 'w', Does: "wipe", Do: on(wipe().ask)},
			{Key: 'd', Does: "discard", Do: on(discard().ask)},
		},
	}
	if all {
		l.Title, l.Command = "All block devices", "esos disk list --all"
	} else {
		l.Keys = append(l.Keys, frame.RowKey{Key: 'a', Does: "partitions, too", Always: true, Do: func(frame.Row) { disks(d, true) }})
	}
	d.List(l)
}

func level(k v1.Disk) frame.Level {
	switch {
	case k.Trouble != "":
		return frame.Bad
	case k.Free:
		return frame.Good
	case k.Claimed == "" && k.Why != "":
		return frame.Dim
	}
	return frame.Plain
}

// ShowDisk shows all that is known of a disk now.
func ShowDisk(d *frame.Desk, name string) {
	frame.Load(d, "Look at the disk", d.Client().Storage, func(now v1.StorageState) {
		k, ok := inventory.Find(now, name)
		if !ok {
			d.Say("It is gone", "Disk "+name+" is not in the machine any more.")
			return
		}
		d.Page(&frame.Page{Title: "Disk " + k.ID, Command: "esos disk show " + k.ID, Text: inventory.Disk(now, k).Text(),
			Help: "All that is known of the disk. How it is was told by itself (SMART), as of the last look.",
			Keys: []frame.PageKey{{Key: 'l', Does: "LED", Do: func() { Locate(d, k) }}, {Key: 'w', Does: "wipe", Do: func() { wipe().ask(d, k) }}, {Key: 'd', Does: "discard", Do: func() { discard().ask(d, k) }}}})
	})
}

// Locate makes the LED at a disk blink, or stop.
func Locate(d *frame.Desk, k v1.Disk) {
	if k.Type != "disk" {
		d.Say("No disk", k.ID+" is no disk but made of some: locate those.")
		return
	}
	set := func(on bool) func() {
		return func() {
			d.Do("Set the LED at "+k.ID, func(ctx context.Context) error { return d.Client().LocateDisk(ctx, k.ID, on) }, func() {
				d.Toast(frame.Good, k.ID+map[bool]string{true: " blinks.", false: " does not blink any more."}[on])
			})
		}
	}
	// What is shown of the LED may be some seconds old.
	frame.Load(d, "Look at the LED", d.Client().Storage, func(now v1.StorageState) {
		for _, have := range now.Disks {
			if have.Name == k.Name && have.Location != nil {
				set(!have.Location.Locate)()
				return
			}
		}
		d.Choose("LED at "+k.ID, "No enclosure tells of this disk's slot, and so not whether its LED blinks. The controller is asked to set it (ledctl).",
			frame.Answer{Text: "Blink", Do: set(true)}, frame.Answer{Text: "Off", Do: set(false)}, frame.Answer{Text: "Cancel", Do: func() {}})
	})
}

// pickDisk asks for a disk.
func pickDisk(d *frame.Desk, title string, why func(v1.Disk) string, then func(v1.Disk)) {
	frame.Load(d, "Look at the disks", d.Client().Storage, func(now v1.StorageState) {
		p := &frame.Picker{Title: title, Columns: []string{"disk", "size", "kind", "used by", "holds"}, Command: "esos disk list"}
		for _, k := range now.Disks {
			p.Options = append(p.Options, frame.Option{Value: k.Name, Cells: []string{k.ID, config.Size(k.Size).Human(), inventory.Kind(k), k.Claimed, k.Holds}, Why: why(k)})
		}
		p.Do = func(chosen []string) {
			d.Close(p)
			for _, k := range now.Disks {
				if k.Name == chosen[0] {
					then(k)
					return
				}
			}
		}
		d.Pick(p)
	})
}

func locateOne(d *frame.Desk) {
	pickDisk(d, "Locate which disk?", func(k v1.Disk) string {
		if k.Type != "disk" {
			return fmt.Sprintf("it has no LED of its own (%s)", k.Type)
		}
		return ""
	}, func(k v1.Disk) { Locate(d, k) })
}

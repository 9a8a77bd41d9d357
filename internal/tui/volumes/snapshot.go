package volumes

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// listSnapshots shows the snapshots of devices.
func listSnapshots(d *frame.Desk) {
	l := &frame.List{Title: "Snapshots", Command: "esos snapshot list",
		Help: "What devices held at one moment. A snapshot takes the space of what is written to its device since. Make a device of one (c) to look into it, " +
			"to give it to another host group, or to put it in the place of the device.",
		Columns: []frame.Column{{Title: "snapshot", Wide: true}, {Title: "taken (UTC)"}, {Title: "size", Right: true}, {Title: "schedule"}, {Title: "used by"}},
		Empty:   "There are no snapshots. Press t to take one."}
	l.Read = func(ctx context.Context) ([]frame.Row, error) {
		all, err := d.Client().Snapshots(ctx)
		if err != nil {
			return nil, err
		}
		var rows []frame.Row
		for _, s := range all.Snapshots {
			r := frame.Row{ID: id(s), Value: s, Cells: []string{id(s), stamp(s.Taken), pick.Size(s.Size), s.Schedule, strings.Join(s.UsedBy, ", ")}}
			if len(all.Problems) > 0 {
				r.Why = "Some may be missing here: " + strings.Join(all.Problems, "; ")
			}
			rows = append(rows, r)
		}
		if len(rows) == 0 && len(all.Problems) > 0 {
			return nil, fmt.Errorf("snapshots could not be looked at: %s", strings.Join(all.Problems, "; "))
		}
		return rows, nil
	}
	on := func(do func(v1.Snapshot)) func(frame.Row) {
		return func(r frame.Row) {
			if s, ok := r.Value.(v1.Snapshot); ok {
				do(s)
			}
		}
	}
	l.Keys = []frame.RowKey{
		{Does: "details", Do: on(func(s v1.Snapshot) {
			d.Page(&frame.Page{Title: "Snapshot " + id(s), Command: "esos snapshot list " + s.Device, Text: snapshotText(s)})
		})},
		{Key: 't', Does: "take", Always: true, Do: func(frame.Row) { take(d) }},
		{Key: 'd', Does: "delete", Do: on(func(s v1.Snapshot) { deleteSnapshot(d, s, l.Again) })},
		{Key: 'c', Does: "make a device of it", Do: on(func(s v1.Snapshot) { rollOut(d, s) })},
		{Key: 's', Does: "schedules", Always: true, Do: func(frame.Row) { listSchedules(d) }},
	}
	d.List(l)
}

func id(s v1.Snapshot) string { return s.Device + "@" + s.Name }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func snapshotText(s v1.Snapshot) string {
	var p pairs
	p.add("Snapshot", id(s))
	p.add("Of device", s.Device)
	p.add("Taken (UTC)", s.Taken.UTC().Format("2006-01-02 15:04:05"))
	p.add("Schedule", s.Schedule)
	p.add("Size", pick.Size(s.Size))
	p.add("Path", s.Path)
	if s.Group != "" {
		p.add("Volume", s.Group+"/"+s.Volume)
	}
	p.add("Pool", s.Pool)
	p.add("Used by", strings.Join(s.UsedBy, "\n                   "))
	return p.b.String()
}

// snapshotDevices are the devices to be chosen for snapshots; those that can
// have none say why.
func snapshotDevices(doc *config.Document) []frame.Option {
	o := pick.Devices(doc)
	for i, v := range doc.Devices {
		err := config.SnapshotTogether([]config.Device{v})
		if err == nil {
			err = doc.Storage.SnapshotStore(v)
		}
		if err != nil {
			o[i].Why = err.Error()
		}
	}
	return o
}

// together refuses devices that can share no moment.
func together(doc *config.Document) func(string) error {
	return func(text string) error {
		if err := frame.Needed(text); err != nil {
			return err
		}
		var devices []config.Device
		for _, name := range frame.Words(text) {
			if v, err := doc.FindDevice(name); err == nil {
				devices = append(devices, *v)
			}
		}
		return config.SnapshotTogether(devices)
	}
}

// snapshotName checks what the name of snapshots begins with.
func snapshotName(taken []string) func(string) error {
	check := frame.Name(32, taken)
	return func(s string) error {
		if err := check(s); err != nil {
			return err
		}
		if config.KeptByLVM(s) {
			return fmt.Errorf("%s has a part that LVM keeps for itself", s)
		}
		return nil
	}
}

// take is the form to take snapshots of devices, all of one moment.
func take(d *frame.Desk) {
	with(d, func(s state) {
		var name string
		var devices []string
		f := &frame.Form{Title: "Take Snapshot", Command: "esos snapshot create", Submit: "Take",
			Intro: "Snapshots of several devices are of one moment: I/O is held for it, some tenths of a second as a rule and 10 s at the most.",
			Help:  "A snapshot holds what a power cut would have left. To hold what a program would save if it were asked, have it flush, or stop, first."}
		f.Fields = []frame.Field{
			{Label: "Devices", Many: &devices, Columns: pick.DeviceColumns(), Options: snapshotDevices(s.doc), Check: together(s.doc),
				Hint: "Devices on thin volumes, any number; or one with an image file on xfs or btrfs."},
			{Label: "Name", Text: &name, Check: snapshotName(nil), Hint: "The time, in UTC, is added: before-upgrade becomes before-upgrade-20261128-120000."},
		}
		f.Do = func() {
			frame.Load(d, "Take the snapshots", func(ctx context.Context) ([]v1.Snapshot, error) {
				return d.Client().TakeSnapshot(ctx, devices, name)
			}, func(made []v1.Snapshot) {
				d.Close(f)
				d.Toast(frame.Good, fmt.Sprintf("Done: %d taken, %s.", len(made), made[0].Name))
			})
		}
		d.Form(f)
	})
}

// deleteSnapshot deletes a snapshot once it is named.
func deleteSnapshot(d *frame.Desk, s v1.Snapshot, done func()) {
	if len(s.UsedBy) > 0 {
		d.Warn("Snapshot "+id(s)+" cannot be deleted", "It is used by "+strings.Join(s.UsedBy, ", ")+". Delete that first.")
		return
	}
	object := "snapshot/" + id(s)
	var typed string
	f := &frame.Form{Title: "This destroys " + object, Submit: "Destroy", Command: "esos snapshot delete " + id(s) + " --destroy " + object,
		Intro: fmt.Sprintf("What device %s held at %s UTC is lost.\n\nType %s to have it destroyed.", s.Device, stamp(s.Taken), object)}
	f.Fields = []frame.Field{{Label: "Name", Text: &typed, Hint: "exactly " + object, Check: func(text string) error {
		if text != object {
			return fmt.Errorf("not %s: nothing was changed", object)
		}
		return nil
	}}}
	f.Do = func() {
		d.Do("Delete the snapshot", func(ctx context.Context) error {
			return d.Client().DeleteSnapshot(ctx, s.Device, s.Name, []string{object})
		}, func() {
			d.Close(f)
			d.Toast(frame.Good, "Done: snapshot "+id(s)+" is deleted.")
			done()
		})
	}
	d.Form(f)
}

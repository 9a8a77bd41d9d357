package volumes

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// listSchedules shows the schedules of snapshots.
func listSchedules(d *frame.Desk) {
	l := &frame.List{Title: "Snapshot schedules", Command: "esos snapshot schedule list",
		Help:    "Snapshots that are taken by themselves, all devices of a schedule at one moment; those beyond what is kept are deleted, the oldest first. Snapshots outlive their schedule.",
		Columns: []frame.Column{{Title: "name"}, {Title: "every"}, {Title: "at (UTC)"}, {Title: "keep", Right: true}, {Title: "devices", Wide: true}},
		Empty:   "There are no schedules. Press a to add one."}
	l.Read = func(ctx context.Context) ([]frame.Row, error) {
		doc, err := d.Document(ctx)
		if err != nil {
			return nil, err
		}
		var rows []frame.Row
		for _, n := range doc.Storage.Snapshots {
			rows = append(rows, frame.Row{ID: n.Name, Value: n, Cells: []string{n.Name, n.Every, n.At, strconv.Itoa(n.Keep), strings.Join(n.Devices, ", ")}})
		}
		return rows, nil
	}
	on := func(do func(config.Snapshots)) func(frame.Row) {
		return func(r frame.Row) {
			if n, ok := r.Value.(config.Snapshots); ok {
				do(n)
			}
		}
	}
	l.Keys = []frame.RowKey{
		{Does: "change", Do: on(func(n config.Snapshots) { schedule(d, &n) })},
		{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { schedule(d, nil) }},
		{Key: 'd', Does: "delete", Do: on(func(n config.Snapshots) {
			d.Change(frame.Change{Why: "esos snapshot schedule delete " + n.Name, Edit: func(doc *config.Document) error { return doc.RemoveSnapshots(n.Name) }})
		})},
		{Key: 's', Does: "snapshots", Always: true, Do: func(frame.Row) { listSnapshots(d) }},
	}
	d.List(l)
}

// often stands for a time between snapshots that is typed.
const often = "other"

// schedule is the form of a schedule: of a new one, or of one that is changed.
func schedule(d *frame.Desk, was *config.Snapshots) {
	with(d, func(s state) {
		n := config.Snapshots{Every: "daily", Keep: 7}
		f := &frame.Form{Title: "Add Schedule", Command: "esos snapshot schedule create", Submit: "Plan",
			Help: "Times are UTC, so that no night has an hour twice. A snapshot that was missed since the machine was off is taken at the next start."}
		var taken []string
		for _, have := range s.doc.Storage.Snapshots {
			taken = append(taken, have.Name)
		}
		if was != nil {
			n = *was
			f.Title, f.Command = "Change schedule "+n.Name, "esos config edit"
		}
		devices := slices.Clone(n.Devices)
		every, interval, keep := n.Every, "", strconv.Itoa(n.Keep)
		if !slices.Contains([]string{"hourly", "daily", "weekly", "monthly"}, every) {
			every, interval = often, n.Every
		}
		at := func() bool { return every == "daily" || every == "weekly" || every == "monthly" }
		f.Fields = []frame.Field{
			{Label: "Name", Text: &n.Name, Show: func() bool { return was == nil }, Check: snapshotName(taken), Hint: "What the names of its snapshots begin with; the time follows."},
			{Label: "Devices", Many: &devices, Columns: pick.DeviceColumns(), Options: snapshotDevices(s.doc), Check: together(s.doc), Hint: "Those on thin volumes, all at one moment; or one with an image file on xfs or btrfs."},
			{Label: "Every", One: &every, Options: []frame.Option{{Value: "hourly", Cells: []string{"hourly", "on the hour"}}, {Value: "daily", Cells: []string{"daily"}},
				{Value: "weekly", Cells: []string{"weekly", "on Sundays"}}, {Value: "monthly", Cells: []string{"monthly", "on the first"}}, {Value: often, Cells: []string{often, "a time between them, such as 15m"}}},
				Hint: "How often they are taken."},
			{Label: "Time between", Text: &interval, Show: func() bool { return every == often }, Hint: "From 1m to 744h, such as 15m or 6h.", Check: func(text string) error {
				_, err := config.Snapshots{Every: text}.Interval()
				return err
			}},
			{Label: "At (UTC)", Text: &n.At, Show: at, Hint: "The time of day, HH:MM. Nothing: 00:00.", Check: frame.Optional(func(text string) error {
				if _, err := time.Parse("15:04", text); err != nil {
					return fmt.Errorf("a time of day such as 02:30")
				}
				return nil
			})},
			{Label: "Keep", Text: &keep, Check: frame.Number(1, 1000), Hint: "How many are kept; older ones are deleted when a new one was taken. Those in use are kept besides."},
		}
		f.Do = func() {
			w := n
			w.Devices, w.Every, w.Keep = slices.Clone(devices), every, number(keep)
			if every == often {
				w.Every = interval
			}
			if !at() {
				w.At = ""
			}
			d.Change(scheduled(f, w, was != nil))
		}
		d.Form(f)
	})
}

// scheduled adds a schedule, or puts it in the place of what it was.
func scheduled(f *frame.Form, w config.Snapshots, change bool) frame.Change {
	why := fmt.Sprintf("esos snapshot schedule create %s %s --every %s --keep %d", w.Name, strings.Join(w.Devices, " "), w.Every, w.Keep)
	if w.At != "" {
		why += " --at " + w.At
	}
	if !change {
		return frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error { return doc.AddSnapshots(w) }}
	}
	return frame.Change{Why: "change the schedule " + w.Name, From: f, Edit: func(doc *config.Document) error {
		for i := range doc.Storage.Snapshots {
			if doc.Storage.Snapshots[i].Name == w.Name {
				doc.Storage.Snapshots[i] = w
				return nil
			}
		}
		return fmt.Errorf("schedule %s: %w: somebody deleted it meanwhile", w.Name, config.ErrNotFound)
	}}
}

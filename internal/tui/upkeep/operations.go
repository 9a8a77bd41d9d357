package upkeep

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/tui/frame"
)

// operations shows changes that were begun.
func operations(d *frame.Desk) {
	d.List(&frame.List{Title: "Operations", Command: "esos operation list",
		Help:  "The latest changes, the newest first. Enter follows one that is under way, and shows the steps of one that has ended.",
		Empty: "Nothing was done since the daemon started.",
		Columns: []frame.Column{{Title: "id"}, {Title: "state"}, {Title: "steps", Right: true}, {Title: "started"}, {Title: "who"},
			{Title: "why", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			all, err := d.Client().Operations(ctx)
			var rows []frame.Row
			for _, o := range all {
				row := frame.Row{ID: o.ID, Value: o, Cells: []string{o.ID, o.State, fmt.Sprintf("%d/%d", o.Done, len(o.Steps)), when(o.Started), o.Who, o.Why}}
				switch o.State {
				case v1.Failed:
					row.Level, row.Why = frame.Bad, strings.ReplaceAll(o.Error, "\n", "; ")
				case v1.Running:
					row.Level = frame.Warn
				}
				rows = append(rows, row)
			}
			return rows, err
		},
		Keys: []frame.RowKey{{Key: 's', Does: "steps", Do: func(r frame.Row) {
			o := r.Value.(v1.Operation)
			if o.State == v1.Running {
				again := func(ctx context.Context) (v1.Operation, error) {
					now, _, err := d.Client().Operation(ctx, o.ID, 0, "")
					return now, err
				}
				d.Follow("Operation "+o.ID, again, func(v1.Operation) { d.Toast(frame.Good, "Operation "+o.ID+": done.") })
				return
			}
			d.Page(&frame.Page{Title: "Operation " + o.ID, Command: "esos operation show " + o.ID, Text: operationText(o),
				Help: "What was done, step by step, and what failed."})
		}}}})
}

func operationText(o v1.Operation) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, value)
		}
	}
	line("State", o.State)
	line("Who", o.Who)
	line("Why", o.Why)
	line("Started", when(o.Started))
	if o.Ended != nil {
		line("Ended", when(*o.Ended))
	}
	if o.State == v1.Done && o.Revision > 0 {
		line("Revision", fmt.Sprint(o.Revision))
	}
	line("Error", strings.ReplaceAll(o.Error, "\n", "\n           "))
	for _, w := range o.Warnings {
		line("Warning", w)
	}
	b.WriteString("\n")
	for _, s := range o.Steps {
		fmt.Fprintf(&b, "%-8s %s\n", s.State, s.Sentence)
		if s.Error != "" && !strings.Contains(o.Error, s.Error) {
			fmt.Fprintf(&b, "         %s\n", s.Error)
		}
	}
	if len(o.Steps) == 0 {
		b.WriteString("It had no steps.\n")
	}
	return b.String()
}

package upkeep

import (
	"context"
	"fmt"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/tui/frame"
)

// alerts shows what needs somebody.
func alerts(d *frame.Desk) {
	d.List(&frame.List{Title: "Alerts", Command: "esos alert list",
		Help:  "What of the machine needs somebody, the gravest first. An alert stands as long as its cause does; events tell when alerts came and went.",
		Empty: "Nothing needs anybody: there is no alert.",
		Columns: []frame.Column{{Title: "severity"}, {Title: "alert"}, {Title: "object"}, {Title: "since"},
			{Title: "what", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			all, err := d.Client().Alerts(ctx)
			var rows []frame.Row
			for _, a := range all {
				level := frame.Warn
				if a.Severity == "critical" {
					level = frame.Bad
				}
				rows = append(rows, frame.Row{ID: a.ID + " " + a.Object, Value: a, Level: level, Why: a.Message,
					Cells: []string{a.Severity, a.ID, a.Object, when(a.Since), a.Message}})
			}
			return rows, err
		},
		Keys: []frame.RowKey{{Key: 's', Does: "what to do", Do: func(r frame.Row) {
			a := r.Value.(v1.Alert)
			d.Page(&frame.Page{Title: "Alert " + a.ID, Command: "esos alert list",
				Text: fmt.Sprintf("%s\n\nSeverity  %s\nObject    %s\nSince     %s\n\nThe alert goes by itself when its cause does.\n", a.Message, a.Severity, a.Object, when(a.Since))})
		}}}})
}

package upkeep

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// history shows the documents that were in force.
func history(d *frame.Desk) {
	var l *frame.List
	l = &frame.List{Title: "Configuration History", Command: "esos config history",
		Help:  "Every document that was in force, the newest first. Going back carries an older one out again, as a new revision: what was written to disks since stays written.",
		Empty: "No document was in force yet.",
		Columns: []frame.Column{{Title: "revision", Right: true}, {Title: "when"}, {Title: "who"},
			{Title: "why", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			all, err := d.Client().Revisions(ctx)
			var rows []frame.Row
			for i, r := range all {
				row := frame.Row{ID: strconv.Itoa(r.Number), Value: r, Cells: []string{strconv.Itoa(r.Number), when(r.When), r.Who, r.Why}}
				if i == 0 {
					row.Level = frame.Good
					row.Why = "This is the one in force."
				}
				rows = append(rows, row)
			}
			return rows, err
		},
		Keys: []frame.RowKey{
			{Key: 's', Does: "show", Do: func(r frame.Row) { showRevision(d, r.Value.(v1.Revision), l.Again) }},
			{Key: 'd', Does: "difference to now", Do: func(r frame.Row) { showDifference(d, r.Value.(v1.Revision)) }},
			{Key: 'r', Does: "go back to it", Do: func(r frame.Row) { goBack(d, r.Value.(v1.Revision), l.Again) }},
		}}
	d.List(l)
}

// showRevision shows the document of a revision.
func showRevision(d *frame.Desk, r v1.Revision, again func()) {
	what := fmt.Sprintf("Read revision %d", r.Number)
	frame.Load(d, what, func(ctx context.Context) (client.Document, error) {
		return d.Client().RevisionDocument(ctx, r.Number, false)
	}, func(doc client.Document) {
		p := &frame.Page{Title: fmt.Sprintf("Revision %d", r.Number), Command: fmt.Sprintf("esos config show --revision %d", r.Number), Text: string(doc.Text),
			Help: "The document as it was. Secrets are not shown; going back to it brings them back, too."}
		p.Keys = []frame.PageKey{
			{Key: 'd', Does: "difference to now", Do: func() { showDifference(d, r) }},
			{Key: 'r', Does: "go back to it", Do: func() {
				goBack(d, r, func() {
					d.Close(p)
					again()
				})
			}},
		}
		d.Page(p)
	})
}

// showDifference shows what was changed since a revision.
func showDifference(d *frame.Desk, r v1.Revision) {
	frame.Load(d, "Compare", func(ctx context.Context) ([]config.Change, error) {
		doc, err := d.Client().RevisionDocument(ctx, r.Number, false)
		if err != nil {
			return nil, err
		}
		then, err := config.Decode(fmt.Sprintf("revision %d", r.Number), doc.Text)
		if err != nil {
			return nil, err
		}
		now, err := d.Document(ctx)
		if err != nil {
			return nil, err
		}
		return config.Diff(then, now), nil
	}, func(changes []config.Change) {
		text := fmt.Sprintf("What was changed since revision %d:\n\n%s", r.Number, changesText(changes))
		if len(changes) == 0 {
			text = fmt.Sprintf("Revision %d says the same as the document in force.", r.Number)
		}
		d.Page(&frame.Page{Title: "Difference", Command: fmt.Sprintf("esos config diff --revision %d", r.Number), Text: text,
			Help: "+ was added since, ~ was changed, - was taken away."})
	})
}

func changesText(changes []config.Change) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// goBack carries an older revision out again.
func goBack(d *frame.Desk, r v1.Revision, done func()) {
	etag := ""
	why := fmt.Sprintf("esos config rollback %d", r.Number)
	d.Operate(frame.Operation{Title: why,
		Plan: func(ctx context.Context, destroy []string) (v1.Plan, error) {
			now, err := d.Client().Document(ctx, false)
			if err != nil {
				return v1.Plan{}, err
			}
			etag = now.ETag
			return d.Client().PlanRevision(ctx, r.Number, destroy)
		},
		Begin: func(ctx context.Context, destroy []string) (v1.Operation, error) {
			return d.Client().Rollback(ctx, v1.Rollback{Revision: r.Number, Why: why, Destroy: destroy}, etag)
		},
		Done: done,
	})
}

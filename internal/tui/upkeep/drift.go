package upkeep

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/tui/frame"
)

// drift shows what was changed past ESOS.
func drift(d *frame.Desk) {
	var l *frame.List
	again := func() { l.Again() }
	var found []v1.Drift // of the last look, for the desk's goroutine
	l = &frame.List{Title: "Changes By Hand", Command: "esos drift", Once: true,
		Help: "What of the machine is otherwise than the document says, since somebody used targetcli, scstadmin or the like. " +
			"It stays until it is undone, or adopted: written into the document as it is.",
		Empty:   "Nothing was changed by hand.",
		Columns: []frame.Column{{Title: ""}, {Title: "object"}, {Title: "what", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			p, err := d.Client().Drift(ctx)
			var rows []frame.Row
			for _, x := range p.Drift {
				rows = append(rows, frame.Row{ID: x.Object, Value: x, Level: frame.Warn, Why: x.Object + ": " + x.Message,
					Cells: []string{driftSign(x), x.Object, x.Message}})
			}
			d.Update(func() { found = p.Drift })
			return rows, err
		}}
	one := func(way string) func(frame.Row) {
		return func(r frame.Row) { dealWith(d, way, []string{r.Value.(v1.Drift).Object}, again) }
	}
	l.Keys = []frame.RowKey{
		{Key: 's', Does: "show", Do: func(r frame.Row) { showDrift(d, r.Value.(v1.Drift)) }},
		{Key: 'u', Does: "undo", Do: one(client.RevertDrift)},
		{Key: 'a', Does: "adopt", Do: one(client.AdoptDrift)},
		{Key: 'c', Does: "several", Do: func(frame.Row) { chooseDrift(d, found, again) }},
		{Key: 'l', Does: "look again", Always: true, Do: func(frame.Row) { again() }},
	}
	d.List(l)
}

func driftSign(x v1.Drift) string {
	return map[string]string{"added": "+", "changed": "~", "missing": "-"}[x.What]
}

// showDrift shows one change by hand.
func showDrift(d *frame.Desk, x v1.Drift) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n\n", driftSign(x), x.Object, x.Message)
	show := func(s string) string {
		if s == "" {
			return "(default)"
		}
		return s
	}
	for _, f := range x.Fields {
		switch {
		case x.What == "added":
			fmt.Fprintf(&b, "  %s: %s\n", f.Field, f.New)
		case f.Old == f.New:
			fmt.Fprintf(&b, "  %s: changed (a secret, which is not shown)\n", f.Field)
		default:
			fmt.Fprintf(&b, "  %s: declared %s, is %s\n", f.Field, show(f.Old), show(f.New))
		}
	}
	if x.Foreign {
		b.WriteString("\nSomebody else set it up whole. To undo it, it has to be named, since others may need it.\n")
	}
	d.Page(&frame.Page{Title: "Changed by hand", Command: "esos drift", Text: b.String()})
}

// chooseDrift asks which changes are meant, and what is to become of them.
func chooseDrift(d *frame.Desk, found []v1.Drift, again func()) {
	p := &frame.Picker{Title: "Changes by hand", Intro: "Mark those that are to be undone, or adopted.", Many: true,
		Columns: []string{"", "object", "what"}, Command: "esos drift"}
	for _, x := range found {
		p.Options = append(p.Options, frame.Option{Value: x.Object, Cells: []string{driftSign(x), x.Object, x.Message}})
	}
	p.Do = func(chosen []string) {
		if len(chosen) == 0 {
			d.Toast(frame.Warn, "Mark at least one, with Space.")
			return
		}
		d.Close(p)
		d.Choose("What is to become of them?", fmt.Sprintf("%d changes by hand were chosen. A plan is shown before anything is done.", len(chosen)),
			frame.Answer{Text: "Undo", Do: func() { dealWith(d, client.RevertDrift, chosen, again) }},
			frame.Answer{Text: "Adopt", Do: func() { dealWith(d, client.AdoptDrift, chosen, again) }},
			frame.Answer{Text: "Leave them", Do: func() {}})
	}
	d.Pick(p)
}

// dealWith undoes or adopts what was changed by hand.
func dealWith(d *frame.Desk, way string, objects []string, done func()) {
	etag := ""
	change := func(destroy []string) v1.DriftChange {
		return v1.DriftChange{Objects: objects, Destroy: destroy, Why: cut("esos drift "+way+" "+strings.Join(objects, " "), 500)}
	}
	d.Operate(frame.Operation{Title: "esos drift " + way,
		Plan: func(ctx context.Context, destroy []string) (v1.Plan, error) {
			now, err := d.Client().Document(ctx, false)
			if err != nil {
				return v1.Plan{}, err
			}
			etag = now.ETag
			return d.Client().PlanDrift(ctx, way, change(destroy))
		},
		Begin: func(ctx context.Context, destroy []string) (v1.Operation, error) {
			return d.Client().ChangeDrift(ctx, way, change(destroy), etag)
		},
		Done: done,
	})
}

// cut bounds a text, at a whole character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}

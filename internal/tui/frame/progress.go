package frame

import (
	"context"
	"fmt"
	"strings"

	"github.com/gdamore/tcell/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// progress shows how far an operation of the array is.
type progress struct {
	desk  *Desk
	title string
	op    v1.Operation
	done  func(v1.Operation)
	off   int
	stop  context.CancelFunc
}

// Follow begins an operation of the array, such as a copy, and shows how far it
// is. done is called when it has ended well.
func (d *Desk) Follow(title string, begin func(context.Context) (v1.Operation, error), done func(v1.Operation)) {
	Load(d, title, begin, func(op v1.Operation) { d.follow(title, op, done) })
}

func (d *Desk) follow(title string, op v1.Operation, done func(v1.Operation)) {
	ctx, cancel := context.WithCancel(d.ctx)
	p := &progress{desk: d, title: title, op: op, done: done, stop: cancel}
	d.Push(p)
	d.pending++
	go func() {
		last, err := d.o.Client.Follow(ctx, op, func(op v1.Operation) { d.Update(func() { p.op = op }) })
		d.Update(func() {
			d.pending--
			d.heard(err)
			p.end(last, err)
		})
	}()
}

// Closed stops looking; the array goes on.
func (p *progress) Closed() { p.stop() }

func (p *progress) end(op v1.Operation, err error) {
	left := !p.desk.Shows(p)
	p.desk.Close(p)
	switch {
	case left && err != nil: // nobody looks, and nobody asked to be told
	case err != nil:
		p.desk.Warn(p.title, fmt.Sprintf("The array could not be asked how far it is: %v\n\nUnless its daemon was ended it goes on by itself: System, Operations shows how operation %s ended. What was typed is kept: to do the same again shows what is left to do.", err, op.ID))
	case op.State == v1.Failed:
		p.desk.Warn(p.title+": that failed", failure(op))
	case left:
		p.desk.Toast(Good, p.title+": done.")
	default:
		p.done(op)
	}
}

// failure says what failed and what became of the rest.
func failure(op v1.Operation) string {
	var b strings.Builder
	b.WriteString(op.Error)
	for _, s := range op.Steps {
		if s.State == "undone" || s.State == "failed" {
			fmt.Fprintf(&b, "\n\n%s: %s", s.State, s.Sentence)
			if s.Error != "" && !strings.Contains(op.Error, s.Error) {
				b.WriteString(": " + s.Error)
			}
		}
	}
	return b.String()
}

// About is what the desk must know.
func (p *progress) About() About {
	return About{Title: p.title, Command: "esos operation show " + p.op.ID, Whole: true,
		Help:  "The steps of the change. Leaving this screen does not stop them.",
		Hints: []Hint{{"Esc", "leave it working"}}}
}

// Key leaves the screen, or scrolls.
func (p *progress) Key(ev *tcell.EventKey) {
	switch ev.Key() {
	case tcell.KeyEscape:
		p.desk.Toast(Plain, "It goes on by itself: System, Operations shows how far it is.")
		p.desk.Close(p)
	case tcell.KeyUp:
		p.off--
	case tcell.KeyDown:
		p.off++
	}
}

// Mouse does nothing.
func (p *progress) Mouse(int, int, Click) {}

// Draw draws it.
func (p *progress) Draw(c Canvas, _ bool) {
	c.Fill(c.Theme.Text)
	in := c.Frame(c.Theme.Border, c.Theme.Title, p.title)
	in = in.Inside(1, 0, in.W-2, in.H)
	n := len(p.op.Steps)
	in.Put(0, 0, c.Theme.Text, fmt.Sprintf("%d of %d steps done", p.op.Done, n))
	if n > 0 {
		bar := in.Inside(0, 1, in.W, 1)
		full := bar.W * p.op.Done / n
		bar.Inside(0, 0, full, 1).Fill(c.Theme.Selected)
		bar.Put(full, 0, c.Theme.Faint, strings.Repeat(".", bar.W-full))
	}
	body := in.Inside(0, 3, in.W, in.H-3)
	at := 0 // the step that is under way stays in sight
	for i, s := range p.op.Steps {
		if s.State != "waiting" && s.State != "skipped" {
			at = i
		}
	}
	off := max(0, min(at-body.H/2+p.off, n-body.H))
	for y := 0; y < body.H && off+y < n; y++ {
		s := p.op.Steps[off+y]
		mark, level := "  ", Dim
		switch s.State {
		case "running":
			mark, level = "> ", Warn
		case "done":
			mark, level = "+ ", Good
		case "failed":
			mark, level = "! ", Bad
		case "undone":
			mark, level = "- ", Warn
		}
		text := mark + s.Sentence
		if s.State == "running" && s.Fraction > 0 {
			text += fmt.Sprintf(" %.0f %%", 100*s.Fraction)
		}
		body.Cell(0, y, body.W, false, c.Theme.Level(level, c.Theme.Text), text)
	}
}

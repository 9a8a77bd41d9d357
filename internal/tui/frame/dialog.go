package frame

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"github.com/esos-project/esos/internal/client"
)

// dialog says something and asks for one of several answers.
type dialog struct {
	title, text string
	level       Level
	buttons     []button
	desk        *Desk
	at, off     int
	lines, room int
	spots       []spot
	column      bool // the answers are one below the other
}

type button struct {
	text string
	do   func()
}

// Say says something that is to be confirmed as read.
func (d *Desk) Say(title, text string) { d.say(Plain, title, text) }

// Warn says something bad that is to be confirmed as read.
func (d *Desk) Warn(title, text string) { d.say(Bad, title, text) }

func (d *Desk) say(l Level, title, text string) {
	d.Push(&dialog{desk: d, level: l, title: title, text: text, buttons: []button{{"OK", func() {}}}})
}

// Fail says what failed and what to do next.
func (d *Desk) Fail(what string, err error) {
	text := err.Error()
	var gone *client.UnreachableError
	if errors.As(err, &gone) {
		was := "Nothing was changed."
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" { // it was asked, and died over it
			was = "Whether anything was changed is not known."
		}
		text += "\n\n" + was + " What was typed is kept: try again when the line at the top says that the array answers again."
	}
	d.Warn(what+": that failed", text)
}

// Ask asks a question; yes is called if the answer is that. The safe answer has
// the cursor.
func (d *Desk) Ask(title, text, yes string, do func()) { d.ask(title, text, yes, title, do) }

// ask is Ask of something that has another name in the log.
func (d *Desk) ask(title, text, yes, what string, do func()) {
	d.Push(&dialog{desk: d, title: title, text: text, at: 1, buttons: []button{{yes, func() { d.confirmed(what); do() }}, {"Cancel", func() {}}}})
}

// confirmed tells of an answer that lets something be done.
func (d *Desk) confirmed(what string) {
	if d.o.Confirmed != nil {
		d.o.Confirmed(what)
	}
}

// Choose asks for one of several answers, each with what it does.
func (d *Desk) Choose(title, text string, answers ...Answer) {
	g := &dialog{desk: d, title: title, text: text}
	for _, a := range answers {
		g.buttons = append(g.buttons, button{a.Text, a.Do})
	}
	d.Push(g)
}

// Answer is one of several to Choose from.
type Answer struct {
	Text string
	Do   func()
}

// About is what the desk must know.
func (g *dialog) About() About {
	hints := []Hint{{"Enter", "answer"}}
	if len(g.buttons) > 1 {
		hints = []Hint{{"Left Right", "move"}, {"Enter", "answer"}, {"Esc", "back"}}
	}
	return About{Title: g.title, Hints: hints, Typing: true}
}

// Key handles a key.
func (g *dialog) Key(ev *tcell.EventKey) {
	switch ev.Key() {
	case tcell.KeyEscape:
		g.desk.Close(g)
	case tcell.KeyLeft, tcell.KeyBacktab:
		g.at = (g.at + len(g.buttons) - 1) % len(g.buttons)
	case tcell.KeyRight, tcell.KeyTab:
		g.at = (g.at + 1) % len(g.buttons)
	case tcell.KeyUp:
		g.up(1)
	case tcell.KeyDown:
		g.down(1)
	case tcell.KeyPgUp:
		g.off = max(0, g.off-g.room)
	case tcell.KeyPgDn:
		g.off = max(0, min(g.off+g.room, g.lines-g.room))
	case tcell.KeyEnter:
		g.answer(g.at)
	}
}

// up and down move in a column of answers, else they scroll the text.
func (g *dialog) up(by int) {
	if g.column {
		g.at = max(0, g.at-by)
		return
	}
	g.off = max(0, g.off-by)
}

func (g *dialog) down(by int) {
	if g.column {
		g.at = min(g.at+by, len(g.buttons)-1)
		return
	}
	g.off = max(0, min(g.off+by, g.lines-g.room))
}

func (g *dialog) answer(i int) {
	g.desk.Close(g)
	g.buttons[i].do()
}

// Mouse answers.
func (g *dialog) Mouse(x, y int, what Click) {
	switch what {
	case WheelUp:
		g.up(1)
		return
	case WheelDown:
		g.down(1)
		return
	}
	for _, s := range g.spots {
		if y == s.y && x >= s.x && x < s.x+s.w {
			g.answer(s.at)
			return
		}
	}
}

// Draw draws it.
func (g *dialog) Draw(c Canvas, _ bool) {
	w := min(c.W-4, 76)
	lines := wrap(strings.TrimRight(g.text, "\n"), w-4)
	row := 0
	for _, b := range g.buttons {
		row += uniseg.StringWidth(b.text) + 6
	}
	g.column = row-2 > w-4
	rows := 1
	if g.column {
		rows = min(len(g.buttons), c.H-5)
	}
	h := min(c.H, len(lines)+3+rows)
	box := c.Centred(w, h)
	box.Fill(c.Theme.Dialog)
	title := c.Theme.Dialog.Bold(true)
	if g.level == Bad {
		title = c.Theme.Banner
	}
	in := box.Frame(c.Theme.Dialog, title, g.title)
	in = in.Inside(1, 0, in.W-2, in.H)
	body := in.Inside(0, 0, in.W, in.H-1-rows)
	g.lines, g.room = len(lines), body.H
	g.off = max(0, min(g.off, g.lines-g.room))
	for i, l := range lines {
		body.Put(0, i-g.off, c.Theme.Dialog, l)
	}
	if len(lines) > body.H {
		note := fmt.Sprintf("(%d more lines: Up, Down)", len(lines)-body.H)
		in.Put(0, body.H, c.Theme.Dialog, note)
	}
	g.spots = g.spots[:0]
	x, y := 0, in.H-rows
	first := max(0, g.at-rows+1)
	if !g.column {
		first = 0
	}
	for i, b := range g.buttons {
		if i < first || y >= in.H {
			continue
		}
		s := c.Theme.Dialog
		if i == g.at {
			s = c.Theme.Selected
		}
		n := in.Put(x, y, s, "[ "+b.text+" ]")
		g.spots = append(g.spots, spot{x: in.X + x, y: in.Y + y, w: n, h: 1, at: i})
		if g.column {
			y++
		} else {
			x += n + 2
		}
	}
}

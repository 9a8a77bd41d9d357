package frame

import (
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"
)

// Picker is a dialog to choose one of several options, or several of them.
// What cannot be chosen is shown, and why.
type Picker struct {
	Title, Intro  string
	Command, Help string
	Columns       []string
	Options       []Option
	Many          bool
	Chosen        []string
	// Do gets the values that were chosen, at least one unless Many.
	Do func(chosen []string)

	desk   *Desk
	at     int // in shown
	off    int
	top    int
	page   int
	filter string
	said   string
	search bool
	found  []Option // that have what was typed, when that was
	of     string
	need   []int // the widths of the columns
}

// Pick shows a picker.
func (d *Desk) Pick(p *Picker) {
	p.desk, p.need, p.found = d, nil, nil
	p.Chosen = slices.Clone(p.Chosen)
	for i, o := range p.Options {
		if slices.Contains(p.Chosen, o.Value) {
			p.at = i
			break
		}
	}
	d.Push(p)
}

// About is what the desk must know.
func (p *Picker) About() About {
	hints := []Hint{{"Enter", "choose"}}
	if p.Many {
		hints = []Hint{{"Space", "mark"}, {"Enter", "done"}}
	}
	return About{Title: p.Title, Command: p.Command, Help: p.Help, Typing: true, Hints: append(hints, Hint{"letters", "narrow down"}, Hint{"Esc", "back"})}
}

// shown are the options that have what was typed.
func (p *Picker) shown() []Option {
	if p.filter == "" {
		return p.Options
	}
	if p.found == nil || p.of != p.filter {
		p.found, p.of = []Option{}, p.filter
		for _, o := range p.Options {
			if strings.Contains(strings.ToLower(o.Value+" "+strings.Join(o.Cells, " ")), p.filter) {
				p.found = append(p.found, o)
			}
		}
	}
	return p.found
}

// Paste narrows down by text.
func (p *Picker) Paste(text string) {
	p.said, p.at = "", 0
	p.filter += strings.ToLower(oneLine(text))
}

// widths are those that the columns need.
func (p *Picker) widths() []int {
	if p.need != nil {
		return p.need
	}
	cols := max(1, len(p.Columns))
	for _, o := range p.Options {
		cols = max(cols, len(o.cells()))
	}
	p.need = make([]int, cols)
	for i, title := range p.Columns {
		p.need[i] = uniseg.StringWidth(title)
	}
	for _, o := range p.Options {
		for i, cell := range o.cells() {
			p.need[i] = max(p.need[i], uniseg.StringWidth(cell))
		}
	}
	return p.need
}

// Key handles a key.
func (p *Picker) Key(ev *tcell.EventKey) {
	p.said = ""
	n := len(p.shown())
	switch ev.Key() {
	case tcell.KeyEscape:
		if p.filter != "" {
			p.filter, p.at = "", 0
			return
		}
		p.desk.Close(p)
	case tcell.KeyUp:
		p.at = max(0, p.at-1)
	case tcell.KeyDown:
		p.at = max(0, min(p.at+1, n-1))
	case tcell.KeyPgUp:
		p.at = max(0, p.at-10)
	case tcell.KeyPgDn:
		p.at = max(0, min(p.at+10, n-1))
	case tcell.KeyHome:
		p.at = 0
	case tcell.KeyEnd:
		p.at = max(0, n-1)
	case tcell.KeyEnter:
		p.enter()
	case tcell.KeyBackspace, tcell.KeyBackspace2:
		if r := []rune(p.filter); len(r) > 0 {
			p.filter, p.at = string(r[:len(r)-1]), 0
		}
	case tcell.KeyRune:
		switch {
		case ev.Rune() == ' ' && p.Many:
			p.mark()
		case ev.Rune() == ' ' && p.filter == "": // in what is looked for it is a letter
			p.enter()
		default:
			p.filter, p.at = p.filter+strings.ToLower(string(ev.Rune())), 0
		}
	}
}

// current is the option under the cursor, if it can be chosen.
func (p *Picker) current() (Option, bool) {
	s := p.shown()
	if p.at >= len(s) {
		return Option{}, false
	}
	o := s[p.at]
	if o.Why != "" && !slices.Contains(p.Chosen, o.Value) {
		p.said = "It cannot be chosen: " + o.Why
		return o, false
	}
	return o, true
}

func (p *Picker) mark() {
	o, ok := p.current()
	if !ok {
		return
	}
	if i := slices.Index(p.Chosen, o.Value); i >= 0 {
		p.Chosen = slices.Delete(p.Chosen, i, i+1)
	} else {
		p.Chosen = append(p.Chosen, o.Value)
	}
	p.at = max(0, min(p.at+1, len(p.shown())-1))
}

func (p *Picker) enter() {
	if p.Many {
		p.Do(slices.Clone(p.Chosen))
		return
	}
	if o, ok := p.current(); ok {
		p.Do([]string{o.Value})
	}
}

// Mouse chooses.
func (p *Picker) Mouse(_, y int, what Click) {
	switch what {
	case WheelUp:
		p.at = max(0, p.at-1)
	case WheelDown:
		p.at = max(0, min(p.at+1, len(p.shown())-1))
	default:
		i := y - p.top + p.off
		if y < p.top || y >= p.top+p.page || i >= len(p.shown()) {
			return
		}
		p.at, p.said = i, ""
		if p.Many {
			p.mark()
		} else {
			p.enter()
		}
	}
}

// Draw draws it.
func (p *Picker) Draw(c Canvas, _ bool) {
	need := p.widths()
	columns := make([]Column, len(need))
	for i, title := range p.Columns {
		columns[i].Title = title
	}
	total := 4
	for _, n := range need {
		total += n + 2
	}
	w := min(c.W-2, max(60, total+6))
	intro := wrap(p.Intro, w-4)
	if p.Intro == "" {
		intro = nil
	}
	shown := p.shown()
	h := min(c.H, len(p.Options)+len(intro)+6)
	box := c.Centred(w, max(h, min(12, c.H)))
	box.Fill(c.Theme.Dialog)
	in := box.Frame(c.Theme.Dialog, c.Theme.Dialog.Bold(true), p.Title)
	in = in.Inside(1, 0, in.W-2, in.H)
	y := 0
	for _, l := range intro {
		in.Put(0, y, c.Theme.Dialog, l)
		y++
	}
	const marks = 4
	widths := fit(columns, need, in.W-marks)
	if len(p.Columns) > 0 {
		row(in.Inside(marks, y, in.W-marks, 1), 0, columns, widths, p.Columns, c.Theme.Dialog.Bold(true))
		y++
	}
	body := in.Inside(0, y, in.W, in.H-y-3)
	p.top, p.page = body.Y, body.H
	p.off = max(min(p.off, p.at), p.at-body.H+1, 0)
	for y := 0; y < body.H && p.off+y < len(shown); y++ {
		o := shown[p.off+y]
		s := c.Theme.Dialog
		if o.Why != "" {
			s = c.Theme.Level(Dim, s)
		}
		if p.off+y == p.at {
			s = c.Theme.Selected
			body.Inside(0, y, body.W, 1).Fill(s)
		}
		mark := ""
		switch chosen := slices.Contains(p.Chosen, o.Value); {
		case p.Many && chosen:
			mark = "[x]"
		case p.Many && o.Why != "":
			mark = " - "
		case p.Many:
			mark = "[ ]"
		case chosen:
			mark = " * "
		case o.Why != "":
			mark = " - "
		}
		body.Put(0, y, s, mark)
		row(body.Inside(marks, y, body.W-marks, 1), 0, columns, widths, o.cells(), s)
	}
	if len(shown) == 0 {
		body.Put(0, 0, c.Theme.Dialog, "There is nothing to choose.")
	}
	p.foot(in.Inside(0, in.H-3, in.W, 3), shown)
}

// foot says why the option under the cursor cannot be chosen, and what was typed.
func (p *Picker) foot(c Canvas, shown []Option) {
	text, s := p.said, c.Theme.Level(Bad, c.Theme.Dialog)
	if text == "" && p.at < len(shown) {
		text, s = shown[p.at].Why, c.Theme.Dialog
	}
	for i, l := range wrap(text, c.W) {
		if i < 2 {
			c.Put(0, i, s, l)
		}
	}
	if p.filter != "" {
		c.Put(0, 2, c.Theme.Dialog.Bold(true), "with: "+p.filter)
	}
}

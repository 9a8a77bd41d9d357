package frame

import (
	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
)

// areaHeight is how many lines of a long text are shown.
const areaHeight = 5

func (fl *Field) height(w int) int {
	switch {
	case fl.Note != "":
		return len(wrap(fl.Note, w))
	case fl.Lines != nil:
		return areaHeight
	}
	return 1
}

// Draw draws it.
func (f *Form) Draw(c Canvas, active bool) {
	labels, whole := f.width()
	whole = min(whole, c.W)
	inner := whole - 4
	intro := []string{}
	if f.Intro != "" {
		intro = append(wrap(f.Intro, inner), "")
	}
	fields := f.shown()
	f.at = min(f.at, len(fields)+1)
	rows := 0
	for _, fl := range fields {
		rows += fl.height(inner)
	}
	const below = 4                                                         // a blank line, the hint's two, the buttons
	if room := c.H - 2 - below - min(rows, areaHeight); len(intro) > room { // help has all of it
		intro = append(intro[:max(0, room-1)], "... (F1 shows all of it)")
	}
	h := min(c.H, rows+len(intro)+below+2)
	box := c.Centred(whole, h)
	box.Fill(c.Theme.Dialog)
	title := f.Title
	if f.Step != "" {
		title += ", " + f.Step
	}
	in := box.Frame(c.Theme.Dialog, c.Theme.Dialog.Bold(true), title)
	in = in.Inside(1, 0, in.W-2, in.H)
	y := 0
	for _, l := range intro {
		in.Put(0, y, c.Theme.Dialog, l)
		y++
	}
	room := in.Inside(0, y, in.W, in.H-y-below)
	f.spots = f.spots[:0]
	f.drawFields(room, fields, labels, active)
	f.drawHint(in.Inside(0, in.H-3, in.W, 2))
	f.drawButtons(in.Inside(0, in.H-1, in.W, 1), len(fields), active)
}

func (f *Form) drawFields(room Canvas, fields []*Field, labels int, active bool) {
	// The field with the keys stays in sight.
	top, bottom, y := 0, 0, 0
	for i, fl := range fields {
		if i == f.at {
			top, bottom = y, y+fl.height(room.W)
		}
		y += fl.height(room.W)
	}
	if f.at >= len(fields) {
		top, bottom = y-1, y
	}
	f.scroll = max(min(f.scroll, top), bottom-room.H, 0)
	y = -f.scroll
	for i, fl := range fields {
		h := fl.height(room.W)
		f.drawField(room, fl, y, labels, active && i == f.at)
		if y >= 0 && y < room.H && fl.Note == "" {
			f.spots = append(f.spots, spot{room.X, room.Y + y, room.W, h, i})
		}
		y += h
	}
	if f.scroll > 0 {
		room.Put(room.W-1, 0, room.Theme.Dialog, "^")
	}
	if y > room.H {
		room.Put(room.W-1, room.H-1, room.Theme.Dialog, "v")
	}
}

func (f *Form) drawField(c Canvas, fl *Field, y, labels int, focused bool) {
	t := c.Theme
	if fl.Note != "" {
		for i, l := range wrap(fl.Note, c.W) {
			c.Put(0, y+i, t.Dialog, l)
		}
		return
	}
	c.Cell(0, y, labels, false, t.Dialog, fl.Label)
	s := t.Field
	if focused {
		s = t.Focused
	}
	at := labels + 2
	w := c.W - at - 1
	switch {
	case fl.Text != nil:
		if y < 0 || y >= c.H {
			return
		}
		in := f.input(fl)
		in.SetFieldStyle(s)
		in.SetBackgroundColor(background(s))
		in.SetRect(c.X+at, c.Y+y, w, 1)
		if focused {
			in.Focus(func(tview.Primitive) {})
		} else {
			in.Blur()
		}
		in.Draw(c.Screen)
	case fl.Lines != nil:
		if y < 0 || y+areaHeight > c.H {
			return
		}
		a := f.area(fl)
		a.SetTextStyle(s)
		a.SetBackgroundColor(background(s))
		a.SetRect(c.X+at, c.Y+y, w, areaHeight)
		if focused {
			a.Focus(func(tview.Primitive) {})
		} else {
			a.Blur()
		}
		a.Draw(c.Screen)
	default:
		if focused {
			s = t.Selected
		} else {
			s = t.Dialog
		}
		text := fl.text()
		if fl.Yes == nil {
			text += " >"
		}
		c.Cell(at, y, w, false, s, text)
	}
}

func background(s tcell.Style) tcell.Color {
	_, bg, _ := s.Decompose()
	return bg
}

// drawHint shows what is wrong with the field, as it is typed, or what it is
// for.
func (f *Form) drawHint(c Canvas) {
	fl := f.field()
	text, s := f.fault, c.Theme.Level(Bad, c.Theme.Dialog)
	if text == "" && fl != nil {
		if err := fl.wrong(); err != nil && !fl.untouched() {
			text = err.Error()
		} else {
			text, s = fl.Hint, c.Theme.Dialog
		}
	}
	for i, l := range wrap(text, c.W) {
		c.Put(0, i, s, l)
	}
}

// untouched says whether nothing was typed yet: no reason to complain.
func (fl *Field) untouched() bool {
	return fl.Text != nil && *fl.Text == "" || fl.Lines != nil && *fl.Lines == "" || fl.One != nil && *fl.One == "" || fl.Many != nil && len(*fl.Many) == 0
}

func (f *Form) drawButtons(c Canvas, n int, active bool) {
	submit := f.Submit
	if submit == "" {
		submit = "OK"
	}
	cancel := "Cancel"
	if f.Step != "" {
		cancel = "Back"
	}
	x := 0
	for i, text := range []string{submit, cancel} {
		s := c.Theme.Dialog
		if active && f.at == n+i {
			s = c.Theme.Selected
		}
		w := c.Put(x, 0, s, "[ "+text+" ]")
		f.spots = append(f.spots, spot{c.X + x, c.Y, w, 1, n + i})
		x += w + 2
	}
}

package frame

import (
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
	"github.com/rivo/uniseg"
)

// Form asks for several things at once. What was typed stays as long as the
// form is there, whatever happens above it.
type Form struct {
	Title   string
	Step    string // of a wizard, like "step 2 of 6": it covers the steps before it, which Esc goes back to
	Intro   string // a sentence over the fields
	Command string // of esos that does the same
	Help    string
	Fields  []Field
	Submit  string // what the button says; OK if empty
	// Do is called when all fields are right. The form stays below what Do
	// shows; Desk.Change takes it away when the change is done.
	Do func()
	// Cancelled is called when it is given up; it may be nil.
	Cancelled func()

	desk   *Desk
	at     int // among shown, then the buttons: len(shown) submit, +1 cancel
	scroll int
	inputs map[*string]*tview.InputField
	areas  map[*string]*tview.TextArea
	fault  string
	spots  []spot
	before []*Field // that were shown before the last key
}

// spot is where a field or button was drawn, for the mouse.
type spot struct{ x, y, w, h, at int }

// Form shows a form.
func (d *Desk) Form(f *Form) {
	f.desk, f.inputs, f.areas = d, map[*string]*tview.InputField{}, map[*string]*tview.TextArea{}
	f.step(0)
	d.Push(f)
}

// About is what the desk must know.
func (f *Form) About() About {
	hints := []Hint{{"Tab", "next"}, {"Enter", "next/OK"}, {"Esc", "back"}}
	typing := false
	if fl := f.field(); fl != nil {
		typing = fl.Text != nil || fl.Lines != nil
		switch {
		case fl.One != nil:
			hints = append(hints, Hint{"Space", "choose"})
		case fl.Many != nil:
			hints = append(hints, Hint{"Space", "choose several"})
		case fl.Yes != nil:
			hints = append(hints, Hint{"Space", "yes/no"})
		case fl.Lines != nil:
			hints = []Hint{{"Tab", "next"}, {"Esc", "back"}}
		}
	}
	return About{Title: f.Title, Command: f.Command, Help: f.help(), Typing: typing, Hints: hints, Whole: f.Step != ""}
}

func (f *Form) help() string {
	var b strings.Builder
	b.WriteString(f.Help)
	if f.Intro != "" {
		b.WriteString("\n\n" + f.Intro)
	}
	for _, fl := range f.shown() {
		if fl.Label != "" && fl.Hint != "" {
			b.WriteString("\n\n" + fl.Label + ": " + fl.Hint)
		}
	}
	return strings.TrimLeft(b.String(), "\n")
}

func (f *Form) shown() []*Field {
	var s []*Field
	for i := range f.Fields {
		if fl := &f.Fields[i]; fl.Show == nil || fl.Show() {
			s = append(s, fl)
		}
	}
	return s
}

// field is the one that has the keys, nil if a button has.
func (f *Form) field() *Field {
	if s := f.shown(); f.at < len(s) {
		return s[f.at]
	}
	return nil
}

// step goes on by some fields, over notes.
func (f *Form) step(by int) {
	s := f.shown()
	f.before = s
	n := len(s) + 2
	dir := 1
	if by < 0 {
		dir = -1
	}
	f.at = ((f.at+by)%n + n) % n
	for f.at < len(s) && s[f.at].Note != "" {
		f.at = (f.at + dir + n) % n
	}
	f.fault = ""
}

// look notes which fields are shown before something is done to one of them.
func (f *Form) look() {
	f.before = f.shown()
	f.at = min(f.at, len(f.before)+1)
}

// changed tells of a value that changed. Other fields may come and go by it: the
// cursor stays where it was.
func (f *Form) changed(fl *Field) {
	var on *Field // the value may have hidden others already
	if f.at < len(f.before) {
		on = f.before[f.at]
	}
	button := f.at - len(f.before)
	f.fault = ""
	if fl.Changed != nil {
		fl.Changed()
	}
	now := f.shown()
	if at := slices.Index(now, on); at >= 0 {
		f.at = at
	} else if on == nil && button >= 0 {
		f.at = len(now) + button
	}
	f.at = min(f.at, len(now)+1)
	f.before = now
}

// input is the editor of a typed field.
func (f *Form) input(fl *Field) *tview.InputField {
	in := f.inputs[fl.Text]
	if in == nil {
		in = tview.NewInputField()
		in.SetText(*fl.Text)
		in.Focus(func(tview.Primitive) {})
		in.SetChangedFunc(func(s string) {
			*fl.Text = s
			f.changed(fl)
		})
		f.inputs[fl.Text] = in
	}
	if in.GetText() != *fl.Text { // set by another field
		in.SetText(*fl.Text)
	}
	if fl.Secret {
		in.SetMaskCharacter('*')
	}
	return in
}

func (f *Form) area(fl *Field) *tview.TextArea {
	a := f.areas[fl.Lines]
	if a == nil {
		a = tview.NewTextArea()
		a.SetText(*fl.Lines, false)
		a.Focus(func(tview.Primitive) {})
		a.SetChangedFunc(func() {
			*fl.Lines = a.GetText()
			f.changed(fl)
		})
		f.areas[fl.Lines] = a
	}
	return a
}

// Key handles a key.
func (f *Form) Key(ev *tcell.EventKey) {
	f.look()
	fl := f.field()
	switch {
	case ev.Key() == tcell.KeyEscape:
		f.desk.Close(f)
		if f.Cancelled != nil {
			f.Cancelled()
		}
	case ev.Key() == tcell.KeyTab:
		f.step(1)
	case ev.Key() == tcell.KeyBacktab:
		f.step(-1)
	case fl != nil && fl.Lines != nil:
		f.area(fl).InputHandler()(ev, func(tview.Primitive) {})
	case ev.Key() == tcell.KeyDown:
		f.step(1)
	case ev.Key() == tcell.KeyUp:
		f.step(-1)
	case fl == nil:
		f.button(ev)
	case ev.Key() == tcell.KeyEnter:
		if fl.One != nil && *fl.One == "" {
			f.open(fl)
			return
		}
		f.step(1)
	case fl.Text != nil:
		f.input(fl).InputHandler()(ev, func(tview.Primitive) {})
	case isRune(ev, ' '), ev.Key() == tcell.KeyLeft, ev.Key() == tcell.KeyRight:
		f.open(fl)
	case fl.Yes != nil && letter(ev) == 'y' && !*fl.Yes, fl.Yes != nil && letter(ev) == 'n' && *fl.Yes:
		f.open(fl)
	}
}

func (f *Form) button(ev *tcell.EventKey) {
	n := len(f.shown())
	switch {
	case ev.Key() == tcell.KeyLeft:
		f.at = n
	case ev.Key() == tcell.KeyRight:
		f.at = n + 1
	case ev.Key() == tcell.KeyEnter, isRune(ev, ' '):
		f.press(f.at)
	}
}

func (f *Form) press(at int) {
	if at != len(f.shown()) {
		f.Key(tcell.NewEventKey(tcell.KeyEscape, 0, tcell.ModNone))
		return
	}
	for i, fl := range f.shown() {
		if err := fl.wrong(); err != nil {
			f.at = i
			f.fault = err.Error()
			return
		}
	}
	f.fault = ""
	f.Do()
}

// Paste puts text into the field that has the keys.
func (f *Form) Paste(text string) {
	f.look()
	nobody := func(tview.Primitive) {}
	switch fl := f.field(); {
	case fl != nil && fl.Text != nil:
		f.input(fl).PasteHandler()(oneLine(text), nobody)
	case fl != nil && fl.Lines != nil:
		f.area(fl).PasteHandler()(text, nobody)
	}
}

// wrong says what is wrong with a field.
func (fl *Field) wrong() error {
	if fl.Check == nil {
		return nil
	}
	switch {
	case fl.Text != nil:
		return fl.Check(*fl.Text)
	case fl.Lines != nil:
		return fl.Check(*fl.Lines)
	case fl.One != nil:
		return fl.Check(*fl.One)
	case fl.Many != nil:
		return fl.Check(strings.Join(*fl.Many, " "))
	}
	return nil
}

// open changes a field that is not typed.
func (f *Form) open(fl *Field) {
	changed := func() { f.changed(fl) }
	if fl.Yes != nil {
		*fl.Yes = !*fl.Yes
		changed()
		return
	}
	p := &Picker{Title: fl.Label, Intro: fl.Hint, Columns: fl.Columns, Options: fl.Options, Many: fl.Many != nil, Command: f.Command, Help: f.Help}
	if fl.Many != nil {
		p.Chosen = *fl.Many
	} else {
		p.Chosen = []string{*fl.One}
	}
	p.Do = func(chosen []string) {
		f.desk.Close(p)
		if fl.Many != nil {
			*fl.Many = chosen
		} else {
			*fl.One = chosen[0]
		}
		changed()
		f.step(1)
	}
	if fl.Load == nil {
		f.desk.Pick(p)
		return
	}
	Load(f.desk, "Look for what can be chosen", fl.Load, func(o []Option) {
		fl.Options, p.Options = o, o
		f.desk.Pick(p)
	})
}

// text is what a field that is not typed shows.
func (fl *Field) text() string {
	label := func(v string) string {
		for _, o := range fl.Options {
			if o.Value == v {
				return strings.Join(o.cells(), "  ")
			}
		}
		return v
	}
	switch {
	case fl.Yes != nil && *fl.Yes:
		return "[x]"
	case fl.Yes != nil:
		return "[ ]"
	case fl.One != nil && *fl.One == "" && label("") == "":
		return "(choose)"
	case fl.One != nil:
		return label(*fl.One)
	case fl.Many != nil && len(*fl.Many) == 0:
		return "(none)"
	case fl.Many != nil:
		return strings.Join(*fl.Many, ", ")
	}
	return ""
}

// Mouse chooses a field or presses a button.
func (f *Form) Mouse(x, y int, what Click) {
	f.look()
	switch what {
	case WheelUp:
		f.step(-1)
		return
	case WheelDown:
		f.step(1)
		return
	}
	for _, s := range f.spots {
		if x < s.x || x >= s.x+s.w || y < s.y || y >= s.y+s.h {
			continue
		}
		f.at, f.fault = s.at, ""
		if fl := f.field(); fl == nil {
			f.press(s.at)
		} else if fl.Text == nil && fl.Lines == nil {
			f.open(fl)
		}
		return
	}
}

// width of labels and of the whole.
func (f *Form) width() (labels, whole int) {
	for _, fl := range f.shown() {
		labels = max(labels, uniseg.StringWidth(fl.Label))
	}
	labels = min(labels, 34)
	return labels, max(70, labels+44)
}

package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// editDocument shows the whole document to be edited.
func editDocument(d *frame.Desk) {
	frame.Load(d, "Read the document", func(ctx context.Context) (client.Document, error) { return d.Client().Document(ctx, false) },
		func(doc client.Document) { d.Push(newEditor(d, doc)) })
}

// editor is a screen with the document as text. What was typed stays until it
// is in force or given up.
type editor struct {
	desk    *frame.Desk
	base    client.Document // that the text began as
	area    *tview.TextArea
	room    frame.Canvas
	fault   string
	warning string
	checked bool // fault and warning are those of the text
}

func newEditor(d *frame.Desk, doc client.Document) *editor {
	e := &editor{desk: d, base: doc, area: tview.NewTextArea()}
	e.area.SetText(string(doc.Text), false)
	e.area.SetWrap(false)
	e.area.Focus(func(tview.Primitive) {})
	e.area.SetChangedFunc(func() {
		if e.checked = false; e.area.GetTextLength() <= quickCheck {
			e.check()
		}
	})
	e.check()
	return e
}

// quickCheck is how long a text may be, in bytes, to be checked after each
// key; longer ones are when there is time.
const quickCheck = 32 << 10

// About is what the desk must know.
func (e *editor) About() frame.About {
	return frame.About{Title: "Edit the Document", Command: "esos config edit", Typing: true, Whole: true,
		Help: "The whole document, as YAML. It is checked while it is typed: the line at the bottom says what is wrong, and where. " +
			"F2 shows what the array would do to become like that; nothing is done before that is confirmed. " +
			"F3 shows how the text differs from the document in force. Ctrl-Z undoes typing, Ctrl-Y does it again.\n\n" +
			"Secrets read (secret); left so, they stay what they are.",
		Hints: []frame.Hint{{Key: "F2", Does: "plan"}, {Key: "F3", Does: "difference"}, {Key: "F4", Does: "go to the fault"}, {Key: "Esc", Does: "back"}}}
}

// Tick checks a text that is too long to be checked after each key.
func (e *editor) Tick() {
	if !e.checked {
		e.check()
	}
}

// check looks for what is wrong with the text.
func (e *editor) check() {
	e.checked = true
	e.fault, e.warning = "", ""
	_, warnings, err := config.Parse("", []byte(e.area.GetText()))
	var all config.Problems
	if errors.As(err, &all) {
		lines := strings.Split(e.area.GetText(), "\n")
		for _, p := range all {
			// The array knows the secrets that are not shown.
			if p.Warning || p.Line > 0 && p.Line <= len(lines) && strings.Contains(lines[p.Line-1], string(config.Hidden)) {
				continue
			}
			e.fault = p.String()
			return
		}
	} else if err != nil {
		e.fault = err.Error()
	}
	if len(warnings) > 0 {
		e.warning = warnings[0].String()
	}
}

// Key handles a key.
func (e *editor) Key(ev *tcell.EventKey) {
	switch ev.Key() {
	case tcell.KeyEscape:
		e.leave()
	case tcell.KeyF2:
		e.plan()
	case tcell.KeyF3:
		e.difference()
	case tcell.KeyF4:
		e.find()
	default:
		e.area.InputHandler()(ev, func(tview.Primitive) {})
	}
}

func (e *editor) changed() bool { return e.area.GetText() != string(e.base.Text) }

// leave gives the text up, after a question if that would lose something.
func (e *editor) leave() {
	if !e.changed() {
		e.desk.Close(e)
		return
	}
	e.desk.Ask("Give up what was typed?", "The document in force stays as it is.", "Give it up", func() { e.desk.Close(e) })
}

// find goes to the line of the fault.
func (e *editor) find() {
	var line, column int
	if _, err := fmt.Sscanf(e.fault, "%d:%d:", &line, &column); err != nil || line < 1 {
		return
	}
	at := 0
	for i, l := range strings.SplitAfter(e.area.GetText(), "\n") {
		if i == line-1 {
			at += min(max(column-1, 0), len(strings.TrimRight(l, "\n")))
			break
		}
		at += len(l)
	}
	e.area.Select(at, at)
}

// difference shows how the text differs from what is in force.
func (e *editor) difference() {
	mine, err := config.Decode("the text", []byte(e.area.GetText()))
	if err != nil {
		e.desk.Warn("This is no document yet", err.Error())
		return
	}
	frame.Load(e.desk, "Compare", e.desk.Document, func(now *config.Document) {
		if err := config.Complete(mine, now); err != nil {
			e.desk.Warn("This is no document yet", err.Error())
			return
		}
		text := changesText(config.Diff(now, mine.Redacted()))
		if text == "" {
			text = "The text says the same as the document in force."
		}
		e.desk.Page(&frame.Page{Title: "Difference", Command: "esos config diff -f FILE", Text: text,
			Help: "+ would be added to the document in force, ~ changed, - taken away."})
	})
}

// plan shows what the array would do to become what the text says.
func (e *editor) plan() {
	if e.check(); e.fault != "" {
		e.desk.Warn("The document is not right yet", e.fault+"\n\nF4 goes there.")
		return
	}
	frame.Load(e.desk, "Read the document", func(ctx context.Context) (client.Document, error) { return e.desk.Client().Document(ctx, false) },
		func(now client.Document) {
			if now.ETag != e.base.ETag {
				e.overtaken(now)
				return
			}
			e.change()
		})
}

// overtaken asks what is to be done when somebody else changed the document
// meanwhile.
func (e *editor) overtaken(now client.Document) {
	e.desk.Choose("Somebody else changed the document", "It was changed since this text was read. To carry this text out takes their change back; F3 shows what differs.",
		frame.Answer{Text: "Go on editing", Do: func() {}},
		frame.Answer{Text: "Show what differs", Do: e.difference},
		frame.Answer{Text: "Take theirs back", Do: func() {
			e.base = now
			e.change()
		}})
}

func (e *editor) change() {
	text, base := e.area.GetText(), string(e.base.Text)
	e.desk.Change(frame.Change{Why: "esos config edit", Edit: func(doc *config.Document) error {
		now, err := config.Marshal(doc)
		if err != nil {
			return err
		}
		if string(now) != base {
			return errors.New("somebody else changed the document meanwhile: press F2 again to see to it")
		}
		mine, err := config.Decode("the text", []byte(text))
		if err != nil {
			return err
		}
		*doc = *mine
		return nil
	}, Done: func() { e.desk.Close(e) }})
}

// Mouse moves the cursor, or scrolls.
func (e *editor) Mouse(x, y int, what frame.Click) {
	row, column := e.area.GetOffset()
	switch what {
	case frame.WheelUp:
		e.area.SetOffset(max(0, row-3), column)
	case frame.WheelDown:
		e.area.SetOffset(row+3, column)
	default:
		press := tcell.NewEventMouse(x, y, tcell.Button1, tcell.ModNone)
		e.area.MouseHandler()(tview.MouseLeftDown, press, func(tview.Primitive) {})
		e.area.MouseHandler()(tview.MouseLeftUp, press, func(tview.Primitive) {})
	}
}

// Draw draws it.
func (e *editor) Draw(c frame.Canvas, active bool) {
	c.Fill(c.Theme.Text)
	in := c.Frame(c.Theme.Border, c.Theme.Title, "The document")
	body := in.Inside(0, 0, in.W, in.H-2)
	e.room = body
	_, back, _ := c.Theme.Text.Decompose()
	e.area.SetTextStyle(c.Theme.Text)
	e.area.SetSelectedStyle(c.Theme.Selected)
	e.area.SetBackgroundColor(back)
	e.area.SetRect(body.X, body.Y, body.W, body.H)
	if active {
		e.area.Focus(func(tview.Primitive) {})
	} else {
		e.area.Blur()
	}
	e.area.Draw(c.Screen)
	text, level := e.fault, frame.Bad
	switch {
	case text != "":
	case e.warning != "":
		text, level = e.warning, frame.Warn
	case e.changed():
		text, level = "It can be read. F2 shows what the array would do.", frame.Good
	default:
		text, level = "This is the document in force.", frame.Dim
	}
	foot := in.Inside(0, in.H-2, in.W, 2)
	foot.Fill(c.Theme.Bar)
	row, column, _, _ := e.area.GetCursor()
	place := fmt.Sprintf("%d:%d", row+1, column+1)
	foot.Cell(0, 0, foot.W-len(place)-1, false, c.Theme.Level(level, c.Theme.Bar), text)
	foot.Put(foot.W-len(place), 0, c.Theme.Bar, place)
	if rest := []rune(text); len(rest) > foot.W-len(place)-1 {
		foot.Cell(0, 1, foot.W, false, c.Theme.Level(level, c.Theme.Bar), string(rest[foot.W-len(place)-2:]))
	}
}

package frame_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

func console(t *testing.T) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	a := apitest.New(t, apitest.Options{})
	return a, tuitest.New(t, tuitest.Options{Client: a.Client})
}

// TestPaste: what is pasted is text: it presses no keys and no buttons.
func TestPaste(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	pressed := 0
	rows := func(context.Context) ([]frame.Row, error) { return []frame.Row{{ID: "1", Cells: []string{"one"}}}, nil }
	c.In(func(d *frame.Desk) {
		d.List(&frame.List{Title: "Things", Columns: []frame.Column{{Title: "name"}}, Read: rows,
			Keys: []frame.RowKey{{Key: 'd', Does: "delete", Do: func(frame.Row) { pressed++ }}}})
	})
	c.Wait("one")
	c.Paste("delete\ndd")
	c.Shows("There is no place here for what was pasted")
	if pressed != 0 {
		t.Errorf("what was pasted pressed %d keys", pressed)
	}
	var name, lines, one string
	done := 0
	c.In(func(d *frame.Desk) {
		d.Form(&frame.Form{Title: "Form", Do: func() { done++ }, Fields: []frame.Field{
			{Label: "Name", Text: &name}, {Label: "Lines", Lines: &lines},
			{Label: "One", One: &one, Options: frame.Options("alpha", "beta")}}})
	})
	c.Paste("iqn.2026-11.com.example:x\n")
	c.Press(tcell.KeyTab)
	c.Paste("one\ntwo")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.Paste("bet\n")
	c.Enter()
	if name != "iqn.2026-11.com.example:x" || lines != "one\ntwo" || one != "beta" || done != 0 {
		t.Errorf("name %q, lines %q, one %q, done %d times", name, lines, one, done)
	}
}

// TestField: long, wide and combined characters, and Ctrl-U.
func TestField(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	var v string
	c.In(func(d *frame.Desk) {
		d.Form(&frame.Form{Title: "Form", Do: func() {}, Fields: []frame.Field{{Label: "Value", Text: &v}}})
	})
	long := strings.Repeat("0123456789", 12) + "END"
	c.Type(long)
	c.Shows("END") // the end is in sight
	c.Press(tcell.KeyHome)
	c.Shows("0123456789")
	if v != long {
		t.Errorf("%q", v)
	}
	c.Press(tcell.KeyCtrlU)
	c.Type("日本é e\u0301!") // wide, composed, combined
	if v != "日本é e\u0301!" {
		t.Errorf("%q", v)
	}
	c.Press(tcell.KeyBackspace2, tcell.KeyBackspace2)
	if v != "日本é " {
		t.Errorf("after two steps back %q", v)
	}
}

// TestTall: a form with more fields than the screen has lines; the one with
// the keys is in sight, whatever the size, and a long introduction leaves room.
func TestTall(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	values := make([]string, 60)
	c.In(func(d *frame.Desk) {
		f := &frame.Form{Title: "Tall", Intro: strings.Repeat("There is much to be said. ", 80), Do: func() {}}
		for i := range values {
			f.Fields = append(f.Fields, frame.Field{Label: fmt.Sprintf("Field %02d", i), Text: &values[i]})
		}
		d.Form(f)
	})
	c.Shows("F1 shows all of it")
	for i := range values {
		c.Shows(fmt.Sprintf("Field %02d", i))
		c.Field(fmt.Sprint("v", i))
	}
	c.Resize(100, 30)
	c.Resize(80, 24)
	c.Shows("[ OK ]")
	c.Press(tcell.KeyBacktab)
	c.Shows("v59")
}

// TestFieldsComeAndGo: the cursor stays where it was.
func TestFieldsComeAndGo(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	var first, second string
	given := 0
	c.In(func(d *frame.Desk) {
		d.Form(&frame.Form{Title: "Form", Do: func() {}, Cancelled: func() { given++ }, Fields: []frame.Field{
			{Label: "First", Text: &first, Show: func() bool { return second == "" }},
			{Label: "Second", Text: &second},
		}})
	})
	c.Press(tcell.KeyTab)
	c.Type("abc")
	if second != "abc" || first != "" {
		t.Errorf("first %q, second %q: the cursor moved to another field", first, second)
	}
	c.Press(tcell.KeyTab) // OK
	c.Enter()
	if given != 0 {
		t.Error("the form was given up by pressing OK")
	}
}

// TestWait: keys that are typed while something is waited for come after it;
// Esc gives up at once, also what does not heed it.
func TestWait(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	var v string
	release := make(chan struct{})
	slow := func(d *frame.Desk) {
		frame.Load(d, "Think", func(context.Context) (int, error) { <-release; return 0, nil }, func(int) {
			d.Form(&frame.Form{Title: "Form", Do: func() {}, Fields: []frame.Field{{Label: "Value", Text: &v}}})
		})
	}
	c.Desk.Update(func() { slow(c.Desk) })
	c.Wait("Think ...")
	for _, r := range "abc" {
		c.SendRune(r)
	}
	close(release)
	c.Wait("Value")
	c.Wait("abc")
	c.Escape()

	var held atomic.Bool
	stuck := make(chan struct{})
	c.Desk.Update(func() {
		frame.Load(c.Desk, "Hang", func(context.Context) (int, error) { <-stuck; return 0, nil }, func(int) { held.Store(true) })
	})
	c.Wait("Hang ...")
	c.Send(tcell.KeyEscape)
	c.Wait("/ search") // not "Hang ... (Esc gives up)" any more, though the work goes on
	close(stuck)
	c.In(func(*frame.Desk) {})
	if held.Load() {
		t.Error("what was given up came all the same")
	}
}

// TestTwoWaits: one that ends does not end the other.
func TestTwoWaits(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	one, two := make(chan struct{}), make(chan struct{})
	c.Desk.Update(func() {
		for name, ch := range map[string]chan struct{}{"One": one, "Two": two} {
			frame.Load(c.Desk, name, func(context.Context) (int, error) { <-ch; return 0, nil }, func(int) { c.Desk.Say(name+" is done", "") })
		}
	})
	close(one)
	c.Wait("One is done")
	c.Wait("Two ...")
	close(two)
	c.Wait("Two is done")
}

// TestLists: rows stay when the daemon goes away, and are read again after it.
func TestLists(t *testing.T) {
	t.Parallel()
	a, c := console(t)
	c.In(func(d *frame.Desk) {
		d.List(&frame.List{Title: "Array", Columns: []frame.Column{{Title: "what"}, {Title: "value"}}, Read: func(ctx context.Context) ([]frame.Row, error) {
			s, err := d.Client().Status(ctx)
			return []frame.Row{{ID: "name", Cells: []string{"name", s.Name}}, {ID: "revision", Cells: []string{"revision", fmt.Sprint("number ", s.Revision.Number)}}}, err
		}})
	})
	c.Wait("number 0")
	c.Press(tcell.KeyDown)
	a.Stop()
	c.Wait("does not answer since")
	c.Shows("number 0")
	a.Start()
	c.Wait("answers again")
	c.In(rename)
	c.Type("vault")
	c.Press(tcell.KeyTab)
	c.Enter()
	c.CarryOut()
	c.Wait("vault")
	c.Wait("number 1")
}

// TestLostUnderForm: who fills in a form is told before the end of it, and that
// nothing was changed only where that is known.
func TestLostUnderForm(t *testing.T) {
	t.Parallel()
	a, c := console(t)
	var v string
	c.In(func(d *frame.Desk) {
		d.Form(&frame.Form{Title: "Form", Do: func() {
			d.Do("Ask", func(ctx context.Context) error { _, err := d.Client().Status(ctx); return err }, func() {})
		},
			Fields: []frame.Field{{Label: "Value", Text: &v}}})
	})
	a.Stop()
	c.Wait("does not answer since")
	c.Shows("What was typed is kept.") // on 80 columns
	c.Type("abc")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.Wait("Nothing was changed.")
	c.Enter()
	a.Start()
	c.Wait("answers again")
	c.Shows("abc")
	c.In(func(d *frame.Desk) { d.Fail("Ask", &client.UnreachableError{Where: "vault", Err: io.ErrUnexpectedEOF}) })
	c.Shows("Whether anything was changed is not known.")
}

// TestResizeUnderDialog: nothing is lost.
func TestResizeUnderDialog(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	yes := 0
	c.In(func(d *frame.Desk) { d.Ask("Really?", strings.Repeat("word ", 400), "Yes", func() { yes++ }) })
	for _, s := range [][2]int{{40, 5}, {1, 1}, {200, 60}, {80, 24}} {
		c.Resize(s[0], s[1])
	}
	c.Shows("[ Yes ]")
	c.Press(tcell.KeyPgDn, tcell.KeyLeft, tcell.KeyEnter)
	if yes != 1 {
		t.Errorf("answered %d times", yes)
	}
}

// TestManyAnswers: those that do not fit beside each other are below each other.
func TestManyAnswers(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	got := -1
	c.In(func(d *frame.Desk) {
		var all []frame.Answer
		for i := range 30 {
			all = append(all, frame.Answer{Text: fmt.Sprintf("Answer number %02d", i), Do: func() { got = i }})
		}
		d.Choose("Which?", "There are many.", all...)
	})
	for range 29 {
		c.Press(tcell.KeyDown)
	}
	c.Shows("Answer number 29")
	c.Enter()
	if got != 29 {
		t.Errorf("answer %d, want 29", got)
	}
}

// TestPageGrows: lines come in pieces, and long lines are broken.
func TestPageGrows(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	p := &frame.Page{Title: "Log", End: true}
	c.In(func(d *frame.Desk) { d.Page(p) })
	for i := range 200 {
		c.In(func(*frame.Desk) {
			p.Append(fmt.Sprintf("line %d begins, ", i))
			p.Append(strings.Repeat("x", 100) + "\n")
		})
	}
	c.Shows("line 199 begins")
	c.Shows("of 600 ")
	c.Press(tcell.KeyHome)
	c.Shows("line 0 begins")
	c.Resize(140, 30)
	c.Shows("of 200 ")
}

// TestNamesOfStrangers: control characters move no cursor.
func TestNamesOfStrangers(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	c.In(func(d *frame.Desk) { d.Say("\x1b[2Jtitle", "a\x1b[31mb\u202ec\x07d") })
	s := c.Text()
	if strings.ContainsAny(s, "\x1b\x07\u202e") {
		t.Errorf("control characters reach the terminal: %q", s)
	}
	c.Shows("a?[31mb?c?d")
}

// TestFewBytes: what is drawn again as it was is not sent to the terminal again.
func TestFewBytes(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	c.In(func(d *frame.Desk) { d.Page(&frame.Page{Title: "Text", Text: strings.Repeat("words\n", 30)}) })
	s := &counting{SimulationScreen: c.Screen}
	c.In(func(d *frame.Desk) { d.DrawTo(s) })
	first := s.puts
	c.In(func(d *frame.Desk) { d.DrawTo(s) })
	if s.puts != first || s.shows > 1 {
		t.Errorf("%d cells and %d screens were sent again", s.puts-first, s.shows)
	}
}

type counting struct {
	tcell.SimulationScreen
	puts, shows int
}

func (s *counting) Put(x, y int, text string, style tcell.Style) (string, int) {
	s.puts++
	return s.SimulationScreen.Put(x, y, text, style)
}

func (s *counting) Show() {
	s.shows++
	s.SimulationScreen.Show()
}

// Package tuitest drives the text console in tests: a terminal in memory, keys
// typed into it, and what it shows.
package tuitest

import (
	"cmp"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/tui/frame"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Options of a Console.
type Options struct {
	Client *client.Client
	// First is the first screen: it gets the desk. A blank one if nil.
	First   func(*frame.Desk) frame.Screen
	Menus   func() []frame.Menu
	Command func(ctx context.Context, args []string, in io.Reader, out io.Writer) int
	// Width and Height of the terminal; 80x24 if 0.
	Width, Height int
	Theme         frame.Theme
	Now           func() time.Time
	Keep          func(frame.Theme) error // a theme that was chosen
	Confirmed     func(what string)
	Blocks        bool
	Shell, Root   func() error
	// User is who sits there; root if empty.
	User string
	// Patience is how long what is waited for may take; half a minute if 0.
	Patience time.Duration
	// Blind has Golden compare nothing: for a script that was watched elsewhere,
	// on an array that looks otherwise.
	Blind bool
}

// Console is a console in a terminal in memory.
type Console struct {
	Desk   *frame.Desk
	Screen tcell.SimulationScreen
	t      testing.TB
	blind  bool
	sent   int
	ended  chan error
	ctx    context.Context
	waits  time.Duration
}

// New starts a console that ends with the test.
func New(t testing.TB, o Options) *Console {
	t.Helper()
	if o.Width == 0 {
		o.Width, o.Height = 80, 24
	}
	if o.Theme.Name == "" {
		o.Theme = frame.Themes()[0]
	}
	if o.User == "" {
		o.User = "root"
	}
	if o.Command == nil {
		o.Command = func(_ context.Context, args []string, _ io.Reader, out io.Writer) int {
			_, _ = io.WriteString(out, "ran: "+strings.Join(args, " ")+"\n")
			return 0
		}
	}
	c := &Console{t: t, blind: o.Blind, Screen: tcell.NewSimulationScreen("UTF-8"), ended: make(chan error, 1), waits: cmp.Or(o.Patience, 30*time.Second)}
	c.Desk = frame.New(frame.Setup{Client: o.Client, Screen: c.Screen, Theme: o.Theme, Command: o.Command, Now: o.Now, User: o.User, Interval: 500 * time.Millisecond,
		Keep: o.Keep, Confirmed: o.Confirmed, Blocks: o.Blocks, Shell: o.Shell, Root: o.Root})
	if o.Menus != nil {
		c.Desk.SetEntries(o.Menus)
	}
	var first frame.Screen = blank{}
	if o.First != nil {
		first = o.First(c.Desk)
	}
	if err := c.Screen.Init(); err != nil {
		t.Fatal(err)
	}
	c.Screen.SetSize(o.Width, o.Height)
	ctx, cancel := context.WithCancel(context.Background())
	c.ctx = ctx
	go func() { c.ended <- c.Desk.Run(ctx, first) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-c.ended:
			if err != nil {
				t.Errorf("the console: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the console did not end")
		}
	})
	c.settle()
	return c
}

// blank is a first screen with nothing on it.
type blank struct{}

func (blank) Draw(frame.Canvas, bool)     {}
func (blank) Key(*tcell.EventKey)         {}
func (blank) Mouse(int, int, frame.Click) {}
func (blank) About() frame.About          { return frame.About{Title: "blank", Whole: true} }

// In has f called by the console's goroutine, and waits for what comes of it.
func (c *Console) In(f func(*frame.Desk)) {
	c.t.Helper()
	c.do(func() { f(c.Desk) })
	c.settle()
}

func (c *Console) do(f func()) {
	c.t.Helper()
	done := make(chan struct{})
	c.Desk.Update(func() {
		f()
		close(done)
	})
	select {
	case <-done:
	case err := <-c.ended:
		c.ended <- err
		c.t.Fatalf("the console ended: %v", err)
	case <-time.After(time.Minute):
		c.t.Fatal("the console hangs")
	}
}

// settle waits until all keys were handled and nothing is under way.
func (c *Console) settle() {
	c.t.Helper()
	end := time.Now().Add(max(time.Minute, c.waits))
	for {
		idle, drawn := false, 0
		c.do(func() { idle, drawn = c.Desk.Handled() >= c.sent && c.Desk.Idle(), c.Desk.Drawn() })
		for now := drawn; idle; { // until it is drawn, too
			if c.do(func() { now = c.Desk.Drawn() }); now > drawn {
				return
			}
		}
		if time.Now().After(end) {
			c.t.Fatalf("the console does not come to rest:\n%s", c.Text())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Press presses keys, and waits for what comes of each.
func (c *Console) Press(keys ...tcell.Key) {
	c.t.Helper()
	for _, k := range keys {
		c.key(k, 0)
	}
}

// Type types text, and waits for what comes of it.
func (c *Console) Type(text string) {
	c.t.Helper()
	for _, r := range text {
		c.key(tcell.KeyRune, r)
	}
}

func (c *Console) key(k tcell.Key, r rune) {
	c.t.Helper()
	c.send(k, r)
	c.settle()
}

// Send presses a key and waits for nothing: what it does may end the console.
func (c *Console) Send(k tcell.Key) { c.t.Helper(); c.send(k, 0) }

// SendRune is Send of a letter.
func (c *Console) SendRune(r rune) { c.t.Helper(); c.send(tcell.KeyRune, r) }

func (c *Console) send(k tcell.Key, r rune) {
	c.t.Helper()
	c.sent++
	if err := c.Screen.PostEvent(tcell.NewEventKey(k, r, tcell.ModNone)); err != nil {
		c.t.Fatal(err)
	}
}

// Leaves fails if what is done does not end the console.
func (c *Console) Leaves(do func()) {
	c.t.Helper()
	do()
	select {
	case err := <-c.ended:
		c.ended <- err
	case <-time.After(30 * time.Second):
		c.t.Fatal("the console did not end")
	}
}

// Paste pastes text, as a terminal does that marks it as pasted.
func (c *Console) Paste(text string) {
	c.t.Helper()
	_ = c.Screen.PostEvent(tcell.NewEventPaste(true))
	for _, r := range text {
		k := tcell.KeyRune
		if r == '\n' {
			k = tcell.KeyEnter
		}
		for c.Screen.PostEvent(tcell.NewEventKey(k, r, tcell.ModNone)) != nil { // the queue is full
			time.Sleep(time.Millisecond)
		}
		c.sent++
	}
	_ = c.Screen.PostEvent(tcell.NewEventPaste(false))
	c.do(func() {})
	c.settle()
}

// Enter presses Enter.
func (c *Console) Enter() { c.t.Helper(); c.Press(tcell.KeyEnter) }

// Escape presses Esc.
func (c *Console) Escape() { c.t.Helper(); c.Press(tcell.KeyEscape) }

// Field types text into the field of a form that has the keys, and goes to the
// next.
func (c *Console) Field(text string) {
	c.t.Helper()
	c.Press(tcell.KeyCtrlU)
	c.Type(text)
	c.Press(tcell.KeyTab)
}

// Click clicks on the first place where text is shown.
func (c *Console) Click(text string) {
	c.t.Helper()
	for y, line := range strings.Split(c.Text(), "\n") {
		if i := strings.Index(line, text); i >= 0 {
			x := len([]rune(line[:i]))
			for _, b := range []tcell.ButtonMask{tcell.Button1, tcell.ButtonNone} {
				c.sent++
				if err := c.Screen.PostEvent(tcell.NewEventMouse(x, y, b, tcell.ModNone)); err != nil {
					c.t.Fatal(err)
				}
			}
			c.settle()
			return
		}
	}
	c.t.Fatalf("%q is not shown:\n%s", text, c.Text())
}

// Resize changes the size of the terminal.
func (c *Console) Resize(w, h int) {
	c.t.Helper()
	c.do(func() { c.Screen.SetSize(w, h) })
	c.do(func() {})
	c.settle()
}

// Text is what is shown, a line a row, without blanks at its end.
func (c *Console) Text() string {
	c.t.Helper()
	var s string
	c.do(func() { s = c.text() })
	return s
}

func (c *Console) text() string {
	cells, w, h := c.Screen.GetContents()
	var b strings.Builder
	for y := range h {
		var line strings.Builder
		for x := range w {
			r := cells[y*w+x].Runes
			if len(r) == 0 {
				r = []rune{' '}
			}
			line.WriteString(string(r))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// Wait waits until text is shown.
func (c *Console) Wait(text string) {
	c.t.Helper()
	c.until("is not shown", text, func(s string) bool { return strings.Contains(s, text) })
}

// Gone waits until text is not shown any more.
func (c *Console) Gone(text string) {
	c.t.Helper()
	c.until("is still shown", text, func(s string) bool { return !strings.Contains(s, text) })
}

func (c *Console) until(what, text string, good func(string) bool) {
	c.t.Helper()
	end := time.Now().Add(c.waits)
	for {
		c.do(func() {}) // drawn
		s := c.Text()
		if good(s) {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%q %s:\n%s", text, what, s)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Shows fails if text is not shown now.
func (c *Console) Shows(text string) {
	c.t.Helper()
	if s := c.Text(); !strings.Contains(s, text) {
		c.t.Fatalf("%q is not shown:\n%s", text, s)
	}
}

// CarryOut confirms the plan that is shown, and waits until it is done.
func (c *Console) CarryOut() {
	c.t.Helper()
	c.In((*frame.Desk).ClearToast) // it would hide the keys, and be taken for this change's
	c.Wait("c carry out")
	c.Press(tcell.KeyEnd) // of a long plan
	c.Wait("Press c to carry this out")
	c.Type("c")
	c.confirmed(nil)
}

// Destroy is CarryOut of a plan that destroys these objects, in their order.
func (c *Console) Destroy(objects ...string) {
	c.t.Helper()
	c.In((*frame.Desk).ClearToast)
	c.Wait("DATA ARE LOST")
	c.Type("c")
	c.confirmed(objects)
}

func (c *Console) confirmed(objects []string) {
	c.t.Helper()
	for _, o := range objects {
		c.Wait("This destroys " + o)
		c.Type(o)
		c.Press(tcell.KeyTab, tcell.KeyEnter)
	}
	if len(objects) == 0 {
		c.Wait("Carry this out?")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
	}
	c.Wait("Done")
}

// Busy is Golden of a screen behind which something works on, so that the console
// does not come to rest.
func (c *Console) Busy(name string, replace ...string) {
	c.t.Helper()
	c.golden(name, func(w, h int) {
		c.do(func() { c.Screen.SetSize(w, h) })
		for i := 0; i < 3; i++ { // it is told of its size, and drawn
			c.do(func() {})
		}
	}, replace)
}

// Golden compares what is shown at 80x24 and at 160x50 with the files of a name
// in testdata; -update writes them anew. replace are pairs: what differs from
// run to run, and what stands for it. A word at the bottom that goes by itself
// is taken away first: it would be there or not, as time goes.
func (c *Console) Golden(name string, replace ...string) {
	c.t.Helper()
	c.golden(name, c.Resize, replace)
}

func (c *Console) golden(name string, resize func(w, h int), replace []string) {
	c.t.Helper()
	if c.blind {
		return
	}
	c.do(func() { c.Desk.ClearToast() })
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		resize(size[0], size[1])
		got := strings.NewReplacer(replace...).Replace(c.Text())
		file := filepath.Join("testdata", name+"."+map[int]string{80: "80x24", 160: "160x50"}[size[0]])
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				c.t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				c.t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			c.t.Errorf("%v; -update writes it", err)
			continue
		}
		if got != string(want) {
			c.t.Errorf("%s differs; it is now\n%s\nit was\n%s", file, got, want)
		}
	}
	resize(80, 24)
}

// Package frame is what the screens of the text console are made of: the desk
// that holds them, forms, lists, pickers, pages of text, and the way of a
// change from the form to its end. It knows nothing of storage.
package frame

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gdamore/tcell/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

// Desk is the console: a stack of screens, of which the top one has the keys.
// All its methods but Update are for the goroutine that runs it: screens' own
// functions are called there.
type Desk struct {
	o       Setup
	screen  tcell.Screen
	buffer  buffer
	ctx     context.Context
	stack   []Screen
	updates chan func()
	ended   chan struct{}
	done    bool
	now     time.Time // of the last tick

	waiting *waiting      // what the keys wait for
	ahead   []tcell.Event // typed while waiting: keys, and what was pasted
	paste   paste
	pending int              // background work that is under way
	mouse   tcell.ButtonMask // as it was
	link    link
	toast   toast
	handled int // keys and clicks
	drawn   int
	head    func() (left, right string, level Level)
	entries func() []Menu // for search
	finder  func(*config.Document, v1.StorageState) []Found
}

// Setup is what a Desk works with.
type Setup struct {
	Client *client.Client
	// Screen is the terminal, initialized, when it is not the process's own.
	Screen tcell.Screen
	Theme  Theme
	// Command runs a command of esos, with its output to out; its exit code is
	// not 0 if it failed.
	Command func(ctx context.Context, args []string, in io.Reader, out io.Writer) int
	// Interval is how often what is shown is read anew; 2 s if 0.
	Interval time.Duration
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// User is who sits here.
	User string
	// Blocks says that the terminal has U+2581 to U+2588, of which graphs are made.
	Blocks bool
	// Confirmed is told of each answer to a question that lets something be done:
	// tests count them. It may be nil.
	Confirmed func(what string)
	// Keep keeps the theme that was chosen for whoever sits here. It may be nil.
	Keep func(Theme) error
	// Version is the software's.
	Version string
	// Shell runs a shell, and Root has whoever sits here prove that commands may
	// run as root, both on the terminal; they are nil where there is none.
	Shell, Root func() error
}

// Screen is one of the stack. Its functions are called by the desk's goroutine.
type Screen interface {
	// Draw draws it into the rectangle; only the top one is active.
	Draw(c Canvas, active bool)
	// Key handles a key that the desk has no use for.
	Key(ev *tcell.EventKey)
	// Mouse handles a click at a place of the screen, or the wheel.
	Mouse(x, y int, what Click)
	About() About
}

// Click is what the mouse did.
type Click int

// What the mouse did.
const (
	Left Click = iota
	WheelUp
	WheelDown
)

// About is what the desk must know of a screen.
type About struct {
	Title   string
	Hints   []Hint
	Command string // of esos that does the same
	Help    string
	Typing  bool // letters are text, not hot keys
	Whole   bool // covers what is below
}

// Hint is a key and what it does.
type Hint struct{ Key, Does string }

// Timed is a screen that wants to be told of the time: once when it comes to
// the top and after each Interval there.
type Timed interface{ Tick() }

// Closer is a screen that wants to know when it is taken away.
type Closer interface{ Closed() }

// New makes a desk.
func New(o Setup) *Desk {
	if o.Interval == 0 {
		o.Interval = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{o: o, updates: make(chan func(), 64), ended: make(chan struct{}), now: o.Now()}
}

// Client is the array's.
func (d *Desk) Client() *client.Client { return d.o.Client }

// User is who sits here.
func (d *Desk) User() string { return d.o.User }

// Blocks says whether graphs may be made of block characters.
func (d *Desk) Blocks() bool { return d.o.Blocks }

// Context ends when the console does.
func (d *Desk) Context() context.Context { return d.ctx }

// Theme is how things look.
func (d *Desk) Theme() Theme { return d.o.Theme }

// SetTheme changes how things look.
func (d *Desk) SetTheme(t Theme) {
	d.o.Theme = t
	if d.screen != nil {
		d.screen.SetStyle(t.Text)
		d.screen.Clear()
	}
}

// KeepTheme changes how things look, now and from now on.
func (d *Desk) KeepTheme(t Theme) error {
	d.SetTheme(t)
	if d.o.Keep == nil {
		return nil
	}
	return d.o.Keep(t)
}

// Shell leaves the terminal to a shell, until it ends.
func (d *Desk) Shell() error { return d.lend(d.o.Shell) }

// Root has whoever sits here prove that commands may run as root.
func (d *Desk) Root() error { return d.lend(d.o.Root) }

func (d *Desk) lend(f func() error) (err error) {
	if f == nil {
		return errors.New("there is no terminal here to do it on")
	}
	d.Suspend(func() { err = f() })
	return err
}

// Version is the software's.
func (d *Desk) Version() string { return d.o.Version }

// Now is the time.
func (d *Desk) Now() time.Time { return d.o.Now() }

// SetHead says what the line at the top shows.
func (d *Desk) SetHead(head func() (left, right string, level Level)) { d.head = head }

// SetEntries says what search finds.
func (d *Desk) SetEntries(entries func() []Menu) { d.entries = entries }

// Push puts a screen on top.
func (d *Desk) Push(s Screen) {
	d.stack = append(d.stack, s)
	d.arrive()
}

// Back takes the top screen away; never the last.
func (d *Desk) Back() { d.cut(len(d.stack) - 1) }

// cut takes screens away until n are left.
func (d *Desk) cut(n int) {
	n = max(n, 1)
	if len(d.stack) <= n {
		return
	}
	for len(d.stack) > n {
		top := d.stack[len(d.stack)-1]
		d.stack = d.stack[:len(d.stack)-1]
		if c, ok := top.(Closer); ok {
			c.Closed()
		}
	}
	d.arrive()
}

// Home takes all screens but the first away.
func (d *Desk) Home() { d.cut(1) }

// Close takes a screen away, and those above it.
func (d *Desk) Close(s Screen) {
	for i, have := range d.stack {
		if have == s {
			d.cut(i)
			return
		}
	}
}

// Shows says whether a screen is still there.
func (d *Desk) Shows(s Screen) bool {
	for _, have := range d.stack {
		if have == s {
			return true
		}
	}
	return false
}

// Quit ends the console.
func (d *Desk) Quit() { d.done = true }

func (d *Desk) top() Screen { return d.stack[len(d.stack)-1] }

// arrive tells the top screen that it is there.
func (d *Desk) arrive() {
	if t, ok := d.top().(Timed); ok {
		t.Tick()
	}
}

// Update has f called by the desk's goroutine, and the screen drawn after it.
// It may be called from anywhere, and does nothing after Run.
func (d *Desk) Update(f func()) {
	select {
	case d.updates <- f:
	case <-d.ended:
	}
}

// most is how many events are handled before what they did is drawn.
const most = 256

// Run shows the first screen and handles what is typed until Quit, the end of
// the context, or that of the terminal.
func (d *Desk) Run(ctx context.Context, first Screen) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer close(d.ended)
	d.ctx, d.screen = ctx, d.o.Screen
	if d.screen == nil {
		s, err := tcell.NewScreen()
		if err == nil {
			err = s.Init()
		}
		if err != nil {
			return fmt.Errorf("open the terminal: %w", err)
		}
		d.screen = s
	}
	defer d.screen.Fini()
	d.screen.SetStyle(d.o.Theme.Text)
	d.screen.EnableMouse(tcell.MouseButtonEvents)
	d.screen.EnablePaste()
	d.screen.Clear()
	events, quit := make(chan tcell.Event, most), make(chan struct{})
	defer close(quit)
	go d.screen.ChannelEvents(events, quit)
	tick := time.NewTicker(d.o.Interval)
	defer tick.Stop()
	d.Push(first)
	for !d.done {
		d.draw()
		d.drawn++
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.tick()
			d.endPaste()
		case f := <-d.updates:
			f()
		case ev, ok := <-events:
			if !ok {
				return nil // the terminal is gone
			}
			d.handle(ev)
		}
		for n := 0; n < most && !d.done && d.more(events); n++ {
		}
	}
	return nil
}

// more handles what is there already.
func (d *Desk) more(events <-chan tcell.Event) bool {
	select {
	case f := <-d.updates:
		f()
	case ev, ok := <-events:
		if !ok {
			d.done = true
			return false
		}
		d.handle(ev)
	default:
		return false
	}
	return true
}

func (d *Desk) tick() {
	d.now = d.o.Now()
	d.arrive()
	d.listen()
}

// Idle says whether nothing is under way that would change what is shown: for
// tests, by Update.
func (d *Desk) Idle() bool { return d.waiting == nil && d.pending == 0 && len(d.ahead) == 0 }

// Handled counts the keys and clicks that were taken from the terminal: for tests, by
// Update.
func (d *Desk) Handled() int { return d.handled }

// Draw draws the screen: for benchmarks, by Update.
func (d *Desk) Draw() { d.draw() }

// DrawTo draws to another screen from now on: for tests, by Update.
func (d *Desk) DrawTo(s tcell.Screen) {
	d.screen = s
	d.draw()
}

// Drawn counts how often the screen was drawn: for tests, by Update.
func (d *Desk) Drawn() int { return d.drawn }

// Suspend gives the terminal to f, and takes it back after it.
func (d *Desk) Suspend(f func()) {
	if err := d.screen.Suspend(); err != nil {
		d.Say("The terminal cannot be handed over", err.Error())
		return
	}
	f()
	if err := d.screen.Resume(); err != nil {
		d.done = true // there is no terminal to say it on
		return
	}
	d.screen.Sync()
}

package frame

import (
	"fmt"
	"strings"

	"github.com/gdamore/tcell/v2"
)

// Page is a screen of text.
type Page struct {
	Title   string
	Command string // of esos that shows the same
	Help    string
	Text    string
	// Keys are what can be done there.
	Keys []PageKey
	// End says that the last lines are shown first, as of a log.
	End bool
	// Gone is called when it is taken away; it may be nil.
	Gone func()

	desk      *Desk
	off, room int
	lines     []string
	of        string // the text that lines are of, at width
	width     int
	full      int // lines that are of kept, the bytes of whole lines
	kept      int
}

// PageKey is something that can be done on a page.
type PageKey struct {
	Key  rune
	Does string
	Do   func()
}

// Page shows text.
func (d *Desk) Page(p *Page) {
	p.desk = d
	d.Push(p)
}

// Append adds text; who looks at the end stays there.
func (p *Page) Append(text string) {
	p.Text += text
	if over := len(p.Text) - maxPage; over > 0 { // the oldest goes, by whole lines
		if i := strings.IndexByte(p.Text[over:], '\n'); i >= 0 {
			over += i + 1
		}
		p.Text = "(older lines are left out)\n" + p.Text[over:]
	}
}

// maxPage is how much text of a command is kept, in bytes.
const maxPage = 4 << 20

// wrapped breaks the text into lines of a width; of a text that only grew, only
// what is new.
func (p *Page) wrapped(w int) {
	switch whole := p.kept; {
	case p.of == p.Text && p.width == w && p.lines != nil:
		return
	case p.width == w && whole > 0 && strings.HasPrefix(p.Text, p.of[:whole]):
		p.lines = append(p.lines[:p.full], wrap(strings.TrimRight(p.Text[whole:], "\n"), w)...)
	default:
		p.lines, p.full, p.kept = wrap(strings.TrimRight(p.Text, "\n"), w), 0, 0
	}
	p.of, p.width = p.Text, w
	// All but the last line stays as it is when more comes.
	if i := strings.LastIndexByte(strings.TrimRight(p.Text, "\n"), '\n'); i >= p.kept && i > 0 {
		p.full += len(wrap(p.Text[p.kept:i], w))
		p.kept = i + 1
	}
}

// About is what the desk must know.
func (p *Page) About() About {
	var hints []Hint
	for _, k := range p.Keys {
		hints = append(hints, Hint{string(k.Key), k.Does})
	}
	return About{Title: p.Title, Command: p.Command, Help: p.Help, Hints: append(hints, Hint{"Up Down", "scroll"}, Hint{"Esc", "back"}), Whole: true}
}

// Closed tells whoever wants to know.
func (p *Page) Closed() {
	if p.Gone != nil {
		p.Gone()
	}
}

// Key handles a key.
func (p *Page) Key(ev *tcell.EventKey) {
	switch ev.Key() {
	case tcell.KeyEscape:
		p.desk.Close(p)
	case tcell.KeyUp:
		p.scroll(-1)
	case tcell.KeyDown, tcell.KeyEnter:
		p.scroll(1)
	case tcell.KeyPgUp:
		p.scroll(-p.room)
	case tcell.KeyPgDn:
		p.scroll(p.room)
	case tcell.KeyHome:
		p.scroll(-len(p.lines))
	case tcell.KeyEnd:
		p.scroll(len(p.lines))
	default:
		for _, k := range p.Keys {
			if letter(ev) == k.Key {
				k.Do()
				return
			}
		}
	}
}

func (p *Page) scroll(by int) {
	last := max(0, len(p.lines)-p.room)
	p.off = max(0, min(p.off+by, last))
	p.End = p.off == last && by > 0 || p.End && by > 0
}

// Mouse scrolls.
func (p *Page) Mouse(_, _ int, what Click) {
	switch what {
	case WheelUp:
		p.scroll(-3)
	case WheelDown:
		p.scroll(3)
	}
}

// Draw draws it.
func (p *Page) Draw(c Canvas, _ bool) {
	c.Fill(c.Theme.Text)
	in := c.Frame(c.Theme.Border, c.Theme.Title, p.Title)
	in = in.Inside(1, 0, in.W-2, in.H)
	p.wrapped(in.W)
	p.room = in.H
	last := max(0, len(p.lines)-p.room)
	if p.End {
		p.off = last
	}
	p.off = min(p.off, last)
	for y := 0; y < in.H && p.off+y < len(p.lines); y++ {
		in.Put(0, y, c.Theme.Text, p.lines[p.off+y])
	}
	if last > 0 {
		note := fmt.Sprintf(" %d-%d of %d ", p.off+1, min(p.off+p.room, len(p.lines)), len(p.lines))
		c.Put(c.W-len(note)-2, c.H-1, c.Theme.Border, note)
	}
}

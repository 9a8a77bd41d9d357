// Package home is the console's first screen: the menus, and how the array is.
package home

import (
	"fmt"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/tui/console"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Home is the first screen.
type Home struct {
	desk  *frame.Desk
	menus []frame.Menu
	spots []spot
	seen  seen

	reading, readingStorage, readingMedium bool
	next, nextStorage, nextMedium          time.Time // when to read again
}

type spot struct{ x, y, w, menu int }

// New makes it, and gives the desk what belongs to the whole console: the line
// at the top, and how search finds objects.
func New(d *frame.Desk, menus []frame.Menu) *Home {
	h := &Home{desk: d, menus: menus}
	d.SetHead(h.head)
	d.SetFinder(Find)
	return h
}

// head is the line at the top of every screen.
func (h *Home) head() (left, right string, level frame.Level) {
	s := h.seen.status
	version := h.desk.Version()
	if s.Version != "" {
		version = s.Version
	}
	left = "ESOS " + version
	if s.Name != "" {
		left += "   " + s.Name + ": " + s.State
	}
	switch n := len(s.Alerts); {
	case n == 1:
		left += ", 1 alert"
	case n > 1:
		left += fmt.Sprintf(", %d alerts", n)
	}
	return left, "user " + h.desk.User(), frame.Plain
}

// About is what the desk must know.
func (h *Home) About() frame.About {
	return frame.About{Title: "ESOS", Whole: true, Command: "esos status",
		Help:  "The array at a glance. The letters that stand out open the menus. Rates are those since the last look, two seconds ago.",
		Hints: []frame.Hint{{Key: "letters", Does: "menus"}, {Key: "Esc", Does: "quit"}}}
}

// Key opens a menu.
func (h *Home) Key(ev *tcell.EventKey) {
	switch ev.Key() {
	case tcell.KeyEscape:
		h.desk.Ask("Leave the console?", "The settings are saved to the boot medium, and the session ends. Interface, Exit to Shell leads to a shell instead.", "Quit",
			func() { console.Quit(h.desk) })
	case tcell.KeyRune:
		for i, m := range h.menus {
			if ev.Rune()|0x20 == m.Key {
				h.open(i)
				return
			}
		}
	}
}

func (h *Home) open(i int) { h.desk.Menu(h.menus[i]) }

// Mouse opens a menu.
func (h *Home) Mouse(x, y int, what frame.Click) {
	if what != frame.Left {
		return
	}
	for _, s := range h.spots {
		if y == s.y && x >= s.x && x < s.x+s.w {
			h.open(s.menu)
			return
		}
	}
}

// Draw draws it.
func (h *Home) Draw(c frame.Canvas, _ bool) {
	c.Fill(c.Theme.Text)
	h.spots = h.spots[:0]
	h.bar(c.Inside(0, 0, c.W, 1), false)
	h.bar(c.Inside(0, c.H-1, c.W, 1), true)
	h.panels(c.Inside(0, 1, c.W, c.H-2))
}

// bar draws the menus of an edge, each with its hot key marked.
func (h *Home) bar(c frame.Canvas, bottom bool) {
	c.Fill(c.Theme.Bar)
	x := 1
	for i, m := range h.menus {
		if m.Bottom != bottom {
			continue
		}
		start := x
		marked := false
		for _, r := range m.Title {
			s := c.Theme.Bar
			if !marked && r|0x20 == m.Key {
				s, marked = c.Theme.Key, true
			}
			x += c.Put(x, 0, s, string(r))
		}
		h.spots = append(h.spots, spot{c.X + start, c.Y, x - start, i})
		x += 3
	}
}

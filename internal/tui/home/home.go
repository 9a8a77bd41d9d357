// Package home is the console's first screen: the menus, and how the array is.
package home

import (
	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/tui/frame"
)

// Home is the first screen.
type Home struct {
	desk  *frame.Desk
	menus []frame.Menu
	spots []spot
}

type spot struct{ x, y, w, menu int }

// New makes it.
func New(d *frame.Desk, menus []frame.Menu) *Home { return &Home{desk: d, menus: menus} }

// About is what the desk must know.
func (h *Home) About() frame.About {
	return frame.About{Title: "ESOS", Whole: true, Command: "esos status", Help: "The array at a glance. The letters that stand out open the menus.",
		Hints: []frame.Hint{{Key: "letters", Does: "menus"}}}
}

// Key opens a menu.
func (h *Home) Key(ev *tcell.EventKey) {
	if ev.Key() != tcell.KeyRune {
		return
	}
	for i, m := range h.menus {
		if ev.Rune()|0x20 == m.Key {
			h.open(i)
			return
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

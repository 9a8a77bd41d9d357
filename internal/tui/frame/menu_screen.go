package frame

import (
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"
)

// menuScreen is an open menu.
type menuScreen struct {
	desk          *Desk
	menu          Menu
	at, off, top  int
	left, columns int
}

// Menu opens a menu.
func (d *Desk) Menu(m Menu) { d.Push(&menuScreen{desk: d, menu: m}) }

// About is what the desk must know.
func (m *menuScreen) About() About {
	a := About{Title: m.menu.Title, Hints: []Hint{{"Up Down", "move"}, {"Enter", "open"}, {"Left Right", "other menus"}, {"Esc", "back"}}, Help: "Entries of the menu. A letter goes to the next entry that begins with it."}
	if m.at < len(m.menu.Actions) {
		x := m.menu.Actions[m.at]
		a.Title += ": " + x.Title
		a.Help = x.Does
		a.Command = x.Command
	}
	return a
}

// Key handles a key.
func (m *menuScreen) Key(ev *tcell.EventKey) {
	n := len(m.menu.Actions)
	switch ev.Key() {
	case tcell.KeyEscape:
		m.desk.Close(m)
	case tcell.KeyLeft:
		if !m.neighbour(-1) {
			m.desk.Close(m)
		}
	case tcell.KeyRight:
		if !m.neighbour(1) {
			m.open()
		}
	case tcell.KeyUp:
		m.at = (m.at + n - 1) % max(1, n)
	case tcell.KeyDown:
		m.at = (m.at + 1) % max(1, n)
	case tcell.KeyHome, tcell.KeyPgUp:
		m.at = 0
	case tcell.KeyEnd, tcell.KeyPgDn:
		m.at = max(0, n-1)
	case tcell.KeyEnter:
		m.open()
	case tcell.KeyRune:
		for i := 1; i <= n; i++ {
			at := (m.at + i) % n
			if strings.HasPrefix(strings.ToLower(m.menu.Actions[at].Title), string(letter(ev))) {
				m.at = at
				return
			}
		}
	}
}

// neighbour opens the menu beside it, if it is one of the desk's.
func (m *menuScreen) neighbour(by int) bool {
	if m.desk.entries == nil {
		return false
	}
	all := m.desk.entries()
	i := slices.IndexFunc(all, func(o Menu) bool { return o.Title == m.menu.Title })
	if i < 0 {
		return false
	}
	m.desk.Close(m)
	m.desk.Menu(all[(i+by+len(all))%len(all)])
	return true
}

func (m *menuScreen) open() {
	if m.at >= len(m.menu.Actions) {
		return
	}
	m.desk.Close(m)
	m.menu.Actions[m.at].Do(m.desk)
}

// Mouse opens an entry.
func (m *menuScreen) Mouse(x, y int, what Click) {
	switch i := y - m.top + m.off; {
	case what == WheelUp:
		m.at = max(0, m.at-1)
	case what == WheelDown:
		m.at = max(0, min(m.at+1, len(m.menu.Actions)-1))
	case x < m.left || x >= m.left+m.columns || y < m.top || i >= len(m.menu.Actions):
		m.desk.Close(m)
	default:
		m.at = i
		m.open()
	}
}

// Draw draws it in the middle, with what the entry under the cursor does.
func (m *menuScreen) Draw(c Canvas, _ bool) {
	w := uniseg.StringWidth(m.menu.Title) + 8
	for _, a := range m.menu.Actions {
		w = max(w, uniseg.StringWidth(a.Title)+6)
	}
	w = max(w, 50)
	n := len(m.menu.Actions)
	box := c.Centred(w, min(c.H, n+4))
	box.Fill(c.Theme.Dialog)
	in := box.Frame(c.Theme.Dialog, c.Theme.Dialog.Bold(true), m.menu.Title)
	list := in.Inside(0, 0, in.W, in.H-2)
	m.top, m.left, m.columns = list.Y, list.X, list.W
	m.off = max(min(m.off, m.at), m.at-list.H+1, 0)
	for y := 0; y < list.H && m.off+y < n; y++ {
		s := c.Theme.Dialog
		if m.off+y == m.at {
			s = c.Theme.Selected
			list.Inside(0, y, list.W, 1).Fill(s)
		}
		list.Cell(2, y, list.W-4, false, s, m.menu.Actions[m.off+y].Title)
	}
	if m.off > 0 {
		list.Put(list.W-2, 0, c.Theme.Dialog, "^")
	}
	if m.off+list.H < n {
		list.Put(list.W-2, list.H-1, c.Theme.Dialog, "v")
	}
	if m.at < n {
		for i, l := range wrap(m.menu.Actions[m.at].Does, in.W-2) {
			if i < 2 {
				in.Put(1, in.H-2+i, c.Theme.Level(Dim, c.Theme.Dialog), l)
			}
		}
	}
}

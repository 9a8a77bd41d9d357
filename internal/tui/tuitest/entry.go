package tuitest

import (
	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/tui/frame"
)

// Entry opens an entry of a menu, as an administrator does: the menu, down to
// the entry, Enter. What was open before is closed.
func (c *Console) Entry(m frame.Menu, title string) {
	c.t.Helper()
	c.In(func(d *frame.Desk) {
		d.Home()
		d.Menu(m)
	})
	for i, a := range m.Actions {
		if a.Title == title {
			for range i {
				c.Press(tcell.KeyDown)
			}
			c.Enter()
			return
		}
	}
	c.t.Fatalf("menu %s has no entry %q", m.Title, title)
}

// Choose opens the field that has the keys, and chooses the option that has
// text: of a field of one, or the one that a picker shows already.
func (c *Console) Choose(text string) {
	c.t.Helper()
	c.Type(" ")
	c.Picked(text)
}

// Picked chooses the option that has text in the picker that is open.
func (c *Console) Picked(text string) {
	c.t.Helper()
	c.Type(text)
	c.Enter()
}

// Mark opens the field that has the keys, and marks the options that have these
// texts: of a field of several.
func (c *Console) Mark(texts ...string) {
	c.t.Helper()
	c.Type(" ")
	for _, text := range texts {
		c.Type(text)
		c.Type(" ")
		c.Escape() // the words that narrow the list down
	}
	c.Enter()
}

package frame

import (
	"fmt"

	"github.com/rivo/uniseg"
)

// Table draws a table without a cursor: as many rows as there is room for, and
// how many there are besides.
func (c Canvas) Table(cols []Column, rows []Row) {
	shown := min(len(rows), max(0, c.H-1))
	if shown < len(rows) && shown > 1 { // the only row that fits is worth more than their number
		shown--
	}
	need := make([]int, len(cols))
	for i, col := range cols {
		need[i] = uniseg.StringWidth(col.Title)
		for _, r := range rows[:shown] {
			if i < len(r.Cells) {
				need[i] = max(need[i], uniseg.StringWidth(r.Cells[i]))
			}
		}
	}
	widths := fit(cols, need, c.W)
	x := 0
	for i, col := range cols {
		c.Cell(x, 0, widths[i], col.Right, c.Theme.Title, col.Title)
		x += widths[i] + 2
	}
	for y, r := range rows[:shown] {
		row(c, y+1, cols, widths, r.Cells, c.Theme.Level(r.Level, c.Theme.Text))
	}
	if shown < len(rows) && shown+1 < c.H {
		c.Put(0, shown+1, c.Theme.Faint, fmt.Sprintf("and %d more", len(rows)-shown))
	}
}

// Panel is a part of a screen with a border and a title; what is inside is
// returned.
func (c Canvas) Panel(title string) Canvas {
	in := c.Frame(c.Theme.Border, c.Theme.Title, title)
	return in.Inside(1, 0, in.W-2, in.H)
}

// Wrapped writes text, broken into lines, and returns how many it took.
func (c Canvas) Wrapped(y int, l Level, text string) int {
	n := 0
	for _, line := range wrap(text, c.W) {
		if y+n >= c.H {
			break
		}
		c.Put(0, y+n, c.Theme.Level(l, c.Theme.Text), line)
		n++
	}
	return n
}

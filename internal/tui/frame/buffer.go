package frame

import "github.com/gdamore/tcell/v2"

// buffer is a terminal that is drawn to in memory. Screens draw all of
// themselves, blanks first; what is sent to the terminal is what differs from
// the drawing before. tcell alone would send each cell that was blank for a
// moment, which a serial line feels.
type buffer struct {
	tcell.Screen
	cells  tcell.CellBuffer
	cursor [2]int // -1: none
	shown  [2]int
}

// Size is the terminal's.
func (b *buffer) Size() (int, int) { return b.cells.Size() }

// SetContent puts a character and those that combine with it.
func (b *buffer) SetContent(x, y int, r rune, combined []rune, s tcell.Style) {
	b.cells.Put(x, y, string(append([]rune{r}, combined...)), s)
}

// Put puts what is one character to the eye.
func (b *buffer) Put(x, y int, text string, s tcell.Style) (string, int) {
	return b.cells.Put(x, y, text, s)
}

// PutStrStyled puts a line of text.
func (b *buffer) PutStrStyled(x, y int, text string, s tcell.Style) {
	for w, _ := b.Size(); text != "" && x < w; {
		rest, width := b.cells.Put(x, y, text, s)
		if width == 0 {
			return
		}
		text, x = rest, x+width
	}
}

// PutStr puts a line of plain text.
func (b *buffer) PutStr(x, y int, text string) { b.PutStrStyled(x, y, text, tcell.StyleDefault) }

// Get is what is at a place.
func (b *buffer) Get(x, y int) (string, tcell.Style, int) { return b.cells.Get(x, y) }

// GetContent is what is at a place.
func (b *buffer) GetContent(x, y int) (rune, []rune, tcell.Style, int) {
	text, style, width := b.cells.Get(x, y)
	all := []rune(text)
	return all[0], all[1:], style, width
}

// ShowCursor says where the cursor is.
func (b *buffer) ShowCursor(x, y int) { b.cursor = [2]int{x, y} }

// HideCursor says that there is none.
func (b *buffer) HideCursor() { b.cursor = [2]int{-1, -1} }

// begin makes room for a drawing.
func (b *buffer) begin(s tcell.Screen) {
	b.Screen = s
	w, h := s.Size()
	b.cells.Resize(w, h)
	b.HideCursor()
}

// Show sends what differs to the terminal; nothing if nothing does.
func (b *buffer) Show() {
	changed := b.cursor != b.shown
	w, h := b.cells.Size()
	for y := range h {
		for x := 0; x < w; {
			text, style, width := b.cells.Get(x, y)
			if was, old, _ := b.Screen.Get(x, y); was != text || old != style {
				b.Screen.Put(x, y, text, style)
				changed = true
			}
			x += max(1, width)
		}
	}
	if !changed {
		return
	}
	b.shown = b.cursor
	if b.cursor[0] < 0 {
		b.Screen.HideCursor()
	} else {
		b.Screen.ShowCursor(b.cursor[0], b.cursor[1])
	}
	b.Screen.Show()
}

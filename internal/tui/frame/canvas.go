package frame

import (
	"strings"
	"unicode"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"
)

// Canvas is a rectangle of the terminal.
type Canvas struct {
	Screen     tcell.Screen
	Theme      Theme
	X, Y, W, H int
}

// Inside is a part of it, cut to what there is.
func (c Canvas) Inside(x, y, w, h int) Canvas {
	x, y = min(max(x, 0), c.W), min(max(y, 0), c.H)
	return Canvas{Screen: c.Screen, Theme: c.Theme, X: c.X + x, Y: c.Y + y, W: max(0, min(w, c.W-x)), H: max(0, min(h, c.H-y))}
}

// Centred is a rectangle in its middle.
func (c Canvas) Centred(w, h int) Canvas {
	w, h = min(w, c.W), min(h, c.H)
	return c.Inside((c.W-w)/2, (c.H-h)/2, w, h)
}

// Fill fills it with blanks.
func (c Canvas) Fill(s tcell.Style) {
	for y := range c.H {
		for x := range c.W {
			c.Screen.SetContent(c.X+x, c.Y+y, ' ', nil, s)
		}
	}
}

// Put writes text at a place, no further than the edge, and returns how many
// columns it took. What could move the cursor is shown as a question mark:
// names come from strangers.
func (c Canvas) Put(x, y int, s tcell.Style, text string) int {
	if y < 0 || y >= c.H || x >= c.W {
		return 0
	}
	at := x
	// Nearly all text is ASCII, which needs no look at what belongs together.
	for text != "" && text[0] >= ' ' && text[0] < 0x7f && (len(text) == 1 || text[1] < 0x80) {
		if at >= c.W {
			return at - x
		}
		if at >= 0 {
			c.Screen.SetContent(c.X+at, c.Y+y, rune(text[0]), nil, s)
		}
		at++
		text = text[1:]
	}
	for state := -1; text != ""; {
		var cluster string
		var width int
		cluster, text, width, state = uniseg.FirstGraphemeClusterInString(text, state)
		runes := []rune(cluster)
		if unicode.IsControl(runes[0]) || unicode.In(runes[0], unicode.Cf) {
			runes, width = []rune{'?'}, 1
		}
		if width == 0 {
			continue
		}
		if at+width > c.W {
			break
		}
		if at >= 0 {
			c.Screen.SetContent(c.X+at, c.Y+y, runes[0], runes[1:], s)
		}
		at += width
	}
	return at - x
}

// Cell writes text into a column of a width, cut with a mark at its end if it
// is longer.
func (c Canvas) Cell(x, y, w int, right bool, s tcell.Style, text string) {
	if w <= 0 {
		return
	}
	text = cut(text, w)
	if right {
		x += w - uniseg.StringWidth(text)
	}
	c.Put(x, y, s, text)
}

// cut shortens text to a width.
func cut(text string, w int) string {
	if uniseg.StringWidth(text) <= w {
		return text
	}
	var b strings.Builder
	for state, at := -1, 0; text != ""; {
		var cluster string
		var width int
		cluster, text, width, state = uniseg.FirstGraphemeClusterInString(text, state)
		if at+width > w-1 {
			break
		}
		b.WriteString(cluster)
		at += width
	}
	return b.String() + "~"
}

// Frame draws a border with a title, and returns what is inside.
func (c Canvas) Frame(s, title tcell.Style, name string) Canvas {
	if c.W < 2 || c.H < 2 {
		return c.Inside(0, 0, 0, 0)
	}
	for x := 1; x < c.W-1; x++ {
		c.Screen.SetContent(c.X+x, c.Y, tcell.RuneHLine, nil, s)
		c.Screen.SetContent(c.X+x, c.Y+c.H-1, tcell.RuneHLine, nil, s)
	}
	for y := 1; y < c.H-1; y++ {
		c.Screen.SetContent(c.X, c.Y+y, tcell.RuneVLine, nil, s)
		c.Screen.SetContent(c.X+c.W-1, c.Y+y, tcell.RuneVLine, nil, s)
	}
	c.Screen.SetContent(c.X, c.Y, tcell.RuneULCorner, nil, s)
	c.Screen.SetContent(c.X+c.W-1, c.Y, tcell.RuneURCorner, nil, s)
	c.Screen.SetContent(c.X, c.Y+c.H-1, tcell.RuneLLCorner, nil, s)
	c.Screen.SetContent(c.X+c.W-1, c.Y+c.H-1, tcell.RuneLRCorner, nil, s)
	if name != "" && c.W > 6 {
		c.Put(2, 0, title, " "+cut(name, c.W-6)+" ")
	}
	return c.Inside(1, 1, c.W-2, c.H-2)
}

// wrap breaks text into lines of a width, at blanks where it can. Lines that
// begin with blanks keep them.
func wrap(text string, w int) []string {
	var lines []string
	for _, line := range strings.Split(strings.ReplaceAll(text, "\t", "    "), "\n") {
		for w > 0 && uniseg.StringWidth(line) > w {
			at, width, blank, state := 0, 0, 0, -1
			for rest := line; rest != ""; {
				cluster, after, n, next := uniseg.FirstGraphemeClusterInString(rest, state)
				if width+n > w {
					break
				}
				rest, state = after, next
				at += len(cluster)
				width += n
				if cluster == " " && strings.TrimSpace(line[:at]) != "" {
					blank = at
				}
			}
			if blank > 0 {
				at = blank
			}
			if at == 0 {
				break
			}
			lines = append(lines, strings.TrimRight(line[:at], " "))
			line = strings.TrimLeft(line[at:], " ")
		}
		lines = append(lines, line)
	}
	return lines
}

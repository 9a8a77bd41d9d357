package frame

import (
	"fmt"
	"strings"

	"github.com/rivo/uniseg"
)

// The least terminal: a serial console's.
const (
	leastWidth  = 80
	leastHeight = 24
)

func (d *Desk) draw() {
	d.buffer.begin(d.screen)
	w, h := d.buffer.Size()
	c := Canvas{Screen: &d.buffer, Theme: d.o.Theme, W: w, H: h}
	if w < leastWidth || h < leastHeight {
		// Not locked out: it goes on, and all of it is there once it fits again.
		c.Fill(c.Theme.Text)
		c.Put(0, 0, c.Theme.Banner, fmt.Sprintf("%dx%d is too small: enlarge to %dx%d", w, h, leastWidth, leastHeight))
		d.buffer.Show()
		return
	}
	d.drawHead(c.Inside(0, 0, w, 1))
	body := c.Inside(0, 1, w, h-2)
	first := len(d.stack) - 1
	for first > 0 && !d.stack[first].About().Whole {
		first--
	}
	body.Fill(c.Theme.Text)
	for i := first; i < len(d.stack); i++ {
		d.stack[i].Draw(body, i == len(d.stack)-1)
	}
	d.drawFoot(c.Inside(0, h-1, w, 1))
	d.buffer.Show()
}

func (d *Desk) drawHead(c Canvas) {
	if d.link.lost {
		c.Fill(c.Theme.Banner)
		if d.link.denied {
			c.Put(1, 0, c.Theme.Banner, "The array's daemon does not let you in: leave, and run 'sudo esos tui'.")
			return
		}
		c.Put(1, 0, c.Theme.Banner, fmt.Sprintf("The array's daemon does not answer since %s. What was typed is kept.",
			d.link.since.Format("15:04:05")))
		return
	}
	c.Fill(c.Theme.Bar)
	if d.head == nil {
		return
	}
	left, right, level := d.head()
	c.Put(1, 0, c.Theme.Bar, left)
	s := c.Theme.Bar
	if level == Bad || level == Warn {
		s = c.Theme.Banner
	}
	c.Put(c.W-1-uniseg.StringWidth(right), 0, s, right)
}

// drawFoot shows what is waited for, or a word that goes by itself, or the
// keys of the top screen.
func (d *Desk) drawFoot(c Canvas) {
	c.Fill(c.Theme.Bar)
	switch now := d.Now(); {
	case d.waiting != nil:
		c.Put(1, 0, c.Theme.Bar, d.waiting.what+" ... (Esc gives up)")
		return
	case d.toast.text != "" && now.Before(d.toast.until):
		s := c.Theme.Bar
		if d.toast.level == Bad || d.toast.level == Warn {
			s = c.Theme.Banner
		}
		c.Put(1, 0, s, strings.ReplaceAll(d.toast.text, "\n", " "))
		return
	}
	about := d.top().About()
	hints := about.Hints
	if about.Typing {
		hints = append(hints[:len(hints):len(hints)], Hint{"F1", "help"})
	} else {
		hints = append(hints[:len(hints):len(hints)], Hint{"/", "search"}, Hint{"?", "help"})
	}
	x := 1
	for _, h := range hints {
		if x+len(h.Key)+len(h.Does)+2 > c.W {
			break
		}
		x += c.Put(x, 0, c.Theme.Key, h.Key)
		x += c.Put(x, 0, c.Theme.Bar, " "+h.Does+"  ")
	}
}

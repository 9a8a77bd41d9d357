package frame

import (
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"
)

// paste is text that a terminal hands over as pasted, not typed (bracketed
// paste): its letters are no hot keys, and its line ends press no buttons.
type paste struct {
	open bool
	text strings.Builder
	last time.Time
}

const (
	maxPaste  = 1 << 20         // bytes; no field needs more
	slowPaste = 2 * time.Second // a terminal that lost the end of a paste does not lock the keys
)

// Pasted is a screen that takes text.
type Pasted interface{ Paste(text string) }

// pasted is text that was pasted while something was waited for.
type pasted struct {
	tcell.EventTime
	text string
}

// take takes a key as a part of what is pasted.
func (p *paste) take(ev *tcell.EventKey) bool {
	if !p.open || ev.When().Sub(p.last) > slowPaste {
		return false
	}
	p.last = ev.When()
	r := ev.Rune()
	switch ev.Key() {
	case tcell.KeyRune:
	case tcell.KeyEnter, tcell.KeyCtrlJ:
		r = '\n'
	case tcell.KeyTab:
		r = '\t'
	default:
		return true
	}
	if p.text.Len() < maxPaste {
		p.text.WriteRune(r)
	}
	return true
}

func (d *Desk) pasting(ev *tcell.EventPaste) {
	if ev.Start() {
		d.paste = paste{open: true, last: ev.When()}
		return
	}
	d.pasteEnds()
}

// endPaste ends a paste whose end got lost.
func (d *Desk) endPaste() {
	if d.paste.open && time.Since(d.paste.last) > slowPaste {
		d.pasteEnds()
	}
}

func (d *Desk) pasteEnds() {
	text := d.paste.text.String()
	d.paste = paste{}
	switch {
	case text == "":
	case d.waiting != nil:
		d.later(&pasted{text: text})
	default:
		d.insert(text)
	}
}

// insert gives text to the top screen, if it has a place for it.
func (d *Desk) insert(text string) {
	if p, ok := d.top().(Pasted); ok {
		p.Paste(text)
		return
	}
	d.Toast(Plain, "There is no place here for what was pasted.")
}

// oneLine is text for a field of one line: what somebody marked often ends with
// the end of the line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.Trim(text, "\r\n\t "))
}

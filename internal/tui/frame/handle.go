package frame

import (
	"github.com/gdamore/tcell/v2"
)

// maxAhead bounds the keys that are kept while something is waited for.
const maxAhead = 1024

// handle handles one event of the terminal.
func (d *Desk) handle(ev tcell.Event) {
	switch ev := ev.(type) {
	case *tcell.EventResize:
		d.screen.Sync()
	case *tcell.EventPaste:
		d.pasting(ev)
	case *tcell.EventKey:
		d.handled++
		if !d.paste.take(ev) {
			d.key(ev)
		}
	case *tcell.EventMouse:
		d.handled++
		d.click(ev)
	case *tcell.EventError: // the terminal is gone, and nobody will type again
		d.done = true
	}
}

// key handles a key, or keeps it while something is waited for.
func (d *Desk) key(ev *tcell.EventKey) {
	if d.waiting != nil {
		if ev.Key() == tcell.KeyEscape || ev.Key() == tcell.KeyCtrlC {
			d.ahead = nil
			d.give()
			return
		}
		d.later(ev)
		return
	}
	top := d.top()
	about := top.About()
	switch {
	case ev.Key() == tcell.KeyCtrlL:
		d.screen.Sync()
	case ev.Key() == tcell.KeyF1, isRune(ev, '?') && !about.Typing:
		d.help(about)
	case isRune(ev, '/') && !about.Typing, ev.Key() == tcell.KeyCtrlF:
		d.search()
	case ev.Key() == tcell.KeyCtrlC:
		top.Key(tcell.NewEventKey(tcell.KeyEscape, 0, tcell.ModNone))
	default:
		top.Key(ev)
	}
}

// later keeps what was typed until there is somebody to have it.
func (d *Desk) later(ev tcell.Event) {
	if len(d.ahead) < maxAhead {
		d.ahead = append(d.ahead, ev)
	}
}

// replay handles what was typed while something was waited for.
func (d *Desk) replay() {
	for d.waiting == nil && len(d.ahead) > 0 && !d.done {
		ev := d.ahead[0]
		d.ahead = d.ahead[1:]
		switch ev := ev.(type) {
		case *tcell.EventKey:
			d.key(ev)
		case *pasted:
			d.insert(ev.text)
		}
	}
}

func (d *Desk) click(ev *tcell.EventMouse) {
	was := d.mouse
	d.mouse = ev.Buttons()
	if w, h := d.screen.Size(); d.waiting != nil || w < leastWidth || h < leastHeight {
		return // nothing is shown that could be meant
	}
	x, y := ev.Position()
	switch {
	case ev.Buttons()&tcell.WheelUp != 0:
		d.top().Mouse(x, y, WheelUp)
	case ev.Buttons()&tcell.WheelDown != 0:
		d.top().Mouse(x, y, WheelDown)
	case ev.Buttons()&tcell.Button1 != 0 && was&tcell.Button1 == 0:
		d.top().Mouse(x, y, Left)
	}
}

func isRune(ev *tcell.EventKey, r rune) bool {
	return ev.Key() == tcell.KeyRune && ev.Rune() == r && ev.Modifiers()&(tcell.ModAlt|tcell.ModCtrl) == 0
}

// letter is the rune of a plain key, in small letters; 0 if it is none.
func letter(ev *tcell.EventKey) rune {
	if ev.Key() != tcell.KeyRune || ev.Modifiers()&(tcell.ModAlt|tcell.ModCtrl) != 0 {
		return 0
	}
	r := ev.Rune()
	if r >= 'A' && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

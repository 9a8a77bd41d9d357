package frame

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"github.com/esos-project/esos/internal/client"
)

// List is a screen with a table that is read anew as long as it is shown.
type List struct {
	Title   string
	Command string // of esos that shows the same
	Help    string
	Columns []Column
	// Read reads the rows.
	Read func(context.Context) ([]Row, error)
	// Empty is what is said when there are none.
	Empty string
	// Keys are what can be done; the first one is what Enter does.
	Keys []RowKey
	// Once says that it is read once, not again and again.
	Once bool

	desk    *Desk
	rows    []Row
	read    bool
	reading bool
	stale   bool // what was read
	err     error
	at, off int
	top     int // of the rows, on the terminal
	page    int // how many of them are shown
	widths  []int
}

// Column is a column of a list.
type Column struct {
	Title string
	Right bool
	// Wide is the column that has the room that others leave; the first such.
	Wide bool
	// Extra is a column that is left out where there is no room for all; the
	// last such first.
	Extra bool
}

// Row is a row of a list.
type Row struct {
	ID    string // keeps the cursor on it when rows come and go
	Cells []string
	Level Level
	// Value is what the row stands for, for the keys' functions.
	Value any
	// Why nothing can be done to it, or what is to be known of it: shown while
	// the cursor is on it.
	Why string
}

// RowKey is something that can be done, to a row or to none.
type RowKey struct {
	Key  rune // 0: only by Enter
	Does string
	// Do gets the row under the cursor; a zero Row if there is none and Always
	// is set.
	Do     func(Row)
	Always bool
}

// List shows a list.
func (d *Desk) List(l *List) {
	l.desk = d
	d.Push(l)
}

// About is what the desk must know.
func (l *List) About() About {
	var hints []Hint
	for i, k := range l.Keys {
		key := strings.ToLower(string(k.Key))
		if k.Key == 0 {
			key = "Enter"
		} else if i == 0 {
			key += "/Enter"
		}
		hints = append(hints, Hint{key, k.Does})
	}
	hints = append(hints, Hint{"Esc", "back"})
	return About{Title: l.Title, Command: l.Command, Help: l.Help, Hints: hints, Whole: true}
}

// Tick reads the rows.
func (l *List) Tick() {
	switch {
	case l.reading, l.desk.Lost(), l.Once && l.read && !l.stale:
		return
	}
	l.reading, l.stale = true, false
	Refresh(l.desk, l.Read, func(rows []Row, err error) {
		l.reading = false
		var gone *client.UnreachableError
		if errors.As(err, &gone) && l.read {
			return // the line at the top says so; what was read stays
		}
		l.set(rows, err)
		if l.stale {
			l.Tick()
		}
	})
}

// Again has the rows read anew now; what is under way may be older than what is
// asked for.
func (l *List) Again() {
	l.stale = true
	l.Tick()
}

func (l *List) set(rows []Row, err error) {
	var id string
	if l.at < len(l.rows) {
		id = l.rows[l.at].ID
	}
	l.rows, l.err, l.read = rows, err, true
	if id != "" {
		if i := slices.IndexFunc(rows, func(r Row) bool { return r.ID == id }); i >= 0 {
			l.at = i
		}
	}
	l.at = max(0, min(l.at, len(rows)-1))
	l.widths = make([]int, len(l.Columns))
	for i, c := range l.Columns {
		l.widths[i] = uniseg.StringWidth(c.Title)
		for _, r := range rows {
			if i < len(r.Cells) {
				l.widths[i] = max(l.widths[i], uniseg.StringWidth(r.Cells[i]))
			}
		}
	}
}

// Key handles a key.
func (l *List) Key(ev *tcell.EventKey) {
	switch ev.Key() {
	case tcell.KeyEscape:
		l.desk.Close(l)
	case tcell.KeyUp:
		l.move(-1)
	case tcell.KeyDown:
		l.move(1)
	case tcell.KeyPgUp:
		l.move(-max(1, l.page-1))
	case tcell.KeyPgDn:
		l.move(max(1, l.page-1))
	case tcell.KeyHome:
		l.move(-len(l.rows))
	case tcell.KeyEnd:
		l.move(len(l.rows))
	case tcell.KeyEnter:
		if len(l.Keys) > 0 {
			l.do(l.Keys[0])
		}
	default:
		for _, k := range l.Keys {
			if k.Key != 0 && letter(ev) == k.Key {
				l.do(k)
				return
			}
		}
	}
}

func (l *List) do(k RowKey) {
	switch {
	case l.at < len(l.rows):
		k.Do(l.rows[l.at])
	case k.Always:
		k.Do(Row{})
	}
}

func (l *List) move(by int) { l.at = max(0, min(l.at+by, len(l.rows)-1)) }

// Mouse moves the cursor.
func (l *List) Mouse(_, y int, what Click) {
	switch what {
	case WheelUp:
		l.move(-3)
	case WheelDown:
		l.move(3)
	default:
		i := y - l.top + l.off
		if y < l.top || y >= l.top+l.page || i >= len(l.rows) {
			return
		}
		if i == l.at && len(l.Keys) > 0 {
			l.do(l.Keys[0])
			return
		}
		l.at = i
	}
}

// Draw draws it.
func (l *List) Draw(c Canvas, active bool) {
	c.Fill(c.Theme.Text)
	in := c.Frame(c.Theme.Border, c.Theme.Title, l.Title)
	in = in.Inside(1, 0, in.W-2, in.H)
	switch {
	case l.err != nil:
		for i, line := range wrap(l.err.Error(), in.W) {
			in.Put(0, 1+i, c.Theme.Bad, line)
		}
		return
	case !l.read:
		in.Put(0, 1, c.Theme.Faint, "Reading ...")
		return
	case len(l.rows) == 0:
		for i, line := range wrap(l.Empty, in.W) {
			in.Put(0, 1+i, c.Theme.Text, line)
		}
		return
	}
	cols, need, at := l.withRoom(in.W)
	widths := fit(cols, need, in.W)
	x := 0
	for i, col := range cols {
		in.Cell(x, 0, widths[i], col.Right, c.Theme.Title, col.Title)
		x += widths[i] + 2
	}
	why := l.rows[l.at].Why
	foot := 0
	if why != "" {
		foot = min(3, len(wrap(why, in.W)))
	}
	body := in.Inside(0, 1, in.W, in.H-1-foot)
	l.top, l.page = body.Y, body.H
	l.off = max(min(l.off, l.at), l.at-body.H+1, 0)
	for y := 0; y < body.H && l.off+y < len(l.rows); y++ {
		r := l.rows[l.off+y]
		s := c.Theme.Level(r.Level, c.Theme.Text)
		if l.off+y == l.at && active {
			s = c.Theme.Selected
			body.Inside(0, y, body.W, 1).Fill(s)
		}
		cells := make([]string, len(at))
		for i, from := range at {
			if from < len(r.Cells) {
				cells[i] = r.Cells[from]
			}
		}
		row(body, y, cols, widths, cells, s)
	}
	if n := len(l.rows); n > body.H {
		note := fmt.Sprintf(" %d of %d ", l.at+1, n)
		c.Put(c.W-len(note)-2, c.H-1, c.Theme.Border, note)
	}
	for i, line := range wrap(why, in.W) {
		if i < foot {
			in.Put(0, in.H-foot+i, c.Theme.Warn, line)
		}
	}
}

// withRoom are the columns that are shown, what they need, and where their
// cells are.
func (l *List) withRoom(room int) (cols []Column, need, at []int) {
	total := -2
	for i := range l.Columns {
		at = append(at, i)
		total += l.widths[i] + 2
	}
	for n := len(at) - 1; n >= 0 && total > room; n-- {
		if i := at[n]; l.Columns[i].Extra {
			at = slices.Delete(at, n, n+1)
			total -= l.widths[i] + 2
		}
	}
	for _, i := range at {
		cols, need = append(cols, l.Columns[i]), append(need, l.widths[i])
	}
	return cols, need, at
}

func row(c Canvas, y int, cols []Column, widths []int, cells []string, s tcell.Style) {
	x := 0
	for i := range cols {
		if i < len(cells) {
			c.Cell(x, y, widths[i], cols[i].Right, s, cells[i])
		}
		x += widths[i] + 2
	}
}

// fit gives each column its width: what it needs where all fits, else the
// widest gives way first. The wide column has what is left over.
func fit(cols []Column, need []int, room int) []int {
	w := slices.Clone(need)
	sum := func() int {
		n := 0
		for _, x := range w {
			n += x + 2
		}
		return n - 2
	}
	for over := sum() - room; over > 0; over-- {
		widest := 0
		for i := range w {
			if w[i] > w[widest] {
				widest = i
			}
		}
		if w[widest] <= 1 {
			break
		}
		w[widest]--
	}
	for i, c := range cols {
		if c.Wide {
			w[i] += max(0, room-sum())
			break
		}
	}
	return w
}

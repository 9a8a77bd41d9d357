package wizards

import (
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// open opens a wizard from a menu, by the first letter of its title.
func open(t *testing.T, a *apitest.Array, letter string) *tuitest.Console {
	t.Helper()
	start := time.Now() // which stands still: what is said at the bottom stays, for the golden files
	c := tuitest.New(t, tuitest.Options{Client: a.Client, Now: func() time.Time { return start }})
	c.In(func(d *frame.Desk) { d.Menu(frame.Menu{Title: "Wizards", Actions: Actions()}) })
	if letter != "F" { // the cursor is there
		c.Type(letter)
	}
	c.Enter()
	return c
}

// choose chooses an option of the field that has the keys: the first one with
// some letters.
func choose(c *tuitest.Console, letters string) {
	c.Type(" " + letters)
	c.Enter()
}

// mark marks options of the field that has the keys: from the first one on, of
// as many as keys has; those with a dot are passed over.
func mark(c *tuitest.Console, keys string) {
	c.Type(" ")
	for _, k := range keys {
		if k == '.' {
			c.Press(tcell.KeyDown)
			continue
		}
		c.Type(" ")
	}
	c.Enter()
}

// next presses the button that goes on, from the last field.
func next(c *tuitest.Console) { c.Enter() }

// toggle changes the yes or no that has the keys.
func toggle(c *tuitest.Console) {
	c.Type(" ")
	c.Press(tcell.KeyTab)
}

// carryOut confirms the plan, which may be longer than the screen.
func carryOut(c *tuitest.Console) {
	c.Wait("─ Plan ─")
	c.Press(tcell.KeyEnd)
	c.CarryOut()
}

// seed is a document with a target already, and who may use the API.
const seed = `version: 1
name: vault
iscsi:
  portals: [{name: san, address: "192.0.2.10:3260"}]
targets:
  - name: iqn.2026-11.com.example:vault
    groups:
      - {name: old, initiators: [iqn.2026-11.com.example:old]}
`

func TestActions(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	c.In(func(d *frame.Desk) { d.Menu(frame.Menu{Title: "Wizards", Actions: Actions()}) })
	c.Golden("menu")
	for _, x := range Actions() {
		if x.Does == "" || x.Command == "" || !strings.HasPrefix(x.Command, "esos ") {
			t.Errorf("%s: does %q, command %q", x.Title, x.Does, x.Command)
		}
	}
}

package system

import (
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// testMenu is the menu with a few time zones, on whatever machine.
func testMenu() frame.Menu {
	zone := &fstest.MapFile{Data: []byte("TZif2")}
	return menu(fstest.MapFS{"UTC": zone, "Europe/Berlin": zone, "Asia/Tokyo": zone, "right/UTC": zone, "posix/UTC": zone, "zone1970.tab": {Data: []byte("# a table")},
		"leapseconds": {Data: []byte("text")}})
}

// array is an array and a console for it.
func array(t *testing.T, o apitest.Options) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	if o.ConfirmTime == 0 {
		o.ConfirmTime = 10 * time.Minute // however slow the machine of the test is
	}
	a := apitest.New(t, o)
	change(t, a, func(doc *config.Document) { doc.Name = "vault" }) // a change of the network before the first revision waits for nobody
	return a, tuitest.New(t, tuitest.Options{Client: a.Client})
}

// change changes the array's document behind the console's back.
func change(t *testing.T, a *apitest.Array, edit func(*config.Document)) {
	t.Helper()
	old, err := a.Client.Document(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := config.Decode("the test's document", old.Text)
	if err != nil {
		t.Fatal(err)
	}
	edit(doc)
	text, err := config.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	op, err := a.Client.Apply(t.Context(), text, client.ChangeOptions{IfMatch: old.ETag, Why: "test"})
	if err == nil {
		op, err = a.Client.Follow(t.Context(), op, nil)
	}
	if err != nil || op.State == v1.Failed {
		t.Fatalf("change the array: %v %s", err, op.Error)
	}
}

// open opens an entry of the menu by its title.
func open(t *testing.T, c *tuitest.Console, title string) {
	t.Helper()
	m := testMenu()
	i := slices.IndexFunc(m.Actions, func(a frame.Action) bool { return a.Title == title })
	if i < 0 {
		t.Fatalf("there is no entry %q", title)
	}
	c.In(func(d *frame.Desk) {
		d.Home()
		d.Menu(testMenu())
	})
	for range i {
		c.Press(tcell.KeyDown)
	}
	c.Enter()
}

// choose opens the field that has the keys, and chooses what has that text.
func choose(c *tuitest.Console, text string) {
	c.Type(" ")
	c.Type(text)
	c.Enter()
}

// down goes down in a list to what is there n rows below.
func down(c *tuitest.Console, n int) {
	for range n {
		c.Press(tcell.KeyDown)
	}
}

func tab(c *tuitest.Console, n int) {
	for range n {
		c.Press(tcell.KeyTab)
	}
}

// golden compares what is shown, without the word at the bottom, which goes by
// itself after a while.
func golden(c *tuitest.Console, name string, replace ...string) {
	c.In(func(d *frame.Desk) { d.Toast(frame.Plain, "") })
	c.Golden(name, replace...)
}

func TestMenu(t *testing.T) {
	t.Parallel()
	var ids []string
	for _, a := range Menu().Actions {
		ids = append(ids, a.IDs...)
		if a.Do == nil || a.Command == "" || a.Does == "" {
			t.Errorf("entry %q does nothing, or does not say what", a.Title)
		}
	}
	if want := []string{"S1", "T0.10", "S2", "S2a", "S2b", "S2c", "S2d", "S2e", "S3", "S4", "S5", "S6", "S7", "S8", "S12"}; !slices.Equal(ids, want) {
		t.Errorf("the entries have %q, want %q", ids, want)
	}
	_, c := array(t, apitest.Options{})
	c.In(func(d *frame.Desk) { d.Menu(testMenu()) })
	golden(c, "menu")
}

func TestSync(t *testing.T) {
	t.Parallel()
	t.Run("S1 sync configuration", func(t *testing.T) {
		t.Parallel()
		_, c := array(t, apitest.Options{})
		open(t, c, "Sync Configuration")
		c.Wait("ran: sync")
		c.Wait("Done.")
		golden(c, "sync")
	})
}

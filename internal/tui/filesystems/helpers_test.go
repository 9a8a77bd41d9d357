package filesystems

import (
	"slices"
	"testing"

	"github.com/gdamore/tcell/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const (
	disk1 = "/dev/disk/by-id/virtio-d1"
	disk2 = "/dev/disk/by-id/virtio-d2"
)

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
	op, err := a.Client.Apply(t.Context(), text, client.ChangeOptions{IfMatch: old.ETag})
	if err == nil {
		op, err = a.Client.Follow(t.Context(), op, nil)
	}
	if err != nil || op.State == v1.Failed {
		t.Fatalf("change the array: %v %s", err, op.Error)
	}
}

// images puts a file system on the first disk, with an image file of a device
// and one of none.
func images(doc *config.Document) {
	doc.Storage.FileSystems = []config.FileSystem{{Name: "images", Device: disk1}}
	doc.Devices = []config.Device{{Name: "db01", Handler: config.FileIO, Path: "/mnt/vdisks/images/db01.img", Size: 1 << 30}}
}

// store is an array with the file system of images, and a console for it.
func store(t *testing.T) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	a := apitest.New(t, apitest.Options{Disks: 3})
	change(t, a, images)
	if err := a.Disks.Store("/mnt/vdisks/images/old.img", 512<<20); err != nil {
		t.Fatal(err)
	}
	return a, tuitest.New(t, tuitest.Options{Client: a.Client})
}

// open opens an entry of the menu by its title.
func open(t *testing.T, c *tuitest.Console, title string) {
	t.Helper()
	m := Menu()
	i := slices.IndexFunc(m.Actions, func(a frame.Action) bool { return a.Title == title })
	if i < 0 {
		t.Fatalf("there is no entry %q", title)
	}
	c.In(func(d *frame.Desk) { d.Menu(Menu()) })
	for range i {
		c.Press(tcell.KeyDown)
	}
	c.Enter()
}

// pick opens the field of a form that has the keys, and chooses what has that
// text.
func pickOption(c *tuitest.Console, text string) {
	c.Type(" ")
	c.Type(text)
	c.Enter()
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
	if want := []string{"F1", "F2", "F3", "F4", "F5"}; !slices.Equal(ids, want) {
		t.Errorf("the entries have %q, want %q", ids, want)
	}
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	c.In(func(d *frame.Desk) { d.Menu(Menu()) })
	c.Golden("menu")
}

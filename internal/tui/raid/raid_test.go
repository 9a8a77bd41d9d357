package raid_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/raid"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// data is a document with a RAID 6 of four disks and a spare.
const data = `storage:
  arrays:
    - name: data
      level: "6"
      disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2, /dev/disk/by-id/virtio-d3, /dev/disk/by-id/virtio-d4]
      spares: [/dev/disk/by-id/virtio-d5]
`

// shelf is an array with disks, and a console on it.
func shelf(t *testing.T, disks int, document string) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	a := apitest.New(t, apitest.Options{Disks: disks})
	if document != "" {
		apply(t, a, document)
		a.Disks.Sync()
	}
	return a, tuitest.New(t, tuitest.Options{Client: a.Client, Now: still})
}

// entry opens an entry of the menu.
func entry(c *tuitest.Console, title string) {
	c.In(func(d *frame.Desk) { d.Menu(raid.Menu()) })
	for i, a := range raid.Menu().Actions {
		if a.Title == title {
			for range i {
				c.Press(tcell.KeyDown)
			}
			c.Enter()
			return
		}
	}
	panic("no entry " + title)
}

// mark marks options of a picker of many by their names.
func mark(c *tuitest.Console, names ...string) {
	for _, n := range names {
		c.Type(n)
		c.Type(" ")
		c.Press(tcell.KeyEscape) // what was typed, not the picker
	}
	c.Enter()
}

// pick chooses an option of a picker of one by its name.
func pick(c *tuitest.Console, name string) {
	c.Type(name)
	c.Enter()
}

func paths(names ...string) []string {
	var all []string
	for _, n := range names {
		all = append(all, "/dev/disk/by-id/virtio-"+n)
	}
	return all
}

// still is a clock that stands: what is said at the bottom stays.
func still() time.Time { return time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC) }

func TestMenu(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client, Now: still})
	c.In(func(d *frame.Desk) { d.Menu(raid.Menu()) })
	c.Golden("menu")
	c.Escape()
	for _, e := range []string{"Remove Array", "Set Device Faulty", "Add Device", "Take Up a Foreign Array"} {
		entry(c, e)
		c.Wait("There is no RAID array.")
		c.Golden("no-array")
		c.Enter()
	}
	entry(c, "Linux MD Status")
	c.Wait("Press a to make disks into one")
	c.Golden("list-empty")
}

func TestParity(t *testing.T) {
	t.Parallel()
	t.Run("O1 MD status", status)
	t.Run("O2 add array", addArray)
	t.Run("O3 remove array", removeArray)
	t.Run("O4 set device faulty", setFaulty)
	t.Run("O5 add device", addDevice)
	t.Run("O6 remove device", removeDevice)
}

func status(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 7, data)
	entry(c, "Linux MD Status")
	c.Wait("RAID 6")
	c.Shows("/dev/md/data")
	c.Golden("list")
	c.Enter()
	c.Wait("virtio-d5")
	c.Shows("in sync")
	c.Golden("disks")
	a.Disks.Fault("vdb")
	c.Wait("failed")
	c.Wait("being filled")
	c.Golden("disks-failed")
	c.Enter()
	c.Wait("Used by:")
	c.Shows("array/data")
	c.Escape()
	c.Type("i")
	c.Wait("Members:")
	c.Shows("vdb, faulty")
	c.Escape()
	c.Escape()
	c.Wait("recover 25 %")
	c.Golden("list-recover")
	a.Disks.Sync()
	c.Gone("recover")
	a.Disks.Fault("vda")
	c.Wait("degraded, 3 of 4")
	c.Golden("list-degraded")
}

func addArray(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 7, "")
	full := a.Disks.Look("vdb")
	full.Owner, full.Content = "accounts", []block.Content{{Type: "xfs", Label: "accounts"}}
	mounted := a.Disks.Look("vdg")
	mounted.Mounts = []string{"/srv"}
	before := a.Revisions()
	entry(c, "Add Array")
	c.Wait("Usable: choose a level")
	c.Golden("add-empty")
	c.Type(" ")
	c.Wait("virtio-d7")
	c.Press(tcell.KeyEnd)
	c.Type(" ")
	c.Wait("It cannot be chosen")
	c.Golden("add-disks")
	mark(c, "virtio-d1", "virtio-d2", "virtio-d3")
	c.Type("bad name")
	c.Shows("letters, digits and . _ -")
	c.Field("data")
	c.Type(" ")
	c.Wait("survives the loss of")
	c.Golden("add-level")
	pick(c, "two")
	c.Wait("RAID 6 needs 4 disks or more; 3 chosen")
	c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter) // refused: back to the disks
	c.Wait("RAID 6 needs at least 4 disks")
	c.Type(" ")
	mark(c, "virtio-d4")
	c.Wait("Usable: about 8 GiB of 16 GiB")
	c.Press(tcell.KeyTab, tcell.KeyTab) // name, level
	c.Type(" ")
	c.Golden("choose-chunk")
	pick(c, "64KiB")
	c.Type(" ")
	c.Golden("choose-spares")
	c.Type("virtio-d1")
	c.Type(" ")
	c.Wait("chosen as a disk")
	c.Escape()
	mark(c, "virtio-d5")
	c.Golden("add-filled")
	c.Type(" ") // more settings
	c.Golden("add-more")
	c.Press(tcell.KeyTab) // layout
	c.Type(" ")
	c.Golden("choose-layout")
	pick(c, "left-asymmetric")
	c.Type(" ")
	c.Golden("choose-journal")
	c.Escape()
	c.Press(tcell.KeyTab) // journal
	c.Press(tcell.KeyTab) // bitmap
	c.Type(" ")
	pick(c, "weekly")
	c.Type(" ") // repair
	c.Press(tcell.KeyTab)
	c.Type("50 MiB")
	c.Press(tcell.KeyTab)
	c.Type("10MiB")
	c.Shows("less than the least speed")
	c.Field("200MiB")
	c.Enter()
	c.Wait("DATA ARE LOST")
	c.Golden("add-plan")
	if n := a.Revisions(); n != before {
		t.Fatalf("%d revisions, want %d: something was changed without a confirmation", n, before)
	}
	c.Destroy("disk/virtio-d2")
	c.Gone("Usable")
	if got, want := fmt.Sprint(a.Disks.Lost()), "[accounts]"; got != want {
		t.Errorf("lost %s, want %s", got, want)
	}
	want := config.Array{Name: "data", Level: "6", Disks: paths("d1", "d2", "d3", "d4"), Spares: paths("d5"), Chunk: 64 << 10, Layout: "left-asymmetric",
		Check: "weekly", Repair: true, SpeedMin: 50 << 20, SpeedMax: 200 << 20}
	if got := a.Document().Storage.Arrays; len(got) != 1 || !equal(got[0], want) {
		t.Errorf("declared is %+v, want %+v", got, want)
	}
	if a.Disks.Look("/dev/md/data") == nil {
		t.Error("there is no array")
	}
}

// equal compares arrays as documents have them.
func equal(a, b config.Array) bool { return len(config.Fields(a, b)) == 0 }

func removeArray(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 6, data)
	a.Disks.Look("/dev/md/data").Owner = "accounts"
	entry(c, "Remove Array")
	c.Wait("Remove which array?")
	c.Golden("remove-pick")
	c.Enter()
	c.Wait("superblocks")
	c.Golden("remove")
	c.Enter() // Cancel has the cursor
	if len(a.Document().Storage.Arrays) != 1 {
		t.Fatal("the array is gone without a confirmation")
	}
	entry(c, "Remove Array")
	c.Enter()
	c.Press(tcell.KeyRight, tcell.KeyRight, tcell.KeyEnter)
	c.CarryOut()
	if len(a.Document().Storage.Arrays) != 0 || len(a.Disks.Lost()) != 0 {
		t.Fatalf("declared %v, lost %v; want nothing declared, nothing lost", a.Document().Storage.Arrays, a.Disks.Lost())
	}
	// What is left can be deleted, too.
	entry(c, "Remove Array")
	c.Wait("not declared")
	c.Enter()
	c.Wait("Delete array data?")
	c.Golden("delete-array")
	c.Press(tcell.KeyRight, tcell.KeyEnter)
	c.Destroy("array/data")
	if got := fmt.Sprint(a.Disks.Lost()); got != "[accounts]" {
		t.Errorf("lost %s, want [accounts]", got)
	}
	for _, disk := range []string{"vda", "vdb", "vdc", "vdd", "vde"} {
		if d := a.Disks.Look(disk); len(d.Super) > 0 {
			t.Errorf("%s has a superblock still", disk)
		}
	}
}

// TestRemoveWithData deletes a declared array; one that is in use is refused.
func TestRemoveWithData(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 6, data)
	a.Disks.Look("/dev/md/data").Owner = "accounts"
	entry(c, "Remove Array")
	c.Enter()
	c.Press(tcell.KeyRight, tcell.KeyEnter)
	c.Destroy("array/data")
	if len(a.Document().Storage.Arrays) != 0 || fmt.Sprint(a.Disks.Lost()) != "[accounts]" {
		t.Errorf("declared %v, lost %v", a.Document().Storage.Arrays, a.Disks.Lost())
	}
	b, c := shelf(t, 6, data+"  volume_groups: [{name: vg0, devices: [/dev/md/data]}]\n")
	entry(c, "Remove Array")
	c.Wait("in use by volume group vg0")
	c.Escape()
	entry(c, "Linux MD Status")
	c.Type("d")
	c.Wait("It is in use by volume group vg0. Delete that first.")
	c.Golden("array-is-in-use")
	if len(b.Document().Storage.Arrays) != 1 {
		t.Error("it is gone")
	}
}

func setFaulty(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 6, data)
	entry(c, "Set Device Faulty")
	c.Wait("Which array has the disk?")
	c.Enter()
	c.Wait("Which disk of data has failed?")
	c.Golden("faulty-pick")
	pick(c, "virtio-d2")
	c.Wait("Take virtio-d2 for failed?")
	c.Golden("faulty")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("is taken for failed")
	if m := a.Disks.Calls(); !slices.ContainsFunc(m, func(s string) bool { return strings.Contains(s, "--fail /dev/vdb") }) {
		t.Errorf("mdadm was not told: %v", m)
	}
	entry(c, "Set Device Faulty")
	c.Enter()
	c.Type("virtio-d2")
	c.Wait("it has failed already")
}

func addDevice(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 6, data)
	entry(c, "Add Device")
	c.Golden("which-array-gets-a-spare")
	c.Enter()
	c.Wait("Add Device to data")
	c.Golden("spare")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.Shows("this is needed")
	c.Type(" ")
	mark(c, "virtio-d6")
	c.Enter()
	c.CarryOut()
	if got, want := a.Document().Storage.Arrays[0].Spares, paths("d5", "d6"); !slices.Equal(got, want) {
		t.Errorf("spares %v, want %v", got, want)
	}
}

func removeDevice(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 6, data)
	entry(c, "Remove Device")
	c.Enter()
	c.Wait("Remove which disk from data?")
	c.Shows("it has a place among those")
	c.Golden("remove-disk")
	pick(c, "virtio-d1")
	c.Wait("It cannot be chosen")
	c.Escape()
	pick(c, "virtio-d5")
	c.CarryOut()
	if got := a.Document().Storage.Arrays[0].Spares; len(got) != 0 {
		t.Errorf("spares %v, want none", got)
	}
}

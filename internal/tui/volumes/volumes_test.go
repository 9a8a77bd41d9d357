package volumes_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
	"github.com/esos-project/esos/internal/tui/volumes"
)

// stack has a group of two disks with a volume of each kind that is usual, and
// devices on thin volumes.
const stack = `version: 1
name: store
storage:
  volume_groups:
    - name: vg0
      devices: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2]
      volumes:
        - {name: images, size: 1GiB}
        - {name: pool, type: thin_pool, size: 2GiB}
        - {name: db01, type: thin, pool: pool, size: 1GiB}
        - {name: db02, type: thin, pool: pool, size: 1GiB}
devices:
  - {name: db01, handler: vdisk_blockio, path: /dev/vg0/db01}
  - {name: db02, handler: vdisk_blockio, path: /dev/vg0/db02}
targets:
  - name: iqn.2026-11.org.esos-project:store
    groups:
      - {name: lab, initiators: ["iqn.1994-05.com.redhat:lab"]}
`

// console is an array and a console at its LVM menu.
type console struct {
	*tuitest.Console
	a    *apitest.Array
	t    *testing.T
	past *atomic.Int64 // seconds that the console's clock is ahead
}

func start(t *testing.T, document string, disks int) *console {
	t.Helper()
	a := apitest.New(t, apitest.Options{Disks: disks, Document: document})
	past := &atomic.Int64{}
	now := func() time.Time { return time.Now().Add(time.Duration(past.Load()) * time.Second) }
	return &console{tuitest.New(t, tuitest.Options{Client: a.Client, Now: now}), a, t, past}
}

// Golden compares the screen, once the word at its bottom is gone.
func (c *console) Golden(name string, replace ...string) {
	c.t.Helper()
	c.past.Add(10)
	c.Console.Golden(name, replace...)
}

// entry opens an entry of the menu by its title.
func (c *console) entry(title string) {
	c.t.Helper()
	c.In(func(d *frame.Desk) {
		d.Home()
		d.Menu(volumes.Menu())
	})
	for i, a := range volumes.Menu().Actions {
		if a.Title == title {
			for range i {
				c.Press(tcell.KeyDown)
			}
			c.Enter()
			return
		}
	}
	c.t.Fatalf("the menu has no %s", title)
}

// next goes to the next field.
func (c *console) next(n int) {
	for range n {
		c.Press(tcell.KeyTab)
	}
}

// pick chooses in the picker of the field that has the keys: what has the text.
func (c *console) pick(text string) {
	c.t.Helper()
	c.Type(" " + text)
	c.Enter()
}

// mark marks several in the picker of the field that has the keys.
func (c *console) mark(texts ...string) {
	c.t.Helper()
	c.Type(" ")
	c.marks(texts...)
	c.Enter()
}

// marks marks several in the picker that is open.
func (c *console) marks(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		c.Type(text + " ")
		c.Escape() // all again
	}
}

// volume is a volume of vg0 in the document; nil if there is none.
func (c *console) volume(name string) *config.Volume {
	_, v, err := c.a.Document().FindVolume("vg0", name)
	if err != nil {
		return nil
	}
	return v
}

func (c *console) want(ok bool, format string, args ...any) {
	c.t.Helper()
	if !ok {
		c.t.Errorf(format+"\n%s", append(args, c.Text())...)
	}
}

func (c *console) devices(group string) string {
	g, err := c.a.Document().FindVolumeGroup(group)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(strings.Join(g.Devices, " "), "/dev/disk/by-id/virtio-", "")
}

// TestFunctions drives the functions that users of earlier ESOS have, from the
// menu to what comes of them.
func TestFunctions(t *testing.T) {
	t.Parallel()
	t.Run("L1 list", func(t *testing.T) {
		t.Parallel()
		c := start(t, stack, 3)
		c.entry("LV List")
		c.Wait("vg0/images")
		c.a.Disks.FillPool("vg0/pool", 85, 20)
		c.Wait("85 %")
		c.Press(tcell.KeyDown)
		c.Shows("It is 85 % full")
		c.Golden("list")
		c.Enter()
		c.Wait("Type               thin_pool")
		c.Shows("Full               85 %")
	})
	t.Run("L2 add a PV", func(t *testing.T) {
		t.Parallel()
		c := start(t, stack, 4)
		c.entry("Add PV")
		c.Wait("A physical volume is a device of a volume group here")
		c.Golden("add-pv")
		c.pick("vg0")
		c.Type(" ")
		c.Golden("add-pv-disks")
		c.Escape()
		c.mark("virtio-d3")
		c.Enter()
		c.CarryOut()
		c.want(c.devices("vg0") == "d1 d2 d3", "vg0 has %s", c.devices("vg0"))
	})
	t.Run("L3 remove a PV", func(t *testing.T) {
		t.Parallel()
		c := start(t, stack, 3)
		c.entry("Remove PV")
		c.pick("vg0")
		c.mark("virtio-d1", "virtio-d2")
		c.Enter()
		c.Wait("One has to stay")
		c.Golden("one-has-to-stay")
		c.Enter()
		c.Press(tcell.KeyBacktab)
		c.mark("virtio-d1")
		c.Golden("remove-pv")
		c.Enter()
		c.CarryOut()
		c.want(c.devices("vg0") == "d1", "vg0 has %s", c.devices("vg0"))
		c.entry("Remove PV") // the last one stays
		c.pick("vg0")
		c.Type(" ")
		c.Shows("it is the only device of its group")
	})
	t.Run("L4 add a VG", func(t *testing.T) {
		t.Parallel()
		c := start(t, stack, 4)
		c.entry("Add VG")
		c.Golden("add-vg")
		c.Type("vg0")
		c.Shows("vg0 is there already")
		c.Field("fast")
		c.mark("virtio-d3", "virtio-d4")
		c.Type("3MiB")
		c.Shows("a power of two from 1KiB")
		c.Field("8MiB")
		c.next(1)
		c.Enter()
		c.CarryOut()
		c.want(c.devices("fast") == "d3 d4", "fast has %s", c.devices("fast"))
	})
	t.Run("L5 remove a VG", func(t *testing.T) {
		t.Parallel()
		c := start(t, stack, 4)
		c.entry("Remove VG")
		c.Wait("Remove VG")
		c.Shows("volume vg0/db01 is used by device db01")
		c.Golden("remove-vg")
		c.Enter()
		c.Shows("It cannot be chosen")
		c.Escape()
		if err := c.remove("db01", "db02"); err != nil {
			t.Fatal(err)
		}
		c.entry("Remove VG")
		c.Enter()
		c.Wait("DATA ARE LOST")
		c.Golden("remove-vg-plan")
		c.Destroy("volume/vg0/images", "volume/vg0/pool", "volume/vg0/db01", "volume/vg0/db02", "volume-group/vg0")
		c.want(len(c.a.Document().Storage.VolumeGroups) == 0, "the group is still there")
		s, err := c.a.Client.Storage(t.Context())
		c.want(err == nil && len(s.VolumeGroups) == 0, "LVM still has %+v, %v", s.VolumeGroups, err)
	})
	t.Run("L6 add an LV", func(t *testing.T) {
		t.Parallel()
		c := start(t, stack, 3)
		c.entry("Add LV")
		c.Wait("Volume group vg0 has")
		c.Golden("add-lv")
		c.next(1)
		c.Type(" ")
		c.Golden("add-lv-types")
		c.Type("raid6")
		c.Shows("it needs 5 devices, and volume group vg0 has 2")
		c.Escape()
		c.Escape()
		c.next(1)
		c.Type("db01")
		c.Shows("db01 is there already")
		c.Field("logs")
		c.Type("9TiB")
		c.Shows("fit into the group")
		c.Field("1.5 GiB")
		c.next(1)
		c.Enter()
		c.CarryOut()
		v := c.volume("logs")
		c.want(v != nil && v.Size == 3<<29 && v.Type == config.Linear || v != nil && v.Type == "", "%+v", v)
	})
	t.Run("L7 remove an LV", func(t *testing.T) {
		t.Parallel()
		c := start(t, stack, 3)
		c.entry("Remove LV")
		c.Golden("remove-lv")
		c.Enter()
		c.Wait("Nothing is marked")
		c.Golden("nothing-marked")
		c.Enter()
		c.marks("images")
		c.Enter()
		c.Wait("DATA ARE LOST")
		c.Golden("remove-lv-plan")
		c.Destroy("volume/vg0/images")
		c.want(c.volume("images") == nil, "the volume is still declared")
		c.want(!strings.Contains(c.list(), "images"), "LVM still has it: %s", c.list())
		c.entry("Remove LV") // one that is used
		c.Type("vg0/db01 ")
		c.Shows("it is used by device db01")
	})
}

// remove takes devices out of the document, which keep volumes from deletion.
func (c *console) remove(names ...string) error {
	done := make(chan struct{})
	c.In(func(d *frame.Desk) {
		d.Change(frame.Change{Why: "test", Edit: func(doc *config.Document) error {
			for _, n := range names {
				if err := doc.RemoveDevice(n, true); err != nil {
					return err
				}
			}
			return nil
		}, Done: func() { close(done) }})
	})
	c.Wait("Plan")
	if strings.Contains(c.Text(), "DATA ARE LOST") {
		c.Destroy("device/" + names[0])
	} else {
		c.CarryOut()
	}
	<-done
	return nil
}

// list are the volumes that LVM has.
func (c *console) list() string {
	s, err := c.a.Client.Storage(c.t.Context())
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, g := range s.VolumeGroups {
		for _, v := range g.Volumes {
			all = append(all, g.Name+"/"+v.Name)
		}
	}
	return strings.Join(all, " ")
}

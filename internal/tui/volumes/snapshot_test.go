package volumes_test

import (
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// snapshots are those that there are.
func (c *console) snapshots() []v1.Snapshot {
	c.t.Helper()
	all, err := c.a.Client.Snapshots(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return all.Snapshots
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	c := start(t, stack, 3)
	c.entry("Take Snapshot")
	c.Wait("Take Snapshot")
	c.mark("db01", "db02")
	c.Type("a b")
	c.Shows("letters, digits")
	c.Field("before")
	c.Golden("take")
	c.Enter()
	c.Wait("Done: 2 taken")
	all := c.snapshots()
	if len(all) != 2 || all[0].Name != all[1].Name || !strings.HasPrefix(all[0].Name, "before-") {
		t.Fatalf("%+v", all)
	}
	s := all[0]
	same := []string{s.Name, "before-20261128-120000", s.Taken.UTC().Format("2006-01-02 15:04"), "2026-11-28 12:00"}

	c.entry("Snapshots")
	c.Wait("db01@before")
	c.Golden("snapshots", same...)
	c.Enter()
	c.Wait("Of device")
	c.Shows("vg0/db01.before-")
	c.Escape()

	// A clone of one, for a host group, in one change.
	c.Type("c")
	c.Wait("Make a device of")
	c.Type("db01")
	c.Shows("db01 is there already")
	c.Field("test")
	c.next(1)
	c.Type(" ")
	c.Golden("choose-map-to-target", same...)
	c.Escape()
	c.pick("iqn.2026-11")
	c.Type(" ")
	c.Golden("choose-host-group", same...)
	c.Escape()
	c.pick("lab")
	c.Golden("rollout", same...)
	c.Enter()
	c.CarryOut()
	doc := c.a.Document()
	dev, err := doc.FindDevice("test")
	c.want(err == nil && dev.Path == "/dev/vg0/test" && c.volume("test").CloneOf == s.Volume, "%+v, %v", dev, err)
	luns := doc.Targets[0].Groups[0].LUNs
	c.want(len(luns) == 1 && luns[0].Device == "test", "%+v", luns)

	// The snapshot itself, which cannot be deleted then.
	c.entry("Snapshots")
	c.Wait("db01@before")
	c.Type("c")
	c.Field("look")
	c.Type(" ")
	c.next(2)
	c.Enter()
	c.CarryOut()
	dev, err = c.a.Document().FindDevice("look")
	c.want(err == nil && dev.ReadOnly && dev.Path == "/dev/vg0/"+s.Volume, "%+v, %v", dev, err)
	c.entry("Snapshots")
	c.Wait("device/look")
	c.Type("d")
	c.Wait("cannot be deleted")
	c.Golden("delete-used", same...)
	c.Enter()

	// Another one is deleted by its name only.
	c.Press(tcell.KeyDown)
	c.Type("d")
	c.Wait("This destroys snapshot/db02@before")
	c.Golden("delete-snapshot", same...)
	c.Field("snapshot/db02")
	c.Enter()
	c.Shows("nothing was changed")
	c.want(len(c.snapshots()) == 2, "it was deleted")
	c.Field("snapshot/db02@" + s.Name)
	c.Enter()
	c.Wait("is deleted")
	c.want(len(c.snapshots()) == 1, "%+v", c.snapshots())
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	c := start(t, stack, 3)
	c.entry("Snapshot Schedules")
	c.Wait("There are no schedules")
	c.Type("a")
	c.Field("nightly")
	c.mark("db01", "db02")
	c.next(1)
	c.Type("25:00")
	c.Shows("a time of day")
	c.Field("02:30")
	c.Field("0")
	c.Enter()
	c.Shows("a whole number from 1 to 1000")
	c.Field("14")
	c.Golden("schedule")
	c.Enter()
	c.CarryOut()
	n := c.a.Document().Storage.Snapshots
	if len(n) != 1 || n[0].Every != "daily" || n[0].At != "02:30" || n[0].Keep != 14 || len(n[0].Devices) != 2 {
		t.Fatalf("%+v", n)
	}
	c.Wait("nightly")
	c.Golden("schedules")
	c.Enter() // change it
	c.Wait("Change schedule nightly")
	c.Golden("change-schedule")
	c.next(1)
	c.Type(" ")
	c.Golden("choose-every")
	c.Escape()
	c.pick("other")
	c.Type("30s")
	c.Shows("is not hourly")
	c.Field("15m")
	c.Field("96")
	c.Enter()
	c.CarryOut()
	n = c.a.Document().Storage.Snapshots
	if len(n) != 1 || n[0].Every != "15m" || n[0].At != "" || n[0].Keep != 96 {
		t.Fatalf("%+v", n)
	}
	c.Wait("15m")
	c.Type("d")
	c.CarryOut()
	if n = c.a.Document().Storage.Snapshots; len(n) != 0 {
		t.Errorf("%+v", n)
	}
}

// TestImageSnapshot: the snapshot of an image file is copied for a device that
// is written to, and nothing is made if that fails; a read-only one is the file
// itself.
func TestImageSnapshot(t *testing.T) {
	t.Parallel()
	c := start(t, `version: 1
name: store
storage:
  filesystems:
    - {name: fast, device: /dev/disk/by-id/virtio-d1}
devices:
  - {name: mail, handler: vdisk_fileio, path: /mnt/vdisks/fast/mail.img, size: 1MiB}
  - {name: nothing, handler: vdisk_nullio, size: 1MiB}
`, 1)
	c.entry("Take Snapshot")
	c.Wait("Take Snapshot")
	c.Type(" nothing ")
	c.Shows("vdisk_nullio; snapshots are taken of")
	c.Golden("take-devices")
	c.Escape()
	c.Type("mail ")
	c.Enter()
	c.Field("before")
	c.Enter()
	c.Wait("Done: 1 taken")
	c.entry("Snapshots")
	c.Wait("mail@before")
	c.Type("c")
	c.Field("test")
	c.next(2)
	c.Enter()
	c.Wait("Copy the image file?")
	s := c.snapshots()[0]
	c.Golden("copy-image", s.Name, "before-20261128-120000", s.Taken.UTC().Format("2006-01-02 15:04"), "2026-11-28 12:00")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("that failed") // the imitation has no files that the library copies
	c.Enter()
	if _, err := c.a.Document().FindDevice("test"); err == nil {
		t.Error("there is a device without its file")
	}
	c.entry("Snapshots")
	c.Wait("mail@before")
	c.Type("c")
	c.Field("test")
	c.Type(" ")
	c.next(2)
	c.Enter()
	c.CarryOut()
	v, err := c.a.Document().FindDevice("test")
	c.want(err == nil && strings.HasPrefix(v.Path, "/mnt/vdisks/fast/.snapshots/") && v.Handler == "vdisk_fileio" && v.ReadOnly, "%+v, %v", v, err)
}

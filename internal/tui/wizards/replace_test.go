package wizards

import (
	"testing"

	"github.com/gdamore/tcell/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/api/apitest"
)

const raid = `version: 1
name: vault
storage:
  arrays:
    - name: r1
      level: "1"
      disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2]
`

// array has a mirror of two disks that is in sync, and disks that are free.
func array(t *testing.T, disks int) *apitest.Array {
	t.Helper()
	a := apitest.New(t, apitest.Options{Disks: disks, Document: raid})
	a.Disks.Sync()
	return a
}

// enclosure gives a disk a slot with an LED.
func enclosure(a *apitest.Array, disk, slot string) (locate string) {
	dir := "/sys/class/enclosure/0:0:8:0/" + slot
	a.Disks.File(dir+"/locate", "0\n")
	a.Disks.File(dir+"/device/block/"+disk+"/size", "1")
	return dir + "/locate"
}

func led(t *testing.T, a *apitest.Array, locate string) string {
	t.Helper()
	text, err := a.Disks.ReadFile(locate)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:1])
}

// TestReplace: a disk fails, its LED blinks, another one is plugged in, takes
// its place, and the rebuild is watched to its end.
func TestReplace(t *testing.T) {
	t.Parallel()
	a := array(t, 2)
	locate := enclosure(a, "vdb", "Slot 04")
	c := open(t, a, "R")
	c.Wait("There is nothing to replace")
	c.Golden("replace-nothing")
	a.Disks.Fault("vdb")
	c.Wait("  failed  ")
	c.Golden("replace-list")
	c.Enter()
	c.Wait("Replace virtio-d2")
	c.Golden("replace-explain")
	c.Type("b")
	c.Wait("blinks")
	if led(t, a, locate) != "1" {
		t.Error("the LED does not blink")
	}
	c.Type("n")
	c.Wait("The disk in the place of virtio-d2")
	c.Wait("in use")
	c.Golden("replace-choice")
	c.Enter()
	c.Wait("It cannot be chosen")
	c.Golden("it-cannot-be-chosen")
	c.Enter()
	before := a.Revisions()
	a.Disks.Disk("vdx", "small", 1<<30)
	c.Wait("too small")
	a.Disks.Disk("vdc", "d3", 4<<30)
	c.Wait("A new disk is there")
	c.Golden("replace-new")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("Press c to carry this out")
	c.Shows("virtio-d3")
	if a.Revisions() != before {
		t.Fatal("something was changed before it was confirmed")
	}
	carryOut(c)
	c.Wait("Rebuild of array r1")
	c.Wait("rebuild 25 %")
	c.Golden("replace-rebuild", "virtio-d3", "virtio-d3")
	a.Disks.Sync()
	c.Wait("whole: the array has all of its disks")
	c.Golden("replace-whole")
	if led(t, a, locate) != "0" {
		t.Error("the LED still blinks")
	}
	if diff := cmp.Diff(byID("d1", "d3"), a.Document().Storage.Arrays[0].Disks); diff != "" {
		t.Errorf("disks (-want +got):\n%s", diff)
	}
	c.Escape()
	c.Wait("There is nothing to replace")
}

// TestReplaceGone: the disk was pulled; the new one is there already.
func TestReplaceGone(t *testing.T) {
	t.Parallel()
	a := array(t, 3)
	a.Disks.Pull("vda")
	c := open(t, a, "R")
	c.Wait("not plugged in")
	c.Golden("replace-gone")
	c.Type("b")
	c.Wait("There is no LED to light")
	c.Golden("there-is-no-led-to-light")
	c.Enter()
	c.Enter()
	c.Wait("Replace virtio-d1")
	c.Type("n")
	c.Wait("The disk in the place of virtio-d1")
	c.Wait("free")
	c.Enter()
	carryOut(c)
	c.Wait("Rebuild of array r1")
	a.Disks.Sync()
	c.Wait("whole: the array has all of its disks")
	if diff := cmp.Diff(byID("d3", "d2"), a.Document().Storage.Arrays[0].Disks); diff != "" {
		t.Errorf("disks (-want +got):\n%s", diff)
	}
}

// TestReplaceStripes: what cannot be replaced says why.
func TestReplaceStripes(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 2, Document: "version: 1\nname: vault\nstorage:\n  arrays:\n    - {name: r0, level: \"0\", disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2]}\n"})
	a.Disks.Fault("vdb")
	c := open(t, a, "R")
	c.Wait("  failed  ")
	c.Enter()
	c.Wait("It is not replaced here")
	c.Golden("it-is-not-replaced-here")
	c.Shows("no redundancy")
}

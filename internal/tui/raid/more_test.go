package raid_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/client"
)

// apply adds to the document, as esos apply does.
func apply(t *testing.T, a *apitest.Array, document string) {
	t.Helper()
	ctx := context.Background()
	old, err := a.Client.Document(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	op, err := a.Client.Apply(ctx, append(old.Text, document...), client.ChangeOptions{IfMatch: old.ETag, Why: "the test"})
	if err != nil {
		t.Fatal(err)
	}
	if op, err = a.Client.Follow(ctx, op, nil); err != nil || op.Error != "" {
		t.Fatalf("%v %s", err, op.Error)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 7, data)
	a.Disks.Fault("vdb")
	a.Disks.Sync()
	entry(c, "Replace Device")
	c.Golden("which-array-has-the-disk")
	c.Enter()
	c.Wait("Replace a disk of data")
	c.Shows("virtio-d2") // the one that failed is proposed
	c.Golden("replace")
	c.Type(" ")
	c.Golden("replace-old")
	c.Escape()
	c.Press(tcell.KeyTab)
	c.Type(" ")
	c.Wait("of this array")
	c.Golden("replace-new")
	c.Type("md127")
	c.Wait("it is the array itself")
	c.Escape()
	pick(c, "virtio-d6")
	c.Enter()
	c.CarryOut()
	if got, want := a.Document().Storage.Arrays[0].Disks, paths("d1", "d6", "d3", "d4"); !slices.Equal(got, want) {
		t.Errorf("disks %v, want %v", got, want)
	}
}

func TestGrow(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 5, strings.Replace(strings.Replace(data, `"6"`, `"5"`, 1), ", /dev/disk/by-id/virtio-d4]\n      spares: [/dev/disk/by-id/virtio-d5]", "]", 1))
	entry(c, "Grow Array")
	c.Golden("grow-which-array")
	c.Enter()
	c.Wait("Grow data")
	c.Shows("Usable: about 8 GiB of 12 GiB")
	c.Golden("grow")
	c.Press(tcell.KeyTab)
	c.Type(" ")
	pick(c, "two")
	c.Enter() // on the button
	c.Wait("RAID 6 needs a disk more")
	c.Press(tcell.KeyUp)
	c.Type(" ")
	c.Golden("choose-more-disks")
	mark(c, "virtio-d4")
	c.Shows("Usable: about 8 GiB of 16 GiB")
	c.Press(tcell.KeyTab)
	c.Enter()
	c.CarryOut()
	x := a.Document().Storage.Arrays[0]
	if x.Level != "6" || !slices.Equal(x.Disks, paths("d1", "d2", "d3", "d4")) {
		t.Errorf("%+v", x)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 6, data)
	entry(c, "Check or Repair")
	c.Golden("check-which-array")
	c.Enter()
	c.Wait("Check counts what differs")
	c.Golden("check")
	c.Press(tcell.KeyRight, tcell.KeyEnter)
	c.Wait("is being checked")
	entry(c, "Check or Repair")
	c.Enter()
	c.Wait("End the check of data?")
	c.Golden("end-the-check-of")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("is ended")
	if calls := strings.Join(a.Disks.Calls(), "\n"); !strings.Contains(calls, "sync_action check") || !strings.Contains(calls, "sync_action idle") {
		t.Errorf("the kernel was not told:\n%s", calls)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 2, `storage:
  arrays: [{name: data, level: "1", disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2], write_mostly: [/dev/disk/by-id/virtio-d2]}]
`)
	entry(c, "Array Settings")
	c.Golden("settings-of-which-array")
	c.Enter()
	c.Wait("Settings of data")
	c.Golden("settings")
	c.Type(" ")
	c.Golden("choose-check")
	pick(c, "never")
	c.Type(" ") // repair
	c.Press(tcell.KeyTab)
	c.Field("20MiB")
	c.Field("10MiB")
	c.Type(" ") // bitmap
	c.Press(tcell.KeyTab)
	c.Type(" ")
	c.Golden("choose-write-mostly")
	mark(c, "virtio-d1")
	c.Enter()
	c.Wait("less than the least speed")
	c.Field("100MiB")
	c.Press(tcell.KeyTab) // bitmap
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.Wait("leave a disk to read from")
	c.Type(" ")
	mark(c, "virtio-d2")
	c.Enter()
	c.CarryOut()
	x := a.Document().Storage.Arrays[0]
	if x.Check != "never" || !x.Repair || x.SpeedMin != 20<<20 || x.SpeedMax != 100<<20 || x.Bitmap != "none" || !slices.Equal(x.WriteMostly, paths("d1")) {
		t.Errorf("%+v", x)
	}
}

func TestTakeUp(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 3, "")
	if err := a.Disks.Run("mdadm", "--create", "/dev/md/old", "--metadata=1.2", "--homehost=any", "--name=old", "--uuid=01234567:89ab8def:81234567:89abcdef", "--level=1",
		"--raid-devices=2", "--bitmap=internal", "/dev/vda", "/dev/vdb"); err != nil {
		t.Fatal(err)
	}
	a.Disks.Look("/dev/md/old").Owner = "accounts"
	a.Disks.Sync()
	a.Disks.StopArrays()
	entry(c, "Linux MD Status")
	c.Wait("t takes it up")
	c.Golden("list-foreign")
	c.Type("s")
	c.Wait("Press t to take it up")
	c.Golden("not-declared")
	c.Enter()
	c.Type("t")
	c.Wait("Take Up old")
	c.Golden("take-up")
	c.Field("kept")
	c.Enter()
	c.CarryOut()
	x := a.Document().Storage.Arrays[0]
	if x.Name != "kept" || x.UUID != "01234567-89ab-8def-8123-456789abcdef" || !slices.Equal(x.Disks, paths("d1", "d2")) || len(a.Disks.Lost()) > 0 {
		t.Errorf("%+v, lost %v", x, a.Disks.Lost())
	}
	if d := a.Disks.Look("/dev/md/kept"); d == nil || d.Owner != "accounts" {
		t.Error("the array does not run with what it holds")
	}
}

// TestStripes: what a RAID 0 cannot do is said.
func TestStripes(t *testing.T) {
	t.Parallel()
	_, c := shelf(t, 3, "storage:\n  arrays: [{name: fast, level: \"0\", disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2]}]\n")
	entry(c, "Linux MD Status")
	c.Wait("fast")
	c.Type("s")
	c.Wait("no redundancy that a spare could restore")
	c.Golden("no-spares")
	c.Enter()
	c.Type("c")
	c.Wait("no copies and no parity")
	c.Golden("not-with-raid-0")
	c.Enter()
	c.Type("t")
	c.Wait("is ESOS's already")
	c.Golden("declared")
}

// TestTakeUpDegraded: an array that lacks a disk is taken up with another one in
// its place, which is filled.
func TestTakeUpDegraded(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 4, "")
	if err := a.Disks.Run("mdadm", "--create", "/dev/md/old", "--metadata=1.2", "--homehost=any", "--name=old", "--uuid=01234567:89ab8def:81234567:89abcdef", "--level=5",
		"--raid-devices=3", "--bitmap=internal", "/dev/vda", "/dev/vdb", "/dev/vdc"); err != nil {
		t.Fatal(err)
	}
	a.Disks.Look("/dev/md/old").Owner = "accounts"
	a.Disks.Sync()
	a.Disks.StopArrays()
	a.Disks.Pull("vdb")
	entry(c, "Take Up a Foreign Array")
	c.Wait("Take up which array?")
	c.Golden("take-up-pick")
	c.Enter()
	c.Wait("Disks that it lacks: 1.")
	c.Golden("take-up-degraded")
	c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
	c.Wait("1 disks are missing, 0 are named in their place")
	c.Type(" ")
	c.Golden("choose-in-their-place")
	mark(c, "virtio-d4")
	c.Enter()
	c.CarryOut()
	x := a.Document().Storage.Arrays[0]
	if !slices.Equal(x.Disks, paths("d1", "d3", "d4")) || len(a.Disks.Lost()) > 0 {
		t.Errorf("%+v, lost %v", x, a.Disks.Lost())
	}
	a.Disks.Sync()
	if d := a.Disks.Look("/dev/md/old"); d == nil || d.Owner != "accounts" || !slices.Equal(d.Below, []string{"vda", "vdc", "vdd"}) {
		t.Errorf("%+v", d)
	}
}

// TestDiskGone: what can be done with a disk that is not there any more.
func TestDiskGone(t *testing.T) {
	t.Parallel()
	a, c := shelf(t, 6, data)
	a.Disks.Fault("vdb")
	a.Disks.Sync()
	a.Disks.Pull("vdb")
	entry(c, "Linux MD Status")
	c.Enter()
	c.Wait("not there")
	c.Press(tcell.KeyDown)
	c.Golden("disks-gone")
	c.Enter()
	c.Wait("virtio-d2 is not in the machine")
	c.Golden("it-is-not-there")
	c.Enter()
	c.Type("f")
	c.Wait("the array does not have it now")
	c.Golden("not")
	c.Enter()
	c.Type("x")
	c.Wait("it has a place among those")
	c.Enter()
	c.Type("r")
	c.Wait("Replace a disk of data")
	c.Press(tcell.KeyTab)
	c.Type(" ")
	pick(c, "virtio-d5")
	c.Enter()
	c.CarryOut()
	x := a.Document().Storage.Arrays[0]
	if !slices.Equal(x.Disks, paths("d1", "d5", "d3", "d4")) || len(x.Spares) > 0 {
		t.Errorf("%+v", x)
	}
	c.Type("s")
	c.Wait("Add Device to data")
	c.Escape()
	c.Press(tcell.KeyHome)
	c.Type("l")
	c.Wait("LED at virtio-d1")
}

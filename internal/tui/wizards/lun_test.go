package wizards

import (
	"context"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

func byID(serials ...string) []string {
	var all []string
	for _, s := range serials {
		all = append(all, "/dev/disk/by-id/virtio-"+s)
	}
	return all
}

// TestLUNOfDisks: disks, an array, a volume group, a volume, a device, a target,
// a host group, a LUN: in one change.
func TestLUNOfDisks(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 5})
	c := open(t, a, "M")
	before := a.Revisions()
	c.Wait("step 1 of 5")
	c.Golden("lun-space")
	c.Press(tcell.KeyTab)
	next(c)
	c.Wait("step 2 of 5")
	c.Golden("lun-disks")
	c.Type(" ")
	c.Golden("lun-disks-choice")
	c.Escape()
	mark(c, "xxxx")
	c.Shows("RAID 6")
	c.Golden("lun-disks-chosen")
	c.Type(" ")
	c.Golden("lun-levels")
	c.Escape()
	c.Press(tcell.KeyTab)
	c.Field("bad name")
	c.Press(tcell.KeyUp)
	c.Shows("letters, digits and . _ - only")
	c.Field("r6")
	next(c)
	c.Wait("step 3 of 5")
	c.Golden("lun-volume")
	c.Field("vg0")
	choose(c, "plain")
	c.Field("db01")
	c.Field("2.5GiB")
	next(c)
	c.Wait("step 4 of 5")
	c.Golden("lun-target")
	c.Field("db01")
	c.Press(tcell.KeyTab)
	c.Field("vault")
	c.Field("192.0.2.10:3260")
	next(c)
	c.Wait("step 5 of 5")
	c.Golden("lun-initiator")
	c.Press(tcell.KeyTab)
	c.Field("servers")
	c.Press(tcell.KeyTab)
	c.Field("Server1")
	c.Press(tcell.KeyTab)
	next(c)
	c.Shows("Server1")
	c.Field("iqn.2026-11.com.example:server1")
	c.Field("7")
	next(c)
	c.Wait("LUN of 4 disks for servers")
	c.Golden("lun-plan")
	if a.Revisions() != before {
		t.Fatal("something was changed before it was confirmed")
	}
	carryOut(c)
	if n := a.Revisions(); n != before+1 {
		t.Errorf("%d changes, want one", n-before)
	}
	c.Wait("The LUN is there")
	doc := a.Document()
	dev, err := doc.FindDevice("db01")
	if err != nil {
		t.Fatal(err)
	}
	c.Golden("lun-done", dev.Identity.Serial, "SERIAL__________")
	c.Shows("iscsiadm -m node -T iqn.2026-11.org.esos-project:vault -p 192.0.2.10:3260")
	if diff := cmp.Diff([]config.Array{{Name: "r6", Level: "6", Disks: byID("d1", "d2", "d3", "d4")}}, doc.Storage.Arrays); diff != "" {
		t.Errorf("arrays (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]config.VolumeGroup{{Name: "vg0", Devices: []string{"/dev/md/r6"}, Volumes: []config.Volume{{Name: "db01", Size: 5 << 29}}}}, doc.Storage.VolumeGroups); diff != "" {
		t.Errorf("volume groups (-want +got):\n%s", diff)
	}
	if dev.Handler != config.BlockIO || dev.Path != "/dev/vg0/db01" {
		t.Errorf("device %+v", dev)
	}
	g, err := doc.FindGroup("iqn.2026-11.org.esos-project:vault", "servers")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Group{Name: "servers", Initiators: []string{"iqn.2026-11.com.example:server1"}, LUNs: []config.LUN{{LUN: 7, Device: "db01"}}}, *g); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
	if a.Disks.Look("/dev/vg0/db01") == nil {
		t.Error("the machine has no volume")
	}
}

// TestLUNThin: what is proposed is right, and can be carried out as it is: one
// disk, a thin volume, the target that is there.
func TestLUNThin(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1, Document: seed})
	c := open(t, a, "M")
	c.Press(tcell.KeyTab)
	next(c)
	mark(c, "x")
	c.Shows("One disk alone")
	next(c)
	c.Wait("step 3 of 5")
	c.Press(tcell.KeyTab)
	choose(c, "thin")
	c.Golden("lun-thin")
	for range 5 {
		c.Press(tcell.KeyTab)
	}
	next(c)
	c.Wait("step 4 of 5")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	next(c)
	c.Wait("step 5 of 5")
	choose(c, "old")
	c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
	next(c)
	carryOut(c)
	c.Wait("The LUN is there")
	c.Shows("192.0.2.10:3260")
	c.Shows("iqn.2026-11.com.example:old")
	doc := a.Document()
	_, v, err := doc.FindVolume("vg0", "vol0")
	if err != nil || v.Type != config.ThinDisk || v.Pool != "pool" {
		t.Errorf("volume %+v: %v", v, err)
	}
	g, err := doc.FindGroup("iqn.2026-11.com.example:vault", "old")
	if err != nil || len(g.LUNs) != 1 || g.LUNs[0].Device != "vol0" || len(doc.Targets) != 1 {
		t.Errorf("group %+v: %v", g, err)
	}
}

// TestLUNOfWhatIsThere: first of a volume group, then of a device.
func TestLUNOfWhatIsThere(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1, Document: seed + `
storage:
  volume_groups:
    - name: vg7
      devices: [/dev/disk/by-id/virtio-d1]
      volumes: [{name: pool, type: thin_pool, size: 1GiB}]
`})
	c := open(t, a, "M")
	c.Wait("step 1 of 4")
	c.Type(" ")
	c.Golden("lun-sources")
	c.Type("vg7")
	c.Enter()
	next(c)
	c.Wait("step 2 of 4")
	c.Type(" ")
	c.Golden("choose-kind")
	c.Escape()
	choose(c, "thin")
	c.Type(" ")
	c.Golden("choose-thin-pool")
	c.Escape()
	choose(c, "pool")
	c.Field("db01")
	c.Field("8GiB")
	next(c)
	c.Wait("step 3 of 4")
	c.Press(tcell.KeyTab)
	c.Type(" ")
	c.Golden("choose-target")
	c.Escape()
	c.Press(tcell.KeyTab)
	next(c)
	c.Wait("step 4 of 4")
	c.Press(tcell.KeyTab)
	c.Field("new")
	c.Press(tcell.KeyTab)
	c.Field("iqn.2026-11.com.example:old")
	c.Press(tcell.KeyUp)
	c.Shows("is in group old")
	c.Field("iqn.2026-11.com.example:new")
	c.Press(tcell.KeyTab)
	next(c)
	carryOut(c)
	c.Wait("The LUN is there")
	c.Escape()

	c = open(t, a, "M")
	choose(c, "db01")
	next(c)
	c.Wait("step 2 of 3")
	c.Press(tcell.KeyTab)
	next(c)
	c.Wait("step 3 of 3")
	c.Type(" ")
	c.Golden("choose-host-group")
	c.Escape()
	choose(c, "old")
	c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
	next(c)
	carryOut(c)
	c.Wait("The LUN is there")
	doc := a.Document()
	for _, group := range []string{"new", "old"} {
		if g, err := doc.FindGroup("iqn.2026-11.com.example:vault", group); err != nil || len(g.LUNs) != 1 || g.LUNs[0].Device != "db01" {
			t.Errorf("group %s: %+v, %v", group, g, err)
		}
	}
	if _, v, err := doc.FindVolume("vg7", "db01"); err != nil || v.Size != 8<<30 {
		t.Errorf("volume %+v: %v", v, err)
	}
}

// TestLUNOfForeignDisk: a disk that holds something is named before it is lost.
func TestLUNOfForeignDisk(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 2, Document: seed})
	a.Disks.Foreign("vda", "somebody's data")
	c := open(t, a, "M")
	c.Press(tcell.KeyTab)
	next(c)
	mark(c, "xx")
	c.Shows("RAID 1")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	next(c)
	c.Wait("step 3 of 5")
	for range 4 {
		c.Press(tcell.KeyTab)
	}
	next(c)
	c.Wait("step 4 of 5")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	next(c)
	c.Wait("step 5 of 5")
	choose(c, "old")
	c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
	next(c)
	c.Press(tcell.KeyEnd)
	c.Destroy("disk/virtio-d1")
	c.Wait("The LUN is there")
	if diff := cmp.Diff([]string{"somebody's data"}, a.Disks.Lost()); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
}

// TestLUNWithoutDisks says why there is nothing to choose.
func TestLUNWithoutDisks(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := open(t, a, "M")
	c.Press(tcell.KeyTab)
	next(c)
	c.Shows("no disk is free")
	c.Shows("step 1 of")
}

// TestLUNForConnected chooses one of the initiators that are connected; one that
// another group of the target has says so.
func TestLUNForConnected(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1, Document: seed})
	a.Engine.SetSessions(
		engine.Session{Target: "iqn.2026-11.com.example:vault", Initiator: "iqn.2026-11.com.example:old", Address: "192.0.2.20:40000"},
		engine.Session{Target: "iqn.2026-11.com.example:vault", Initiator: "iqn.2026-11.com.example:web", Address: "[2001:db8::21]:40000"})
	c := open(t, a, "M")
	c.Press(tcell.KeyTab)
	next(c)
	mark(c, "x")
	next(c)
	c.Wait("step 3 of 5")
	for range 4 {
		c.Press(tcell.KeyTab)
	}
	next(c)
	c.Wait("step 4 of 5")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	next(c)
	c.Wait("step 5 of 5")
	c.Press(tcell.KeyTab)
	c.Field("web")
	c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
	next(c)
	c.Shows("who is to see it?")
	c.Press(tcell.KeyUp)
	c.Type(" ")
	c.Wait("192.0.2.20")
	c.Golden("lun-connected")
	c.Type(" ")
	c.Shows("It cannot be chosen")
	c.Press(tcell.KeyDown)
	c.Type(" ")
	c.Enter()
	c.Press(tcell.KeyTab, tcell.KeyTab)
	next(c)
	carryOut(c)
	c.Wait("The LUN is there")
	if g, err := a.Document().FindGroup("iqn.2026-11.com.example:vault", "web"); err != nil || !cmp.Equal(g.Initiators, []string{"iqn.2026-11.com.example:web"}) || len(g.LUNs) != 1 {
		t.Errorf("group %+v: %v", g, err)
	}
}

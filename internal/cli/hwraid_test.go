package cli_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/cli"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/hwraid/hwraidtest"
)

// controller is an array with four disks, of which a RAID controller makes the
// first, and the controller's program.
type controller struct {
	a    *apitest.Array
	p    *hwraidtest.Program
	root string
}

func newController(t *testing.T, s hwraidtest.State) *controller {
	t.Helper()
	c := &controller{a: apitest.New(t, apitest.Options{Disks: 4}), root: t.TempDir()}
	c.p = hwraidtest.Install(t, c.root, "storcli64", s)
	return c
}

// run runs a command and wants an exit code and what is said.
func (c *controller) run(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	var out strings.Builder
	got := cli.Main(context.Background(), append([]string{"hwraid", "--root", c.root, "--socket", c.a.Socket}, args...), strings.NewReader(""), &out, &out)
	if got != code || !strings.Contains(out.String(), want) {
		t.Errorf("esos hwraid %s: code %d, want %d, and %q:\n%s", strings.Join(args, " "), got, code, want, out.String())
	}
}

func (c *controller) changes(t *testing.T, want ...string) {
	t.Helper()
	if got := c.p.Changes(); !slices.Equal(got, want) {
		t.Errorf("the controller was told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHardwareRAID(t *testing.T) {
	t.Parallel()
	c := newController(t, hwraidtest.Shelf())
	c.run(t, 0, "mega0       volume 0  RAID1 wt", "list")
	c.run(t, 0, `"why": "the controller holds it for bad"`, "list", "-o", "json")
	c.run(t, 2, "--level and --drive are needed", "add-volume", "mega0")
	c.run(t, 7, "RAID 5 takes 3 drives or more, not 2", "add-volume", "mega0", "--level", "5", "--drive", "252:2,252:3")
	c.run(t, 7, "it is a hot spare", "add-volume", "mega0", "--level", "0", "--drive", "252:5")
	c.run(t, 8, "has no drive 1:1", "add-volume", "mega0", "--level", "0", "--drive", "1:1")
	c.run(t, 8, `no controller "mega1"`, "add-volume", "mega1", "--level", "0", "--drive", "1:1")
	c.run(t, 0, "nothing was changed", "add-volume", "mega0", "--level", "0", "--drive", "252:2", "-n")
	c.run(t, 7, "is no hot spare", "remove-spare", "0", "252:2")
	c.run(t, 2, "without --api", "list", "--api", "https://127.0.0.1:1", "--socket", "")
	c.changes(t)
	c.run(t, 0, "it is volume 1, Optl, 3.637 TB /dev/vdb", "add-volume", "0", "--level", "5", "--drive", "252:2,252:3", "--drive", "252:4")
	c.run(t, 0, "is free", "remove-spare", "mega0", "252:5")
	c.run(t, 0, "stands by", "add-spare", "mega0", "252:5")
	c.changes(t, "/c0 add vd type=raid5 drives=252:2,252:3,252:4 wt nora J nolog", "/c0/e252/s5 delete hotsparedrive J nolog", "/c0/e252/s5 add hotsparedrive J nolog")
	c.p.Set(func(s *hwraidtest.State) { s.Refuse = "the controller is busy" })
	c.run(t, 1, "storcli64 does not take the hot spare back: Operation Failed: the controller is busy", "remove-spare", "mega0", "252:5")
}

func TestHardwareRAIDRemoval(t *testing.T) {
	t.Parallel()
	c := newController(t, hwraidtest.Shelf())
	disk := c.a.Disks.Look("vda")
	for _, x := range []struct {
		why  string
		use  func()
		free func()
	}{
		{"mounted at /srv", func() { disk.Mounts = []string{"/srv"} }, func() { disk.Mounts = nil }},
		{"in use", func() {
			c.p.Set(func(s *hwraidtest.State) { s.Volumes[0].Disk = "/dev/vdb" })
			c.esos(t, "array", "create", "r1", "virtio-d2", "virtio-d3", "--level", "1")
		}, func() { c.p.Set(func(s *hwraidtest.State) { s.Volumes[0].Disk = "/dev/vda" }) }},
		{"not among the disks", func() { c.p.Set(func(s *hwraidtest.State) { s.Volumes[0].Disk = "/dev/sdz" }) },
			func() { c.p.Set(func(s *hwraidtest.State) { s.Volumes[0].Disk = "/dev/vda" }) }},
		{"another identifier", func() { disk.WWN = "0x5000000000000001" }, func() { disk.WWN = "" }},
	} {
		x.use()
		c.run(t, 4, x.why, "remove-volume", "mega0", "0", "--destroy", "hwraid/mega0/0")
		x.free()
	}
	c.a.Disks.Look("vda").Owner, c.a.Disks.Look("vda").Content = "accounts", []block.Content{{Type: "xfs", Label: "accounts"}}
	c.run(t, 8, "has no volume 7", "remove-volume", "mega0", "7")
	c.run(t, 3, "--destroy hwraid/mega0/0", "remove-volume", "mega0", "0")
	c.run(t, 3, "accounts", "remove-volume", "mega0", "0", "--destroy", "hwraid/mega0/1")
	c.run(t, 0, "would destroy hwraid/mega0/0", "remove-volume", "mega0", "0", "-n")
	c.p.Set(func(s *hwraidtest.State) { s.Refuse = "VD has OS/FS" })
	c.run(t, 1, "'esos disk wipe /dev/vda' first", "remove-volume", "mega0", "0", "--destroy", "hwraid/mega0/0")
	c.p.Set(func(s *hwraidtest.State) { s.Refuse, s.Calls = "", nil })
	c.a.Stop()
	c.run(t, 5, "", "remove-volume", "mega0", "0", "--destroy", "hwraid/mega0/0")
	c.changes(t)
	c.a.Start()
	c.run(t, 0, "deleted volume 0", "remove-volume", "mega0", "0", "--destroy", "hwraid/mega0/0")
	c.changes(t, "/c0/v0 del J nolog")
}

// esos runs another command.
func (c *controller) esos(t *testing.T, args ...string) {
	t.Helper()
	var out strings.Builder
	if code := cli.Main(context.Background(), append(args, "--socket", c.a.Socket), strings.NewReader(""), &out, &out); code != 0 {
		t.Fatalf("esos %s: %d\n%s", strings.Join(args, " "), code, out.String())
	}
}

// TestHardwareRAIDPrograms: none, one that fails, and two that know the same
// controller.
func TestHardwareRAIDPrograms(t *testing.T) {
	t.Parallel()
	c := newController(t, hwraidtest.Shelf())
	if err := os.Remove(c.p.Path); err != nil {
		t.Fatal(err)
	}
	c.run(t, 0, "put in that of the controller's vendor", "list")
	c.run(t, 8, "put in that of the controller's vendor", "add-spare", "0", "252:1")
	for _, name := range []string{"storcli64", "perccli64"} {
		hwraidtest.Install(t, c.root, name, hwraidtest.Shelf())
	}
	c.run(t, 0, "stands by", "add-spare", "0", "252:2")
	c.run(t, 8, "no controller", "add-spare", "perc0", "252:3")
	other := hwraidtest.Shelf()
	other.Serial = "SV2"
	hwraidtest.Install(t, c.root, "perccli64", other)
	c.run(t, 2, "write mega0 or perc0", "add-spare", "0", "252:3")
	c.run(t, 0, "stands by", "add-spare", "perc0", "252:3")
	c.p.Script("echo broken; exit 3")
	c.run(t, 0, "warning: list the controllers: storcli64 does not answer", "list")
	c.run(t, 1, "does not answer", "add-spare", "mega0", "252:3")
}

// TestHardwareRAIDSerial: a program that tells neither the kernel's name nor the
// identifier of a volume, but its serial number.
func TestHardwareRAIDSerial(t *testing.T) {
	t.Parallel()
	c := newController(t, hwraidtest.State{})
	p := hwraidtest.Install(t, c.root, "arcconf", hwraidtest.State{})
	p.Script(`case $1 in GETCONFIG) cat <<END
Controllers found: 1
   Controller Model : Imitation
Logical Device number 0
   RAID level : 1
   Unique Identifier : $(cat ` + c.root + `/serial)
END
;; *) echo "$*" >` + c.root + `/did ;; esac
echo Command completed successfully.`)
	c.a.Disks.Disk("vdx", "0BADCAFE", 1<<30).Mounts = []string{"/srv"}
	for _, x := range []struct {
		serial, want string
		code         int
	}{{"0BADCAFE", "mounted at /srv", 4}, {"0BADCAFF", "does not tell which disk", 4}, {"0badcafe", "deleted volume 0", 0}} {
		if err := os.WriteFile(c.root+"/serial", []byte(x.serial), 0o600); err != nil {
			t.Fatal(err)
		}
		if x.code == 0 {
			c.a.Disks.Look("vdx").Mounts = nil
		}
		c.run(t, x.code, x.want, "remove-volume", "arc1", "0", "--destroy", "hwraid/arc1/0")
	}
	if did, err := os.ReadFile(c.root + "/did"); err != nil || string(did) != "DELETE 1 LOGICALDRIVE 0 noprompt\n" {
		t.Errorf("the controller was told %q, %v", did, err)
	}
}

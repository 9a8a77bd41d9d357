package hardware_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/cli"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/hwraid/hwraidtest"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/hardware"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

func TestMain(m *testing.M) {
	if code, is := hwraidtest.Main(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// raid is a console at a machine with RAID controllers: the real commands, and
// an imitation of the vendor's program behind them.
type raid struct {
	*tuitest.Console
	a    *apitest.Array
	root string
	p    *hwraidtest.Program
	t    *testing.T
}

// newRAID makes one with a controller; none if the state has no model.
func newRAID(t *testing.T, s hwraidtest.State) *raid {
	t.Helper()
	r := &raid{a: apitest.New(t, apitest.Options{Disks: 4}), root: t.TempDir(), t: t}
	r.p = hwraidtest.Install(t, r.root, "storcli64", s)
	r.Console = tuitest.New(t, tuitest.Options{Client: r.a.Client, Command: func(ctx context.Context, args []string, in io.Reader, out io.Writer) int {
		return cli.Main(ctx, append(slices.Clone(args), "--root", r.root, "--socket", r.a.Socket), in, out, out)
	}})
	return r
}

// second puts in a second controller, with nothing at it but a volume.
func (r *raid) second() {
	s := hwraidtest.Shelf()
	s.Model, s.Serial = "Imitation H7", "SV00000002"
	s.Drives, s.Volumes[0].Disk = s.Drives[:2], "/dev/vdd"
	hwraidtest.Install(r.t, r.root, "perccli64", s)
}

func (r *raid) entry(title string) {
	r.t.Helper()
	r.Entry(hardware.Menu(), title)
}

// changed fails unless the controller was told these things.
func (r *raid) changed(want ...string) {
	r.t.Helper()
	if got := r.p.Changes(); !slices.Equal(got, want) {
		r.t.Errorf("the controller was told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestParity(t *testing.T) {
	t.Parallel()
	t.Run("H1 add volume", func(t *testing.T) {
		t.Parallel()
		r := newRAID(t, hwraidtest.Shelf())
		r.second()
		r.entry("Add Volume")
		r.Wait("Make it")
		r.Golden("add-volume")
		r.Type(" ")
		r.Press(tcell.KeyDown)
		r.Golden("add-volume-controller")
		r.Enter()
		r.Shows("it has no free drive")
		r.Picked("mega0")
		r.Type(" ")
		r.Golden("add-volume-level")
		r.Picked("RAID 5")
		r.Type(" ")
		r.Type(" ") // one that a volume has
		r.Shows("It cannot be chosen: a volume has it")
		r.Golden("add-volume-drives")
		r.Escape()
		r.Mark("252:2", "252:3")
		r.Type(" ")
		r.Golden("add-volume-cache")
		r.Picked("write-back")
		r.Type(" ") // read-ahead
		r.Press(tcell.KeyTab, tcell.KeyEnter)
		r.Shows("RAID 5 takes 3 drives or more, not 2")
		r.Golden("add-volume-wrong")
		r.Mark("252:4")
		r.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		r.Wait("Make the volume?")
		r.Golden("add-volume-ask")
		r.Press(tcell.KeyLeft, tcell.KeyEnter)
		r.Wait("Done. Esc goes back.")
		r.Golden("add-volume-done")
		r.changed("/c0 add vd type=raid5 drives=252:2,252:3,252:4 wb ra J nolog")
		r.Escape()
		r.entry("Add Volume")
		r.Wait("mega0: it has no free drive.")
		r.Golden("no-drive")
	})
	t.Run("H2 remove volume", func(t *testing.T) {
		t.Parallel()
		r := newRAID(t, hwraidtest.Shelf())
		r.second()
		r.a.Disks.Look("vda").Owner, r.a.Disks.Look("vda").Content = "accounts", []block.Content{{Type: "xfs", Label: "accounts"}}
		r.a.Disks.Look("vdd").Mounts = []string{"/srv"}
		r.entry("Remove Volume")
		r.Wait("Remove which volume?")
		r.Golden("remove-volume-pick")
		r.Picked("perc0")
		r.Wait("in use: ")
		r.Golden("remove-volume-in-use")
		r.Enter()
		r.entry("Remove Volume")
		r.Picked("mega0")
		r.Wait("Type hwraid/mega0/0")
		r.Shows("accounts")
		r.Golden("remove-volume")
		r.Field("hwraid/perc0/0")
		r.Enter()
		r.Shows("not hwraid/mega0/0")
		r.changed()
		r.Field("hwraid/mega0/0")
		r.Enter()
		r.Wait("Done. Esc goes back.")
		r.Golden("remove-volume-done")
		r.changed("/c0/v0 del J nolog")
	})
	t.Run("H3 add hot spare", func(t *testing.T) {
		t.Parallel()
		r := newRAID(t, hwraidtest.Shelf())
		r.entry("Add Hot Spare")
		r.Wait("Add a hot spare")
		r.Golden("add-spare")
		r.Press(tcell.KeyTab)
		r.Type(" ")
		r.Golden("add-spare-drive")
		r.Picked("252:5")
		r.Shows("It cannot be chosen: it is a hot spare")
		r.Escape()
		r.Picked("252:4")
		r.Enter()
		r.Wait("Done. Esc goes back.")
		r.Golden("add-spare-done")
		r.changed("/c0/e252/s4 add hotsparedrive J nolog")
	})
	t.Run("H4 remove hot spare", func(t *testing.T) {
		t.Parallel()
		r := newRAID(t, hwraidtest.Shelf())
		r.p.Set(func(s *hwraidtest.State) { s.Refuse = "the controller is busy" })
		r.entry("Remove Hot Spare")
		r.Wait("Remove a hot spare")
		r.Golden("remove-spare")
		r.Press(tcell.KeyTab)
		r.Choose("252:5")
		r.Enter()
		r.Wait("That failed.")
		r.Shows("controller is busy (exit status 255)")
		r.p.Set(func(s *hwraidtest.State) { s.Refuse, s.Calls = "", nil })
		r.Escape()
		r.Enter()
		r.Wait("Done. Esc goes back.")
		r.Golden("remove-spare-done")
		r.changed("/c0/e252/s5 delete hotsparedrive J nolog")
		r.entry("Remove Hot Spare")
		r.Wait("No drive")
		r.Golden("no-spare")
	})
}

// TestControllers: controllers that are not there, or do not answer, and drives
// that are gone meanwhile.
func TestControllers(t *testing.T) {
	t.Parallel()
	r := newRAID(t, hwraidtest.State{})
	r.entry("Add Volume")
	r.Wait("No controller")
	r.Wait("perccli64")
	r.Golden("no-controller")
	r.Enter()
	r.Wait("Add Volume: which controller?")
	r.p.Set(func(s *hwraidtest.State) { s.Print, s.Code = "it is broken\x1b[2J", 3 })
	r.entry("Add Hot Spare")
	r.Wait("The controllers cannot be asked")
	r.Golden("controllers-fail")
	r.p.Set(func(s *hwraidtest.State) { *s = hwraidtest.State{Model: "Imitation", Serial: "SV1"} })
	r.entry("Remove Volume")
	r.Wait("No volume")
	r.Golden("no-volume")
	r.p.Set(func(s *hwraidtest.State) { *s = hwraidtest.Shelf() })
	r.entry("Add Hot Spare")
	r.Press(tcell.KeyTab)
	r.Choose("252:4")
	r.p.Set(func(s *hwraidtest.State) { s.Drives[4].State = "Onln" })
	r.Enter()
	r.Wait("That failed.")
	r.Shows("a volume has it")
	if err := os.Remove(filepath.Join(r.root, "opt/MegaRAID/storcli/storcli64")); err != nil {
		t.Fatal(err)
	}
	r.entry("Remove Hot Spare")
	r.Wait("Remove Hot Spare: which controller?")
	r.In(func(d *frame.Desk) { d.Home() })
}

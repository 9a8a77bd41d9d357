package hardware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/smart"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// bench is a console on an array, with two of the vendors' programs.
type bench struct {
	*tuitest.Console
	a    *apitest.Array
	menu frame.Menu
	ran  []string // on the terminal
	told []string // commands of esos
	fail error    // of what runs on the terminal
}

func newBench(t *testing.T, o apitest.Options) *bench {
	t.Helper()
	b := &bench{a: apitest.New(t, o)}
	b.menu = menu(func(_ context.Context, name string, args []string) error {
		b.ran = append(b.ran, name+" "+strings.Join(args, " "))
		return b.fail
	})
	b.Console = tuitest.New(t, tuitest.Options{Client: b.a.Client, Now: still, Command: func(_ context.Context, args []string, _ io.Reader, out io.Writer) int {
		line := strings.Join(args, " ")
		if line == "hwraid list --output json" {
			_, _ = io.WriteString(out, `{"programs":[],"controllers":[]}`)
			return 0
		}
		if line == "raid-cli list --output json" {
			_, _ = io.WriteString(out, `[{"name":"storcli64","vendor":"Broadcom, Avago, LSI: MegaRAID","installed":true,"size":9},`+
				`{"name":"perccli64","vendor":"Dell: PERC","installed":false},{"name":"cli64","vendor":"Areca","installed":true}]`)
			return 0
		}
		b.told = append(b.told, line)
		_, _ = io.WriteString(out, "ran: "+line+"\n")
		return 0
	}})
	return b
}

// entry opens an entry of the menu.
func (b *bench) entry(t *testing.T, title string) {
	t.Helper()
	b.In(func(d *frame.Desk) { d.Menu(b.menu) })
	for i, a := range b.menu.Actions {
		if a.Title == title {
			for range i {
				b.Press(tcell.KeyDown)
			}
			b.Enter()
			return
		}
	}
	t.Fatalf("no entry %s", title)
}

// still is a clock that stands: what is said at the bottom stays.
func still() time.Time { return time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC) }

func TestMenu(t *testing.T) {
	t.Parallel()
	b := newBench(t, apitest.Options{})
	b.In(func(d *frame.Desk) { d.Menu(Menu()) })
	b.Golden("menu")
	b.Escape()
	b.entry(t, "Disks")
	b.Wait("There is no disk.")
	b.Golden("disks-empty")
	b.Escape()
	b.entry(t, "Multipath")
	b.Wait("No disk is reached by several paths.")
	b.Golden("multipath-empty")
	b.Escape()
	b.entry(t, "Remote Disks")
	b.Wait("(this is)")
	b.Golden("remote-empty")
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t, apitest.Options{})
	b.fail = errors.New("run storcli64 /call show: exit status 1")
	b.entry(t, "Controllers' Programs")
	b.Wait("storcli64")
	b.Golden("controllers-programs")
	b.Type("r")
	b.Press(tcell.KeyTab, tcell.KeyEnter)
	b.Wait("storcli64 failed")
	b.Shows("exit status 1")
	b.Enter()
	b.Press(tcell.KeyDown)
	b.Wait("It is not here: a puts it in.")
	b.Type("r")
	b.Wait("perccli64 is not here")
	b.Golden("program-not-here")
	b.Enter()
	b.Type("d")
	b.Wait("is not on this machine")
	b.Golden("take-out-nothing")
	b.Enter()
	b.Enter()
	b.Wait("Add Volume, for example:")
	b.Golden("program")
	b.Type("a")
	b.Golden("program-add")
	b.Type("storcli.zip")
	b.Shows("a path such as")
	b.Field("/tmp/PERCCLI_Linux.tar.gz")
	b.Enter()
	b.Wait("Done. Esc goes back.")
	b.Escape()
	b.Escape()
	b.Press(tcell.KeyUp)
	b.Type("d")
	b.Wait("Take out storcli64?")
	b.Golden("take-out")
	b.Press(tcell.KeyLeft, tcell.KeyEnter)
	b.Wait("Done. Esc goes back.")
	b.Golden("take-out-run")
	if want := []string{"raid-cli add perccli64=/tmp/PERCCLI_Linux.tar.gz", "raid-cli remove storcli64"}; !slices.Equal(b.told, want) {
		t.Errorf("commands %q, want %q", b.told, want)
	}
}

// TestByHand: where no program is there that ESOS calls itself, the entries say
// which one is needed, and how the others do it.
func TestByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t, apitest.Options{Disks: 1})
	b.entry(t, "Add Volume")
	b.Wait("Add Volume: which controller?")
	b.Wait("perccli64")
	b.Golden("programs")
	b.Enter()
	b.Wait("storcli64 /c0 add vd r6 drives=252:0-5")
	b.Golden("add-volume-program")
	b.Type("r")
	b.Wait("Run storcli64")
	b.Shows("/call show") // what only shows, not the example
	b.Golden("add-volume-run")
	b.Field("/c0 add vd r6 drives=252:0-5")
	b.Enter()
	if want := []string{"storcli64 /c0 add vd r6 drives=252:0-5"}; !slices.Equal(b.ran, want) {
		t.Errorf("ran %q, want %q", b.ran, want)
	}
	b.Shows("with storcli64")
}

// TestVolumeOf: a volume is known by what it calls itself.
func TestVolumeOf(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ vendor, model, want string }{
		{"AVAGO", "MR9361-8i", "[storcli64 MegaCli64]"},
		{"DELL", "PERC H730P Mini", "[perccli64]"},
		{"HPE", "LOGICAL VOLUME", "[hpacucli hpssacli ssacli]"},
		{"Adaptec", "ASR8805", "[arcconf]"},
		{"Areca", "ARC-1882-VOL#000", "[cli64]"},
		{"AMCC", "9650SE-8LP DISK", "[tw_cli]"},
		{"SEAGATE", "ST8000NM0075", "[]"},
		{"LSI", "Virtual SES", "[]"},
		{"", "", "[]"},
	} {
		if got := fmt.Sprint(volumeOf(v1.Disk{Device: block.Device{Vendor: x.vendor, Model: x.model}})); got != x.want {
			t.Errorf("%s %s: %s, want %s", x.vendor, x.model, got, x.want)
		}
	}
}

// look is a look at two disks: one is well, the other one counts errors.
type look struct{}

func (look) ReadFile(string) ([]byte, error) {
	return json.Marshal(map[string]smart.Entry{
		"Imitation d1": {Disk: "virtio-d1", Health: smart.Health{When: time.Time{}, Passed: new(true), Celsius: new(int64(33)), Hours: new(int64(12000)), Firmware: "1.0"}},
		"Imitation d2": {Disk: "virtio-d2", Health: smart.Health{Passed: new(false), Pending: new(int64(8))}},
	})
}

func (look) Save(string, []byte, fs.FileMode) error { return fs.ErrPermission }

// shelf is a machine whose disks are in different states.
func shelf(t *testing.T) *bench {
	t.Helper()
	book := &smart.Book{}
	if err := book.Load(look{}, ""); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, apitest.Options{Disks: 4, Health: book})
	full := b.a.Disks.Look("vdc")
	full.Owner, full.Content = "accounts", []block.Content{{Type: "xfs", Label: "accounts"}}
	b.a.Disks.Look("vdd").Mounts = []string{"/srv"}
	b.a.Disks.File("/sys/class/enclosure/0:0:8:0/Slot 04/locate", "0\n")
	b.a.Disks.File("/sys/class/enclosure/0:0:8:0/Slot 04/device/block/vda/size", "1")
	return b
}

func TestDisks(t *testing.T) {
	t.Parallel()
	b := shelf(t)
	b.entry(t, "Disks")
	b.Wait("virtio-d4")
	b.Shows("failing")
	b.Golden("disks")
	b.Type("l")
	b.Wait("virtio-d1 blinks.")
	b.Type("l")
	b.Wait("virtio-d1 does not blink any more.")
	b.Enter()
	b.Wait("12000 hours")
	b.Golden("disk")
	b.Escape()
	b.Press(tcell.KeyDown)
	b.Wait("sectors")
	b.Golden("disks-trouble")
	b.Type("l")
	b.Wait("No enclosure tells")
	b.Golden("led")
	b.Enter()
	b.Wait("ledctl") // the imitation has none
	b.Golden("failed")
	b.Enter()
	b.Press(tcell.KeyEnd)
	b.Type("w")
	b.Wait("/dev/vdd is mounted at /srv")
	b.Enter()
	b.Type("a")
	b.Wait("All block devices")
	b.Golden("all-block-devices")
	b.Escape()
	b.Escape()
	b.entry(t, "Locate a Disk")
	b.Wait("Locate which disk?")
	b.Golden("locate-pick")
	b.Escape()
	b.In(func(d *frame.Desk) { Locate(d, v1.Disk{ID: "vg0/mail", Device: block.Device{Type: "lvm"}}) })
	b.Golden("locate-no-disk")
}

func TestWipe(t *testing.T) {
	t.Parallel()
	b := shelf(t)
	before := b.a.Document()
	b.entry(t, "Wipe a Disk")
	b.Wait("Wipe which disk?")
	b.Golden("wipe-pick")
	b.Type("virtio-d3")
	b.Enter()
	b.Wait("Wipe virtio-d3?")
	b.Golden("wipe")
	b.Press(tcell.KeyLeft, tcell.KeyEnter)
	b.Wait("DATA ARE LOST")
	b.Golden("wipe-plan")
	b.Type("c")
	b.Type("disk/virtio-d2") // another one
	b.Press(tcell.KeyTab, tcell.KeyEnter)
	b.Shows("not disk/virtio-d3")
	if len(b.a.Disks.Lost()) > 0 {
		t.Fatal("it was wiped without its name")
	}
	b.Press(tcell.KeyUp, tcell.KeyUp) // wherever the cursor is: back to the field
	b.Escape()
	b.Destroy("disk/virtio-d3")
	if got := fmt.Sprint(b.a.Disks.Lost()); got != "[accounts]" {
		t.Errorf("lost %s, want [accounts]", got)
	}
	before.ID = b.a.Document().ID // the first change gives it one
	if d := config.Diff(before, b.a.Document()); len(d) > 0 {
		t.Errorf("wiping changed the document: %v", d)
	}
	b.entry(t, "Wipe a Disk")
	b.Type("virtio-d3")
	b.Enter()
	b.Press(tcell.KeyLeft, tcell.KeyEnter)
	b.Wait("The array is like that already.") // blank
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	b := shelf(t)
	b.entry(t, "Discard a Disk")
	b.Type("virtio-d3")
	b.Enter()
	b.Wait("TRIM")
	b.Press(tcell.KeyLeft, tcell.KeyEnter)
	b.Destroy("discard/virtio-d3")
	if calls := strings.Join(b.a.Disks.Calls(), "\n"); !strings.Contains(calls, "blkdiscard") {
		t.Errorf("nothing was discarded:\n%s", calls)
	}
}

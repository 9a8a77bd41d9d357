package tui_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/tui"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/home"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const classic = `
version: 1
name: vault
engine: lio
mail: {server: mail.example.com, to: [storage@example.com]}
users: [{name: ann, role: admin}]
network: {interfaces: [{name: eth1, addresses: [192.0.2.10/24, "2001:db8::10/64"]}]}
storage:
  arrays: [{name: r1, level: 1, disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2]}]
  filesystems: [{name: images, type: xfs, device: /dev/disk/by-id/virtio-d3}]
devices:
- {name: db01, handler: vdisk_nullio, size: 20GiB}
iscsi:
  portals: [{name: front, address: "127.0.0.1:3260"}]
targets:
- name: iqn.2026-11.org.esos-project:mail
  groups: [{name: hosts, initiators: ["iqn.2026-11.com.example:a*"], luns: [{lun: 7, device: db01}]}]
device_groups:
- {name: pool, devices: [db01], target_groups: [{name: local, id: 1, state: active, targets: [{name: "iqn.2026-11.org.esos-project:mail"}]}]}
`

// lio is an engine that passes SCSI devices on.
type lio struct{ *enginetest.Memory }

// Name is that of the engine in the document.
func (lio) Name() string { return "lio" }

// desk is a console as it starts, with all menus.
func desk(t *testing.T, a *apitest.Array, o tuitest.Options) *tuitest.Console {
	t.Helper()
	o.Client, o.Menus = a.Client, tui.Menus
	o.First = func(d *frame.Desk) frame.Screen { return home.New(d, tui.Menus()) }
	c := tuitest.New(t, o)
	c.Wait("Sessions")
	return c
}

// entry opens an entry by the titles of the menu and its own.
func entry(t *testing.T, c *tuitest.Console, menu, title string) {
	t.Helper()
	for _, m := range tui.Menus() {
		if m.Title == menu {
			c.Entry(m, title)
			return
		}
	}
	t.Fatalf("there is no menu %s", menu)
}

// TestSimple: T0.10, the eight entries of the small console are in the one that
// there is, and lead somewhere; the machine's addresses are told.
func TestSimple(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Document: classic, Disks: 4, Engine: lio{&enginetest.Memory{}}})
	shells := 0
	c := desk(t, a, tuitest.Options{Shell: func() error { shells++; return nil },
		Command: func(context.Context, []string, io.Reader, io.Writer) int { return 8 }}) // no appliance: nothing to save to
	for _, x := range []struct{ menu, title, shows string }{
		{"System", "Date/Time Settings", "Time zone"},
		{"System", "Network Settings", "eth0"},
		{"System", "Restart Networking", "Every interface is set up anew"},
		{"System", "Mail Setup", "mail.example.com"},
		{"System", "Send Test Email", "By mail.example.com, to storage@example.com."},
		{"Interface", "About", "Apache License"},
	} {
		t.Run("T0.10 "+x.title, func(t *testing.T) {
			entry(t, c, x.menu, x.title)
			c.Wait(x.shows)
		})
	}
	t.Run("T0.10 addresses", func(t *testing.T) {
		entry(t, c, "System", "Network Settings")
		c.Wait("192.0.2.10/24")
		c.Resize(160, 50)
		c.Wait("2001:db8::10/64")
	})
	t.Run("T0.10 Shell", func(t *testing.T) {
		entry(t, c, "Interface", "Exit to Shell")
		if shells != 1 {
			t.Errorf("%d shells", shells)
		}
	})
	t.Run("T0.10 Quit", func(t *testing.T) {
		for _, m := range tui.Menus() {
			if m.Title == "Interface" {
				c.In(func(d *frame.Desk) {
					d.Home()
					d.Menu(m)
				})
			}
		}
		c.Leaves(func() { c.Send(tcell.KeyEnter) })
	})
}

// TestClasses: T0.11, what may be typed where, said while it is typed; IPv6 may.
func TestClasses(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Document: classic, Disks: 4, Engine: lio{&enginetest.Memory{}}})
	c := desk(t, a, tuitest.Options{})
	for _, x := range []struct {
		name, menu, title string
		key               string // of the list that the entry leads to
		tabs              int
		bad, says         string
		good              []string
	}{
		{"NAME", "Devices", "Add Device", "", 0, "data base", "letters, digits and . _ - only", []string{"db_2.new-1"}},
		{"IP", "Targets", "iSCSI Portals", "a", 1, "192.0.2.300", "an address such as", []string{"192.0.2.30", "2001:db8::30"}},
		{"EMAIL", "System", "Mail Setup", "", 1, "ann at example.com", "is no mail address", []string{"ann.b+san@example.com"}},
		{"INIT", "Hosts", "Add Initiator", "", 3, "!", "is no name of an initiator", []string{"iqn.2026-11.com.example:b?x*", "eui.0011223344556677", "!*:old"}},
		{"number", "Devices", "Add Device", "", 3, "20 blocks", "a size such as 10GiB", []string{"20GiB", "1.5TB", "512MiB"}},
	} {
		t.Run("T0.11 "+x.name, func(t *testing.T) {
			entry(t, c, x.menu, x.title)
			c.Type(x.key)
			for range x.tabs {
				c.Press(tcell.KeyTab)
			}
			c.Press(tcell.KeyCtrlU)
			c.Type(x.bad)
			c.Shows(x.says)
			for _, good := range x.good {
				c.Press(tcell.KeyCtrlU)
				c.Type(good)
				c.Shows(good)
				if s := c.Text(); strings.Contains(s, x.says) {
					t.Errorf("%s is refused:\n%s", good, s)
				}
			}
		})
	}
	t.Run("T0.11 control characters", func(t *testing.T) {
		entry(t, c, "Devices", "Add Device")
		c.Paste("db\x1b[2J\x00")
		if s := c.Text(); strings.ContainsAny(s, "\x1b\x00") {
			t.Errorf("they reach the terminal: %q", s)
		}
		c.Shows("letters, digits and . _ - only")
	})
}

// TestDialogs: T0.12, the boxes, and a picker of each kind, from the entries that
// show them.
func TestDialogs(t *testing.T) {
	t.Parallel()
	e := &enginetest.Memory{}
	a := apitest.New(t, apitest.Options{Document: classic, Disks: 5, Engine: lio{e}})
	e.SetSessions(engine.Session{ID: "1", Target: "iqn.2026-11.org.esos-project:mail", Initiator: "iqn.2026-11.com.example:new", Address: "192.0.2.7:4000"})
	c := desk(t, a, tuitest.Options{})
	t.Run("T0.12 boxes", func(t *testing.T) {
		yes := 0
		c.In(func(d *frame.Desk) { d.Say("Information", "It is so.") })
		c.Shows("It is so.")
		c.Enter()
		c.In(func(d *frame.Desk) { d.Fail("Read it", io.ErrUnexpectedEOF) })
		c.Shows("Read it: that failed")
		c.Enter()
		for range 2 {
			c.In(func(d *frame.Desk) { d.Ask("Sure?", "It is done then.", "Do it", func() { yes++ }) })
			c.Shows("[ Do it ]")
			c.Enter() // the safe answer
			if yes != 0 {
				t.Fatal("Enter alone did it")
			}
		}
		c.In(func(d *frame.Desk) { d.Ask("Sure?", "It is done then.", "Do it", func() { yes++ }) })
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		if yes != 1 {
			t.Errorf("it was done %d times", yes)
		}
	})
	for _, x := range []struct {
		name, menu, title, keys string // ~ is Tab
		shows                   []string
	}{
		{"target", "Hosts", "Add Initiator", " ", []string{"driver", "iqn.2026-11.org.esos-project:mail"}},
		{"group", "Hosts", "Add Initiator", "~ ", []string{"initiators", "hosts"}},
		{"initiator", "Hosts", "Add Initiator", "~~ ", []string{"from", "iqn.2026-11.com.example:new"}},
		{"LUN", "Devices", "Unmap from Host Group", "", []string{"access", "db01", "7"}},
		{"device", "Devices", "Map to Host Group", " ", []string{"handler", "db01"}},
		{"block device", "Devices", "Add Device", "~ block\r ", []string{"what it is", "d4", "a member of a RAID array"}},
		{"SCSI disk", "Devices", "Add Device", "~ dev_disk\r ", []string{"another, typed below"}},
		{"SCSI tape", "Devices", "Add Device", "~ dev_tape\r", []string{"HOST:CHANNEL:ID:LUN"}},
		{"SCSI changer", "Devices", "Add Device", "~ dev_changer\r", []string{"HOST:CHANNEL:ID:LUN"}},
		{"device group", "ALUA", "Add Target Group", " ", []string{"pool"}},
		{"target group", "ALUA", "Add Target to Group", " ", []string{"preferred", "local"}},
		{"user", "System", "Change Password", "", []string{"full name", "ann"}},
		{"file system", "File Systems", "Remove File System", "", []string{"images"}},
		{"network interface", "System", "Network Settings", "", []string{"eth0", "eth1"}},
	} {
		t.Run("T0.12 "+x.name, func(t *testing.T) {
			entry(t, c, x.menu, x.title)
			for _, r := range x.keys {
				switch r {
				case '~':
					c.Press(tcell.KeyTab)
				case '\r':
					c.Enter()
				default:
					c.Type(string(r))
				}
			}
			for _, text := range x.shows {
				c.Wait(text)
			}
		})
	}
	t.Run("T0.12 why not", func(t *testing.T) {
		entry(t, c, "Devices", "Add Device")
		c.Press(tcell.KeyTab)
		c.Choose("block")
		c.Choose("virtio-d1") // of the array r1
		c.Shows("what it is") // still the picker
		c.Shows("a member of a RAID array")
	})
}

// TestNoLimits: T0.13, more of everything than the lists of earlier ESOS took,
// and longer names.
func TestNoLimits(t *testing.T) {
	t.Parallel()
	const devices, targets, groups = 600, 300, 150
	long := strings.Repeat("x", 40)
	var b strings.Builder
	b.WriteString("version: 1\nname: vault\niscsi: {portals: [{name: front, address: \"127.0.0.1:3260\"}]}\ndevices:\n")
	for i := range devices {
		fmt.Fprintf(&b, "- {name: %s-%03d, handler: vdisk_nullio, size: 1GiB}\n", long, i)
	}
	b.WriteString("targets:\n")
	for i := range targets {
		fmt.Fprintf(&b, "- name: iqn.2026-11.org.esos-project:%s-%03d\n", long, i)
		if i == 0 {
			b.WriteString("  groups:\n")
			for g := range groups {
				fmt.Fprintf(&b, "  - {name: %s-%03d, initiators: [\"iqn.2026-11.com.example:%s-%03d\"]", long, g, strings.Repeat("y", 150), g)
				if g == groups-1 {
					b.WriteString(", luns: [")
					for l := range devices - 1 {
						fmt.Fprintf(&b, "{lun: %d, device: %s-%03d}, ", l, long, l)
					}
					b.WriteString("]")
				}
				b.WriteString("}\n")
			}
		}
	}
	a := apitest.New(t, apitest.Options{Document: b.String()})
	c := desk(t, a, tuitest.Options{Width: 160, Height: 50})
	t.Run("T0.13 lists", func(t *testing.T) {
		entry(t, c, "Devices", "Device Information")
		c.Wait(long + "-000")
		c.Press(tcell.KeyEnd)
		c.Wait(fmt.Sprintf("%s-%03d", long, devices-1))
		entry(t, c, "Targets", "Target Information")
		c.Wait(long + "-000")
		c.Press(tcell.KeyEnd)
		c.Wait(fmt.Sprintf("%s-%03d", long, targets-1))
	})
	t.Run("T0.13 a LUN beyond 255", func(t *testing.T) {
		entry(t, c, "Devices", "Map to Host Group")
		c.Mark(fmt.Sprintf("-%03d", devices-1))
		c.Choose("-000") // target
		c.Choose(fmt.Sprintf("-%03d", groups-1))
		c.Field("16000")
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		c.CarryOut()
		luns, err := a.Document().LUNMap("iqn.2026-11.org.esos-project:"+long+"-000", fmt.Sprintf("%s-%03d", long, groups-1))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(*luns); n != devices || (*luns)[n-1].LUN != 16000 {
			t.Errorf("%d LUNs, the last is %+v", n, (*luns)[n-1])
		}
	})
}

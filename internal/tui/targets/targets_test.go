package targets_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/targets"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const (
	mail  = "iqn.2026-11.com.example:mail"
	web   = "iqn.2026-11.com.example:web"
	alice = "iqn.2026-11.com.example:alice"
)

const document = `version: 1
name: vault
devices:
  - {name: db01, handler: vdisk_nullio, size: 10GiB}
iscsi:
  portals:
    - {name: front, address: "192.0.2.10:3260"}
    - {name: back, address: "[2001:db8::10]:3260", group: 2}
targets:
  - name: ` + mail + `
    alias: mail server
    groups:
      - {name: hosts, initiators: [` + alice + `], luns: [{lun: 0, device: db01}]}
  - name: ` + web + `
    portals: [front]
`

func array(t *testing.T, text string) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	a := apitest.New(t, apitest.Options{Document: text, Disks: 1})
	a.Engine.SetSessions(engine.Session{ID: "1", Target: mail, Group: "hosts", Initiator: alice, Address: "192.0.2.20:51000", LUNs: 1})
	return a, tuitest.New(t, tuitest.Options{Client: a.Client})
}

func target(t *testing.T, a *apitest.Array, name string) *config.Target {
	t.Helper()
	v, err := a.Document().FindTarget(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTargets(t *testing.T) {
	t.Parallel()
	a, c := array(t, document)
	t.Run("menu", func(*testing.T) {
		c.In(func(d *frame.Desk) { d.Menu(targets.Menu()) })
		c.Picture("menu")
	})
	t.Run("R1 target information", func(*testing.T) {
		c.Entry(targets.Menu(), "Target Information")
		c.Picture("list")
		c.Enter()
		for _, text := range []string{mail, "iscsi (iSCSI)", "enabled", "Relative id", "Group hosts: " + alice, "LUN 0: db01", alice + " from 192.0.2.20"} {
			c.Shows(text)
		}
		c.Picture("information")
	})
	t.Run("R2 add iSCSI target", func(t *testing.T) {
		c.Entry(targets.Menu(), "Add iSCSI Target")
		c.Shows(config.OurNames + "vault")
		c.Picture("add")
		c.Press(tcell.KeyCtrlU)
		c.Type("iqn.x")
		c.Shows("must be like iqn.2026-11.com.example:name")
		c.Press(tcell.KeyCtrlU)
		c.Type(mail)
		c.Shows("is there already")
		c.Field("db")
		c.Mark("back")
		c.Field("databases")
		c.Type("nowhere")
		c.Shows("[2001:db8::10]:3260")
		c.Field("[2001:db8::99]:3260")
		c.Enter()
		c.CarryOut()
		got := target(t, a, config.OurNames+"db")
		if got.Alias != "databases" || !slices.Equal(got.Portals, []string{"back"}) || got.Redirect != "[2001:db8::99]:3260" {
			t.Errorf("made %+v", got)
		}
	})
	t.Run("R5 enable/disable target", func(t *testing.T) {
		before := a.Revisions()
		c.Entry(targets.Menu(), "Enable/Disable Target")
		c.Picture("enable")
		c.Picked("mail")
		c.Shows("These sessions end")
		c.Shows(alice + " from 192.0.2.20")
		c.Picture("disable")
		c.Escape()
		if a.Revisions() != before {
			t.Fatal("something was changed without a confirmation")
		}
		c.Entry(targets.Menu(), "Enable/Disable Target")
		c.Picked("mail")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Shows("esos target disable " + mail)
		carryOut(c)
		if !target(t, a, mail).Disabled {
			t.Error("it is not disabled")
		}
		c.Entry(targets.Menu(), "Enable/Disable Target")
		c.Picked("mail")
		c.Shows("esos target enable " + mail)
		carryOut(c)
		if target(t, a, mail).Disabled {
			t.Error("it is not enabled")
		}
	})
	t.Run("R6 set relative target ID", func(t *testing.T) {
		c.Entry(targets.Menu(), "Set Relative Target ID")
		c.Picked("mail")
		c.Picture("relative")
		c.Type(" ")
		c.Picked("2")
		c.Press(tcell.KeyCtrlU)
		c.Type("70000")
		c.Shows("a whole number from 1 to 65535")
		c.Press(tcell.KeyCtrlU)
		c.Type("1")
		c.Shows("has it")
		c.Field("1001")
		c.Enter()
		carryOut(c)
		if got := target(t, a, mail).RelativeIDs[2]; got != 1001 {
			t.Errorf("it is %d", got)
		}
	})
	t.Run("R4 issue LIP", func(*testing.T) {
		c.Entry(targets.Menu(), "Issue LIP")
		c.Shows("No Fibre Channel or FCoE target is configured")
		c.Picture("no-lip")
	})
	t.Run("parameters", func(t *testing.T) {
		c.Entry(targets.Menu(), "Target Parameters")
		c.Picked("mail")
		c.Picture("parameters")
		c.Type("rot13")
		c.Shows("is not known")
		c.Field("CRC32C,None")
		c.Press(tcell.KeyTab, tcell.KeyTab)
		c.Type("7")
		c.Shows("must be 512 to 16777215")
		c.Field("1048576")
		c.Press(tcell.KeyTab, tcell.KeyTab)
		c.Type("maybe")
		c.Shows("neither yes nor no")
		c.Field("yes")
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		c.Shows("--parameter max_burst_length=1048576")
		carryOut(c)
		p := target(t, a, mail).Parameters
		if !slices.Equal(p.HeaderDigest, []string{"CRC32C", "None"}) || p.MaxBurstLength != 1<<20 || p.InitialR2T == nil || !*p.InitialR2T {
			t.Errorf("they are %+v", p)
		}
	})
	t.Run("settings", func(t *testing.T) {
		c.Entry(targets.Menu(), "Target Information")
		c.Type("s")
		c.Picture("settings")
		c.Press(tcell.KeyTab)
		c.Field("post office")
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		c.Shows("--alias 'post office'")
		carryOut(c)
		if got := target(t, a, mail).Alias; got != "post office" {
			t.Errorf("alias %q", got)
		}
	})
	t.Run("R3 remove iSCSI target", func(t *testing.T) {
		c.Entry(targets.Menu(), "Remove iSCSI Target")
		c.Picture("remove")
		c.Picked("mail")
		c.Shows("These lose their disks")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Shows("esos target delete " + mail)
		carryOut(c)
		if _, err := a.Document().FindTarget(mail); err == nil {
			t.Error("it is still there")
		}
	})
}

// carryOut carries a plan out, with what it destroys named if it destroys: what
// sessions use.
func carryOut(c *tuitest.Console) {
	c.Press(tcell.KeyEnd)
	if strings.Contains(c.Text(), "DATA ARE LOST") {
		var objects []string
		for _, line := range strings.Split(c.Text(), "\n") {
			if name := strings.Trim(line, " │"); strings.HasPrefix(name, "target/") {
				objects = append(objects, name)
			}
		}
		slices.Sort(objects)
		c.Destroy(slices.Compact(objects)...)
		return
	}
	c.CarryOut()
}

// lio is an engine that other fabrics than iSCSI are served by.
type lio struct{ *enginetest.Memory }

// Name is that of the engine in the document.
func (lio) Name() string { return "lio" }

// TestLIP is of an array that has a Fibre Channel target.
func TestLIP(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Engine: lio{&enginetest.Memory{}},
		Document: "version: 1\nname: vault\nengine: lio\ntargets: [{name: \"50:01:43:80:24:26:bb:b4\", driver: qla2x00t}]\n"})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	t.Run("R4 issue LIP: with Fibre Channel", func(*testing.T) {
		c.Entry(targets.Menu(), "Issue LIP")
		c.Picture("lip")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Wait("ran: target lip")
	})
	t.Run("another fabric", func(*testing.T) {
		c.Entry(targets.Menu(), "Add Target of Another Fabric")
		c.Type(" ")
		c.Picture("fabrics")
		c.Picked("ib_srpt")
		c.Type("nonsense")
		c.Shows("is no GID of a port")
		c.Field("0xfe800000000000000002c9030005f34b")
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		c.Shows("esos target create fe80:0000:0000:0000:0002:c903:0005:f34b --driver")
	})
}

func TestPortals(t *testing.T) {
	t.Parallel()
	a, c := array(t, document)
	c.Entry(targets.Menu(), "iSCSI Portals")
	c.Picture("portals")
	c.Type("a")
	c.Picture("add-portal")
	c.Field("v6")
	c.Type("2001:db8::x")
	c.Shows("an address such as 192.0.2.10 or 2001:db8::10")
	c.Field("2001:db8::11")
	c.Press(tcell.KeyTab)
	c.Field("3")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.Shows("esos portal create v6 '[2001:db8::11]:3260' --group 3")
	c.CarryOut()
	if p, err := a.Document().FindPortal("v6"); err != nil || p.Address != "[2001:db8::11]:3260" || p.Group != 3 {
		t.Errorf("made %+v %v", p, err)
	}
	c.Press(tcell.KeyEnd)
	c.Type("c")
	c.Picture("portal")
	c.Press(tcell.KeyTab)
	c.Field("3261")
	c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
	c.CarryOut()
	if p, err := a.Document().FindPortal("v6"); err != nil || p.Address != "[2001:db8::11]:3261" {
		t.Errorf("it is %+v %v", p, err)
	}
	c.Type("d")
	c.CarryOut()
	if _, err := a.Document().FindPortal("v6"); err == nil {
		t.Error("it is still there")
	}
	c.Press(tcell.KeyHome)
	c.Type("d") // the only one of web
	c.Shows("no other; give it another one first")
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	_, c := array(t, "version: 1\nname: vault\n")
	for _, x := range [][2]string{{"Target Information", "There is no target yet"}, {"Remove iSCSI Target", "There is no target yet"}, {"Enable/Disable Target", "There is no target yet"},
		{"Set Relative Target ID", "There is no target yet"}, {"iSCSI Portals", "There is no portal"}, {"NVMe Subsystems", "There is no subsystem yet"}, {"NVMe Ports", "There is no port"},
		{"NVMe Connections", "No host is connected"}} {
		c.Entry(targets.Menu(), x[0])
		c.Shows(x[1])
	}
	c.Entry(targets.Menu(), "Target Information")
	c.Picture("empty")
}

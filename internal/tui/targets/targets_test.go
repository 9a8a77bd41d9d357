package targets_test

import (
	"encoding/binary"
	"os"
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
	// stranger is in no group.
	stranger = "iqn.2026-11.com.example:mallory"
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

func TestMain(m *testing.M) { os.Exit(apitest.Main(m)) }

func array(t *testing.T, text string) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	a := apitest.New(t, apitest.Options{Document: text, Disks: 1})
	begin(t, a)
	return a, tuitest.New(t, tuitest.Options{Client: a.Client})
}

// begin has alice log in to mail.
func begin(t *testing.T, a *apitest.Array) {
	t.Helper()
	if a.Native() {
		a.Stay(t, "front", mail, alice)
		return
	}
	a.Engine.SetSessions(engine.Session{ID: "1", Target: mail, Group: "hosts", Initiator: alice, Address: "192.0.2.20:51000", LUNs: 1})
}

func target(t *testing.T, a *apitest.Array, name string) *config.Target {
	t.Helper()
	v, err := a.Document().FindTarget(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// relativeID is that of mail's port as its LUN 0 tells by a portal.
func relativeID(t *testing.T, a *apitest.Array, portal string) uint16 {
	t.Helper()
	s, err := a.Login(t, portal, mail, alice)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	page, err := s.Must("INQUIRY", 0, []byte{0x12, 1, 0x83, 4, 0, 0}, nil, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for p := page[4:]; len(p) >= 8; p = p[4+int(p[3]):] {
		if p[1]&0x3f == 0x14 { // of the port, relative target port identifier
			return binary.BigEndian.Uint16(p[6:])
		}
	}
	t.Errorf("no relative target port identifier in %x", page)
	return 0
}

func TestTargets(t *testing.T) {
	t.Parallel()
	tuitest.Both(t, apitest.Options{Document: document}, begin, []tuitest.Step{
		{Name: "menu", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.In(func(d *frame.Desk) { d.Menu(targets.Menu()) })
			c.Golden("menu")
		}},
		{Name: "R1 target information", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(targets.Menu(), "Target Information")
			c.Golden("list")
			c.Enter()
			for _, text := range []string{mail, "iscsi (iSCSI)", "enabled", "Relative id", "Group hosts: " + alice, "LUN 0: db01", alice + " from "} {
				c.Shows(text)
			}
			c.Golden("information")
		}},
		{Name: "R2 add iSCSI target", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(targets.Menu(), "Add iSCSI Target")
			c.Shows(config.OurNames + "vault")
			c.Golden("add")
			c.Press(tcell.KeyCtrlU)
			c.Type("iqn.x")
			c.Shows("must be like iqn.2026-11.com.example:name")
			c.Press(tcell.KeyCtrlU)
			c.Type(mail)
			c.Shows("is there already")
			c.Field("db")
			c.Type(" ")
			c.Golden("choose-portals")
			c.Escape()
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
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Refuses(t, "back", config.OurNames+"db", alice, apitest.MovedTemporarily)
			a.Refuses(t, "front", config.OurNames+"db", alice, apitest.NotFound)
		}},
		{Name: "R5 enable/disable target", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			before := a.Revisions()
			c.Entry(targets.Menu(), "Enable/Disable Target")
			c.Golden("enable")
			c.Picked("mail")
			c.Shows("These sessions end")
			c.Shows(alice + " from ")
			c.Golden("disable")
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
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Refuses(t, "front", mail, alice, apitest.ServiceUnavailable)
		}},
		{Name: "R5 enable/disable target: enable", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(targets.Menu(), "Enable/Disable Target")
			c.Picked("mail")
			c.Shows("esos target enable " + mail)
			carryOut(c)
			if target(t, a, mail).Disabled {
				t.Error("it is not enabled")
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, alice, map[uint16]uint64{0: 10 << 30})
			a.Refuses(t, "front", mail, stranger, apitest.AuthorizationFailure)
		}},
		{Name: "R6 set relative target ID", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(targets.Menu(), "Set Relative Target ID")
			c.Golden("relative-picker")
			c.Picked("mail")
			c.Golden("relative")
			c.Type(" ")
			c.Golden("choose-portal-group")
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
		}, Served: func(t *testing.T, a *apitest.Array) {
			if front, back := relativeID(t, a, "front"), relativeID(t, a, "back"); front != 1 || back != 1001 {
				t.Errorf("initiators are told of ids %d and %d, want 1 and 1001", front, back)
			}
		}},
		{Name: "another fabric", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(targets.Menu(), "Add Target of Another Fabric")
			c.Type(" ")
			c.Type("qla2x00t")
			c.Enter()
			c.Shows("(native) serves iSCSI;")
		}},
		{Name: "R4 issue LIP", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(targets.Menu(), "Issue LIP")
			c.Shows("No Fibre Channel or FCoE target is configured")
			c.Golden("no-lip")
		}},
		{Name: "parameters", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(targets.Menu(), "Target Parameters")
			c.Golden("target-parameters")
			c.Picked("mail")
			c.Golden("parameters")
			c.Type("rot13")
			c.Shows("is not known")
			c.Field("CRC32C,None")
			c.Press(tcell.KeyTab, tcell.KeyTab)
			c.Type("7")
			c.Shows("must be 512 to 16777215")
			c.Field("1048576")
			c.Field("2097152")
			c.Press(tcell.KeyUp, tcell.KeyUp, tcell.KeyUp, tcell.KeyUp, tcell.KeyUp, tcell.KeyUp, tcell.KeyUp, tcell.KeyEnter) // round to Change
			c.Wait("These do not go together")
			c.Golden("parameters-not-together")
			c.Enter()
			c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
			c.Field("")
			c.Press(tcell.KeyTab)
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
		}},
		{Name: "settings", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(targets.Menu(), "Target Information")
			c.Type("s")
			c.Golden("settings")
			c.Press(tcell.KeyTab)
			c.Field("post office")
			c.Press(tcell.KeyTab, tcell.KeyEnter)
			c.Shows("--alias 'post office'")
			carryOut(c)
			if got := target(t, a, mail).Alias; got != "post office" {
				t.Errorf("alias %q", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "back", mail, alice, map[uint16]uint64{0: 10 << 30})
		}},
		{Name: "R3 remove iSCSI target", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			begin(t, a) // disabling ended alice's session
			c.Entry(targets.Menu(), "Remove iSCSI Target")
			c.Golden("remove")
			c.Picked("mail")
			c.Golden("initiators-are-logged-in")
			c.Shows("These lose their disks")
			c.Press(tcell.KeyLeft, tcell.KeyEnter)
			c.Shows("esos target delete " + mail)
			carryOut(c)
			if _, err := a.Document().FindTarget(mail); err == nil {
				t.Error("it is still there")
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Refuses(t, "front", mail, alice, apitest.NotFound)
		}},
	})
}

// carryOut carries a plan out, with what it destroys named if it destroys: what
// sessions use.
func carryOut(c *tuitest.Console) {
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
		c.Golden("lip")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Wait("ran: target lip")
	})
	t.Run("another fabric", func(*testing.T) {
		c.Entry(targets.Menu(), "Add Target of Another Fabric")
		c.Golden("add-target-of-another-fabric")
		c.Type(" ")
		c.Golden("fabrics")
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
	c.Golden("portals")
	c.Type("a")
	c.Golden("add-portal")
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
	c.Golden("portal")
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
	c.Golden("connections-empty")
	c.Entry(targets.Menu(), "Target Information")
	c.Golden("empty")
}

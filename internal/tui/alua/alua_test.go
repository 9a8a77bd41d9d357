package alua_test

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
	"github.com/esos-project/esos/internal/tui/alua"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const (
	mail = "iqn.2026-11.com.example:mail"
	web  = "iqn.2026-11.com.example:web"
	peer = "iqn.2026-11.com.example:mail-b"
)

const document = `version: 1
name: vault
devices:
  - {name: db01, handler: vdisk_nullio, size: 10GiB}
  - {name: db02, handler: vdisk_nullio, size: 20GiB}
iscsi:
  portals: [{name: front, address: "192.0.2.10:3260"}]
targets:
  - name: ` + mail + `
  - name: ` + web + `
    luns: [{lun: 0, device: db01}, {lun: 1, device: db02}]
`

func TestMain(m *testing.M) { os.Exit(apitest.Main(m)) }

func group(t *testing.T, a *apitest.Array) *config.DeviceGroup {
	t.Helper()
	g, err := a.Document().FindDeviceGroup("pool")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestALUA makes groups and takes them away again, each by its entry.
func TestALUA(t *testing.T) {
	t.Parallel()
	tuitest.Both(t, apitest.Options{Document: document}, nil, []tuitest.Step{
		{Name: "menu", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.In(func(d *frame.Desk) { d.Menu(alua.Menu()) })
			c.Golden("menu")
		}},
		{Name: "U2 add device group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Add Device Group")
			c.Type("a b")
			c.Shows("letters, digits and . _ - only")
			c.Field("pool")
			c.Golden("add-device-group")
			c.Type(" ")
			c.Golden("choose-devices")
			c.Escape()
			c.Mark("db01")
			c.Enter()
			c.Shows("esos alua create pool --device db01")
			c.CarryOut()
			if g := group(t, a); !slices.Equal(g.Devices, []string{"db01"}) {
				t.Errorf("made %+v", g)
			}
		}},
		{Name: "U4 add target group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Add Target Group")
			c.Golden("add-target-group")
			c.Type(" ")
			c.Golden("choose-device-group")
			c.Escape()
			c.Press(tcell.KeyTab) // the only device group is chosen
			c.Field("local")
			c.Type("0") // 10
			c.Press(tcell.KeyCtrlU)
			c.Type("70000")
			c.Shows("a whole number from 1 to 65535")
			c.Field("7")
			c.Type(" ")
			c.Golden("states")
			c.Picked("nonopt")
			c.Type(" ") // preferred
			c.Press(tcell.KeyTab)
			c.Type(" ")
			c.Golden("choose-targets")
			c.Escape()
			c.Mark("web")
			c.Golden("add-target-group-filled")
			c.Enter()
			c.CarryOut()
			want := config.TargetGroup{Name: "local", ID: 7, State: "nonoptimized", Preferred: true, Targets: []config.GroupTarget{{Name: web}}}
			if g := group(t, a); len(g.TargetGroups) != 1 || !same(g.TargetGroups[0], want) {
				t.Errorf("made %+v", g.TargetGroups)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			told(t, a, 0, alua7{state: nonoptimized, preferred: true, ports: []uint16{2}})
			told(t, a, 1, alua7{})
		}},
		{Name: "U6 add device to group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Add Device to Group")
			c.Golden("add-device")
			c.Press(tcell.KeyTab)
			c.Type(" ")
			c.Type("db01")
			c.Shows("it is in device group pool already")
			c.Escape()
			c.Escape()
			c.Mark("db02")
			c.Enter()
			c.Shows("esos alua set pool --add db02")
			c.CarryOut()
			if g := group(t, a); !slices.Equal(g.Devices, []string{"db01", "db02"}) {
				t.Errorf("devices %q", g.Devices)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			told(t, a, 1, alua7{state: nonoptimized, preferred: true, ports: []uint16{2}})
		}},
		{Name: "U8 add target to group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Add Target to Group")
			c.Golden("add-target")
			c.Type(" ")
			c.Golden("choose-target-group")
			c.Escape()
			c.Press(tcell.KeyTab, tcell.KeyTab)
			c.Type(" ")
			c.Golden("choose-target")
			c.Type("web")
			c.Enter()
			c.Shows("it is in target group local of the device")
			c.Escape()
			c.Picked("mail")
			c.Enter()
			c.CarryOut()
			c.Entry(alua.Menu(), "Add Target to Group")
			c.Press(tcell.KeyTab)
			c.Type(" ") // of the peer
			c.Press(tcell.KeyTab)
			c.Field(peer)
			c.Type("1")
			c.Shows("has that id")
			c.Field("101")
			c.Golden("add-peer")
			c.Enter()
			c.CarryOut()
			want := []config.GroupTarget{{Name: web}, {Name: mail}, {Name: peer, RelativeID: 101}}
			if g := group(t, a); !slices.Equal(g.TargetGroups[0].Targets, want) {
				t.Errorf("targets %+v", g.TargetGroups[0].Targets)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			told(t, a, 0, alua7{state: nonoptimized, preferred: true, ports: []uint16{1, 2, 101}})
		}},
		{Name: "U1 device/target group layout", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Device/Target Group Layout")
			for _, text := range []string{"device group pool", "device db02", "target group local", "7", "nonoptimized", "target group local (preferred)", peer, "101 (peer)"} {
				c.Shows(text)
			}
			c.Golden("layout")
		}},
		{Name: "access state and preference", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Access State and Preference")
			c.Golden("target-groups")
			c.Picked("local")
			c.Golden("state")
			c.Choose("standby")
			c.Type(" ") // not preferred
			c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
			c.Shows("--state standby --preferred=false")
			c.CarryOut()
			if tg := group(t, a).TargetGroups[0]; tg.State != "standby" || tg.Preferred || tg.ID != 7 {
				t.Errorf("it is %+v", tg)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			told(t, a, 0, alua7{state: standby, ports: []uint16{1, 2, 101}})
		}},
		{Name: "U9 remove target from group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Remove Target from Group")
			c.Golden("remove-target")
			c.Picked("peer")
			c.CarryOut()
			if g := group(t, a); !slices.Equal(g.TargetGroups[0].Targets, []config.GroupTarget{{Name: web}, {Name: mail}}) {
				t.Errorf("targets %+v", g.TargetGroups[0].Targets)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			told(t, a, 0, alua7{state: standby, ports: []uint16{1, 2}})
		}},
		{Name: "U7 remove device from group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Remove Device from Group")
			c.Golden("remove-device")
			c.Picked("db01")
			c.CarryOut()
			if g := group(t, a); !slices.Equal(g.Devices, []string{"db02"}) {
				t.Errorf("devices %q", g.Devices)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			told(t, a, 0, alua7{})
			told(t, a, 1, alua7{state: standby, ports: []uint16{1, 2}})
		}},
		{Name: "U5 remove target group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(alua.Menu(), "Remove Target Group")
			c.Golden("remove-target-group")
			c.Picked("local")
			c.CarryOut()
			if g := group(t, a); len(g.TargetGroups) != 0 {
				t.Errorf("left %+v", g.TargetGroups)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			told(t, a, 1, alua7{})
		}},
		{Name: "U3 remove device group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			before := a.Revisions()
			c.Entry(alua.Menu(), "Remove Device Group")
			c.Golden("remove-device-group")
			c.Picked("pool")
			c.Wait("Press c to carry this out")
			c.Escape()
			if a.Revisions() != before {
				t.Error("something was changed without a confirmation")
			}
			c.Entry(alua.Menu(), "Remove Device Group")
			c.Picked("pool")
			c.CarryOut()
			if left := a.Document().DeviceGroups; len(left) != 0 {
				t.Errorf("left %+v", left)
			}
		}},
	})
}

// alua7 is what a LUN tells of the target port group with ID 7; nothing if there
// is none.
type alua7 struct {
	state     byte
	preferred bool
	ports     []uint16 // by their relative ids
}

// Access states (SPC-5 table 204).
const (
	nonoptimized = 1
	standby      = 2
)

// told fails if a LUN of web tells otherwise of the group.
func told(t *testing.T, a *apitest.Array, lun uint16, want alua7) {
	t.Helper()
	s, err := a.Login(t, "front", web, "iqn.2026-11.com.example:alice")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var got alua7
	report := []byte{0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0}
	in, err := s.Must("REPORT TARGET PORT GROUPS", lun, report, nil, 1024)
	if no := (*initiator.StatusError)(nil); err != nil && !errors.As(err, &no) { // a device of no group does not know it
		t.Fatal(err)
	}
	if len(in) > 4 {
		in = in[4:]
	}
	for len(in) >= 8 {
		n := int(in[7])
		if binary.BigEndian.Uint16(in[2:]) == 7 {
			got.state, got.preferred = in[0]&0xf, in[0]&0x80 != 0
			for i := range n {
				got.ports = append(got.ports, binary.BigEndian.Uint16(in[8+4*i+2:]))
			}
			slices.Sort(got.ports)
		}
		in = in[8+4*n:]
	}
	if got.state != want.state || got.preferred != want.preferred || !slices.Equal(got.ports, want.ports) {
		t.Errorf("LUN %d tells %+v of group 7, want %+v", lun, got, want)
	}
}

func same(a, b config.TargetGroup) bool {
	return a.Name == b.Name && a.ID == b.ID && a.State == b.State && a.Preferred == b.Preferred && slices.Equal(a.Targets, b.Targets)
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Document: "version: 1\nname: vault\n"})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	for _, x := range [][2]string{{"Remove Device Group", "There is no device group yet"}, {"Add Target Group", "There is no device group yet"}, {"Remove Target Group", "There is no target group yet"},
		{"Add Device to Group", "There is no device group yet"}, {"Remove Device from Group", "There is no device in a device group"}, {"Add Target to Group", "There is no target group yet"},
		{"Remove Target from Group", "There is no target in a target group"}, {"Access State and Preference", "There is no target group yet"}, {"Device/Target Group Layout", "There is no device group yet"}} {
		c.Entry(alua.Menu(), x[0])
		c.Shows(x[1])
	}
	c.Golden("empty")
}

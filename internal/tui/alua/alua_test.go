package alua_test

import (
	"slices"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
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
`

func array(t *testing.T, text string) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	a := apitest.New(t, apitest.Options{Document: text})
	return a, tuitest.New(t, tuitest.Options{Client: a.Client})
}

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
	a, c := array(t, document)
	t.Run("menu", func(*testing.T) {
		c.In(func(d *frame.Desk) { d.Menu(alua.Menu()) })
		c.Picture("menu")
	})
	t.Run("U2 add device group", func(t *testing.T) {
		c.Entry(alua.Menu(), "Add Device Group")
		c.Type("a b")
		c.Shows("letters, digits and . _ - only")
		c.Field("pool")
		c.Picture("add-device-group")
		c.Mark("db01")
		c.Enter()
		c.Shows("esos alua create pool --device db01")
		c.CarryOut()
		if g := group(t, a); !slices.Equal(g.Devices, []string{"db01"}) {
			t.Errorf("made %+v", g)
		}
	})
	t.Run("U4 add target group", func(t *testing.T) {
		c.Entry(alua.Menu(), "Add Target Group")
		c.Picture("add-target-group")
		c.Press(tcell.KeyTab) // the only device group is chosen
		c.Field("local")
		c.Type("0") // 10
		c.Press(tcell.KeyCtrlU)
		c.Type("70000")
		c.Shows("a whole number from 1 to 65535")
		c.Field("7")
		c.Type(" ")
		c.Picture("states")
		c.Picked("nonopt")
		c.Type(" ") // preferred
		c.Press(tcell.KeyTab)
		c.Mark("web")
		c.Picture("add-target-group-filled")
		c.Enter()
		c.CarryOut()
		want := config.TargetGroup{Name: "local", ID: 7, State: "nonoptimized", Preferred: true, Targets: []config.GroupTarget{{Name: web}}}
		if g := group(t, a); len(g.TargetGroups) != 1 || !same(g.TargetGroups[0], want) {
			t.Errorf("made %+v", g.TargetGroups)
		}
	})
	t.Run("U6 add device to group", func(t *testing.T) {
		c.Entry(alua.Menu(), "Add Device to Group")
		c.Picture("add-device")
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
	})
	t.Run("U8 add target to group", func(t *testing.T) {
		c.Entry(alua.Menu(), "Add Target to Group")
		c.Picture("add-target")
		c.Press(tcell.KeyTab, tcell.KeyTab)
		c.Type(" ")
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
		c.Picture("add-peer")
		c.Enter()
		c.CarryOut()
		want := []config.GroupTarget{{Name: web}, {Name: mail}, {Name: peer, RelativeID: 101}}
		if g := group(t, a); !slices.Equal(g.TargetGroups[0].Targets, want) {
			t.Errorf("targets %+v", g.TargetGroups[0].Targets)
		}
	})
	t.Run("U1 device/target group layout", func(*testing.T) {
		c.Entry(alua.Menu(), "Device/Target Group Layout")
		for _, text := range []string{"device group pool", "device db02", "target group local", "7", "nonoptimized", "target group local (preferred)", peer, "101 (peer)"} {
			c.Shows(text)
		}
		c.Picture("layout")
	})
	t.Run("access state and preference", func(t *testing.T) {
		c.Entry(alua.Menu(), "Access State and Preference")
		c.Picture("target-groups")
		c.Picked("local")
		c.Picture("state")
		c.Choose("standby")
		c.Type(" ") // not preferred
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		c.Shows("--state standby --preferred=false")
		c.CarryOut()
		if tg := group(t, a).TargetGroups[0]; tg.State != "standby" || tg.Preferred || tg.ID != 7 {
			t.Errorf("it is %+v", tg)
		}
	})
	t.Run("U9 remove target from group", func(t *testing.T) {
		c.Entry(alua.Menu(), "Remove Target from Group")
		c.Picture("remove-target")
		c.Picked("peer")
		c.CarryOut()
		if g := group(t, a); !slices.Equal(g.TargetGroups[0].Targets, []config.GroupTarget{{Name: web}, {Name: mail}}) {
			t.Errorf("targets %+v", g.TargetGroups[0].Targets)
		}
	})
	t.Run("U7 remove device from group", func(t *testing.T) {
		c.Entry(alua.Menu(), "Remove Device from Group")
		c.Picture("remove-device")
		c.Picked("db01")
		c.CarryOut()
		if g := group(t, a); !slices.Equal(g.Devices, []string{"db02"}) {
			t.Errorf("devices %q", g.Devices)
		}
	})
	t.Run("U5 remove target group", func(t *testing.T) {
		c.Entry(alua.Menu(), "Remove Target Group")
		c.Picked("local")
		c.CarryOut()
		if g := group(t, a); len(g.TargetGroups) != 0 {
			t.Errorf("left %+v", g.TargetGroups)
		}
	})
	t.Run("U3 remove device group", func(t *testing.T) {
		before := a.Revisions()
		c.Entry(alua.Menu(), "Remove Device Group")
		c.Picture("remove-device-group")
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
	})
}

func same(a, b config.TargetGroup) bool {
	return a.Name == b.Name && a.ID == b.ID && a.State == b.State && a.Preferred == b.Preferred && slices.Equal(a.Targets, b.Targets)
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	_, c := array(t, "version: 1\nname: vault\n")
	for _, x := range [][2]string{{"Remove Device Group", "There is no device group yet"}, {"Add Target Group", "There is no device group yet"}, {"Remove Target Group", "There is no target group yet"},
		{"Add Device to Group", "There is no device group yet"}, {"Remove Device from Group", "There is no device in a device group"}, {"Add Target to Group", "There is no target group yet"},
		{"Remove Target from Group", "There is no target in a target group"}, {"Access State and Preference", "There is no target group yet"}, {"Device/Target Group Layout", "There is no device group yet"}} {
		c.Entry(alua.Menu(), x[0])
		c.Shows(x[1])
	}
	c.Picture("empty")
}

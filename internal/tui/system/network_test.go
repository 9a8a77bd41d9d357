package system

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// keep answers that a change of the network stays.
func keep(c *tuitest.Console) {
	c.Wait("Keep it?")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("stays")
}

// Hints of the last field of an interface's form.
const (
	portHint = "whichever card Linux calls"
	lastHint = "empty for one that is made of its ports"
)

// submit goes to the button of a form, whose last field has that hint, and
// presses it.
func submit(c *tuitest.Console, last string) {
	for !strings.Contains(c.Text(), last) {
		tab(c, 1)
	}
	tab(c, 1)
	c.Enter()
}

// seconds are what differs where something counts down.
func seconds() []string {
	var r []string
	for i := 100; i <= 600; i++ {
		r = append(r, fmt.Sprintf(" %d s", i), " NNN s")
	}
	return r
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	t.Run("S2 the list", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{Interfaces: []string{"eth0", "eth1", "eth2"}})
		change(t, a, func(doc *config.Document) {
			doc.Network = config.Network{Hostname: "vault", Domain: "example.com", DNS: []string{"192.0.2.53"}, Interfaces: []config.Interface{
				{Name: "eth0", Addresses: []string{"192.0.2.10/24", "2001:db8::10/64"}}, {Name: "eth1"},
				{Name: "br0", Kind: config.KindBridge, Bridge: &config.Bridge{Members: []string{"eth1"}}, DHCP: "ipv4"},
				{Name: "eth0.20", Kind: config.KindVLAN, VLAN: &config.VLAN{Parent: "eth0", ID: 20}}}}
		})
		open(t, c, "Network Settings")
		c.Wait("vault.example.com")
		c.Wait("192.0.2.10/24")
		c.Wait("WAITS")
		golden(c, "network_waits", seconds()...)
		c.Enter()
		c.Wait("Keep the change")
		st, err := a.Client.Status(t.Context())
		if err != nil || st.Unconfirmed == nil {
			t.Fatalf("nothing waits: %v", err)
		}
		golden(c, "network_keep", append(seconds(), st.Unconfirmed.Deadline.Local().Format(time.TimeOnly), "hh:mm:ss")...)
		c.Press(tcell.KeyRight, tcell.KeyEnter)
		c.Wait("stays")
		c.Gone("WAITS")
		golden(c, "network")
		c.Type("a")
		golden(c, "network_add")
		c.Escape()
		c.Press(tcell.KeyEnd)
		c.Type("d")
		c.Wait("Nothing to delete")
		golden(c, "nothing_to_delete")
	})
	t.Run("T0.10 what a small image has", func(t *testing.T) {
		t.Parallel()
		for _, title := range []string{"Date/Time Settings", "Network Settings", "Restart Networking", "Mail Setup", "Send Test Email"} {
			if !slices.ContainsFunc(testMenu().Actions, func(a frame.Action) bool { return a.Title == title }) {
				t.Errorf("there is no %s", title)
			}
		}
		a, c := array(t, apitest.Options{})
		change(t, a, func(doc *config.Document) {
			doc.Network.Interfaces = []config.Interface{{Name: "eth1", Addresses: []string{"192.0.2.10/24"}}}
		})
		open(t, c, "Network Settings")
		c.Wait("192.0.2.10/24")
	})
	t.Run("S2e a plain port", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Network Settings")
		c.Wait("eth0")
		down(c, 1)
		c.Enter()
		c.Press(tcell.KeyBacktab, tcell.KeyBacktab, tcell.KeyBacktab)
		c.Type("52:54")
		c.Shows("is no address like")
		c.Press(tcell.KeyBacktab)
		c.Field("4000")
		c.Field("52:54:00:12:34:03")
		c.Enter()
		c.Wait("--mac 52:54:00:12:34:03 --mtu")
		c.CarryOut()
		keep(c)
		if f := a.Document().Network.Find("eth0"); f == nil || f.MTU != 4000 || f.MAC != "52:54:00:12:34:03" || f.DHCP != "both" {
			t.Errorf("eth0 is %+v", f)
		}
	})
	t.Run("S2a general", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		change(t, a, func(doc *config.Document) {
			doc.Network.Interfaces = []config.Interface{{Name: "eth0", Addresses: []string{"192.0.2.10/24"}}}
		})
		if err := a.Client.ConfirmNetwork(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		open(t, c, "Network Settings")
		c.Wait("eth0")
		c.Type("e")
		golden(c, "general_empty")
		c.Type("a.b")
		c.Shows("must be one label")
		c.Field("vault")
		c.Field("example.com")
		c.Type("198.51.100.1")
		c.Shows("is in no network of an interface")
		c.Field("192.0.2.1")
		c.Field("")
		c.Type("ns1")
		c.Shows("an address such as")
		c.Field("192.0.2.53, 2001:db8::53")
		c.Field("example.com example.net")
		c.Enter()
		c.Wait("Press c to carry this out")
		c.Shows("esos network hostname vault.example.com")
		c.CarryOut()
		keep(c)
		n := a.Document().Network
		if n.Hostname != "vault" || n.Domain != "example.com" || !slices.Equal(n.DNS, []string{"192.0.2.53", "2001:db8::53"}) || len(n.Search) != 2 || n.Interfaces[0].Gateway4 != "192.0.2.1" {
			t.Errorf("the network is %+v", n)
		}
	})
	t.Run("S2b a port", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Network Settings")
		c.Wait("eth0")
		down(c, 1)
		c.Enter()
		c.Wait("MAC 52:54:00:12:34:03")
		golden(c, "port")
		choose(c, "static")
		c.Type("192.0.2.10")
		c.Shows("with its network's length is wanted")
		c.Field("192.0.2.10/24, 198.51.100.10/24")
		c.Field("192.0.2.1")
		choose(c, "static")
		c.Field("2001:db8::10/64")
		c.Field("2001:db8::1")
		tab(c, 1)
		c.Type("203.0.113.0/24 via 192.0.2.2 metric 50")
		tab(c, 1)
		c.Type("12")
		c.Shows("a whole number from 68 to 65520")
		c.Field("9000")
		c.Field("")
		golden(c, "port_filled")
		c.Enter()
		c.Wait("Press c to carry this out")
		c.Shows("esos network interface set eth0 --address")
		before := a.Revisions()
		c.CarryOut()
		c.Wait("Keep it?")
		golden(c, "keep", seconds()...)
		keep(c)
		if n := a.Revisions(); n != before+1 {
			t.Errorf("%d revisions, want one more than %d", n, before)
		}
		f := a.Document().Network.Find("eth0")
		if f == nil || f.MTU != 9000 || f.DHCP != "" || f.Gateway4 != "192.0.2.1" || f.Gateway6 != "2001:db8::1" ||
			!slices.Equal(f.Addresses, []string{"192.0.2.10/24", "198.51.100.10/24", "2001:db8::10/64"}) ||
			!slices.Equal(f.Routes, []config.Route{{To: "203.0.113.0/24", Via: "192.0.2.2", Metric: 50}}) {
			t.Errorf("eth0 is %+v", f)
		}
		if !a.Network.Address("eth0", "2001:db8::10/64") {
			t.Error("the machine does not have the address")
		}
		// Again: what is there comes back, and nothing else changes.
		open(t, c, "Network Settings")
		down(c, 1)
		c.Enter()
		c.Shows("203.0.113.0/24 via 192.0.2.2 metric 50")
		c.Press(tcell.KeyBacktab, tcell.KeyBacktab, tcell.KeyEnter)
		c.Wait("No changes")
	})
	t.Run("S2b modes", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		for _, modes := range [][2]string{{"dhcp", "auto"}, {"dhcp", "disabled"}, {"disabled", "DHCPv6"}, {"disabled", "disabled"}} {
			open(t, c, "Network Settings")
			c.Wait("eth1")
			down(c, 2)
			c.Enter()
			c.Wait("MAC 52:54:00:12:34:04")
			choose(c, modes[0])
			if modes[0] == "dhcp" {
				tab(c, 2)
			}
			if modes[0] == "dhcp" && modes[1] == "auto" {
				c.Type(" ")
				golden(c, "choose_ipv6")
				c.Escape()
			}
			choose(c, modes[1])
			if modes[1] == "DHCPv6" {
				tab(c, 2)
				c.Type(" ")
				golden(c, "choose_advertisements")
				c.Escape()
				tab(c, 0)
			}
			submit(c, portHint)
			c.CarryOut()
			keep(c)
			got := a.Document().Network.Find("eth1").WithDefaults()
			want := map[[2]string]config.Interface{
				{"dhcp", "auto"}:         {DHCP: "ipv4", AcceptRA: new(true)},
				{"dhcp", "disabled"}:     {DHCP: "ipv4", AcceptRA: new(false)},
				{"disabled", "DHCPv6"}:   {DHCP: "ipv6", AcceptRA: new(true)},
				{"disabled", "disabled"}: {DHCP: "none", AcceptRA: new(false)},
			}[modes]
			if got.DHCP != want.DHCP || *got.AcceptRA != *want.AcceptRA {
				t.Errorf("%q: dhcp %s, accept_ra %t", modes, got.DHCP, *got.AcceptRA)
			}
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{ConfirmTime: 2 * time.Second})
		open(t, c, "Network Settings")
		c.Wait("eth0")
		down(c, 1)
		c.Enter()
		c.Wait("MAC 52:54:00:12:34:03")
		choose(c, "static")
		c.Field("192.0.2.10/24")
		submit(c, portHint)
		c.CarryOut()
		c.Wait("Keep it?")
		c.Escape() // no answer
		c.Shows("Keep it?")
		c.Wait("No answer: the change of the network is undone.")
		c.Gone("Keep it?")
		for end := time.Now().Add(20 * time.Second); a.Document().Network.Find("eth0") != nil || a.Network.Address("eth0", "192.0.2.10/24"); {
			if time.Now().After(end) {
				t.Fatalf("the change is still there: %+v", a.Document().Network)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	t.Run("somebody else answers", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Network Settings")
		c.Wait("eth0")
		down(c, 1)
		c.Enter()
		c.Wait("MAC 52:54:00:12:34:03")
		choose(c, "static")
		c.Field("192.0.2.10/24")
		submit(c, portHint)
		c.CarryOut()
		c.Wait("Keep it?")
		if err := a.Client.ConfirmNetwork(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		c.Wait("it was kept elsewhere")
		c.Gone("Keep it?")
		if a.Document().Network.Find("eth0") == nil {
			t.Error("the change is gone")
		}
	})
	t.Run("keep or undo a change", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Keep or Undo Network Change")
		c.Wait("No change of the network waits")
		c.Golden("nothing_waits")
		change(t, a, func(doc *config.Document) {
			doc.Network.Interfaces = []config.Interface{{Name: "eth0", Addresses: []string{"192.0.2.10/24"}}}
		})
		open(t, c, "Keep or Undo Network Change")
		c.Wait("Keep the change")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Wait("is undone")
		if n := a.Document().Network; n.Declared() {
			t.Errorf("the network is still %+v", n)
		}
	})
	t.Run("S3 restart networking", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Restart Networking")
		golden(c, "restart")
		c.Enter() // the safe answer has the cursor
		if slices.Contains(a.Network.Did, "restart") {
			t.Error("it was restarted without a confirmation")
		}
		open(t, c, "Restart Networking")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Wait("are set up anew")
		if !slices.Contains(a.Network.Did, "restart") {
			t.Errorf("the machine did %q", a.Network.Did)
		}
	})
}

func TestNetworkParts(t *testing.T) {
	t.Parallel()
	three := apitest.Options{Interfaces: []string{"eth0", "eth1", "eth2"}}
	t.Run("S2c a bond", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, three)
		open(t, c, "Network Settings")
		c.Wait("eth2")
		c.Type("a")
		c.Enter()
		c.Wait("Add Bond")
		golden(c, "bond")
		c.Type(" ")
		c.Wait("52:54:00:12:34:05")
		c.Type(" ")
		c.Type(" ")
		golden(c, "bond_members")
		c.Enter()
		c.Type(" ")
		c.Golden("choose_mode")
		c.Escape()
		choose(c, "802.3ad")
		c.Field("50")
		c.Type(" ")
		c.Golden("choose_lacp_rate")
		c.Escape()
		choose(c, "fast")
		c.Type(" ")
		c.Golden("choose_hash_policy")
		c.Escape()
		choose(c, "layer3+4")
		c.Field("bond1")
		c.Type(" ")
		c.Golden("choose_ipv4")
		c.Escape()
		choose(c, "static")
		c.Field("192.0.2.10/24")
		submit(c, lastHint)
		c.Wait("esos network bond create bond1 eth0 eth1 --mode 802.3ad --address")
		c.CarryOut()
		keep(c)
		f := a.Document().Network.Find("bond1")
		if f == nil || f.Bond == nil || f.Bond.Mode != "802.3ad" || f.Bond.MIIMon != 50 || f.Bond.LACPRate != "fast" || f.Bond.XmitHashPolicy != "layer3+4" ||
			!slices.Equal(f.Bond.Members, []string{"eth0", "eth1"}) || !slices.Equal(f.Addresses, []string{"192.0.2.10/24"}) {
			t.Fatalf("bond1 is %+v %+v", f, f.Bond)
		}
		// A member says whose it is, and another bond cannot have it.
		open(t, c, "Network Settings")
		c.Wait("in bond1")
		c.Type("a")
		c.Enter()
		c.Type(" ")
		c.Wait("52:54:00:12:34:05")
		c.Type("eth0")
		c.Type(" ")
		c.Shows("It cannot be chosen: it is a member of bond1")
		c.Escape()
		c.Escape()
		c.Escape()
		// Its mode is changed, and what the form does not show stays.
		down(c, 1)
		c.Enter()
		c.Wait("Network Settings: bond1")
		tab(c, 1)
		choose(c, "active-backup")
		tab(c, 1)
		c.Type(" ")
		c.Golden("choose_primary")
		c.Escape()
		choose(c, "eth1")
		submit(c, lastHint)
		c.CarryOut()
		keep(c)
		f = a.Document().Network.Find("bond1")
		if f.Bond.Mode != "" || f.Bond.Primary != "eth1" || f.Bond.LACPRate != "" || f.Bond.MIIMon != 50 || !slices.Equal(f.Addresses, []string{"192.0.2.10/24"}) {
			t.Errorf("bond1 is %+v %+v", f, f.Bond)
		}
		c.Wait("bond1")
		c.Type("d")
		c.CarryOut()
		keep(c)
		if a.Document().Network.Find("bond1") != nil {
			t.Error("bond1 is still there")
		}
	})
	t.Run("S2d a bridge", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, three)
		open(t, c, "Network Settings")
		c.Wait("eth2")
		c.Type("a")
		c.Press(tcell.KeyRight, tcell.KeyRight, tcell.KeyEnter)
		c.Wait("Add Bridge")
		golden(c, "bridge")
		c.Type(" ")
		c.Wait("52:54:00:12:34:05")
		c.Type(" ")
		c.Enter()
		c.Type(" ")
		tab(c, 1)
		c.Field("br0")
		choose(c, "dhcp")
		submit(c, lastHint)
		c.CarryOut()
		keep(c)
		f := a.Document().Network.Find("br0")
		if f == nil || f.Bridge == nil || !f.Bridge.STP || !slices.Equal(f.Bridge.Members, []string{"eth0"}) || f.DHCP != "ipv4" {
			t.Errorf("br0 is %+v", f)
		}
	})
	t.Run("a VLAN", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, three)
		open(t, c, "Network Settings")
		c.Wait("eth2")
		c.Type("a")
		c.Press(tcell.KeyRight, tcell.KeyEnter)
		c.Wait("Add VLAN")
		golden(c, "vlan")
		c.Type(" ")
		c.Golden("choose_on")
		c.Escape()
		choose(c, "eth1")
		c.Type("4095")
		c.Shows("a whole number from 1 to 4094")
		c.Field("20")
		c.Shows("eth1.20")
		tab(c, 1)
		choose(c, "static")
		c.Field("198.51.100.10/24")
		submit(c, lastHint)
		c.CarryOut()
		keep(c)
		f := a.Document().Network.Find("eth1.20")
		if f == nil || f.VLAN == nil || *f.VLAN != (config.VLAN{Parent: "eth1", ID: 20}) {
			t.Errorf("the VLAN is %+v", f)
		}
	})
}

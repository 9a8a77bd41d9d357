package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSetInterface(t *testing.T) {
	n := Network{Interfaces: []Interface{{Name: "eth0", Addresses: []string{"192.0.2.10/24"}, MTU: 9000}, {Name: "br0", Kind: KindBridge, Bridge: &Bridge{Members: []string{"eth2"}}}, {Name: "eth2", DHCP: "ipv4"}}}
	bond := Interface{Name: "bond0", Kind: KindBond, Bond: &Bond{Members: []string{"eth0", "eth1"}}}
	if err := n.AddInterface(bond); err != nil {
		t.Fatal(err)
	}
	if f := n.Find("eth0"); len(f.Addresses) > 0 || f.MTU != 9000 {
		t.Errorf("a port of a bond is %+v", f)
	}
	if n.Find("eth1") == nil {
		t.Error("a port that was not declared is not now")
	}
	if err := n.AddInterface(bond); !errors.Is(err, ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	bond.MTU = 1400
	n.SetInterface(bond)
	if got := n.Find("bond0").MTU; got != 1400 || len(n.Interfaces) != 5 {
		t.Errorf("set: mtu %d, %d interfaces", got, len(n.Interfaces))
	}
	if f := n.Find("eth2"); f.DHCP != "ipv4" {
		t.Errorf("a port of nothing that was set lost what it had: %+v", f)
	}
	n.SetInterface(Interface{Name: "eth3.20", Kind: KindVLAN, VLAN: &VLAN{Parent: "eth3", ID: 20}})
	if n.Find("eth3") == nil {
		t.Error("what a VLAN is on is not declared")
	}
}

func TestSetGateway(t *testing.T) {
	start := Network{Interfaces: []Interface{{Name: "eth0", Addresses: []string{"192.0.2.10/24"}, Gateway4: "192.0.2.1"},
		{Name: "eth1", Addresses: []string{"198.51.100.10/24", "2001:db8::10/64"}}, {Name: "eth2", DHCP: "both", Gateway6: "fe80::1"}}}
	for _, c := range []struct {
		is4                bool
		router, on, refuse string
	}{
		{true, "192.0.2.1", "eth0", ""},
		{true, "192.0.2.2", "eth0", ""},
		{true, "198.51.100.1", "eth1", ""},
		{true, "", "", ""},
		{true, "203.0.113.1", "", "in no network of an interface"},
		{true, "2001:db8::1", "", "no IPv4 address"},
		{false, "2001:db8::1", "eth1", ""},
		{false, "fe80::2", "eth2", ""},
		{false, "router", "", "no IPv6 address"},
	} {
		n := start.Clone()
		err := n.SetGateway(c.is4, c.router)
		if c.refuse != "" {
			if err == nil || !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("%s: %v, want that it is refused: %s", c.router, err, c.refuse)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.router, err)
		}
		if router, on := n.Gateway(c.is4); router != c.router || on != c.on {
			t.Errorf("%s is set as %s on %s, want it on %s", c.router, router, on, c.on)
		}
	}
}

func TestPublicKeys(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEEgdGVzdCBrZXkgb2YgQW5uIEEgdGVzdCBrZXkgb2Yg ann@desk"
	got, err := PublicKeys("# mine\n\n  " + key + "\r\n")
	if err != nil || !slices.Equal(got, []string{key}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := PublicKeys(key + "\n-----BEGIN OPENSSH PRIVATE KEY-----"); err == nil || !strings.Contains(err.Error(), "private key") {
		t.Errorf("a private key: %v", err)
	}
}

package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// Network is how the appliance is reached: its name and its interfaces. What
// it does not say is left as the image has it: Ethernet ports that no
// interface names ask for an address by DHCP.
type Network struct {
	Hostname   string      `yaml:"hostname,omitempty" json:"hostname,omitempty" doc:"the machine's name, one label of letters, digits and - (RFC 1123)"`
	Domain     string      `yaml:"domain,omitempty" json:"domain,omitempty" doc:"domain that the machine is in; hostname.domain is its full name"`
	DNS        []string    `yaml:"dns,omitempty" json:"dns,omitempty" doc:"addresses of name servers, the first is asked first"`
	Search     []string    `yaml:"search,omitempty" json:"search,omitempty" doc:"domains that short names are looked for in"`
	Interfaces []Interface `yaml:"interfaces,omitempty" json:"interfaces,omitempty" doc:"ports, and the bonds, VLANs and bridges on them"`
}

// Interface is a port, or a bond, VLAN or bridge.
type Interface struct {
	Name      string        `yaml:"name" json:"name" doc:"what Linux calls it (eth0, ens3), or is to: 1 to 15 of letters, digits, . _ -"`
	Kind      InterfaceKind `yaml:"kind,omitempty" json:"kind,omitempty" enum:"ethernet,bond,vlan,bridge" doc:"ethernet (default) is a port that is there, InfiniBand ones included; the others are made"`
	MAC       string        `yaml:"mac,omitempty" json:"mac,omitempty" doc:"of an ethernet port: the card that is meant, wherever Linux finds it; it is called by this name from the next boot on. Of the others: their address"`
	MTU       int           `yaml:"mtu,omitempty" json:"mtu,omitempty" doc:"bytes, 68 to 65520, at least 1280 with IPv6; without it as large as what is on top of it needs, else the driver's"`
	Addresses []string      `yaml:"addresses,omitempty" json:"addresses,omitempty" doc:"static addresses with the length of their network, such as 192.0.2.10/24 or 2001:db8::10/64"`
	DHCP      string        `yaml:"dhcp,omitempty" json:"dhcp,omitempty" enum:"none,ipv4,ipv6,both" doc:"which addresses are asked for; none by default"`
	AcceptRA  *bool         `yaml:"accept_ra,omitempty" json:"accept_ra,omitempty" doc:"take addresses and routes from IPv6 router advertisements; only with dhcp ipv6 or both by default"`
	Gateway4  string        `yaml:"gateway4,omitempty" json:"gateway4,omitempty" doc:"default router for IPv4"`
	Gateway6  string        `yaml:"gateway6,omitempty" json:"gateway6,omitempty" doc:"default router for IPv6"`
	Routes    []Route       `yaml:"routes,omitempty" json:"routes,omitempty" doc:"further routes"`
	Bond      *Bond         `yaml:"bond,omitempty" json:"bond,omitempty" doc:"of kind bond: its ports"`
	VLAN      *VLAN         `yaml:"vlan,omitempty" json:"vlan,omitempty" doc:"of kind vlan: what it is on"`
	Bridge    *Bridge       `yaml:"bridge,omitempty" json:"bridge,omitempty" doc:"of kind bridge: its ports"`
}

// InterfaceKind says what an interface is.
type InterfaceKind string

// Kinds of interfaces.
const (
	KindEthernet InterfaceKind = "ethernet"
	KindBond     InterfaceKind = "bond"
	KindVLAN     InterfaceKind = "vlan"
	KindBridge   InterfaceKind = "bridge"
)

// Route leads to a network.
type Route struct {
	To     string `yaml:"to" json:"to" doc:"network such as 198.51.100.0/24 or 2001:db8:1::/48, or default4 or default6"`
	Via    string `yaml:"via,omitempty" json:"via,omitempty" doc:"router; the network is on the segment itself when empty"`
	Metric int    `yaml:"metric,omitempty" json:"metric,omitempty" doc:"the route with the lowest is taken"`
}

// Bond joins ports to one interface.
type Bond struct {
	Mode           string   `yaml:"mode,omitempty" json:"mode,omitempty" enum:"active-backup,802.3ad,balance-rr,balance-xor,balance-tlb,balance-alb,broadcast" doc:"how the ports share the work; active-backup by default"`
	Members        []string `yaml:"members" json:"members" doc:"names of ethernet interfaces"`
	MIIMon         int      `yaml:"miimon,omitempty" json:"miimon,omitempty" doc:"milliseconds between looks at the links, 100 by default"`
	LACPRate       string   `yaml:"lacp_rate,omitempty" json:"lacp_rate,omitempty" enum:"slow,fast" doc:"of 802.3ad: how often the switch is to send; slow by default"`
	XmitHashPolicy string   `yaml:"xmit_hash_policy,omitempty" json:"xmit_hash_policy,omitempty" enum:"layer2,layer2+3,layer3+4,encap2+3,encap3+4" doc:"of 802.3ad, balance-xor and balance-tlb: what chooses the port; layer2 by default"`
	Primary        string   `yaml:"primary,omitempty" json:"primary,omitempty" doc:"of active-backup, balance-tlb and balance-alb: the member that is used while it works"`
}

// VLAN is a tagged network on another interface.
type VLAN struct {
	Parent string `yaml:"parent" json:"parent" doc:"name of the interface that it is on"`
	ID     int    `yaml:"id" json:"id" doc:"1 to 4094"`
}

// Bridge joins interfaces to one segment.
type Bridge struct {
	Members []string `yaml:"members,omitempty" json:"members,omitempty" doc:"names of ethernet, bond or vlan interfaces"`
	STP     bool     `yaml:"stp,omitempty" json:"stp,omitempty" doc:"spanning tree protocol"`
}

// Declared says whether the document says anything of the network.
func (n Network) Declared() bool {
	return n.Hostname != "" || n.Domain != "" || len(n.DNS)+len(n.Search)+len(n.Interfaces) > 0
}

// Find returns the interface of that name, nil if there is none.
func (n Network) Find(name string) *Interface {
	i := slices.IndexFunc(n.Interfaces, func(f Interface) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &n.Interfaces[i]
}

// Master returns the bond or bridge that an interface is a member of, nil if
// it is of none.
func (n Network) Master(name string) *Interface {
	for i := range n.Interfaces {
		if slices.Contains(n.Interfaces[i].Members(), name) {
			return &n.Interfaces[i]
		}
	}
	return nil
}

// VLANs returns the VLANs that are on an interface.
func (n Network) VLANs(parent string) []Interface {
	var on []Interface
	for _, f := range n.Interfaces {
		if f.VLAN != nil && f.VLAN.Parent == parent {
			on = append(on, f)
		}
	}
	return on
}

// DefaultMTU is that of Ethernet.
const DefaultMTU = 1500

// MTU returns what an interface's MTU is to be: its own, else what is on top
// of it needs; 0 leaves it to the driver.
func (n Network) MTU(name string) int { return n.mtu(name, len(n.Interfaces)) }

func (n Network) mtu(name string, depth int) int {
	f := n.Find(name)
	if f == nil || depth < 0 { // a circle, which is refused elsewhere
		return 0
	}
	if f.MTU != 0 {
		return f.MTU
	}
	need := 0
	if m := n.Master(name); m != nil {
		need = n.mtu(m.Name, depth-1)
	}
	for _, v := range n.VLANs(name) {
		need = max(need, n.mtu(v.Name, depth-1))
	}
	if need <= DefaultMTU && need != 0 && f.WithDefaults().Kind == KindEthernet && n.Master(name) == nil {
		return 0 // whatever the driver has is enough
	}
	return need
}

// WithDefaults returns the interface with what an empty field means written
// out.
func (f Interface) WithDefaults() Interface {
	if f.Kind == "" {
		f.Kind = KindEthernet
	}
	if f.DHCP == "" {
		f.DHCP = "none"
	}
	if f.AcceptRA == nil {
		f.AcceptRA = new(f.DHCP == "ipv6" || f.DHCP == "both")
	}
	if f.Bond != nil {
		b := *f.Bond
		if b.Mode == "" {
			b.Mode = "active-backup"
		}
		if b.MIIMon == 0 {
			b.MIIMon = 100
		}
		f.Bond = &b
	}
	return f
}

// Members returns the names of a bond's or a bridge's ports.
func (f Interface) Members() []string {
	switch {
	case f.Bond != nil:
		return f.Bond.Members
	case f.Bridge != nil:
		return f.Bridge.Members
	}
	return nil
}

// Prefixes returns the static addresses that can be read.
func (f Interface) Prefixes() []netip.Prefix {
	var ps []netip.Prefix
	for _, a := range f.Addresses {
		if p, err := netip.ParsePrefix(a); err == nil {
			ps = append(ps, p)
		}
	}
	return ps
}

// IPv6 says whether the interface speaks IPv6 beyond its segment.
func (f Interface) IPv6() bool {
	f = f.WithDefaults()
	return *f.AcceptRA || f.Gateway6 != "" ||
		slices.ContainsFunc(f.Prefixes(), func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// Configured says whether the interface has addresses or routes of its own.
func (f Interface) Configured() bool {
	f = f.WithDefaults()
	return len(f.Addresses)+len(f.Routes) > 0 || f.DHCP != "none" || f.Gateway4 != "" || f.Gateway6 != "" || *f.AcceptRA
}

// Clone returns a deep copy.
func (n Network) Clone() Network {
	n.DNS, n.Search = slices.Clone(n.DNS), slices.Clone(n.Search)
	n.Interfaces = slices.Clone(n.Interfaces)
	for i := range n.Interfaces {
		n.Interfaces[i] = n.Interfaces[i].Clone()
	}
	return n
}

// Clone returns a deep copy.
func (f Interface) Clone() Interface {
	f.Addresses, f.Routes = slices.Clone(f.Addresses), slices.Clone(f.Routes)
	if f.AcceptRA != nil {
		f.AcceptRA = new(*f.AcceptRA)
	}
	if f.Bond != nil {
		b := *f.Bond
		b.Members = slices.Clone(b.Members)
		f.Bond = &b
	}
	if f.VLAN != nil {
		f.VLAN = new(*f.VLAN)
	}
	if f.Bridge != nil {
		b := *f.Bridge
		b.Members = slices.Clone(b.Members)
		f.Bridge = &b
	}
	return f
}

// Hostname is the object hostname of plans: the machine's names.
type Hostname struct {
	Hostname string `yaml:"hostname,omitempty" json:"hostname,omitempty"`
	Domain   string `yaml:"domain,omitempty" json:"domain,omitempty"`
}

// Resolver is the object dns of plans: who is asked for names.
type Resolver struct {
	DNS    []string `yaml:"dns,omitempty" json:"dns,omitempty"`
	Search []string `yaml:"search,omitempty" json:"search,omitempty"`
}

// Names returns the object hostname.
func (n Network) Names() Hostname { return Hostname{n.Hostname, n.Domain} }

// Resolver returns the object dns.
func (n Network) Resolver() Resolver { return Resolver{n.DNS, n.Search} }

// walk visits the objects of a network that say something.
func (n Network) walk(visit func(name string, object any)) {
	if n.Hostname != "" || n.Domain != "" {
		visit("hostname", n.Names())
	}
	if len(n.DNS)+len(n.Search) > 0 {
		visit("dns", n.Resolver())
	}
	for _, f := range n.Interfaces {
		visit("interface/"+f.Name, f)
	}
}

// Remove removes an interface that no other stands on, but for those in along,
// which are removed too.
func (n *Network) Remove(name string, along []string) error {
	i := slices.IndexFunc(n.Interfaces, func(f Interface) bool { return f.Name == name })
	if i < 0 {
		names := make([]string, 0, len(n.Interfaces))
		for _, f := range n.Interfaces {
			names = append(names, f.Name)
		}
		return fmt.Errorf("interface %q: %w%s", name, ErrNotFound, nearest(name, names))
	}
	for _, f := range n.Interfaces {
		if slices.Contains(along, f.Name) {
			continue
		}
		if slices.Contains(f.Members(), name) || f.VLAN != nil && f.VLAN.Parent == name {
			return fmt.Errorf("remove interface %q: %s is made of it; remove that first", name, f.Name)
		}
	}
	n.Interfaces = slices.Delete(n.Interfaces, i, i+1)
	return nil
}

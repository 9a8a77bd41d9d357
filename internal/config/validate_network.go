package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Limits of an interface's MTU: IPv4's least (RFC 791), IPv6's least (RFC 8200
// 5), and the most of IP over InfiniBand in connected mode (RFC 4755).
const (
	minMTU  = 68
	minMTU6 = 1280
	maxMTU  = 65520
)

// networkChecker is the part of checker that knows the network.
type networkChecker struct {
	*checker
	net    Network
	byName map[string]int
	owners map[netip.Addr]string // who has an address
	master map[string]string     // bond or bridge by member
	macs   map[string]int
}

func (c *checker) checkNetwork() {
	n := networkChecker{checker: c, net: c.doc.Network, byName: map[string]int{}, owners: map[netip.Addr]string{},
		master: map[string]string{}, macs: map[string]int{}}
	if h := n.net.Hostname; h != "" {
		if err := CheckHostname(h); err != nil {
			c.error("network.hostname", "%v", err)
		}
	}
	if d := n.net.Domain; d != "" {
		n.domain("network.domain", d)
		if n.net.Hostname == "" {
			c.error("network.hostname", "missing; a domain needs the name in it")
		}
	}
	for i, s := range n.net.DNS {
		at := fmt.Sprintf("network.dns[%d]", i)
		if a, err := netip.ParseAddr(s); err != nil || a.IsUnspecified() || a.IsMulticast() {
			c.error(at, "%q is no address of a name server, like 192.0.2.1 or 2001:db8::1", clip(s))
		} else if slices.Index(n.net.DNS, s) < i {
			c.error(at, "%s is named twice", s)
		}
	}
	for i, s := range n.net.Search {
		n.domain(fmt.Sprintf("network.search[%d]", i), s)
	}
	for i, f := range n.net.Interfaces {
		at := fmt.Sprintf("network.interfaces[%d]", i)
		if err := CheckInterfaceName(f.Name); err != nil {
			n.error(at+".name", "%v", err)
		}
		c.unique(n.byName, at+".name", "network.interfaces", f.Name, i)
	}
	for i, f := range n.net.Interfaces {
		n.check(fmt.Sprintf("network.interfaces[%d]", i), i, f)
	}
	n.cycles()
	for i, f := range n.net.Interfaces {
		at := fmt.Sprintf("network.interfaces[%d]", i)
		n.mtu(at+".mtu", f)
		if m, ok := n.master[f.Name]; ok && f.Configured() {
			c.error(at, "interface %s is a member of %s and so has no addresses, DHCP or routes; give them to %s", f.Name, m, m)
		}
	}
	n.gateways()
}

func (n networkChecker) domain(at, s string) {
	if err := CheckDomain(s); err != nil {
		n.error(at, "%v", err)
	}
}

// CheckHostname says whether s can be the machine's name.
func CheckHostname(s string) error {
	switch {
	case strings.Contains(s, "."):
		return fmt.Errorf("%q must be one label; what is behind the first dot belongs into network.domain", clip(s))
	case !isLabel(s):
		return fmt.Errorf("%q is no host name (RFC 1123: 1 to 63 letters, digits and -, not first or last)", clip(s))
	case s == "localhost":
		return errors.New("localhost is every machine's; choose another name")
	}
	return nil
}

// CheckDomain says whether s can be the name of a domain.
func CheckDomain(s string) error {
	if !isHostName(s) {
		return fmt.Errorf("%q is no domain name", clip(s))
	}
	return nil
}

// CheckHost says whether s is the name or the address of a host.
func CheckHost(s string) error {
	if _, err := netip.ParseAddr(s); err != nil && !isHostName(s) {
		return fmt.Errorf("%q is neither a host name nor an IP address", clip(s))
	}
	return nil
}

// isLabel says whether s can be a label of a host's name (RFC 1123 2.1).
func isLabel(s string) bool {
	return len(s) >= 1 && len(s) <= 63 && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-") &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == "" && !hasOther(s) && !strings.ContainsAny(s, "._")
}

// CheckInterfaceName says whether Linux and systemd-networkd take s as an
// interface's name.
func CheckInterfaceName(s string) error {
	switch {
	case s == "":
		return errors.New("missing")
	case len(s) > 15:
		return fmt.Errorf("%q is longer than 15 characters, the most that Linux takes", clip(s))
	case hasOther(s):
		return fmt.Errorf("%q may have letters, digits, \".\", \"_\" and \"-\" only", clip(s))
	case strings.HasPrefix(s, ".") || strings.HasPrefix(s, "-"):
		return fmt.Errorf("%q must start with a letter, a digit or \"_\"", s)
	case strings.Trim(s, "0123456789") == "":
		return fmt.Errorf("%q is a number only; Linux would take it for an index", s)
	case s == "lo" || s == "all" || s == "default":
		return fmt.Errorf("%q is Linux's own", s)
	}
	return nil
}

// CheckMAC says whether s is the address of a card.
func CheckMAC(s string) error {
	mac, err := net.ParseMAC(s)
	switch {
	case err != nil || len(mac) != 6 || !strings.Contains(s, ":"):
		return fmt.Errorf("%q is no address like 52:54:00:12:34:56", clip(s))
	case mac[0]&1 != 0:
		return fmt.Errorf("%q is a group's address, not a card's", s)
	}
	return nil
}

func (n networkChecker) check(at string, index int, f Interface) {
	kind := f.WithDefaults().Kind
	for _, part := range []struct {
		kind InterfaceKind
		set  bool
	}{{KindBond, f.Bond != nil}, {KindVLAN, f.VLAN != nil}, {KindBridge, f.Bridge != nil}} {
		switch {
		case part.set && kind != part.kind:
			n.error(at+"."+string(part.kind), "belongs to interfaces of kind %s; this one is %s", part.kind, kind)
		case !part.set && kind == part.kind && kind != KindBridge:
			n.error(at+"."+string(part.kind), "missing; kind %s needs it", kind)
		}
	}
	if f.MAC != "" {
		if err := CheckMAC(f.MAC); err != nil {
			n.error(at+".mac", "%v", err)
		} else {
			n.unique(n.macs, at+".mac", "network.interfaces", strings.ToLower(f.MAC), index)
		}
	}
	if f.MTU != 0 && (f.MTU < minMTU || f.MTU > maxMTU) {
		n.error(at+".mtu", "must be from %d to %d, not %d", minMTU, maxMTU, f.MTU)
	}
	for i, a := range f.Addresses {
		n.address(fmt.Sprintf("%s.addresses[%d]", at, i), f.Name, a)
	}
	for i, r := range f.Routes {
		n.route(fmt.Sprintf("%s.routes[%d]", at, i), f, r)
	}
	n.members(at, f)
	if f.Bond != nil {
		n.bond(at+".bond", *f.WithDefaults().Bond)
	}
	if v := f.VLAN; v != nil {
		if v.ID < 1 || v.ID > 4094 {
			n.error(at+".vlan.id", "must be from 1 to 4094, not %d", v.ID)
		}
		n.known(at+".vlan.parent", v.Parent)
		for _, other := range n.net.Interfaces[:index] {
			if other.VLAN != nil && *other.VLAN == *v {
				n.error(at+".vlan.id", "VLAN %d of %s is %s already", v.ID, v.Parent, other.Name)
			}
		}
	}
}

// known checks that an interface is declared.
func (n networkChecker) known(at, name string) *Interface {
	i, ok := n.byName[name]
	if !ok || name == "" {
		names := make([]string, 0, len(n.net.Interfaces))
		for _, f := range n.net.Interfaces {
			names = append(names, f.Name)
		}
		hint := nearest(name, names)
		if hint == "" {
			hint = "; add it to network.interfaces, with its name alone if it is a port"
		}
		n.error(at, "there is no interface %q%s", clip(name), hint)
		return nil
	}
	return &n.net.Interfaces[i]
}

func (n networkChecker) members(at string, f Interface) {
	kind := f.WithDefaults().Kind
	list := at + "." + string(kind) + ".members"
	if f.Bond != nil && len(f.Bond.Members) == 0 {
		n.error(list, "missing; a bond needs at least one port")
	}
	for i, name := range f.Members() {
		at := fmt.Sprintf("%s[%d]", list, i)
		m := n.known(at, name)
		if m == nil {
			continue
		}
		of := m.WithDefaults().Kind
		switch {
		case name == f.Name:
			n.error(at, "%s cannot be a member of itself", name)
		case n.master[name] != "":
			n.error(at, "%s is a member of %s already; it can be of one only", name, n.master[name])
		case f.Bond != nil && of != KindEthernet:
			n.error(at, "%s is of kind %s; a bond takes ethernet only", name, of)
		case f.Bridge != nil && of == KindBridge:
			n.error(at, "%s is a bridge; a bridge takes ethernet, bond and vlan only", name)
		case f.Bond != nil && len(n.net.VLANs(name)) > 0:
			n.error(at, "%s carries VLAN %s; put that on %s", name, n.net.VLANs(name)[0].Name, f.Name)
		}
		if n.master[name] == "" {
			n.master[name] = f.Name
		}
	}
}

func (n networkChecker) bond(at string, b Bond) {
	if b.MIIMon < 0 || b.MIIMon > 60000 {
		n.error(at+".miimon", "must be from 1 to 60000 milliseconds, not %d", b.MIIMon)
	}
	only := func(key string, set bool, modes ...string) {
		if set && !slices.Contains(modes, b.Mode) {
			n.error(at+"."+key, "only mode %s has it; the mode is %s", strings.Join(modes, ", "), b.Mode)
		}
	}
	only("lacp_rate", b.LACPRate != "", "802.3ad")
	only("xmit_hash_policy", b.XmitHashPolicy != "", "802.3ad", "balance-xor", "balance-tlb")
	only("primary", b.Primary != "", "active-backup", "balance-tlb", "balance-alb")
	if b.Primary != "" && !slices.Contains(b.Members, b.Primary) {
		n.error(at+".primary", "%q is no member of the bond", clip(b.Primary))
	}
	if len(b.Members) == 1 {
		n.warn(at+".members", "a bond of one port survives no failure")
	}
}

func (n networkChecker) address(at, owner, s string) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		if a, err := netip.ParseAddr(s); err == nil {
			length := map[bool]int{true: 24, false: 64}[a.Is4()]
			n.error(at, "the length of its network is missing: %s/%d, say", a, length)
			return
		}
		n.error(at, "%q is no address like 192.0.2.10/24 or 2001:db8::10/64", clip(s))
		return
	}
	a := p.Addr()
	switch {
	case a.Is4In6():
		n.error(at, "%s is an IPv4 address; write it as one", s)
		return
	case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || p.Bits() == 0:
		n.error(at, "%s is no address that a machine can have", s)
		return
	case a.Is4() && p.Bits() < 31 && a == p.Masked().Addr():
		n.error(at, "%s is the network itself; give the address of this machine in it", s)
	case a.Is4() && p.Bits() < 31 && a == broadcast(p):
		n.error(at, "%s is the broadcast address of its network", s)
	}
	if first, ok := n.owners[a]; ok {
		n.error(at, "%s is already an address of %s", a, first)
		return
	}
	n.owners[a] = owner
}

// broadcast is the last address of an IPv4 network.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

func (n networkChecker) route(at string, f Interface, r Route) {
	if r.Metric < 0 {
		n.error(at+".metric", "must not be negative")
	}
	var to netip.Prefix
	switch r.To {
	case "default4":
		to = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	case "default6":
		to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	default:
		p, err := netip.ParsePrefix(r.To)
		switch {
		case err != nil:
			n.error(at+".to", "%q is no network like 198.51.100.0/24, nor default4 or default6", clip(r.To))
			return
		case p != p.Masked():
			n.error(at+".to", "%s has bits behind its length; %s, perhaps", r.To, p.Masked())
			return
		}
		to = p
	}
	if r.Via != "" {
		n.router(at+".via", f, r.Via, to.Addr().Is4())
	}
}

// router checks the address of a router; a route to one that is on no network
// of the interface is not taken by Linux.
func (n networkChecker) router(at string, f Interface, s string, is4 bool) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.Is4In6():
		n.error(at, "%q is no address of a router", clip(s))
		return
	case a.Is4() != is4:
		n.error(at, "%s is IPv%d, but the route IPv%d", s, map[bool]int{true: 4, false: 6}[a.Is4()], map[bool]int{true: 4, false: 6}[is4])
		return
	}
	if slices.ContainsFunc(f.Prefixes(), func(p netip.Prefix) bool { return p.Addr() == a }) {
		n.error(at, "%s is the interface's own address", s)
		return
	}
	dynamic := f.DHCP == "both" || f.DHCP == "ipv4" && is4 || !is4 && (f.DHCP == "ipv6" || *f.WithDefaults().AcceptRA)
	if dynamic || a.Is6() && a.IsLinkLocalUnicast() {
		return
	}
	if !slices.ContainsFunc(f.Prefixes(), func(p netip.Prefix) bool { return p.Contains(a) }) {
		n.warn(at, "%s is in no network of %s, and so not reached", s, f.Name)
	}
}

// gateways looks at the default routers of all interfaces together.
func (n networkChecker) gateways() {
	first := map[bool]string{}
	for i, f := range n.net.Interfaces {
		at := fmt.Sprintf("network.interfaces[%d]", i)
		for _, g := range []struct {
			key, value string
			is4        bool
		}{{"gateway4", f.Gateway4, true}, {"gateway6", f.Gateway6, false}} {
			if g.value == "" {
				continue
			}
			n.router(at+"."+g.key, f, g.value, g.is4)
			if first[g.is4] != "" {
				n.warn(at+"."+g.key, "%s has a default router too; use routes with metrics to say which is taken", first[g.is4])
				continue
			}
			first[g.is4] = f.Name
		}
	}
}

// cycles finds interfaces that stand on themselves.
func (n networkChecker) cycles() {
	const visiting, clear = 1, 2
	state := map[string]int{}
	var visit func(name string) bool
	visit = func(name string) bool {
		f := n.net.Find(name)
		if f == nil || state[name] == clear {
			return true
		}
		if state[name] == visiting {
			return false
		}
		state[name] = visiting
		below := slices.Clone(f.Members())
		if f.VLAN != nil {
			below = append(below, f.VLAN.Parent)
		}
		for _, b := range below {
			if !visit(b) {
				return false
			}
		}
		state[name] = clear
		return true
	}
	for i, f := range n.net.Interfaces {
		if !visit(f.Name) {
			n.error(fmt.Sprintf("network.interfaces[%d]", i), "interface %s stands on itself by way of its members or its parent", f.Name)
			return
		}
	}
}

// mtu checks an interface's MTU against what it is on. One that is left out
// follows what is on top of it (Network.MTU), so only what is written can be
// wrong.
func (n networkChecker) mtu(at string, f Interface) {
	if f.MTU != 0 && f.MTU < minMTU6 && f.IPv6() {
		n.error(at, "IPv6 needs at least %d (RFC 8200), not %d", minMTU6, f.MTU)
	}
	want := n.net.MTU(f.Name)
	if want == 0 {
		want = DefaultMTU
	}
	if f.VLAN != nil {
		if p := n.net.Find(f.VLAN.Parent); p != nil && p.MTU != 0 && p.MTU < want {
			n.error(at, "%d is more than its parent %s carries (%d); raise that one's mtu, or leave it out there", want, p.Name, p.MTU)
		}
	}
	for _, name := range f.Members() {
		m := n.net.Find(name)
		if m == nil || m.MTU == 0 {
			continue
		}
		if f.Bond != nil && m.MTU != want || m.MTU < want {
			n.error(at, "%s has %d and its member %s %d; leave the member's out, it follows", f.Name, want, name, m.MTU)
		}
	}
}

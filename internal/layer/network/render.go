package network

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Where systemd-networkd (systemd.network(5), systemd.netdev(5)) and udev
// (systemd.link(5)) look. The number puts ours before the image's default,
// which asks for an address on every port that nothing else matches.
const (
	dir    = "/etc/systemd/network/"
	prefix = "20-esos-"
)

// suffixes of the files of an interface.
var suffixes = [...]string{".link", ".netdev", ".network"}

// path of an interface's file.
func path(name, suffix string) string { return dir + prefix + name + suffix }

// unit writes a file of sections with keys.
type unit struct{ strings.Builder }

func newUnit(name string) *unit {
	u := &unit{}
	fmt.Fprintf(u, "# Written by ESOS from its document (interface %s). Changes made here are lost;\n# see esos network --help.\n", name)
	return u
}

func (u *unit) section(name string) { fmt.Fprintf(u, "\n[%s]\n", name) }

func (u *unit) key(name string, value any) { fmt.Fprintf(u, "%s=%v\n", name, value) }

// optional writes a key unless its value is empty.
func (u *unit) optional(name, value string) {
	if value != "" {
		u.key(name, value)
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Render returns the files of an interface by their paths.
func Render(n config.Network, f config.Interface) map[string]string {
	f = f.WithDefaults()
	files := map[string]string{path(f.Name, ".network"): networkFile(n, f)}
	if f.Kind != config.KindEthernet {
		files[path(f.Name, ".netdev")] = netdevFile(f)
	} else if f.MAC != "" {
		u := newUnit(f.Name)
		u.section("Match")
		u.key("PermanentMACAddress", mac(f))
		u.section("Link")
		u.key("Name", f.Name)
		files[path(f.Name, ".link")] = u.String()
	}
	return files
}

// mac is the address in the form that Linux shows.
func mac(f config.Interface) string {
	m, err := net.ParseMAC(f.MAC)
	if err != nil {
		return f.MAC // refused by config already
	}
	return m.String()
}

// netdevFile says how a bond, VLAN or bridge is made.
func netdevFile(f config.Interface) string {
	u := newUnit(f.Name)
	u.section("NetDev")
	u.key("Name", f.Name)
	u.key("Kind", f.Kind)
	if f.MAC != "" {
		u.key("MACAddress", mac(f))
	}
	switch {
	case f.Bond != nil:
		u.section("Bond")
		u.key("Mode", f.Bond.Mode)
		u.key("MIIMonitorSec", fmt.Sprintf("%dms", f.Bond.MIIMon))
		u.optional("LACPTransmitRate", f.Bond.LACPRate)
		u.optional("TransmitHashPolicy", f.Bond.XmitHashPolicy)
	case f.VLAN != nil:
		u.section("VLAN")
		u.key("Id", f.VLAN.ID)
	case f.Bridge != nil:
		u.section("Bridge")
		u.key("STP", yesNo(f.Bridge.STP))
	}
	return u.String()
}

// networkFile says what an interface is part of, and its addresses.
func networkFile(n config.Network, f config.Interface) string {
	u := newUnit(f.Name)
	u.section("Match")
	if f.Kind == config.KindEthernet && f.MAC != "" {
		u.key("PermanentMACAddress", mac(f)) // its name may be another one until the next boot
	} else {
		u.key("Name", f.Name)
	}
	u.section("Link")
	if mtu := n.MTU(f.Name); mtu != 0 {
		u.key("MTUBytes", mtu)
	}
	// What waits for the network waits for addresses only.
	u.key("RequiredForOnline", yesNo(f.Configured()))
	u.section("Network")
	u.key("DHCP", map[string]string{"none": "no", "both": "yes"}[f.DHCP]+map[string]string{"ipv4": "ipv4", "ipv6": "ipv6"}[f.DHCP])
	u.key("IPv6AcceptRA", yesNo(*f.AcceptRA))
	u.key("LinkLocalAddressing", map[bool]string{true: "ipv6", false: "no"}[f.IPv6()])
	u.key("LLMNR", "no")
	u.key("MulticastDNS", "no")
	if f.DHCP != "none" {
		// Initiators are logged out over these addresses while the system goes down.
		u.key("KeepConfiguration", "dynamic-on-stop")
	}
	// Portals are bound, and what was declared can be checked, before the cable
	// is in and while it is not.
	u.key("ConfigureWithoutCarrier", yesNo(len(f.Addresses) > 0))
	for _, a := range f.Prefixes() {
		u.key("Address", a)
	}
	u.optional("Gateway", f.Gateway4)
	u.optional("Gateway", f.Gateway6)
	if m := n.Master(f.Name); m != nil {
		m := m.WithDefaults()
		u.key(map[config.InterfaceKind]string{config.KindBond: "Bond", config.KindBridge: "Bridge"}[m.Kind], m.Name)
		if m.Bond != nil && m.Bond.Primary == f.Name {
			u.key("PrimarySlave", "yes")
		}
	}
	for _, v := range n.VLANs(f.Name) {
		u.key("VLAN", v.Name)
	}
	if f.DHCP != "none" {
		u.section("DHCPv4")
		u.key("ClientIdentifier", "mac")
		u.key("UseDomains", "yes")
	}
	for _, r := range f.Routes {
		u.section("Route")
		u.key("Destination", map[string]string{"default4": "0.0.0.0/0", "default6": "::/0"}[r.To]+strings.TrimPrefix(strings.TrimPrefix(r.To, "default4"), "default6"))
		u.optional("Gateway", r.Via)
		if r.Metric != 0 {
			u.key("Metric", r.Metric)
		}
	}
	return u.String()
}

// hostsLine is how /etc/hosts names the machine itself (Debian's way).
const hostsAddress = "127.0.1.1"

// renderHosts puts the machine's name into the text of /etc/hosts and leaves
// all else as it is.
func renderHosts(text string, h config.Hostname) string {
	line := hostsAddress + " " + h.Hostname
	if h.Domain != "" {
		line = fmt.Sprintf("%s %s.%s %s", hostsAddress, h.Hostname, strings.TrimSuffix(h.Domain, "."), h.Hostname)
	}
	var lines []string
	if text != "" {
		lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	ours := func(l string) bool { f := strings.Fields(l); return len(f) > 0 && f[0] == hostsAddress }
	if i := slices.IndexFunc(lines, ours); i >= 0 {
		lines[i] = line
	} else {
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n") + "\n"
}

// renderResolver is the part of systemd-resolved's configuration that is ours.
func renderResolver(r config.Resolver) string {
	if len(r.DNS)+len(r.Search) == 0 {
		return ""
	}
	text := "# Written by ESOS from its document (dns). Changes made here are lost.\n[Resolve]\n"
	if len(r.DNS) > 0 {
		text += "DNS=" + strings.Join(r.DNS, " ") + "\n"
	}
	if len(r.Search) > 0 {
		text += "Domains=" + strings.Join(r.Search, " ") + "\n"
	}
	return text
}

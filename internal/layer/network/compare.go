package network

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/networking"
	"github.com/esos-project/esos/internal/layer"
)

// find returns the interface that is meant: a port by its address if it has
// one, whatever it is called now.
func find(n layer.Network, f config.Interface) *networking.Link {
	if f.Kind != config.KindEthernet || f.MAC == "" {
		return n.Link(f.Name)
	}
	for i := range n.Links {
		if l := &n.Links[i]; l.Kind == "" && (l.PermanentMAC == mac(f) || l.PermanentMAC == "" && l.MAC == mac(f)) {
			return l
		}
	}
	return nil
}

// misfit says why an interface cannot be what it is declared as; "" if it can.
func misfit(f config.Interface, link *networking.Link, n layer.Network) string {
	switch {
	case f.Kind == config.KindEthernet && link == nil && f.MAC != "":
		return fmt.Sprintf("no port of this machine has the address %s; there is %s", f.MAC, ports(n))
	case f.Kind == config.KindEthernet && link == nil:
		return fmt.Sprintf("this machine has no port %s; there is %s", f.Name, ports(n))
	case f.Kind == config.KindEthernet && made(link.Kind):
		return fmt.Sprintf("%s is no port of this machine but a %s; declare it with its kind, or choose another name", f.Name, link.Kind)
	case f.Kind != config.KindEthernet && link != nil && link.Kind != string(f.Kind):
		if link.Kind == "" {
			return fmt.Sprintf("%s is a port of this machine; choose another name for the %s", f.Name, f.Kind)
		}
		return fmt.Sprintf("%s is a %s of this machine; delete it first, or choose another name for the %s", f.Name, link.Kind, f.Kind)
	}
	return ""
}

// made says whether a kind of interface is one that the document makes; all
// others, such as ipoib, are there by other means, as ports are.
func made(kind string) bool {
	switch config.InterfaceKind(kind) {
	case config.KindBond, config.KindVLAN, config.KindBridge:
		return true
	}
	return false
}

// ports lists the machine's ports with their addresses.
func ports(n layer.Network) string {
	var names []string
	for _, l := range n.Links {
		if l.Kind == "" {
			names = append(names, fmt.Sprintf("%s (%s)", l.Name, l.MAC))
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// missing says what of an interface the kernel does not have as declared; ""
// if it has all of it. Addresses from DHCP come when they come.
func missing(f config.Interface, want config.Network, link *networking.Link, n layer.Network) string {
	if link == nil {
		return "it is not there"
	}
	if mtu := want.MTU(f.Name); mtu != 0 && link.MTU != mtu {
		return fmt.Sprintf("its MTU is %d, not %d", link.MTU, mtu)
	}
	if f.VLAN != nil && link.VLANID != f.VLAN.ID {
		return fmt.Sprintf("it is VLAN %d, not %d", link.VLANID, f.VLAN.ID)
	}
	if f.VLAN != nil {
		if p := declaredLink(want, n, f.VLAN.Parent); p != nil && link.Parent != p.Name {
			return fmt.Sprintf("it is on %s, not on %s", link.Parent, p.Name)
		}
	}
	if f.Bond != nil && link.BondMode != f.Bond.Mode {
		return fmt.Sprintf("its mode is %s, not %s", link.BondMode, f.Bond.Mode)
	}
	for _, m := range f.Members() {
		// A port that is not there keeps no bond from being of use.
		if p := declaredLink(want, n, m); p != nil && p.Master != f.Name {
			return fmt.Sprintf("%s is no member of it", p.Name)
		}
	}
	if want.Master(f.Name) == nil && link.Master != "" {
		return "it is a member of " + link.Master
	}
	for _, a := range f.Prefixes() {
		if !slices.Contains(link.Addresses, a) {
			return "it has no address " + a.String()
		}
	}
	return ""
}

// declaredLink is the kernel's side of an interface that is declared.
func declaredLink(want config.Network, n layer.Network, name string) *networking.Link {
	f := want.Find(name)
	if f == nil {
		return nil
	}
	return find(n, f.WithDefaults())
}

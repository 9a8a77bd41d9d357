package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// AddInterface declares an interface, and the ports that it is made of. Ports of
// a bond have no addresses any more: they are the bond's to have.
func (n *Network) AddInterface(f Interface) error {
	if n.Find(f.Name) != nil {
		return fmt.Errorf("interface %q %w", f.Name, ErrExists)
	}
	n.SetInterface(f)
	return nil
}

// SetInterface is AddInterface of one that may be there: it takes the place of
// the one that has its name.
func (n *Network) SetInterface(f Interface) {
	for _, m := range f.Members() {
		if n.Find(m) == nil {
			n.Interfaces = append(n.Interfaces, Interface{Name: m})
		}
		if f.Bond != nil {
			n.Bare(m)
		}
	}
	if f.VLAN != nil && n.Find(f.VLAN.Parent) == nil {
		n.Interfaces = append(n.Interfaces, Interface{Name: f.VLAN.Parent})
	}
	if have := n.Find(f.Name); have != nil {
		*have = f
		return
	}
	n.Interfaces = append(n.Interfaces, f)
}

// Bare takes the addresses and routes of an interface away.
func (n *Network) Bare(name string) {
	if p := n.Find(name); p != nil {
		*p = Interface{Name: p.Name, Kind: p.Kind, MAC: p.MAC, MTU: p.MTU, Bond: p.Bond, VLAN: p.VLAN, Bridge: p.Bridge}
	}
}

// Gateway is the default router of one of the two protocols, and the interface
// that has it; the first one's if several have.
func (n *Network) Gateway(is4 bool) (router, on string) {
	for i := range n.Interfaces {
		if g := *n.Interfaces[i].gateway(is4); g != "" {
			return g, n.Interfaces[i].Name
		}
	}
	return "", ""
}

// SetGateway makes an address the default router, on the interface that reaches
// it; none is one if it is empty.
func (n *Network) SetGateway(is4 bool, router string) error {
	have, on := n.Gateway(is4)
	if router == have {
		return nil
	}
	if router == "" {
		for i := range n.Interfaces {
			*n.Interfaces[i].gateway(is4) = ""
		}
		return nil
	}
	a, err := netip.ParseAddr(router)
	if err != nil || a.Is4() != is4 {
		return fmt.Errorf("%q is no IPv%d address", clip(router), map[bool]int{true: 4, false: 6}[is4])
	}
	reaching := slices.IndexFunc(n.Interfaces, func(f Interface) bool {
		return slices.ContainsFunc(f.Prefixes(), func(p netip.Prefix) bool { return p.Contains(a) })
	})
	if reaching < 0 && on != "" { // by DHCP, or link-local: where the one before was
		reaching = slices.IndexFunc(n.Interfaces, func(f Interface) bool { return f.Name == on && f.reaches(a) })
	}
	if reaching < 0 {
		return fmt.Errorf("%s is in no network of an interface that is declared: give one an address in its network first, or set the gateway at the interface", router)
	}
	if on != "" {
		*n.Find(on).gateway(is4) = ""
	}
	*n.Interfaces[reaching].gateway(is4) = router
	return nil
}

// reaches says whether a router may well be reached though no network that is
// declared has it.
func (f Interface) reaches(a netip.Addr) bool {
	f = f.WithDefaults()
	switch {
	case a.IsLinkLocalUnicast(), f.DHCP == "both":
		return true
	case a.Is4():
		return f.DHCP == "ipv4"
	}
	return f.DHCP == "ipv6" || *f.AcceptRA
}

func (f *Interface) gateway(is4 bool) *string {
	if is4 {
		return &f.Gateway4
	}
	return &f.Gateway6
}

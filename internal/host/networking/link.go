// Package networking is the part of the gate to Linux that networks are set up
// by: the kernel's interfaces over netlink, and the files of systemd-networkd
// and systemd-resolved. It is a package of its own so that the programs of the
// first stage of a boot stay small.
package networking

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is a network interface as the kernel has it.
type Link struct {
	Name         string
	Kind         string // bond, vlan, bridge ...; empty for a port
	MAC          string
	PermanentMAC string // the card's own; empty if it has none
	MTU          int
	Up           bool // switched on
	Carrier      bool // the cable is in, the other side answers
	SpeedMbit    int  // 0 if unknown
	Master       string
	Parent       string // of a VLAN
	VLANID       int
	BondMode     string
	Addresses    []netip.Prefix // all, of DHCP too; no link-local ones
}

// Machine is the network of the machine: the kernel's side over netlink, and
// systemd-networkd, which sets interfaces up from files below Root.
type Machine struct {
	Root string // "/" but in tests
}

// Links lists the interfaces, without the loopback.
func (Machine) Links() ([]Link, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	names := map[int]string{}
	for _, l := range all {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	addresses, err := linkAddresses()
	if err != nil {
		return nil, err
	}
	var links []Link
	for _, l := range all {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback != 0 {
			continue
		}
		k := Link{Name: a.Name, MAC: a.HardwareAddr.String(), MTU: a.MTU, Up: a.Flags&net.FlagUp != 0,
			Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, Master: names[a.MasterIndex], Addresses: addresses[a.Index]}
		if len(a.PermHWAddr) > 0 {
			k.PermanentMAC = a.PermHWAddr.String()
		}
		if l.Type() != "device" {
			k.Kind = l.Type()
		} else {
			k.SpeedMbit = speed(a.Name)
		}
		switch l := l.(type) {
		case *netlink.Vlan:
			k.Parent, k.VLANID = names[a.ParentIndex], l.VlanId
		case *netlink.Bond:
			k.BondMode = l.Mode.String()
		}
		links = append(links, k)
	}
	slices.SortFunc(links, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	return links, nil
}

func linkAddresses() (map[int][]netip.Prefix, error) {
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list the addresses of the network interfaces: %w", err)
	}
	by := map[int][]netip.Prefix{}
	for _, a := range all {
		addr, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		if addr = addr.Unmap(); addr.IsLinkLocalUnicast() {
			continue
		}
		ones, _ := a.Mask.Size()
		by[a.LinkIndex] = append(by[a.LinkIndex], netip.PrefixFrom(addr, ones))
	}
	return by, nil
}

// speed reads a port's speed; ports without a link, and virtual ones, have none.
func speed(name string) int {
	text, err := os.ReadFile(filepath.Join("/sys/class/net", name, "speed"))
	if err != nil {
		return 0
	}
	var mbit int
	if _, err := fmt.Sscan(string(text), &mbit); err != nil || mbit < 0 {
		return 0
	}
	return mbit
}

// DeleteLink removes a bond, VLAN or bridge; one that is gone already is no
// error. It refuses ports.
func (Machine) DeleteLink(name string) error {
	l, err := netlink.LinkByName(name)
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	if t := l.Type(); t != "bond" && t != "vlan" && t != "bridge" {
		return fmt.Errorf("remove interface %s: it is no bond, VLAN or bridge, but %s", name, t)
	}
	if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	return nil
}

// SetMTU sets an interface's MTU.
func (Machine) SetMTU(name string, mtu int) error {
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetMTU(l, mtu)
	}
	if err != nil {
		return fmt.Errorf("set the MTU of %s to %d: %w", name, mtu, err)
	}
	return nil
}

// Hostname is the kernel's name of the machine.
func (Machine) Hostname() (string, error) { return os.Hostname() }

// SetHostname changes the kernel's name of the machine.
func (Machine) SetHostname(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("name the machine %s: %w", name, err)
	}
	return nil
}

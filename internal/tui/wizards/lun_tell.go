package wizards

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/pick"
)

// tell says what the initiator's administrator needs to know.
func (w *newLUN) tell(doc *config.Document, now v1.NetworkState, storage v1.StorageState) string {
	t, err := doc.FindTarget(w.targetName())
	if err != nil {
		return err.Error()
	}
	dev, err := doc.FindDevice(w.deviceName())
	if err != nil {
		return err.Error()
	}
	g, err := doc.FindGroup(t.Name, w.hostsName())
	if err != nil {
		return err.Error()
	}
	lun := 0
	for _, l := range g.LUNs {
		if l.Device == dev.Name {
			lun = l.LUN
		}
	}
	size := int64(dev.Size)
	if size == 0 {
		size = sizeOfDevice(doc, storage, dev.Path)
	}
	var b strings.Builder
	b.WriteString("Whoever administers the initiator needs this:\n\n")
	pair := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-11s %s\n", name, value)
		}
	}
	addresses := portals(doc, *t, now)
	if t.Driver.Portals() {
		pair("Portals", strings.Join(addresses, "\n              "))
	}
	pair("Target", t.Name)
	pair("LUN", fmt.Sprint(lun))
	if size > 0 {
		pair("Capacity", fmt.Sprintf("%s (%d bytes)", pick.Size(size), size))
	}
	pair("Serial", dev.Identity.Serial)
	pair("Initiators", strings.Join(g.Initiators, "\n              "))
	if len(t.Auth.Users) > 0 {
		b.WriteString("\nThe target asks for CHAP: its user and secret are needed, too.\n")
	}
	if !t.Driver.Portals() {
		fmt.Fprintf(&b, "\nThe host finds it over %s when it looks for disks anew.\n", t.Driver.Human())
		return b.String() + shell(w.commands())
	}
	at := "ADDRESS:3260"
	if len(addresses) > 0 {
		at = addresses[0]
	}
	fmt.Fprintf(&b, `
On Linux:

  iscsiadm -m discovery -t sendtargets -p %s
  iscsiadm -m node -T %s -p %s --login
  lsblk --scsi

A host that is logged in already finds it with

  iscsiadm -m session --rescan
`, at, t.Name, at)
	return b.String() + shell(w.commands())
}

// shell shows commands that do the same.
func shell(commands []string) string {
	return "\nThe same from the shell:\n\n  esos " + strings.Join(commands, "\n  esos ") + "\n"
}

// sizeOfDevice is the size of what a device stands on: as it is, or as a volume
// is declared.
func sizeOfDevice(doc *config.Document, storage v1.StorageState, path string) int64 {
	for _, g := range doc.Storage.VolumeGroups {
		for _, v := range g.Volumes {
			if v.Path(g.Name) == path {
				return int64(v.Size)
			}
		}
	}
	return sizeOf(storage, path)
}

// portals are the addresses that a target is reached at.
func portals(doc *config.Document, t config.Target, now v1.NetworkState) []string {
	var all []string
	add := func(a string) {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	for _, p := range doc.ISCSI.Portals {
		if len(t.Portals) > 0 && !slices.Contains(t.Portals, p.Name) {
			continue
		}
		host, port, err := net.SplitHostPort(p.Address)
		ip, _ := netip.ParseAddr(host)
		switch {
		case p.Announce != "":
			add(p.Announce)
		case err != nil || host != "" && !ip.IsUnspecified():
			add(p.Address)
		default:
			for _, a := range own(now, host) {
				add(net.JoinHostPort(a, port))
			}
		}
	}
	return all
}

// own are the machine's addresses that a portal at every address has: those of
// IPv4 only for 0.0.0.0.
func own(now v1.NetworkState, host string) []string {
	var all []string
	for _, l := range now.Interfaces {
		for _, text := range l.Addresses {
			p, err := netip.ParsePrefix(text)
			if err != nil || p.Addr().IsLoopback() || host == "0.0.0.0" && !p.Addr().Is4() {
				continue
			}
			all = append(all, p.Addr().String())
		}
	}
	return all
}

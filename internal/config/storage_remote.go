package config

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Ports that the protocols are registered with (RFC 7143 4.2.7.1, NVMe/TCP 3.1).
const (
	portISCSI = 3260
	portNVMe  = 4420
)

// Endpoint is where the target listens. It is not valid where the document is
// not.
func (t RemoteISCSI) Endpoint() netip.AddrPort {
	e, _ := endpoint(t.Portal, portISCSI) // the zero one says it
	return e
}

// DiskPrefix begins the names that udev gives the target's disks; the number
// of the LUN follows (udev's path_id; LUNs above 255 are written otherwise).
func (t RemoteISCSI) DiskPrefix() string {
	e := t.Endpoint()
	return "/dev/disk/by-path/ip-" + e.Addr().String() + ":" + strconv.Itoa(int(e.Port())) + "-iscsi-" + t.Target + "-lun-"
}

// Endpoint is where the subsystem listens. It is not valid where the document
// is not.
func (n RemoteNVMe) Endpoint() netip.AddrPort {
	e, _ := endpoint(n.Address, portNVMe) // the zero one says it
	return e
}

// Object is its name in plans.
func (t RemoteISCSI) Object() string { return "remote/" + t.Name }

// Object is its name in plans.
func (n RemoteNVMe) Object() string { return "remote/" + n.Name }

// endpoint reads ADDRESS, ADDRESS:PORT, V6 and [V6]:PORT. Names are refused:
// storage that waits for a name server does not come up where that one is
// served by what stands on this storage.
func endpoint(text string, port uint16) (netip.AddrPort, error) {
	e, err := netip.ParseAddrPort(text)
	if err != nil {
		a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
		if err != nil {
			return netip.AddrPort{}, errors.New("it is no ADDRESS:PORT or [V6]:PORT; a name is not taken, since storage must come up without a name server")
		}
		e = netip.AddrPortFrom(a, port)
	}
	e = netip.AddrPortFrom(e.Addr().Unmap(), e.Port())
	switch {
	case e.Addr().Zone() != "":
		return netip.AddrPort{}, errors.New("an address of one link only (%interface) is not taken")
	case e.Addr().IsUnspecified() || e.Addr().IsMulticast():
		return netip.AddrPort{}, errors.New("nobody listens at such an address")
	case e.Port() == 0:
		return netip.AddrPort{}, errors.New("port 0 is none")
	}
	return e, nil
}

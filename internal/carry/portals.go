package carry

import (
	"net"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Port is iSCSI's own (RFC 7143 13.8).
const Port = "3260"

// Portal returns the name of the document's portal at an address, which is
// made if there is none. tag is the group of one that is made; a portal that
// is there keeps its own, which is returned.
func (f *Found) Portal(at Place, host, port string, tag int) (name string, group int) {
	address := net.JoinHostPort(host, port)
	for _, p := range f.Doc.ISCSI.Portals {
		if p.Address == address {
			return p.Name, p.WithDefaults().Group
		}
	}
	wish := "ip-" + strings.ReplaceAll(host, ":", "-")
	if host == "" || net.ParseIP(host).IsUnspecified() {
		wish = "all"
	}
	if port != Port {
		wish += "-" + port
	}
	if f.Names["portal"] == nil {
		f.Names["portal"] = &Names{}
	}
	p := config.Portal{Name: f.Names["portal"].Make(wish), Address: address}
	if tag != 1 {
		p.Group = tag
	}
	f.Doc.ISCSI.Portals = append(f.Doc.ISCSI.Portals, p)
	return p.Name, tag
}

// EveryPortal makes of a target that names all portals one that names none:
// the document says the same by that.
func (f *Found) EveryPortal() {
	for i := range f.Doc.Targets {
		t := &f.Doc.Targets[i]
		if !slices.ContainsFunc(f.Doc.ISCSI.Portals, func(p config.Portal) bool { return !slices.Contains(t.Portals, p.Name) }) {
			t.Portals = nil
		}
	}
}

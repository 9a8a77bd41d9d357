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
	// No two addresses make one name, whatever the order that they come in.
	name = "ip-" + strings.ReplaceAll(host, ":", "-")
	switch host {
	case "", "0.0.0.0":
		name = "all"
	case "::":
		name = "all-v6"
	}
	if port != Port {
		name += "-port" + port
	}
	p := config.Portal{Name: name, Address: address}
	if tag != 1 {
		p.Group = tag
	}
	f.Doc.ISCSI.Portals = append(f.Doc.ISCSI.Portals, p)
	return p.Name, tag
}

// OrderPortals sorts portals by their group, and those of targets as they are
// sorted. A target that names all of them then names none, by which the
// document says the same.
func (f *Found) OrderPortals() {
	all := f.Doc.ISCSI.Portals
	slices.SortStableFunc(all, func(a, b config.Portal) int { return a.WithDefaults().Group - b.WithDefaults().Group })
	for i := range f.Doc.Targets {
		t := &f.Doc.Targets[i]
		var own []string
		for _, p := range all {
			if slices.Contains(t.Portals, p.Name) {
				own = append(own, p.Name)
			}
		}
		if t.Portals = own; len(own) == len(all) {
			t.Portals = nil
		}
	}
}

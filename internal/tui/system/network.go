package system

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// scene is the network as it is declared and as it is.
type scene struct {
	doc document
	now v1.NetworkState
}

func look(ctx context.Context, d *frame.Desk) (scene, error) {
	doc, err := d.Document(ctx)
	if err != nil {
		return scene{}, err
	}
	now, err := d.Client().Network(ctx)
	return scene{doc, now}, err
}

// link is an interface as the kernel has it, nil if it has none of that name.
func (s scene) link(name string) *v1.Link {
	i := slices.IndexFunc(s.now.Interfaces, func(l v1.Link) bool { return l.Name == name })
	if i < 0 {
		return nil
	}
	return &s.now.Interfaces[i]
}

// withNetwork reads the network, and then opens a screen that begins with it.
func withNetwork(d *frame.Desk, open func(scene)) {
	frame.Load(d, "Look at the network", func(ctx context.Context) (scene, error) { return look(ctx, d) }, open)
}

// Rows of the list that are no interfaces.
const (
	generalRow = "General"
	waitingRow = "WAITS"
)

// networkSettings lists all there is to set of the network.
func networkSettings(d *frame.Desk) {
	d.List(&frame.List{Title: "Network Settings", Command: "esos network list",
		Help: "General has the machine's name, its gateways and name servers. Below it are the interfaces: what they are set to, and what they are. " +
			"A change of an interface is undone after a minute unless it is confirmed, so that nobody is shut out by a slip of the pen.",
		Columns: []frame.Column{{Title: "interface"}, {Title: "kind"}, {Title: "link"}, {Title: "set to"}, {Title: "addresses", Wide: true}, {Title: "part of"}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			s, err := look(ctx, d)
			if err != nil {
				return nil, err
			}
			return s.rows(d), nil
		},
		Keys: []frame.RowKey{
			{Key: 'e', Does: "settings", Do: func(r frame.Row) { openNetwork(d, r.ID) }},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { addInterface(d) }},
			{Key: 'd', Does: "delete", Do: func(r frame.Row) { deleteInterface(d, r.ID) }},
			{Key: 'k', Does: "keep/undo a change", Always: true, Do: func(frame.Row) { keepOrUndo(d) }},
		}})
}

func openNetwork(d *frame.Desk, name string) {
	switch name {
	case waitingRow:
		keepOrUndo(d)
	case generalRow:
		withDocument(d, general)
	default:
		withNetwork(d, func(s scene) { editInterface(d, s, name) })
	}
}

func (s scene) rows(d *frame.Desk) []frame.Row {
	n := s.doc.Network
	var rows []frame.Row
	if u := s.now.Unconfirmed; u != nil {
		rows = append(rows, frame.Row{ID: waitingRow, Level: frame.Bad, Cells: []string{waitingRow, "change", "", "", fmt.Sprintf("undone in %d s", int(u.Deadline.Sub(d.Now()).Seconds()))},
			Why: fmt.Sprintf("The change of revision %d by %s is undone unless it is kept: Enter answers.", u.Revision, u.Who)})
	}
	name := strings.Trim(n.Hostname+"."+n.Domain, ".")
	if name == "" {
		name = "(name as the image has it)"
	}
	rows = append(rows, frame.Row{ID: generalRow, Cells: []string{generalRow, "", "", "", name}, Why: "Name servers: " + orNone(n.DNS)})
	for _, l := range s.now.Interfaces {
		of := l.Master
		if l.Parent != "" {
			of = strings.TrimSpace(fmt.Sprintf("%s %s VLAN %d", of, l.Parent, l.VLANID))
		}
		level := frame.Plain
		if l.Up && !l.Carrier {
			level = frame.Warn
		}
		rows = append(rows, frame.Row{ID: l.Name, Level: level, Cells: []string{l.Name, l.Kind, linkOf(l), s.setTo(l.Name), strings.Join(l.Addresses, " "), of},
			Why: fmt.Sprintf("%s: MAC %s, MTU %d, %s. Addresses: %s", l.Name, l.MAC, l.MTU, linkOf(l), orNone(l.Addresses))})
	}
	for _, f := range n.Interfaces {
		if s.link(f.Name) == nil {
			rows = append(rows, frame.Row{ID: f.Name, Level: frame.Bad, Cells: []string{f.Name, string(f.WithDefaults().Kind), "not there", s.setTo(f.Name), strings.Join(f.Addresses, " ")},
				Why: f.Name + " is declared, but Linux has no such interface. It is set up when it appears."})
		}
	}
	return rows
}

func orNone(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, " ")
}

// linkOf says whether an interface works, and how fast.
func linkOf(l v1.Link) string {
	switch {
	case !l.Up:
		return "off"
	case !l.Carrier:
		return "no link"
	case l.SpeedMbit >= 1000:
		return fmt.Sprintf("%g Gbit/s", float64(l.SpeedMbit)/1000)
	case l.SpeedMbit > 0:
		return fmt.Sprintf("%d Mbit/s", l.SpeedMbit)
	}
	return "up"
}

// setTo says in a word or two where an interface's addresses come from.
func (s scene) setTo(name string) string {
	n := s.doc.Network
	f := n.Find(name)
	if f == nil {
		if l := s.link(name); l != nil && l.Kind != string(config.KindEthernet) {
			return "(not ESOS's)"
		}
		return "DHCP (default)"
	}
	if m := n.Master(name); m != nil {
		return "in " + m.Name
	}
	with := f.WithDefaults()
	var from []string
	if len(f.Addresses) > 0 {
		from = append(from, "static")
	}
	switch {
	case with.DHCP == "both":
		from = append(from, "DHCP v4+v6")
	case with.DHCP == "ipv4":
		from = append(from, "DHCP")
	case with.DHCP == "ipv6":
		from = append(from, "DHCPv6")
	case *with.AcceptRA:
		from = append(from, "IPv6 auto")
	}
	if len(from) == 0 {
		return "disabled"
	}
	return strings.Join(from, ", ")
}

// restartNetwork sets all interfaces up anew.
func restartNetwork(d *frame.Desk) {
	d.Ask("Restart networking?", "Every interface is set up anew. Static addresses stay meanwhile; addresses from DHCP are asked for again, and connections over them may drop, this one too.",
		"Restart", func() {
			d.Do("Restart networking", d.Client().RestartNetwork, func() { d.Toast(frame.Good, "Done: the network interfaces are set up anew.") })
		})
}

// keepOrUndo answers a change that waits: of somebody who was cut off, and has
// logged in anew.
func keepOrUndo(d *frame.Desk) {
	frame.Load(d, "Look at the network", d.Client().Status, func(s v1.Status) {
		u := s.Unconfirmed
		if u == nil {
			d.Say("Nothing waits", "No change of the network waits to be confirmed.")
			return
		}
		d.Choose("Keep the change of the network?", fmt.Sprintf("Revision %d by %s changed the network:\n%s\n\nIt is undone at %s unless it is kept.", u.Revision, u.Who, u.Why,
			u.Deadline.Local().Format("15:04:05")),
			frame.Answer{Text: "Leave it waiting", Do: func() {}},
			frame.Answer{Text: "Keep", Do: func() {
				d.Do("Keep the network", func(ctx context.Context) error { return d.Client().ConfirmNetwork(ctx, u.Revision) },
					func() { d.Toast(frame.Good, "The change of the network stays.") })
			}},
			frame.Answer{Text: "Undo", Do: func() {
				d.Do("Undo the change of the network", d.Client().UndoNetwork, func() { d.Toast(frame.Good, "The change of the network is undone.") })
			}})
	})
}

// deleteInterface takes a bond, VLAN or bridge away, or forgets what a port was
// set to.
func deleteInterface(d *frame.Desk, name string) {
	if name == generalRow || name == waitingRow {
		return
	}
	withDocument(d, func(d *frame.Desk, doc document) {
		if doc.Network.Find(name) == nil {
			d.Say("Nothing to delete", name+" is not in the array's document: it is as the image has it. A port asks for an address by DHCP then.")
			return
		}
		d.Change(frame.Change{Why: "esos network interface delete " + name, Edit: func(doc document) error { return doc.Network.Remove(name, nil) }})
	})
}

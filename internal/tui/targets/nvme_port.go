package targets

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// nvmePorts shows the addresses that NVMe hosts connect to.
func nvmePorts(d *frame.Desk) {
	d.List(&frame.List{Title: "NVMe Ports", Command: "esos nvme port list",
		Help:    "Addresses that NVMe hosts connect to. ANA groups of namespaces have an access state at each port.",
		Empty:   "There is no port, so no NVMe host can connect. Press a to add one.",
		Columns: []frame.Column{{Title: "port"}, {Title: "transport"}, {Title: "address", Wide: true}, {Title: "access states"}, {Title: "id", Right: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, p := range doc.NVMe.Ports {
				rows = append(rows, frame.Row{ID: p.Name, Cells: []string{p.Name, p.Transport, p.Address, accessStates(p.ANAGroups), fmt.Sprint(p.ID)}})
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Key: 'c', Does: "change", Do: func(r frame.Row) { nvmePort(d, r.ID) }},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { nvmePort(d, "") }},
			{Key: 'd', Does: "remove", Do: func(r frame.Row) {
				d.Change(frame.Change{Why: pick.Command("nvme", "port", "delete", r.ID), Edit: func(doc *config.Document) error { return doc.RemoveNVMePort(r.ID) }})
			}},
		}})
}

func accessStates(groups []config.ANAGroup) string {
	texts := make([]string, len(groups))
	for i, g := range groups {
		texts[i] = fmt.Sprintf("%d=%s", g.ID, g.State)
	}
	return strings.Join(texts, ", ")
}

// parseStates reads access states as accessStates writes them.
func parseStates(text string) ([]config.ANAGroup, error) {
	var groups []config.ANAGroup
	for _, w := range frame.Words(text) {
		id, state, ok := strings.Cut(w, "=")
		n, err := strconv.Atoi(id)
		switch {
		case !ok || err != nil || n < 1 || n > 127:
			return nil, fmt.Errorf("%s: write GROUP=STATE, such as 2=non-optimized", w)
		case !slices.Contains(anaStates(), state):
			return nil, fmt.Errorf("%s: the states are %s", w, strings.Join(anaStates(), ", "))
		case slices.ContainsFunc(groups, func(g config.ANAGroup) bool { return g.ID == n }):
			return nil, fmt.Errorf("group %d is there twice", n)
		}
		groups = append(groups, config.ANAGroup{ID: n, State: state})
	}
	slices.SortFunc(groups, func(a, b config.ANAGroup) int { return a.ID - b.ID })
	return groups, nil
}

func anaStates() []string {
	return []string{"optimized", "non-optimized", "inaccessible", "persistent-loss", "change"}
}

// nvmePort asks for a new port, or for other settings of one.
func nvmePort(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		old := name != ""
		p := config.NVMePort{Transport: config.NVMeTCP}
		host, port, adapter := "", "4420", ""
		f := &frame.Form{Title: "Add NVMe Port", Command: "esos nvme port create PORT ADDRESS", Submit: "Add"}
		if old {
			have, err := s.Doc.FindNVMePort(name)
			if err != nil {
				d.Fail("Change NVMe port "+name, err)
				return
			}
			p = *have
			if adapter = p.Address; p.Transport != config.NVMeFC {
				if host, port, err = net.SplitHostPort(p.Address); err != nil {
					host, port = p.Address, ""
				}
			}
			f.Title, f.Command, f.Submit = "NVMe Port "+name, "esos nvme port set "+name, "Change"
			f.Intro = "Hosts on the old address are cut off when the address changes."
		}
		states, capsule := accessStates(p.ANAGroups), ""
		if p.InCapsuleSize != 0 {
			capsule = fmt.Sprint(p.InCapsuleSize)
		}
		ip := func() bool { return p.Transport != config.NVMeFC }
		f.Fields = []frame.Field{
			{Label: "Name", Text: &p.Name, Show: func() bool { return !old }, Hint: "Letters, digits and . _ -, such as front.",
				Check: frame.Name(64, pick.Taken(s.Doc.NVMe.Ports, func(p config.NVMePort) string { return p.Name }))},
			{Label: "Transport", One: &p.Transport, Columns: []string{"transport", "what"}, Hint: "How hosts connect.", Options: []frame.Option{
				{Value: config.NVMeTCP, Cells: []string{"tcp", "any network"}}, {Value: config.NVMeRDMA, Cells: []string{"rdma", "RoCE, InfiniBand, iWARP"}}, {Value: config.NVMeFC, Cells: []string{"fc", "Fibre Channel"}}}},
			{Label: "Address", Text: &host, Show: ip, Check: frame.Optional(frame.Address), Hint: "One of this machine, IPv4 or IPv6, such as 192.0.2.10 or 2001:db8::10. Every IPv4 address if nothing is typed."},
			{Label: "TCP port", Text: &port, Show: ip, Check: frame.Number(1, 65535), Hint: "4420 is NVMe's."},
			{Label: "Adapter's names", Text: &adapter, Show: func() bool { return !ip() }, Check: frame.Needed, Hint: "nn-0xWWNN:pn-0xWWPN of the adapter's port (/sys/class/fc_host/host*/node_name, port_name)."},
			{Label: "Access states", Text: &states, Hint: "GROUP=STATE of ANA groups, with commas between, such as 1=optimized, 2=non-optimized. Empty: group 1 is optimized.", Check: func(t string) error {
				_, err := parseStates(t)
				return err
			}},
			{Label: "In-capsule size", Text: &capsule, Show: ip, Hint: "Bytes that may come with a command, a multiple of 4096; the transport's own if nothing is typed.", Check: frame.Optional(func(t string) error {
				if n, err := strconv.Atoi(t); err != nil || n < 4096 || n > 1<<20 || n%4096 != 0 {
					return fmt.Errorf("a multiple of 4096, up to 1048576")
				}
				return nil
			})},
		}
		f.Do = func() {
			want := p
			want.Address, want.InCapsuleSize = adapter, 0
			if ip() {
				want.Address = net.JoinHostPort(host, port)
				want.InCapsuleSize, _ = strconv.Atoi(capsule) // it was checked
			}
			want.ANAGroups, _ = parseStates(states) // as was this
			args := []string{"nvme", "port", "create", want.Name, want.Address, "--transport", want.Transport}
			if old {
				args = []string{"nvme", "port", "set", name, "--address", want.Address, "--transport", want.Transport}
			}
			for _, g := range want.ANAGroups {
				args = append(args, "--ana", fmt.Sprintf("%d=%s", g.ID, g.State))
			}
			if want.InCapsuleSize != 0 {
				args = append(args, "--in-capsule-size", capsule)
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error {
				if !old {
					return doc.AddNVMePort(want)
				}
				have, err := doc.FindNVMePort(name)
				if err != nil {
					return err
				}
				*have = want
				return nil
			}})
		}
		d.Form(f)
	})
}

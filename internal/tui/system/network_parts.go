package system

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// parts are the fields that bonds, VLANs and bridges have of their own: what
// they are made of.
type parts struct {
	kind                        config.InterfaceKind
	members                     []string
	mode, miimon, lacp, hash    string
	primary, parent, id, called string
	stp                         bool
}

// leave is a choice that leaves the document without a word about it.
const leave = "default"

func partsOf(f config.Interface) *parts {
	f = f.WithDefaults()
	q := &parts{kind: f.Kind, members: slices.Clone(f.Members()), lacp: leave, hash: leave, primary: leave}
	or := func(s string) string {
		if s == "" {
			return leave
		}
		return s
	}
	if b := f.Bond; b != nil {
		q.mode, q.miimon, q.lacp, q.hash, q.primary = b.Mode, strconv.Itoa(b.MIIMon), or(b.LACPRate), or(b.XmitHashPolicy), or(b.Primary)
	}
	if v := f.VLAN; v != nil {
		if q.parent = v.Parent; v.ID != 0 {
			q.id = strconv.Itoa(v.ID)
		}
	}
	if b := f.Bridge; b != nil {
		q.stp = b.STP
	}
	return q
}

// put writes the fields to an interface.
func (q *parts) put(f *config.Interface) {
	unless := func(s string, is bool) string {
		if s == leave || !is {
			return ""
		}
		return s
	}
	switch q.kind {
	case config.KindBond:
		f.Bond = &config.Bond{Mode: q.mode, Members: slices.Clone(q.members), LACPRate: unless(q.lacp, q.isLACP()), XmitHashPolicy: unless(q.hash, q.hashes()),
			Primary: unless(q.primary, q.prefers())}
		if f.Bond.MIIMon, _ = strconv.Atoi(q.miimon); f.Bond.MIIMon == 100 {
			f.Bond.MIIMon = 0
		}
		if f.Bond.Mode == "active-backup" { // the default, like 100
			f.Bond.Mode = ""
		}
	case config.KindVLAN:
		f.VLAN = &config.VLAN{Parent: q.parent}
		f.VLAN.ID, _ = strconv.Atoi(q.id)
	case config.KindBridge:
		f.Bridge = &config.Bridge{Members: slices.Clone(q.members), STP: q.stp}
	}
}

// Which options a bond's mode has.
func (q *parts) isLACP() bool { return q.mode == "802.3ad" }
func (q *parts) hashes() bool {
	return slices.Contains([]string{"802.3ad", "balance-xor", "balance-tlb"}, q.mode)
}
func (q *parts) prefers() bool {
	return slices.Contains([]string{"active-backup", "balance-tlb", "balance-alb"}, q.mode)
}

// fields are those of the kind.
func (q *parts) fields(p *port) []frame.Field {
	switch q.kind {
	case config.KindBond:
		return q.bond(p)
	case config.KindVLAN:
		return q.vlan(p)
	case config.KindBridge:
		return []frame.Field{
			{Label: "Members", Many: &q.members, Load: q.candidates(p, config.KindEthernet, config.KindBond, config.KindVLAN), Columns: candidateColumns(),
				Hint: "Interfaces that it joins to one segment. They have no addresses any more: the bridge has."},
			{Label: "Spanning tree", Yes: &q.stp, Hint: "Needed only if loops are possible; ports then forward after half a minute."},
		}
	}
	return nil
}

func (q *parts) bond(p *port) []frame.Field {
	return []frame.Field{
		{Label: "Members", Many: &q.members, Load: q.candidates(p, config.KindEthernet), Columns: candidateColumns(), Check: func(string) error {
			if len(q.members) == 0 {
				return errors.New("a bond needs at least one port; two to survive a failure")
			}
			return nil
		}, Hint: "Ports that are used as one. They have no addresses any more: the bond has."},
		{Label: "Mode", One: &q.mode, Columns: []string{"mode", "how the ports share the work"}, Options: []frame.Option{
			{Value: "active-backup", Cells: []string{"active-backup", "one works, the others stand by; any switch"}},
			{Value: "802.3ad", Cells: []string{"802.3ad", "LACP: all work; the switch must do it, too"}},
			{Value: "balance-xor", Cells: []string{"balance-xor", "all send, by a hash; static group at the switch"}},
			{Value: "balance-rr", Cells: []string{"balance-rr", "in turn; packets may overtake each other"}},
			{Value: "balance-tlb", Cells: []string{"balance-tlb", "all send, one receives; any switch"}},
			{Value: "balance-alb", Cells: []string{"balance-alb", "all send and receive IPv4; any switch"}},
			{Value: "broadcast", Cells: []string{"broadcast", "each packet on every port"}}},
			Hint: "active-backup is safe with any switch; 802.3ad is faster where the switch does LACP."},
		{Label: "Link check (miimon)", Text: &q.miimon, Check: frame.Number(1, 60000), Hint: "Milliseconds between looks at the links; 100 is usual."},
		{Label: "LACP rate", One: &q.lacp, Show: q.isLACP, Options: []frame.Option{{Value: leave, Cells: []string{"slow (default)"}}, {Value: "slow"}, {Value: "fast"}},
			Hint: "How often the switch is to send: every 30 s, or every second, which notices more."},
		{Label: "Hash policy", One: &q.hash, Show: q.hashes, Options: append([]frame.Option{{Value: leave, Cells: []string{"layer2 (default)"}}},
			frame.Options("layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4")...),
			Hint: "What chooses the port: layer3+4 spreads several connections between the same two hosts."},
		{Label: "Primary", One: &q.primary, Show: q.prefers, Options: []frame.Option{{Value: leave, Cells: []string{"none"}}}, Load: func(context.Context) ([]frame.Option, error) {
			return append([]frame.Option{{Value: leave, Cells: []string{"none"}}}, frame.Options(q.members...)...), nil
		}, Check: func(s string) error {
			if s != leave && !slices.Contains(q.members, s) {
				return fmt.Errorf("%s is no member of the bond", s)
			}
			return nil
		}, Hint: "The member that is used while it works."},
	}
}

func (q *parts) vlan(p *port) []frame.Field {
	name := func() { // as people call them, unless somebody chose another
		if made := q.parent + "." + q.id; p.fresh && p.name == q.called && len(made) <= 15 {
			p.name, q.called = made, made
		}
	}
	return []frame.Field{
		{Label: "On", One: &q.parent, Load: q.candidates(p, config.KindEthernet, config.KindBond, config.KindBridge), Columns: candidateColumns(), Check: frame.Needed, Changed: name,
			Hint: "The interface that carries it."},
		{Label: "VLAN ID", Text: &q.id, Check: frame.Number(1, 4094), Changed: name, Hint: "1 to 4094, as the switch has it on that port."},
	}
}

func candidateColumns() []string { return []string{"interface", "kind", "link", "set to", "MAC"} }

// candidates are interfaces that it can be made of.
func (q *parts) candidates(p *port, kinds ...config.InterfaceKind) func(context.Context) ([]frame.Option, error) {
	return func(ctx context.Context) ([]frame.Option, error) {
		s, err := look(ctx, p.desk)
		if err != nil {
			return nil, err
		}
		p.scene.now = s.now
		var o []frame.Option
		for _, r := range s.rows(p.desk) {
			if r.ID == generalRow || r.ID == waitingRow || r.ID == p.name {
				continue
			}
			mac := ""
			if l := s.link(r.ID); l != nil {
				mac = l.MAC
			}
			o = append(o, frame.Option{Value: r.ID, Cells: []string{r.ID, r.Cells[1], r.Cells[2], r.Cells[3], mac}, Why: q.unfit(s, p.was.Name, r, kinds)})
		}
		return o, nil
	}
}

// unfit says why an interface cannot be a part.
func (q *parts) unfit(s scene, of string, r frame.Row, kinds []config.InterfaceKind) string {
	n := s.doc.Network
	switch m := n.Master(r.ID); {
	case !slices.Contains(kinds, config.InterfaceKind(r.Cells[1])):
		return fmt.Sprintf("it is of kind %s", r.Cells[1])
	case n.Find(r.ID) == nil && r.Cells[1] != string(config.KindEthernet):
		return "ESOS did not make it"
	case q.kind == config.KindVLAN && m != nil && m.Bond != nil:
		return fmt.Sprintf("it is a member of %s; put the VLAN on that", m.Name)
	case q.kind != config.KindVLAN && m != nil && m.Name != of:
		return fmt.Sprintf("it is a member of %s", m.Name)
	case q.kind == config.KindBond && len(n.VLANs(r.ID)) > 0:
		return fmt.Sprintf("it carries VLAN %s; put that on the bond first", n.VLANs(r.ID)[0].Name)
	}
	return ""
}

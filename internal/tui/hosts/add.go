package hosts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// members is a form that takes initiators into a group: one that is there, or
// a new one.
type members struct {
	pick.Serving
	target, group string
	connected     []string
	typed         string
	fresh         bool // the group is a new one
	form          *frame.Form
}

// Its fields, by where they are.
const (
	memberGroup = 1
	memberWho   = 2
	memberNote  = 4
)

// addGroup asks for a new group.
func addGroup(d *frame.Desk, target string) {
	withTargets(d, "Add Group", func(s pick.Serving) {
		m := &members{Serving: s, target: target, fresh: true}
		m.form = &frame.Form{Title: "Add Group", Command: "esos group create TARGET GROUP", Submit: "Add",
			Help: "A host group has initiators, which see the LUNs that are mapped to it, and no others of the target."}
		m.show(d, frame.Field{Label: "Name", Text: &m.group, Check: m.checkName, Hint: "Letters, digits and . _ -, such as the name of the host or cluster."})
	})
}

// addInitiator asks for initiators of a group.
func addInitiator(d *frame.Desk, target, group string) {
	withTargets(d, "Add Initiator", func(s pick.Serving) {
		if len(pick.AllGroups(s)) == 0 {
			d.Say("Add Initiator", "There is no host group yet. Hosts, Add Group makes one.")
			return
		}
		m := &members{Serving: s, target: target, group: group}
		m.form = &frame.Form{Title: "Add Initiator", Command: "esos initiator add TARGET GROUP PATTERN", Submit: "Add",
			Help: "Those that are connected and in no group can be chosen; others are typed. In names, * stands for any text and ? for any character; a leading ! keeps out whom it matches."}
		m.show(d, frame.Field{Label: "Group", One: &m.group, Columns: []string{"group", "initiators"}, Check: frame.Needed, Hint: "Whose LUNs they are to see."})
	})
}

// withTargets reads what is served, if there is a target.
func withTargets(d *frame.Desk, title string, then func(pick.Serving)) {
	pick.WithServing(d, func(s pick.Serving) {
		if len(s.Doc.Targets) == 0 {
			d.Say(title, "There is no target yet, and groups belong to one. Targets, Add iSCSI Target makes one.")
			return
		}
		then(s)
	})
}

func (m *members) show(d *frame.Desk, group frame.Field) {
	if m.target == "" && len(m.Doc.Targets) == 1 {
		m.target = m.Doc.Targets[0].Name
	}
	m.form.Fields = []frame.Field{
		{Label: "Target", One: &m.target, Options: pick.Targets(m.Doc), Columns: pick.TargetColumns(), Check: frame.Needed, Hint: "Groups belong to a target.",
			Changed: func() {
				m.connected = nil
				if !m.fresh {
					m.group = ""
				}
				m.refill()
			}},
		group,
		{Label: "Connected ones", Many: &m.connected, Columns: pick.InitiatorColumns(), Changed: m.tell,
			Hint: "Those that are logged in to the target now."},
		{Label: "Names, patterns", Text: &m.typed, Check: m.checkTyped, Changed: m.tell,
			Hint: "Others, with commas between; * is any text, ? any character, a leading ! keeps out."},
		{Note: "-"},
	}
	m.refill()
	m.form.Do = func() { m.carryOut(d) }
	d.Form(m.form)
}

// refill offers what the target has.
func (m *members) refill() {
	if !m.fresh {
		groups := pick.Groups(m.Doc, m.target)
		m.form.Fields[memberGroup].Options = groups
		if m.group == "" && len(groups) == 1 {
			m.group = groups[0].Value
		}
	}
	m.form.Fields[memberWho].Options = pick.Initiators(m.Doc, m.Sessions, m.target)
	m.tell()
}

// names are the initiators that were chosen and typed, as the document spells
// them.
func (m *members) names() []string {
	driver := m.driver()
	names := slices.Clone(m.connected)
	for _, w := range frame.Words(m.typed) {
		if n := driver.InitiatorName(w); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

func (m *members) driver() config.Driver {
	t, err := m.Doc.FindTarget(m.target)
	if err != nil {
		return ""
	}
	return t.Driver
}

// tell says whom the names match now.
func (m *members) tell() {
	text := "Nothing is chosen yet."
	if names := m.names(); len(names) > 0 {
		who := m.Matching(m.target, names...)
		switch len(who) {
		case 0:
			text = "Of those that are connected, these match nobody."
		case 1, 2, 3:
			text = "These match now: " + strings.Join(who, ", ")
		default:
			text = fmt.Sprintf("These match %d now: %s ...", len(who), strings.Join(who[:3], ", "))
		}
		for _, n := range names {
			if why := m.driver().InitiatorProblem(strings.TrimPrefix(n, "!")); why != "" && !strings.ContainsAny(n, "*?") {
				text += "\nBeware: " + n + " " + why
			}
		}
	}
	m.form.Fields[memberNote].Note = text
}

func (m *members) checkName(s string) error {
	t, err := m.Doc.FindTarget(m.target)
	if err != nil {
		return frame.Name(64, nil)(s)
	}
	return frame.Name(64, pick.Taken(t.Groups, func(g config.Group) string { return g.Name }))(s)
}

func (m *members) checkTyped(s string) error {
	if s == "" && len(m.connected) == 0 && !m.fresh {
		return fmt.Errorf("choose one of those that are connected, or type a name")
	}
	t, err := m.Doc.FindTarget(m.target)
	if err != nil {
		return nil // the target is asked for first
	}
	for _, w := range frame.Words(s) {
		n := t.Driver.InitiatorName(w)
		if strings.TrimPrefix(n, "!") == "" || len(n) > 223 {
			return fmt.Errorf("%q is no name of an initiator", w)
		}
		for _, g := range t.Groups {
			if slices.Contains(g.Initiators, n) {
				return fmt.Errorf("%s is in group %s already; an initiator is in one group of a target", n, g.Name)
			}
		}
	}
	return nil
}

func (m *members) carryOut(d *frame.Desk) {
	target, group, names := m.target, m.group, m.names()
	if m.fresh {
		args := []string{"group", "create", target, group}
		for _, n := range names {
			args = append(args, "--initiator", n)
		}
		d.Change(frame.Change{Why: pick.Command(args...), From: m.form, Edit: func(doc *config.Document) error {
			return doc.AddGroup(target, config.Group{Name: group, Initiators: names})
		}})
		return
	}
	d.Change(frame.Change{Why: pick.Command(append([]string{"initiator", "add", target, group}, names...)...), From: m.form, Edit: func(doc *config.Document) error {
		for _, n := range names {
			if err := doc.AddInitiator(target, group, n); err != nil {
				return err
			}
		}
		return nil
	}})
}

// removeInitiator has an initiator chosen of all groups.
func removeInitiator(d *frame.Desk) { removeInitiatorOf(d, at{}) }

// removeInitiatorOf has one chosen of a group, or of all, and takes it out.
func removeInitiatorOf(d *frame.Desk, w at) {
	pick.OneOf(d, frame.Picker{Title: "Remove Initiator", Columns: []string{"initiator", "group", "target", "matches now"}, Command: "esos initiator remove TARGET GROUP PATTERN",
		Intro: "Who is logged in by it loses the LUNs of the group."}, "There is no initiator in it: no host group names one.",
		func(s pick.Serving) []frame.Option {
			var o []frame.Option
			for _, t := range s.Doc.Targets {
				for _, g := range t.Groups {
					if w != (at{}) && w != (at{t.Name, g.Name}) {
						continue
					}
					for _, n := range g.Initiators {
						o = append(o, frame.Option{Value: pick.Value(t.Name, g.Name, n),
							Cells: []string{n, g.Name, pick.Short(t.Name), fmt.Sprint(len(s.Matching(t.Name, strings.TrimPrefix(n, "!"))))}})
					}
				}
			}
			return o
		}, func(value string, _ pick.Serving) {
			n := pick.Names(value)
			d.Change(frame.Change{Why: pick.Command("initiator", "remove", n[0], n[1], n[2]),
				Edit: func(doc *config.Document) error { return doc.RemoveInitiator(n[0], n[1], n[2]) }})
		})
}

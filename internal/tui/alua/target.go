package alua

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// member is a form that puts a target into a target group.
type member struct {
	doc        *config.Document
	in         string // pick.Value of device group and target group
	here       bool   // a target of this array
	name, peer string
	relative   string
	form       *frame.Form
}

// addTarget asks for a target of a target group.
func addTarget(d *frame.Desk, p place) {
	pick.WithServing(d, func(s pick.Serving) {
		all := allTargetGroups(s.Doc)
		if len(all) == 0 {
			d.Say("Add Target to Group", noTargetGroup)
			return
		}
		m := &member{doc: s.Doc, here: true}
		switch {
		case p.targets != "":
			m.in = pick.Value(p.group, p.targets)
		case len(all) == 1:
			m.in = all[0].Value
		}
		peer := func() bool { return !m.here }
		m.form = &frame.Form{Title: "Add Target to Group", Command: "esos alua group set DEVICE-GROUP TARGET-GROUP --target TARGET", Submit: "Add",
			Help: "A target of the peer node is told to initiators by its relative target id, which must be the one that the peer uses.",
			Fields: []frame.Field{
				{Label: "Target group", One: &m.in, Options: all, Columns: targetGroupColumns(), Check: frame.Needed, Changed: m.refill, Hint: "Whose access state goes for the target."},
				{Label: "Of this array", Yes: &m.here, Hint: "No: it is a target of the peer node, known by its name and relative id."},
				{Label: "Target", One: &m.name, Columns: pick.TargetColumns(), Check: frame.Needed, Show: func() bool { return m.here }, Hint: "One that is in no other target group of the device group."},
				{Label: "Peer's target", Text: &m.peer, Check: m.checkPeer, Show: peer, Hint: "Its name on the peer node."},
				{Label: "Relative target id", Text: &m.relative, Check: m.checkRelative, Show: peer, Hint: "1 to 65535: what the peer's target has (Targets, Set Relative Target ID shows it there)."},
			}}
		m.refill()
		m.form.Do = func() { m.carryOut(d) }
		d.Form(m.form)
	})
}

// elsewhere is the target group of the same device group that has a target.
func (m *member) elsewhere(name string) string {
	if m.in == "" {
		return ""
	}
	g, err := m.doc.FindDeviceGroup(pick.Names(m.in)[0])
	if err != nil {
		return ""
	}
	for _, tg := range g.TargetGroups {
		if slices.ContainsFunc(tg.Targets, func(t config.GroupTarget) bool { return t.Name == name }) {
			return tg.Name
		}
	}
	return ""
}

// refill offers the targets that can be added.
func (m *member) refill() {
	o := pick.Targets(m.doc)
	for i := range o {
		if tg := m.elsewhere(o[i].Value); tg != "" {
			o[i].Why = "it is in target group " + tg + " of the device group already"
		}
	}
	m.form.Fields[2].Options = o
}

func (m *member) checkPeer(s string) error {
	if err := frame.Needed(s); err != nil {
		return err
	}
	if tg := m.elsewhere(s); tg != "" {
		return fmt.Errorf("it is in target group %s of the device group already", tg)
	}
	return nil
}

func (m *member) checkRelative(s string) error {
	if err := frame.Number(1, 65535)(s); err != nil {
		return err
	}
	for _, t := range m.doc.Targets {
		for _, id := range t.RelativeIDs {
			if fmt.Sprint(id) == s {
				return fmt.Errorf("target %s of this array has that id; give one of the two another", t.Name)
			}
		}
	}
	return nil
}

func (m *member) carryOut(d *frame.Desk) {
	n := pick.Names(m.in)
	made := config.GroupTarget{Name: m.name}
	if !m.here {
		made.Name = m.peer
		made.RelativeID, _ = strconv.Atoi(m.relative) // it was checked
	}
	all := []config.GroupTarget{made}
	if tg, err := m.doc.FindTargetGroup(n[0], n[1]); err == nil {
		all = append(slices.Clone(tg.Targets), made)
	}
	d.Change(frame.Change{Why: setTargets(n[0], n[1], all), From: m.form, Edit: func(doc *config.Document) error {
		tg, err := doc.FindTargetGroup(n[0], n[1])
		if err != nil {
			return err
		}
		tg.Targets = append(tg.Targets, made)
		return nil
	}})
}

// setTargets is the command that gives a target group its targets.
func setTargets(group, name string, all []config.GroupTarget) string {
	args := []string{"alua", "group", "set", group, name}
	for _, t := range all {
		word := t.Name
		if t.RelativeID != 0 {
			word += fmt.Sprintf("=%d", t.RelativeID)
		}
		args = append(args, "--target", word)
	}
	if len(all) == 0 {
		args = append(args, "--target", "")
	}
	return pick.Command(args...)
}

func removeTarget(d *frame.Desk) {
	pick.OneOf(d, frame.Picker{Title: "Remove Target from Group", Columns: []string{"target", "relative id", "target group", "device group"},
		Command: "esos alua group set DEVICE-GROUP TARGET-GROUP --target TARGET"},
		"There is no target in a target group.", func(s pick.Serving) []frame.Option {
			var o []frame.Option
			for _, g := range s.Doc.DeviceGroups {
				for _, tg := range g.TargetGroups {
					for _, t := range tg.Targets {
						id := "this array's"
						if t.RelativeID != 0 {
							id = fmt.Sprintf("%d (peer)", t.RelativeID)
						}
						o = append(o, frame.Option{Value: pick.Value(g.Name, tg.Name, t.Name), Cells: []string{t.Name, id, tg.Name, g.Name}})
					}
				}
			}
			return o
		}, func(value string, _ pick.Serving) {
			n := pick.Names(value)
			takeTarget(d, place{group: n[0], targets: n[1], target: n[2]})
		})
}

func takeTarget(d *frame.Desk, p place) {
	gone := func(t config.GroupTarget) bool { return t.Name == p.target }
	pick.WithServing(d, func(s pick.Serving) {
		have, err := s.Doc.FindTargetGroup(p.group, p.targets)
		if err != nil {
			d.Fail("Remove target "+p.target, err)
			return
		}
		left := slices.DeleteFunc(slices.Clone(have.Targets), gone)
		d.Change(frame.Change{Why: setTargets(p.group, p.targets, left), Edit: func(doc *config.Document) error {
			tg, err := doc.FindTargetGroup(p.group, p.targets)
			if err != nil {
				return err
			}
			tg.Targets = slices.DeleteFunc(tg.Targets, gone)
			return nil
		}})
	})
}

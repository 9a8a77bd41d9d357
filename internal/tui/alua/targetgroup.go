package alua

import (
	"fmt"
	"strconv"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// states are the access states to choose from.
func states() []frame.Option {
	var o []frame.Option
	for _, x := range [][2]string{
		{"active", "the good paths: I/O goes here"},
		{"nonoptimized", "works, but slower: used when no active path is left"},
		{"standby", "no I/O, but answers; can be made active"},
		{"unavailable", "no I/O, for a while"},
		{"offline", "no I/O, for good"},
		{"transitioning", "changing between states: initiators wait"},
	} {
		o = append(o, frame.Option{Value: x[0], Cells: []string{x[0], x[1]}})
	}
	return o
}

// allTargetGroups are the target groups of all device groups.
func allTargetGroups(doc *config.Document) []frame.Option {
	var o []frame.Option
	for _, g := range doc.DeviceGroups {
		for _, tg := range g.TargetGroups {
			w := tg.WithDefaults()
			o = append(o, frame.Option{Value: pick.Value(g.Name, tg.Name), Cells: []string{tg.Name, g.Name, fmt.Sprint(tg.ID), w.State, pick.YesNo(tg.Preferred), fmt.Sprint(len(tg.Targets))}})
		}
	}
	return o
}

func targetGroupColumns() []string {
	return []string{"target group", "device group", "id", "state", "preferred", "targets"}
}

const noTargetGroup = "There is no target group yet. ALUA, Add Target Group makes one."

func addTargetGroup(d *frame.Desk, group string) {
	pick.WithServing(d, func(s pick.Serving) {
		if len(s.Doc.DeviceGroups) == 0 {
			d.Say("Add Target Group", noGroup)
			return
		}
		if group == "" && len(s.Doc.DeviceGroups) == 1 {
			group = s.Doc.DeviceGroups[0].Name
		}
		var name, id string
		made := config.TargetGroup{State: "active"}
		next := func() {
			if g, err := s.Doc.FindDeviceGroup(group); err == nil {
				id = fmt.Sprint(g.NextID())
			}
		}
		next()
		var targets []string
		f := &frame.Form{Title: "Add Target Group", Command: "esos alua group create DEVICE-GROUP TARGET-GROUP", Submit: "Add",
			Help: "A target group is a set of targets that lead to the devices of the group with one access state.",
			Fields: []frame.Field{
				{Label: "Device group", One: &group, Options: groups(s.Doc), Columns: groupColumns(), Check: frame.Needed, Changed: next, Hint: "Whose devices its targets lead to."},
				{Label: "Name", Text: &name, Check: func(t string) error { return frame.Name(64, namesIn(s.Doc, group))(t) }, Hint: "Letters, digits and . _ -, such as local or remote."},
				{Label: "Id", Text: &id, Check: func(t string) error { return checkID(s.Doc, group, "", t) }, Hint: "Target port group identifier, 1 to 65535; the same on both nodes."},
				{Label: "State", One: &made.State, Options: states(), Columns: []string{"state", "what for"}, Hint: "How good the paths through its targets are."},
				{Label: "Preferred", Yes: &made.Preferred, Hint: "Initiators should prefer it (PREF bit)."},
				{Label: "Targets", Many: &targets, Options: pick.Targets(s.Doc), Columns: pick.TargetColumns(), Hint: "Targets of this array. Add Target to Group adds those of the peer node."},
			}}
		f.Do = func() {
			made.Name = name
			made.ID, _ = strconv.Atoi(id) // it was checked
			made.Targets = nil
			args := []string{"alua", "group", "create", group, name, "--id", id}
			if made.State != "active" {
				args = append(args, "--state", made.State)
			}
			if made.Preferred {
				args = append(args, "--preferred")
			}
			for _, t := range targets {
				made.Targets = append(made.Targets, config.GroupTarget{Name: t})
				args = append(args, "--target", t)
			}
			want := made
			if want.State == "active" {
				want.State = "" // the default
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error { return doc.AddTargetGroup(group, want) }})
		}
		d.Form(f)
	})
}

func namesIn(doc *config.Document, group string) []string {
	g, err := doc.FindDeviceGroup(group)
	if err != nil {
		return nil
	}
	return pick.Taken(g.TargetGroups, func(t config.TargetGroup) string { return t.Name })
}

// checkID checks an identifier; but is the target group that may have it.
func checkID(doc *config.Document, group, but, text string) error {
	if err := frame.Number(1, 65535)(text); err != nil {
		return err
	}
	g, err := doc.FindDeviceGroup(group)
	if err != nil {
		return nil // it is asked for first
	}
	for _, tg := range g.TargetGroups {
		if fmt.Sprint(tg.ID) == text && tg.Name != but {
			return fmt.Errorf("target group %s has that id", tg.Name)
		}
	}
	return nil
}

func removeTargetGroup(d *frame.Desk) {
	pick.OneOf(d, frame.Picker{Title: "Remove Target Group", Columns: targetGroupColumns(), Command: "esos alua group delete DEVICE-GROUP TARGET-GROUP"}, noTargetGroup,
		func(s pick.Serving) []frame.Option { return allTargetGroups(s.Doc) },
		func(value string, _ pick.Serving) {
			n := pick.Names(value)
			takeTargetGroup(d, place{group: n[0], targets: n[1]})
		})
}

func takeTargetGroup(d *frame.Desk, p place) {
	d.Change(frame.Change{Why: pick.Command("alua", "group", "delete", p.group, p.targets), Edit: func(doc *config.Document) error {
		return doc.RemoveTargetGroup(p.group, p.targets)
	}})
}

// changeState has a target group chosen, and asks for its state.
func changeState(d *frame.Desk) {
	pick.OneOf(d, frame.Picker{Title: "Access State and Preference", Columns: targetGroupColumns()}, noTargetGroup,
		func(s pick.Serving) []frame.Option { return allTargetGroups(s.Doc) },
		func(value string, _ pick.Serving) {
			n := pick.Names(value)
			state(d, n[0], n[1])
		})
}

// state asks for the state, preference and id of a target group.
func state(d *frame.Desk, group, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		have, err := s.Doc.FindTargetGroup(group, name)
		if err != nil {
			d.Fail("Change target group "+name, err)
			return
		}
		want := have.WithDefaults()
		id := fmt.Sprint(want.ID)
		f := &frame.Form{Title: "Target Group " + name, Command: "esos alua group set " + group + " " + name + " --state STATE", Submit: "Change",
			Help: "Initiators are told of the change, and those with multipath move their I/O.",
			Fields: []frame.Field{
				{Label: "State", One: &want.State, Options: states(), Columns: []string{"state", "what for"}, Hint: "How good the paths through its targets are."},
				{Label: "Preferred", Yes: &want.Preferred, Hint: "Initiators should prefer it (PREF bit)."},
				{Label: "Id", Text: &id, Check: func(t string) error { return checkID(s.Doc, group, name, t) }, Hint: "Target port group identifier, 1 to 65535; the same on both nodes."},
			}}
		f.Do = func() {
			args := []string{"alua", "group", "set", group, name, "--state", want.State, "--preferred=" + strconv.FormatBool(want.Preferred), "--id", id}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error {
				tg, err := doc.FindTargetGroup(group, name)
				if err != nil {
					return err
				}
				tg.State, tg.Preferred = want.State, want.Preferred
				tg.ID, err = strconv.Atoi(id)
				return err
			}})
		}
		d.Form(f)
	})
}

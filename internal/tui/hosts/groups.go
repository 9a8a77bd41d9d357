package hosts

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/devices"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// at is where a row of the list stands.
type at struct{ target, group string }

// List shows the host groups of a target, or of all if it is "".
func List(d *frame.Desk, target string) {
	title, command := "Host Groups", "esos group list"
	if target != "" {
		title, command = title+" of "+target, pick.Command("group", "list", target)
	}
	on := func(do func(at)) func(frame.Row) {
		return func(r frame.Row) {
			if where, ok := r.Value.(at); ok {
				do(where)
			}
		}
	}
	d.List(&frame.List{Title: title, Command: command,
		Help:    "A host group belongs to a target. It has patterns of initiator names and its own LUNs; an initiator is in one group of a target.",
		Empty:   "There is no host group yet. Press a to make one.",
		Columns: []frame.Column{{Title: "group"}, {Title: "target"}, {Title: "LUNs", Right: true}, {Title: "sessions", Right: true}, {Title: "initiators", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			s, err := pick.Serve(ctx, d)
			if err != nil {
				return nil, err
			}
			return rows(s, target), nil
		},
		Keys: []frame.RowKey{
			{Does: "details", Do: on(func(w at) { details(d, w) })},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { addGroup(d, target) }},
			{Key: 'i', Does: "add initiator", Do: on(func(w at) { addInitiator(d, w.target, w.group) })},
			{Key: 'r', Does: "remove initiator", Do: on(func(w at) { removeInitiatorOf(d, w) })},
			{Key: 'm', Does: "map", Do: on(func(w at) { devices.Map(d, devices.Place{Target: w.target, Group: w.group}) })},
			{Key: 't', Does: "attributes", Do: on(func(w at) { attributes(d, w) })},
			{Key: 'd', Does: "remove", Do: on(func(w at) { removeGroupOf(d, w) })},
		}})
}

func rows(s pick.Serving, target string) []frame.Row {
	var rows []frame.Row
	for _, t := range s.Doc.Targets {
		if target != "" && t.Name != target {
			continue
		}
		for _, g := range t.Groups {
			r := frame.Row{ID: pick.Value(t.Name, g.Name), Value: at{t.Name, g.Name}, Cells: []string{g.Name, pick.Short(t.Name), fmt.Sprint(len(g.LUNs)),
				fmt.Sprint(s.InGroup(t.Name, g.Name)), strings.Join(g.Initiators, ", ")}}
			switch {
			case len(g.Initiators) == 0:
				r.Level, r.Why = frame.Warn, "It has no initiators, so it matches nobody. Press i to add one."
			case len(g.LUNs) == 0:
				r.Level, r.Why = frame.Warn, "It has no LUNs: its initiators see no disk. Press m to map one."
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// details shows all of one group.
func details(d *frame.Desk, w at) {
	pick.WithServing(d, func(s pick.Serving) {
		g, err := s.Doc.FindGroup(w.target, w.group)
		if err != nil {
			d.Fail("Show group "+w.group, err)
			return
		}
		var b strings.Builder
		fmt.Fprintf(&b, "Group %s of target %s\n\nInitiators, and who of those that are connected each one matches:\n", w.group, w.target)
		for _, p := range g.Initiators {
			who := "nobody now"
			if m := s.Matching(w.target, strings.TrimPrefix(p, "!")); len(m) > 0 {
				who = strings.Join(m, ", ")
			}
			fmt.Fprintf(&b, "  %s: %s\n", p, who)
		}
		b.WriteString("\nLUNs:\n")
		for _, l := range g.LUNs {
			fmt.Fprintf(&b, "  %d: %s, %s\n", l.LUN, l.Device, pick.Access(l))
		}
		for _, line := range strings.Split(pick.Attributes(g.Attributes), "\n") {
			if line != "" {
				fmt.Fprintf(&b, "\nAttribute %s\n", line)
			}
		}
		b.WriteString("\nLogged in:\n")
		for _, x := range s.Of(w.target) {
			if x.Group == w.group {
				fmt.Fprintf(&b, "  %s from %s\n", x.Initiator, x.Address)
			}
		}
		d.Page(&frame.Page{Title: "Group " + w.group, Command: pick.Command("target", "show", w.target), Text: b.String(),
			Help: "The initiators of the group, what they match now, and what they see."})
	})
}

// removeGroup has a group chosen and takes it away.
func removeGroup(d *frame.Desk) {
	pick.OneOf(d, frame.Picker{Title: "Remove Group", Columns: pick.AllGroupColumns(), Command: "esos group delete TARGET GROUP",
		Intro: "The group goes with its LUNs; devices stay. Who is logged in through it loses its disks."}, "There is no host group.", pick.AllGroups,
		func(value string, _ pick.Serving) {
			n := pick.Names(value)
			removeGroupOf(d, at{n[0], n[1]})
		})
}

func removeGroupOf(d *frame.Desk, w at) {
	d.Change(frame.Change{Why: pick.Command("group", "delete", w.target, w.group),
		Edit: func(doc *config.Document) error { return doc.RemoveGroup(w.target, w.group) }})
}

// attributes asks for what the engine's kernel has of a group.
func attributes(d *frame.Desk, w at) {
	pick.WithServing(d, func(s pick.Serving) {
		g, err := s.Doc.FindGroup(w.target, w.group)
		if err != nil {
			d.Fail("Change group "+w.group, err)
			return
		}
		text := pick.Attributes(g.Attributes)
		if s.Doc.EngineName() == "native" && text == "" {
			d.Say("Attributes of group "+w.group, "Groups have attributes of their own with the engines in the kernel only (lio and scst); this array's is native.")
			return
		}
		f := &frame.Form{Title: "Attributes of Group " + w.group, Command: "esos group set TARGET GROUP --attribute NAME=VALUE", Submit: "Change",
			Fields: []frame.Field{pick.AttributesField(s.Doc, &text)}}
		f.Do = func() {
			args := []string{"group", "set", w.target, w.group}
			for _, line := range strings.Fields(text) {
				args = append(args, "--attribute", line)
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error {
				g, err := doc.FindGroup(w.target, w.group)
				if err != nil {
					return err
				}
				g.Attributes, err = pick.ParseAttributes(text)
				return err
			}})
		}
		d.Form(f)
	})
}

package targets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

const noTarget = "There is no target yet. Targets, Add iSCSI Target makes one."

// oneOf has a target chosen.
func oneOf(d *frame.Desk, title, intro string, do func(name string, s pick.Serving)) {
	pick.OneOf(d, frame.Picker{Title: title, Intro: intro, Columns: append(pick.TargetColumns(), "sessions")}, noTarget, func(s pick.Serving) []frame.Option {
		o := pick.Targets(s.Doc)
		for i := range o {
			o[i].Cells = append(o[i].Cells, fmt.Sprint(s.At(o[i].Value)))
		}
		return o
	}, do)
}

func remove(d *frame.Desk) {
	oneOf(d, "Remove iSCSI Target", "It goes with its groups and LUNs, and its sessions end; devices stay.", func(name string, _ pick.Serving) { removeOne(d, name) })
}

func removeOne(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		carryOut := func() {
			d.Change(frame.Change{Why: pick.Command("target", "delete", name), Edit: func(doc *config.Document) error { return doc.RemoveTarget(name) }})
		}
		if who := loggedIn(s, name); who != "" {
			d.Ask("Initiators are logged in", "Target "+name+" goes with its groups and LUNs. These lose their disks:\n\n"+who, "Show the plan", carryOut)
			return
		}
		carryOut()
	})
}

// loggedIn lists who is logged in to a target, "" if nobody is.
func loggedIn(s pick.Serving, name string) string {
	var lines []string
	for _, x := range s.Of(name) {
		lines = append(lines, x.Initiator+" from "+x.Address)
	}
	return strings.Join(lines, "\n")
}

// enable has a target chosen and switches it.
func enable(d *frame.Desk) {
	oneOf(d, "Enable/Disable Target", "One that is enabled is disabled, and the other way round.", func(name string, s pick.Serving) { enableOne(d, s, name) })
}

// enableOne switches a target; sessions end when it is disabled, so that is
// asked first.
func enableOne(d *frame.Desk, s pick.Serving, name string) {
	t, err := s.Doc.FindTarget(name)
	if err != nil {
		d.Fail("Enable or disable target "+name, err)
		return
	}
	verb := "disable"
	if t.Disabled {
		verb = "enable"
	}
	disabled := !t.Disabled
	carryOut := func() {
		d.Change(frame.Change{Why: pick.Command("target", verb, name), Edit: func(doc *config.Document) error {
			t, err := doc.FindTarget(name)
			if err != nil {
				return err
			}
			t.Disabled = disabled
			return nil
		}})
	}
	if !disabled {
		carryOut()
		return
	}
	who := loggedIn(s, name)
	if who == "" {
		who = "Nobody is logged in."
	} else {
		who = "These sessions end, and their initiators lose their disks:\n\n" + who
	}
	d.Ask("Disable "+pick.Short(name)+"?", "No initiator can log in to it any more. "+who, "Disable", carryOut)
}

// relative has a target chosen and asks for its relative id.
func relative(d *frame.Desk) {
	oneOf(d, "Set Relative Target ID", "", func(name string, _ pick.Serving) { relativeOf(d, name) })
}

// relativeOf asks for a relative target port identifier of a target, which has
// one for each portal group that it is reached by.
func relativeOf(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		t, err := s.Doc.FindTarget(name)
		if err != nil {
			d.Fail("Set a relative target id", err)
			return
		}
		tags := s.Doc.Tags(*t)
		if len(tags) == 0 {
			tags = []int{config.LoneTag}
		}
		var options []frame.Option
		for _, tag := range tags {
			options = append(options, frame.Option{Value: fmt.Sprint(tag), Cells: []string{fmt.Sprint(tag), fmt.Sprint(t.RelativeIDs[tag])}})
		}
		tag := options[0].Value
		id := ""
		fill := func() {
			n, _ := strconv.Atoi(tag) // one of the options
			if id = ""; t.RelativeIDs[n] != 0 {
				id = fmt.Sprint(t.RelativeIDs[n])
			}
		}
		fill()
		f := &frame.Form{Title: "Relative Target ID of " + pick.Short(name), Command: "esos config edit", Submit: "Set",
			Help: "Initiators tell the ports of an array apart by it, so it is unique in the array and, with ALUA, on both nodes. Initiators that are logged in may have to log in again.",
			Fields: []frame.Field{
				{Label: "Portal group", One: &tag, Options: options, Columns: []string{"portal group", "id now"}, Changed: fill, Show: func() bool { return len(options) > 1 },
					Hint: "A target has one id for each portal group that it is reached by."},
				{Label: "Relative id", Text: &id, Hint: "1 to 65535.", Check: func(text string) error { return checkRelative(s.Doc, name, tag, text) }},
			}}
		f.Do = func() {
			n, _ := strconv.Atoi(tag)     // one of the options
			number, _ := strconv.Atoi(id) // it was checked
			d.Change(frame.Change{Why: fmt.Sprintf("set the relative target id of %s (portal group %d) to %d", name, n, number), From: f, Edit: func(doc *config.Document) error {
				t, err := doc.FindTarget(name)
				if err != nil {
					return err
				}
				if t.RelativeIDs == nil {
					t.RelativeIDs = map[int]int{}
				}
				t.RelativeIDs[n] = number
				return nil
			}})
		}
		d.Form(f)
	})
}

func checkRelative(doc *config.Document, name, tag, text string) error {
	if err := frame.Number(1, 65535)(text); err != nil {
		return err
	}
	for _, t := range doc.Targets {
		for at, id := range t.RelativeIDs {
			if fmt.Sprint(id) == text && (t.Name != name || fmt.Sprint(at) != tag) {
				return fmt.Errorf("target %s has it", t.Name)
			}
		}
	}
	for _, g := range doc.DeviceGroups {
		for _, tg := range g.TargetGroups {
			if i := slices.IndexFunc(tg.Targets, func(x config.GroupTarget) bool { return fmt.Sprint(x.RelativeID) == text }); i >= 0 {
				return fmt.Errorf("target %s of the peer node has it", tg.Targets[i].Name)
			}
		}
	}
	return nil
}

// parametersOfOne has a target chosen and asks for its parameters.
func parametersOfOne(d *frame.Desk) {
	oneOf(d, "Target Parameters", "", func(name string, _ pick.Serving) { parameters(d, name) })
}

// parameters asks for the operational keys of a target.
func parameters(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		t, err := s.Doc.FindTarget(name)
		if err != nil {
			d.Fail("Change parameters of target "+name, err)
			return
		}
		if !t.Driver.Portals() {
			d.Say("Target Parameters", "Only iSCSI targets have parameters; the driver of this one is "+t.Driver.Human()+".")
			return
		}
		list := config.ParameterList()
		values := make([]string, len(list))
		f := &frame.Form{Title: "Parameters of " + pick.Short(name), Command: "esos target set " + name + " --parameter NAME=VALUE", Submit: "Change",
			Intro: "Empty is the default. Initiators take them up when they log in the next time.",
			Help:  "The target's side of the operational keys of RFC 7143, chapter 13."}
		for i, p := range list {
			values[i] = t.Parameters.Get(p.Name)
			f.Fields = append(f.Fields, frame.Field{Label: strings.ReplaceAll(p.Name, "_", " "), Text: &values[i], Hint: p.Doc + ".",
				Check: func(v string) error {
					alone := config.Parameters{}
					if err := alone.Set(p.Name, v); err != nil {
						return err
					}
					if why := alone.Problem(); why != "" {
						return fmt.Errorf("%s", why)
					}
					return nil
				}})
		}
		f.Do = func() {
			args := []string{"target", "set", name}
			var want config.Parameters
			for i, p := range list {
				if values[i] != t.Parameters.Get(p.Name) {
					args = append(args, "--parameter", p.Name+"="+values[i])
				}
				if err := want.Set(p.Name, values[i]); err != nil {
					d.Fail("Change parameters", err)
					return
				}
			}
			if why := want.Problem(); why != "" {
				d.Warn("These do not go together", why)
				return
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error {
				t, err := doc.FindTarget(name)
				if err != nil {
					return err
				}
				t.Parameters = want
				return nil
			}})
		}
		d.Form(f)
	})
}

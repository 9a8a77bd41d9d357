package pick

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/scsi"
)

// Devices are the devices of a document.
func Devices(doc *config.Document) []frame.Option {
	var o []frame.Option
	for _, d := range doc.Devices {
		o = append(o, frame.Option{Value: d.Name, Cells: []string{d.Name, string(d.Handler), DeviceSize(d), d.Path}})
	}
	return o
}

// DeviceSize is a device's size as declared; nothing for one that has the size
// of what it stands on.
func DeviceSize(d config.Device) string {
	if d.Size == 0 {
		return ""
	}
	return Size(int64(d.Size))
}

// Mappable are the devices that a LUN can lead to.
func Mappable(doc *config.Document) []frame.Option {
	o := Devices(doc)
	for i := range o {
		if object, ok := doc.NVMe.NamespaceOf(o[i].Value); ok {
			o[i].Why = "it is served over NVMe (" + object + "); one store is served by one of the two only"
		}
	}
	return o
}

// DeviceColumns are the titles over Devices.
func DeviceColumns() []string { return []string{"device", "handler", "size", "path"} }

// Targets are the targets of a document.
func Targets(doc *config.Document) []frame.Option {
	var o []frame.Option
	for _, t := range doc.Targets {
		o = append(o, frame.Option{Value: t.Name, Cells: []string{t.Name, t.Driver.Human(), State(t), Count(len(t.Groups), "group")}})
	}
	return o
}

// TargetColumns are the titles over Targets.
func TargetColumns() []string { return []string{"target", "driver", "state", "groups"} }

// State is whether initiators may log in to a target.
func State(t config.Target) string {
	if t.Disabled {
		return "disabled"
	}
	return "enabled"
}

// Groups are the host groups of a target.
func Groups(doc *config.Document, target string) []frame.Option {
	t, err := doc.FindTarget(target)
	if err != nil {
		return nil
	}
	var o []frame.Option
	for _, g := range t.Groups {
		o = append(o, frame.Option{Value: g.Name, Cells: []string{g.Name, strings.Join(g.Initiators, ", ")}})
	}
	return o
}

// AllGroups are the host groups of all targets; values have the names of target
// and group.
func AllGroups(s Serving) []frame.Option {
	var o []frame.Option
	for _, t := range s.Doc.Targets {
		for _, g := range t.Groups {
			o = append(o, frame.Option{Value: Value(t.Name, g.Name), Cells: []string{g.Name, t.Name,
				fmt.Sprint(len(g.LUNs)), fmt.Sprint(s.InGroup(t.Name, g.Name)), strings.Join(g.Initiators, ", ")}})
		}
	}
	return o
}

// AllGroupColumns are the titles over AllGroups.
func AllGroupColumns() []string { return []string{"group", "target", "LUNs", "sessions", "initiators"} }

// InGroup counts the sessions that fell into a group of a target; group "" is
// for those that no group matched.
func (s Serving) InGroup(target, group string) int { return s.counts[place{target, group}] }

// Of are the sessions of a target.
func (s Serving) Of(target string) []engine.Session {
	var found []engine.Session
	for i := range s.Sessions {
		if s.Sessions[i].Target == target {
			found = append(found, s.Sessions[i])
		}
	}
	return found
}

// At counts the sessions of a target.
func (s Serving) At(target string) int {
	n := 0
	for at, sessions := range s.counts {
		if at.target == target {
			n += sessions
		}
	}
	return n
}

// Matching are the initiators at a target, each once, that patterns match.
func (s Serving) Matching(target string, patterns ...string) []string {
	var found []string
	if len(patterns) == 1 && !strings.ContainsAny(patterns[0], "*?!") {
		if name, ok := s.exact[place{target, strings.ToLower(patterns[0])}]; ok {
			return []string{name}
		}
		return nil
	}
	for _, name := range s.names[target] {
		if scsi.MatchInitiator(patterns, name) {
			found = append(found, name)
		}
	}
	return found
}

// Initiators are those that are logged in to a target, with where each comes
// from and in how many groups it is. One that a group of the target names
// cannot be chosen.
func Initiators(doc *config.Document, sessions []engine.Session, target string) []frame.Option {
	var o []frame.Option
	for _, s := range sessions {
		if s.Target != target || slices.ContainsFunc(o, func(have frame.Option) bool { return have.Value == s.Initiator }) {
			continue
		}
		used, why := 0, ""
		for _, t := range doc.Targets {
			for _, g := range t.Groups {
				if scsi.MatchInitiator(g.Initiators, s.Initiator) {
					used++
				}
				if t.Name == target && slices.Contains(g.Initiators, s.Initiator) {
					why = "group " + g.Name + " of this target has it already; an initiator is in one group of a target"
				}
			}
		}
		o = append(o, frame.Option{Value: s.Initiator, Why: why, Cells: []string{s.Initiator, s.Address, "used by " + Count(used, "group")}})
	}
	return o
}

// InitiatorColumns are the titles over Initiators.
func InitiatorColumns() []string { return []string{"initiator", "from", "groups"} }

// LUNs are all LUNs; values have the names of target and group, and the number.
func LUNs(doc *config.Document) []frame.Option {
	var o []frame.Option
	add := func(target, group string, luns []config.LUN) {
		for _, l := range luns {
			o = append(o, frame.Option{Value: Value(target, group, fmt.Sprint(l.LUN)), Cells: []string{l.Device, target, GroupName(group), fmt.Sprint(l.LUN), Access(l)}})
		}
	}
	for _, t := range doc.Targets {
		for _, g := range t.Groups {
			add(t.Name, g.Name, g.LUNs)
		}
		add(t.Name, "", t.LUNs)
	}
	return o
}

// LUNColumns are the titles over LUNs.
func LUNColumns() []string { return []string{"device", "target", "group", "LUN", "access"} }

// GroupName is a group for people; that of initiators which no group matches
// has no name.
func GroupName(group string) string {
	if group == "" {
		return Everybody
	}
	return group
}

// Everybody stands for the initiators that no group of a target matches.
const Everybody = "(default)"

// Access is what initiators may do through a LUN.
func Access(l config.LUN) string {
	if l.ReadOnly {
		return "read-only"
	}
	return "read-write"
}

// Taken are the names of things.
func Taken[T any](things []T, name func(T) string) []string {
	names := make([]string, len(things))
	for i, x := range things {
		names[i] = name(x)
	}
	return names
}

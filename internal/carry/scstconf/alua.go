package scstconf

import (
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
)

// deviceGroup reads a DEVICE_GROUP: devices and the target groups that lead to
// them.
func (r *reader) deviceGroup(s *statement) error {
	if err := r.check("a DEVICE_GROUP", s.lines, "DEVICE", "TARGET_GROUP"); err != nil {
		return err
	}
	g := config.DeviceGroup{Name: r.f.Name(s.words[1].at, "device group", s.arg(1))}
	of := "device group " + s.arg(1)
	for _, l := range s.lines {
		switch l.key() {
		case "DEVICE":
			name, declared := r.devices[l.arg(1)]
			what := "device " + l.arg(1) + " of " + of
			switch {
			case !declared:
				r.f.Miss(l.at(), what, "no HANDLER of the file has this device")
			case name == "":
				r.f.Miss(l.at(), what, "it was not carried")
			case r.grouped[name]:
				r.f.Miss(l.at(), what, "it is in a device group above; it can be in one only")
			default:
				r.grouped[name] = true
				g.Devices = append(g.Devices, name)
			}
			r.leaveLines(l, what, false)
		case "TARGET_GROUP":
			if err := r.targetGroup(&g, l, of); err != nil {
				return err
			}
		default:
			r.leave(l, of)
		}
	}
	// SCST takes a number twice, and 0; both name no group (SPC-5 7.7.5).
	taken := map[int]bool{}
	for _, tg := range g.TargetGroups {
		taken[tg.ID] = true
	}
	seen, next := map[int]bool{}, 1
	for i := range g.TargetGroups {
		tg := &g.TargetGroups[i]
		if tg.ID == 0 || seen[tg.ID] {
			for taken[next] {
				next++
			}
			r.f.Miss(s.at(), fmt.Sprintf("group_id %d of target group %s", tg.ID, tg.Name), fmt.Sprintf("it must be 1 to 65535 and its own; it is %d here", next))
			tg.ID = next
			taken[next] = true
		}
		seen[tg.ID] = true
	}
	r.f.At(fmt.Sprintf("device_groups[%d]", len(r.f.Doc.DeviceGroups)), s.at())
	r.f.Doc.DeviceGroups = append(r.f.Doc.DeviceGroups, g)
	return nil
}

func (r *reader) targetGroup(g *config.DeviceGroup, s *statement, of string) error {
	if err := r.check("a TARGET_GROUP", s.lines, "TARGET"); err != nil {
		return err
	}
	tg := config.TargetGroup{Name: r.f.Name(s.words[1].at, "target group of "+of, s.arg(1))}
	of = "target group " + s.arg(1) + " of " + of
	for _, l := range s.lines {
		var err error
		switch l.key() {
		case "group_id":
			var n int64
			if n, err = r.number(l); n < 0 || n > 65535 {
				err = r.refuse(l.valueAt(), "group_id: %q is no number from 1 to 65535", l.value())
			}
			tg.ID = int(n)
		case "preferred":
			tg.Preferred, err = r.flag(l)
		case "state":
			tg.State = l.value()
			if !slices.Contains([]string{"active", "nonoptimized", "standby", "unavailable", "offline", "transitioning"}, tg.State) {
				err = r.refuse(l.valueAt(), "state: %q is none of active, nonoptimized, standby, unavailable, offline, transitioning", tg.State)
			}
		case "TARGET":
			err = r.member(g, &tg, l, of)
		default:
			r.leave(l, of)
		}
		if err != nil {
			return err
		}
	}
	g.TargetGroups = append(g.TargetGroups, tg)
	return nil
}

// member reads a TARGET of a TARGET_GROUP: one of this file, or one of the
// peer node, which has its rel_tgt_id here.
func (r *reader) member(g *config.DeviceGroup, tg *config.TargetGroup, s *statement, of string) error {
	if err := r.check("a TARGET of a TARGET_GROUP", s.lines); err != nil {
		return err
	}
	given := s.arg(1)
	what := "target " + given + " of " + of
	m := config.GroupTarget{}
	relative := 0
	for _, l := range s.lines {
		if l.key() != "rel_tgt_id" {
			r.leave(l, what)
			continue
		}
		n, err := r.number(l)
		if err != nil || n < 0 || n > 65535 {
			return r.refuse(l.valueAt(), "rel_tgt_id: %q is no number from 1 to 65535", l.value())
		}
		relative = int(n)
	}
	here, declared := r.targets[given]
	if _, err := r.f.Doc.FindTarget(given); err == nil {
		here, declared = given, true
	}
	switch {
	case declared && here == "":
		r.f.Miss(s.at(), what, "it was not carried")
		return nil
	case declared:
		m.Name = here
	case r.elsewhere[given] != "":
		r.f.Miss(s.at(), what, noDriver(r.elsewhere[given]))
		return nil
	case relative == 0:
		r.f.Miss(s.at(), what, "the file has no such target; one of the peer node needs its rel_tgt_id")
		return nil
	case r.relative[relative]:
		r.f.Miss(s.at(), what, fmt.Sprintf("its rel_tgt_id %d is that of a target of this file; give one of the two another", relative))
		return nil
	default:
		m.Name, m.RelativeID = given, relative
	}
	for _, other := range append(slices.Clone(g.TargetGroups), *tg) {
		if slices.ContainsFunc(other.Targets, func(t config.GroupTarget) bool { return t.Name == m.Name }) {
			r.f.Miss(s.at(), what, "it is in target group "+other.Name+" of this device group already")
			return nil
		}
	}
	tg.Targets = append(tg.Targets, m)
	return nil
}

package alua

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// place is what a row of the layout stands for: what is "" it is not in.
type place struct{ group, device, targets, target string }

// layout shows all groups as a tree.
func layout(d *frame.Desk) {
	on := func(do func(place)) func(frame.Row) {
		return func(r frame.Row) {
			p, _ := r.Value.(place) // none if there is no row
			do(p)
		}
	}
	d.List(&frame.List{Title: "Device/Target Group Layout", Command: "esos alua list",
		Help: "A device group ties devices to target groups. Each target group has an access state and targets; initiators with multipath follow it. " +
			"Targets of the peer node are known by their relative target ids only.",
		Empty:   "There is no device group yet: all paths to all devices are equally good. Press a to make one.",
		Columns: []frame.Column{{Title: "group, device, target", Wide: true}, {Title: "id", Right: true}, {Title: "state"}, {Title: "relative id"}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			return tree(doc), nil
		},
		Keys: []frame.RowKey{
			{Key: 's', Does: "state", Do: on(func(p place) {
				if p.targets != "" {
					state(d, p.group, p.targets)
				}
			})},
			{Key: 'a', Does: "add group", Always: true, Do: on(func(place) { addDeviceGroup(d) })},
			{Key: 'g', Does: "add target group", Do: on(func(p place) { addTargetGroup(d, p.group) })},
			{Key: 'v', Does: "add device", Do: on(func(p place) { addDevice(d, p.group) })},
			{Key: 't', Does: "add target", Do: on(func(p place) { addTarget(d, p) })},
			{Key: 'd', Does: "remove", Do: on(func(p place) { removeWhat(d, p) })},
		}})
}

func tree(doc *config.Document) []frame.Row {
	var rows []frame.Row
	add := func(level frame.Level, p place, cells ...string) {
		rows = append(rows, frame.Row{ID: pick.Value(p.group, p.device, p.targets, p.target), Level: level, Value: p, Cells: cells})
	}
	relative := map[string]string{}
	for _, t := range doc.Targets {
		relative[t.Name] = ids(t)
	}
	for _, g := range doc.DeviceGroups {
		add(frame.Plain, place{group: g.Name}, "device group "+g.Name)
		for _, dev := range g.Devices {
			add(frame.Dim, place{group: g.Name, device: dev}, "  device "+dev)
		}
		for _, tg := range g.TargetGroups {
			w, preferred := tg.WithDefaults(), ""
			if tg.Preferred {
				preferred = " (preferred)"
			}
			add(levelOf(w.State), place{group: g.Name, targets: tg.Name}, "  target group "+tg.Name+preferred, fmt.Sprint(tg.ID), w.State)
			for _, t := range tg.Targets {
				p := place{group: g.Name, targets: tg.Name, target: t.Name}
				if t.RelativeID != 0 {
					add(frame.Dim, p, "    target "+t.Name, "", "", fmt.Sprintf("%d (peer)", t.RelativeID))
					continue
				}
				add(frame.Dim, p, "    target "+t.Name, "", "", relative[t.Name])
			}
		}
	}
	return rows
}

// levelOf says how good a path is.
func levelOf(state string) frame.Level {
	switch state {
	case "active":
		return frame.Good
	case "unavailable", "offline":
		return frame.Bad
	}
	return frame.Warn
}

// ids are a target's relative target port identifiers, by its portal groups if
// it has several.
func ids(t config.Target) string {
	tags := slices.Sorted(maps.Keys(t.RelativeIDs))
	var all []string
	for _, tag := range tags {
		if len(tags) == 1 {
			return fmt.Sprint(t.RelativeIDs[tag])
		}
		all = append(all, fmt.Sprintf("%d (portal group %d)", t.RelativeIDs[tag], tag))
	}
	return strings.Join(all, ", ")
}

// removeWhat takes away what a row stands for.
func removeWhat(d *frame.Desk, p place) {
	switch {
	case p.target != "":
		takeTarget(d, p)
	case p.targets != "":
		takeTargetGroup(d, p)
	case p.device != "":
		takeDevice(d, p)
	default:
		takeDeviceGroup(d, p.group)
	}
}

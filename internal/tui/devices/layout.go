package devices

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// node is a row of the layout.
type node struct{ target, group, lun, device string }

// layout shows targets with their groups, initiators and LUNs, as a tree.
func layout(d *frame.Desk) {
	d.List(&frame.List{Title: "LUN/Group Layout", Command: "esos lun list",
		Help:    "Each target, its host groups, their initiators, and the device that each LUN leads to. An initiator that no group matches sees the default map. (ro): read-only.",
		Empty:   "There is no target yet. Targets, Add iSCSI Target makes one.",
		Columns: []frame.Column{{Title: "target, group, LUN", Wide: true}, {Title: "device"}, {Title: "size", Right: true}, {Title: "sessions", Right: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			s, err := pick.Serve(ctx, d)
			if err != nil {
				return nil, err
			}
			return tree(s), nil
		},
		Keys: []frame.RowKey{
			{Does: "device", Do: func(r frame.Row) {
				if n, ok := r.Value.(node); ok && n.device != "" {
					information(d, n.device)
				}
			}},
			{Key: 'm', Does: "map", Always: true, Do: func(r frame.Row) {
				n, _ := r.Value.(node) // none if there is no row
				Map(d, Place{Target: n.target, Group: n.group})
			}},
			{Key: 'u', Does: "unmap", Do: func(r frame.Row) {
				if n, ok := r.Value.(node); ok && n.lun != "" {
					unmapOne(d, n.target, strings.TrimPrefix(n.group, pick.Everybody), n.lun)
				}
			}},
		}})
}

// tree is the layout, a line an object.
func tree(s pick.Serving) []frame.Row {
	var rows []frame.Row
	sizes := map[string]string{}
	for _, v := range s.Doc.Devices {
		sizes[v.Name] = pick.DeviceSize(v)
	}
	add := func(level frame.Level, n node, cells ...string) {
		rows = append(rows, frame.Row{ID: pick.Value(n.target, n.group, n.lun, cells[0]), Level: level, Value: n, Cells: cells})
	}
	luns := func(target, group string, all []config.LUN) {
		for _, l := range all {
			device := l.Device
			if l.ReadOnly {
				device += " (ro)"
			}
			add(frame.Plain, node{target, group, fmt.Sprint(l.LUN), l.Device}, fmt.Sprintf("    LUN %d", l.LUN), device, sizes[l.Device])
		}
	}
	for _, t := range s.Doc.Targets {
		level, state := frame.Good, ""
		if t.Disabled {
			level, state = frame.Dim, " (disabled)"
		}
		add(level, node{target: t.Name}, t.Name+state, "", "", fmt.Sprint(s.At(t.Name)))
		for _, g := range t.Groups {
			add(frame.Plain, node{target: t.Name, group: g.Name}, "  group "+g.Name, "", "", fmt.Sprint(s.InGroup(t.Name, g.Name)))
			for _, pattern := range g.Initiators {
				add(frame.Dim, node{target: t.Name, group: g.Name}, "    initiator "+pattern, "", "", fmt.Sprint(len(s.Matching(t.Name, pattern))))
			}
			if len(g.Initiators) == 0 {
				add(frame.Warn, node{target: t.Name, group: g.Name}, "    no initiators: the group matches nobody")
			}
			luns(t.Name, g.Name, g.LUNs)
		}
		if n := s.InGroup(t.Name, ""); len(t.LUNs) > 0 || n > 0 {
			add(frame.Plain, node{target: t.Name, group: pick.Everybody}, "  default map: everybody else", "", "", fmt.Sprint(n))
			luns(t.Name, pick.Everybody, t.LUNs)
		}
	}
	return rows
}

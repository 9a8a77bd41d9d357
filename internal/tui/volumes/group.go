package volumes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// listGroups shows the volume groups.
func listGroups(d *frame.Desk) {
	l := &frame.List{Title: "Volume groups", Command: "esos volume-group list",
		Help:    "The volume groups that the document declares, and others that disks have: those are left alone.",
		Columns: []frame.Column{{Title: "group"}, {Title: "size", Right: true}, {Title: "free", Right: true}, {Title: "volumes", Right: true}, {Title: "devices", Wide: true}},
		Empty:   "There are no volume groups. Press a to make one of disks or arrays."}
	l.Read = func(ctx context.Context) ([]frame.Row, error) {
		s, err := read(d)(ctx)
		if err != nil {
			return nil, err
		}
		var rows []frame.Row
		for _, g := range s.groups() {
			rows = append(rows, g.row(s))
		}
		return rows, nil
	}
	on := func(do func(g group)) func(frame.Row) {
		return func(r frame.Row) {
			g, ok := r.Value.(group)
			switch {
			case ok && g.declared == nil:
				d.Say("It is not declared", "Volume group "+g.name+": "+g.stranger()+".")
			case ok:
				do(g)
			}
		}
	}
	l.Keys = []frame.RowKey{
		{Does: "details", Do: func(r frame.Row) {
			if g, ok := r.Value.(group); ok {
				d.Page(&frame.Page{Title: "Volume group " + g.name, Command: "esos volume-group show " + g.name, Text: g.text(),
					Help: "The group, its devices and its volumes."})
			}
		}},
		{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { addGroup(d) }},
		{Key: 'd', Does: "delete", Do: func(r frame.Row) {
			if g, ok := r.Value.(group); ok {
				with(d, func(s state) { removeThisGroup(d, s, g.id()) })
			}
		}},
		{Key: 'p', Does: "add device", Do: on(func(g group) { devices(d, g.name) })},
		{Key: 'm', Does: "remove device", Do: on(func(g group) { empty(d, g.name, false) })},
		{Key: 'r', Does: "replace device", Do: on(func(g group) { empty(d, g.name, true) })},
		{Key: 'u', Does: "take up", Do: func(r frame.Row) {
			if g, ok := r.Value.(group); ok {
				takeUp(d, g)
			}
		}},
		{Key: 'v', Does: "add volume", Do: on(func(g group) { add(d, g.name, "") })},
	}
	d.List(l)
}

func (g group) row(s state) frame.Row {
	r := frame.Row{ID: g.id(), Value: g, Cells: []string{g.name, "", "", fmt.Sprint(len(g.volumes())), short(g.devices())}}
	if g.now != nil {
		r.Cells[1], r.Cells[2] = pick.Size(g.now.Size), pick.Size(g.now.Free)
	}
	switch {
	case g.declared == nil:
		r.Level, r.Why = frame.Dim, "Nothing of it is changed: "+g.stranger()+"."
	case s.problem != "":
		r.Why = "How it is now is not known: " + s.problem
	case g.now == nil:
		r.Level, r.Why = frame.Bad, "It is declared, and not there."
	case g.now.Missing > 0:
		r.Level, r.Why = frame.Bad, fmt.Sprintf("%d of its devices are not there: nothing of it can be changed until they are back, or are removed.", g.now.Missing)
	}
	return r
}

func (g group) text() string {
	var p pairs
	p.add("Volume group", g.name)
	if n := g.now; n != nil {
		p.add("Size", pick.Size(n.Size))
		p.add("Free", pick.Size(n.Free))
		p.add("Extents of", pick.Size(n.Extent))
		p.add("UUID", n.UUID)
	}
	p.b.WriteString("\nDevices\n")
	for _, o := range g.deviceOptions(nil) {
		fmt.Fprintf(&p.b, "    %s: %s, %s free\n", o.Value, o.Cells[1], o.Cells[2])
	}
	p.b.WriteString("\nVolumes\n")
	for _, v := range g.volumes() {
		fmt.Fprintf(&p.b, "    %s: %s, %s\n", v.Name, v.kind(), pick.Size(v.size()))
	}
	return p.b.String()
}

// takeUp declares a group that is there, with what it holds.
func takeUp(d *frame.Desk, g group) {
	if g.declared != nil {
		d.Say("It is declared", "Volume group "+g.name+" is the array's already.")
		return
	}
	if g.twice {
		d.Warn("Volume group "+g.name+" cannot be taken up", "Another volume group has the same name; give this one another name first: vgrename "+g.now.UUID+" NAME")
		return
	}
	with(d, func(s state) {
		own := config.VolumeGroup{Name: g.name, UUID: g.now.UUID}
		for _, device := range g.now.Devices {
			path := device.Path
			for _, b := range slices.Concat(s.now.Disks, s.now.Blocks) {
				if b.Path == path {
					path = pick.Path(b)
				}
			}
			own.Devices = append(own.Devices, path)
		}
		d.Change(frame.Change{Why: fmt.Sprintf("esos volume-group create %s %s --uuid %s", g.name, strings.Join(own.Devices, " "), own.UUID),
			Edit: func(doc *config.Document) error { return doc.AddVolumeGroup(own) }})
	})
}

// removeGroup asks which group is to be deleted.
func removeGroup(d *frame.Desk) {
	with(d, func(s state) {
		p := &frame.Picker{Title: "Remove VG", Command: "esos volume-group delete", Columns: groupColumns(),
			Intro: "The group is deleted with all of its volumes and what they hold. Each must be named before anything is done.",
			Help:  "Groups whose volumes are used cannot be chosen: delete the devices or file systems on them first."}
		for _, g := range s.groups() {
			p.Options = append(p.Options, g.option(g.keeps(s)))
		}
		p.Do = func(chosen []string) {
			d.Close(p)
			removeThisGroup(d, s, chosen[0])
		}
		d.Pick(p)
	})
}

// keeps says what keeps a group from being deleted.
func (g group) keeps(s state) string {
	if g.twice {
		return "another volume group has the same name; give one of them another name first: vgrename UUID NAME"
	}
	for _, v := range g.volumes() {
		if users := s.doc.UsersOf(v.path()); len(users) > 0 {
			return fmt.Sprintf("volume %s is used by %s; delete that first", v.full(), strings.Join(users, ", "))
		}
	}
	return ""
}

func removeThisGroup(d *frame.Desk, s state, id string) {
	for _, g := range s.groups() {
		if g.id() != id {
			continue
		}
		if why := g.keeps(s); why != "" {
			d.Warn("Volume group "+g.name+" cannot be deleted", why)
			return
		}
		c := frame.Change{Why: "esos volume-group delete " + g.name + " --volumes", Edit: func(doc *config.Document) error {
			if g.declared == nil {
				return nil
			}
			return doc.RemoveVolumeGroup(g.name)
		}}
		for _, v := range g.volumes() {
			c.Destroy = append(c.Destroy, config.VolumeObject(g.name, v.Name))
		}
		c.Destroy = append(c.Destroy, "volume-group/"+g.name)
		d.Change(c)
		return
	}
}

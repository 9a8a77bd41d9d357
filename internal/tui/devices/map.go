package devices

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// Place is what is known already of a LUN that is to be.
type Place struct{ Device, Target, Group string }

// mostLUN is the highest number that a LUN can have.
const mostLUN = 16383

// Map asks for LUNs of devices.
func Map(d *frame.Desk, at Place) {
	pick.WithServing(d, func(s pick.Serving) {
		switch {
		case len(s.Doc.Targets) == 0:
			d.Say("Map to Host Group", "There is no target yet, so nobody could log in. Targets, Add iSCSI Target makes one.")
			return
		case len(s.Doc.Devices) == 0:
			d.Say("Map to Host Group", "There is no device yet. Devices, Add Device makes one.")
			return
		}
		m := &mapping{doc: s.Doc, target: at.Target, group: at.Group}
		if at.Device != "" {
			m.devices = []string{at.Device}
		}
		m.show(d)
	})
}

// mapping is a form for LUNs.
type mapping struct {
	doc           *config.Document
	devices       []string
	target, group string
	number        string
	readOnly      bool
	form          *frame.Form
}

// Its fields, by where they are.
const (
	mapGroup = 2
	mapLUN   = 3
)

func (m *mapping) show(d *frame.Desk) {
	if m.target == "" && len(m.doc.Targets) == 1 {
		m.target = m.doc.Targets[0].Name
	}
	m.form = &frame.Form{Title: "Map to Host Group", Command: "esos lun map TARGET DEVICE --group GROUP", Submit: "Map",
		Help: "A LUN is a device under a number, for the initiators of one group. Initiators that no group of the target matches see its default map.",
		Fields: []frame.Field{
			{Label: "Devices", Many: &m.devices, Options: pick.Mappable(m.doc), Columns: pick.DeviceColumns(), Check: chosen("device"),
				Hint: "What the LUNs lead to. Several get numbers one after the other."},
			{Label: "Target", One: &m.target, Options: pick.Targets(m.doc), Columns: pick.TargetColumns(), Check: frame.Needed, Changed: func() { m.group = ""; m.places() },
				Hint: "What the initiators log in to."},
			{Label: "Group", One: &m.group, Columns: []string{"group", "initiators"}, Check: frame.Needed, Changed: m.next,
				Hint: "Whose initiators see it. The default map is for everybody whom no group matches."},
			{Label: "LUN", Text: &m.number, Check: m.checkNumber, Show: func() bool { return len(m.devices) < 2 }},
			{Label: "Read-only", Yes: &m.readOnly, Hint: "These initiators can only read."},
		}}
	m.places()
	m.form.Do = func() { m.carryOut(d) }
	d.Form(m.form)
}

func chosen(what string) func(string) error {
	return func(s string) error {
		if s == "" {
			return fmt.Errorf("choose a %s: Space opens the list", what)
		}
		return nil
	}
}

// places offers the groups of the target.
func (m *mapping) places() {
	groups := pick.Groups(m.doc, m.target)
	if m.group == "" && len(groups) > 0 && m.target != "" && len(groups) == 1 {
		m.group = groups[0].Value
	}
	m.form.Fields[mapGroup].Options = append(groups, frame.Option{Value: pick.Everybody, Cells: []string{pick.Everybody, "everybody whom no group matches"}})
	m.next()
}

// next says which number is next.
func (m *mapping) next() {
	hint := fmt.Sprintf("0 to %d; the lowest that is free if nothing is typed", mostLUN)
	if luns, err := m.doc.LUNMap(m.target, m.in()); err == nil && m.group != "" {
		n := 0
		for m.taken(*luns, n) {
			n++
		}
		hint += fmt.Sprintf(": now %d", n)
	}
	m.form.Fields[mapLUN].Hint = hint + "."
}

// in is the group as the document has it.
func (m *mapping) in() string {
	if m.group == pick.Everybody {
		return ""
	}
	return m.group
}

func (*mapping) taken(luns []config.LUN, n int) bool {
	for _, l := range luns {
		if l.LUN == n {
			return true
		}
	}
	return false
}

func (m *mapping) checkNumber(s string) error {
	if s == "" {
		return nil
	}
	if err := frame.Number(0, mostLUN)(s); err != nil {
		return err
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return err
	}
	luns, err := m.doc.LUNMap(m.target, m.in())
	if err != nil {
		return nil // no target yet, or no group
	}
	for _, l := range *luns {
		if l.LUN == n {
			return fmt.Errorf("LUN %d leads to device %s already", n, l.Device)
		}
	}
	return nil
}

func (m *mapping) carryOut(d *frame.Desk) {
	number := -1
	if m.number != "" && len(m.devices) == 1 {
		number, _ = strconv.Atoi(m.number) // it was checked
	}
	group, target, readOnly, devices := m.in(), m.target, m.readOnly, m.devices
	var commands []string
	for _, device := range devices {
		args := []string{"lun", "map", target, device}
		if group != "" {
			args = append(args, "--group", group)
		}
		if number >= 0 {
			args = append(args, "--lun", m.number)
		}
		if readOnly {
			args = append(args, "--read-only")
		}
		commands = append(commands, pick.Command(args...))
	}
	d.Change(frame.Change{Why: strings.Join(commands, "; "), From: m.form, Edit: func(doc *config.Document) error {
		for _, device := range devices {
			if _, err := doc.MapLUN(target, group, config.LUN{LUN: number, Device: device, ReadOnly: readOnly}); err != nil {
				return err
			}
		}
		return nil
	}})
}

// unmap has a LUN chosen and takes it away.
func unmap(d *frame.Desk) {
	pick.OneOf(d, frame.Picker{Title: "Unmap from Host Group", Columns: pick.LUNColumns(), Command: "esos lun unmap TARGET LUN --group GROUP",
		Intro: "The device stays; whoever uses it through the LUN loses it."}, "There is no LUN.",
		func(s pick.Serving) []frame.Option { return pick.LUNs(s.Doc) },
		func(value string, _ pick.Serving) {
			n := pick.Names(value)
			unmapOne(d, n[0], n[1], n[2])
		})
}

func unmapOne(d *frame.Desk, target, group, number string) {
	lun, err := strconv.Atoi(number)
	if err != nil {
		d.Fail("Unmap LUN "+number, err)
		return
	}
	args := []string{"lun", "unmap", target, number}
	if group != "" {
		args = append(args, "--group", group)
	}
	d.Change(frame.Change{Why: pick.Command(args...), Edit: func(doc *config.Document) error { return doc.UnmapLUN(target, group, lun) }})
}

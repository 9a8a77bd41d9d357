package targets

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/devices"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/hosts"
	"github.com/esos-project/esos/internal/tui/pick"
)

// List shows all targets.
func List(d *frame.Desk) {
	on := func(do func(*frame.Desk, string)) func(frame.Row) {
		return func(r frame.Row) { do(d, r.ID) }
	}
	d.List(&frame.List{Title: "Targets", Command: "esos target list",
		Help:  "What initiators log in to. Host groups and LUNs belong to a target.",
		Empty: "There is no target yet. Press a to make one.",
		Columns: []frame.Column{{Title: "target", Wide: true}, {Title: "state"}, {Title: "sessions", Right: true}, {Title: "driver"}, {Title: "groups", Right: true}, {Title: "LUNs", Right: true},
			{Title: "auth"}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			s, err := pick.Serve(ctx, d)
			if err != nil {
				return nil, err
			}
			return rows(s), nil
		},
		Keys: []frame.RowKey{
			{Does: "information", Do: on(information)},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { add(d, false) }},
			{Key: 'e', Does: "enable/disable", Do: func(r frame.Row) {
				pick.WithServing(d, func(s pick.Serving) { enableOne(d, s, r.ID) })
			}},
			{Key: 'g', Does: "groups", Do: on(hosts.List)},
			{Key: 'm', Does: "map", Do: func(r frame.Row) { devices.Map(d, devices.Place{Target: r.ID}) }},
			{Key: 'c', Does: "CHAP", Do: on(hosts.CHAP)},
			{Key: 's', Does: "settings", Do: on(settings)},
			{Key: 'p', Does: "parameters", Do: on(parameters)},
			{Key: 'i', Does: "relative id", Do: on(relativeOf)},
			{Key: 'd', Does: "remove", Do: on(removeOne)},
		}})
}

func rows(s pick.Serving) []frame.Row {
	rows := make([]frame.Row, len(s.Doc.Targets))
	for i, t := range s.Doc.Targets {
		r := frame.Row{ID: t.Name, Level: frame.Good, Cells: []string{t.Name, pick.State(t), fmt.Sprint(s.At(t.Name)), t.Driver.Human(), fmt.Sprint(len(t.Groups)), fmt.Sprint(luns(t)),
			proof(t.Auth)}}
		switch {
		case t.Disabled:
			r.Level = frame.Dim
		case luns(t) == 0:
			r.Level, r.Why = frame.Warn, "It has no LUNs: initiators see no disk. Press m to map a device."
		case t.Driver.Portals() && len(s.Doc.ISCSI.Portals) == 0:
			r.Level, r.Why = frame.Bad, "There is no portal, so no initiator can connect. Targets, iSCSI Portals adds one."
		}
		rows[i] = r
	}
	return rows
}

func luns(t config.Target) int {
	n := len(t.LUNs)
	for _, g := range t.Groups {
		n += len(g.LUNs)
	}
	return n
}

// reached names the portals of a target.
func reached(t config.Target) string {
	switch {
	case !t.Driver.Portals():
		return "-"
	case len(t.Portals) == 0:
		return "all"
	}
	return strings.Join(t.Portals, ",")
}

// proof says what initiators must prove.
func proof(a config.Auth) string {
	switch {
	case len(a.Users) == 0:
		return "none"
	case a.Mutual != nil:
		return "mutual CHAP"
	}
	return "CHAP"
}

// information shows one target.
func information(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		t, err := s.Doc.FindTarget(name)
		if err != nil {
			d.Fail("Read target "+name, err)
			return
		}
		d.Page(&frame.Page{Title: "Target " + pick.Short(name), Command: pick.Command("target", "show", name), Text: describe(s, *t),
			Help: "What is declared of the target, its groups and LUNs, and who is logged in.",
			Keys: []frame.PageKey{
				{Key: 'e', Does: "enable/disable", Do: func() { enableOne(d, s, name) }},
				{Key: 'g', Does: "groups", Do: func() { hosts.List(d, name) }},
				{Key: 's', Does: "settings", Do: func() { settings(d, name) }},
				{Key: 'p', Does: "parameters", Do: func() { parameters(d, name) }},
			}})
	})
}

func describe(s pick.Serving, t config.Target) string {
	var b strings.Builder
	pair := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-16s %s\n", name, value)
		}
	}
	pair("Name", t.Name)
	pair("Driver", fmt.Sprintf("%s (%s)", t.WithDefaults().Driver, t.Driver.Human()))
	pair("Alias", t.Alias)
	pair("State", pick.State(t))
	pair("Portals", reached(t))
	for _, p := range s.Doc.ISCSI.Portals {
		if t.Driver.Portals() && (len(t.Portals) == 0 || slices.Contains(t.Portals, p.Name)) {
			pair("  "+p.Name, fmt.Sprintf("%s, portal group %d", p.Address, p.WithDefaults().Group))
		}
	}
	pair("Redirect", t.Redirect)
	pair("Authentication", proof(t.Auth))
	for _, tag := range slices.Sorted(maps.Keys(t.RelativeIDs)) {
		pair("Relative id", fmt.Sprintf("%d (portal group %d)", t.RelativeIDs[tag], tag))
	}
	for _, p := range config.ParameterList() {
		if v := t.Parameters.Get(p.Name); v != "" {
			pair("Parameter", p.Name+"="+v)
		}
	}
	for _, line := range strings.Split(pick.Attributes(t.Attributes), "\n") {
		pair("Attribute", line)
	}
	group := func(title string, luns []config.LUN) {
		b.WriteString("\n" + title + "\n")
		for _, l := range luns {
			fmt.Fprintf(&b, "  LUN %d: %s, %s\n", l.LUN, l.Device, pick.Access(l))
		}
	}
	for _, g := range t.Groups {
		group("Group "+g.Name+": "+strings.Join(g.Initiators, ", "), g.LUNs)
	}
	if len(t.LUNs) > 0 {
		group("Default map: everybody else", t.LUNs)
	}
	b.WriteString("\nLogged in:\n")
	for _, x := range s.Of(t.Name) {
		fmt.Fprintf(&b, "  %s from %s, group %s\n", x.Initiator, x.Address, pick.GroupName(x.Group))
	}
	return b.String()
}

package targets

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// newTarget is a form for a target.
type newTarget struct {
	doc             *config.Document
	driver, name    string
	alias, redirect string
	portals         []string
	attributes      string
}

// add asks for a new target: of iSCSI, or of another fabric.
func add(d *frame.Desk, other bool) {
	pick.WithServing(d, func(s pick.Serving) {
		n := &newTarget{doc: s.Doc, driver: string(config.DriverISCSI)}
		f := &frame.Form{Title: "Add iSCSI Target", Command: "esos target create TARGET", Submit: "Add",
			Help: "A target is what initiators log in to. Nobody sees a disk before LUNs are mapped."}
		if other {
			f.Title, f.Command, n.driver = "Add Target of Another Fabric", "esos target create TARGET --driver DRIVER", ""
			f.Help = "The kernel serves these fabrics (engine lio or scst). The name is that of a port of this machine."
		} else {
			n.name = freeName(s.Doc)
		}
		iscsi := func() bool { return !other }
		f.Fields = append([]frame.Field{
			{Label: "Fabric", One: &n.driver, Options: fabrics(s.Doc), Columns: []string{"driver", "fabric", "name"}, Check: frame.Needed, Show: func() bool { return other },
				Hint: "How initiators reach it."},
			{Label: "Name", Text: &n.name, Check: n.checkName, Hint: "iqn., eui. or naa. name; a plain word becomes " + config.OurNames + "WORD. For other fabrics the port's GID or WWPN."},
		}, targetFields(s.Doc, &n.alias, &n.redirect, &n.portals, &n.attributes, iscsi)...)
		f.Do = func() {
			t := config.Target{Name: n.full(), Alias: n.alias, Redirect: n.redirect, Portals: n.portals}
			args := []string{"target", "create", t.Name}
			if other {
				t = config.Target{Name: n.full(), Driver: config.Driver(n.driver)}
				args = append(args, "--driver", n.driver)
			}
			args = append(args, flags(config.Target{}, t)...)
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error {
				var err error
				if t.Attributes, err = pick.ParseAttributes(n.attributes); err != nil {
					return err
				}
				return doc.AddTarget(t.Clone())
			}})
		}
		d.Form(f)
	})
}

// fabrics are the drivers besides iSCSI.
func fabrics(doc *config.Document) []frame.Option {
	var o []frame.Option
	for _, x := range []struct {
		driver config.Driver
		name   string
	}{
		{config.DriverFC, "the port's WWPN, 50:01:43:80:..."}, {config.DriverFCoE, "the port's WWPN"}, {config.DriverSRP, "the port's GID, fe80:0000:..."},
		{config.DriverLocal, "naa. and 16 hex digits"},
	} {
		why := ""
		if doc.EngineName() == "native" {
			why = "ESOS's own engine (native) serves iSCSI; engines lio and scst serve this (engine: in the document)"
		}
		o = append(o, frame.Option{Value: string(x.driver), Cells: []string{string(x.driver), x.driver.Human(), x.name}, Why: why})
	}
	return o
}

// freeName is a name for a target that nobody has yet.
func freeName(doc *config.Document) string {
	base := config.OurNames + strings.ToLower(strings.Map(func(r rune) rune {
		if r == '_' {
			return '-'
		}
		return r
	}, doc.Name))
	name := base
	for n := 2; ; n++ {
		if _, err := doc.FindTarget(name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s.%d", base, n)
	}
}

func (n *newTarget) full() string { return config.NewTargetName(config.Driver(n.driver), n.name) }

func (n *newTarget) checkName(s string) error {
	if s == "" {
		return fmt.Errorf("a name is needed")
	}
	name := config.NewTargetName(config.Driver(n.driver), s)
	if why := config.Driver(n.driver).TargetProblem(name); why != "" {
		return fmt.Errorf("%s %s", name, why)
	}
	if _, err := n.doc.FindTarget(name); err == nil {
		return fmt.Errorf("target %s is there already", name)
	}
	return nil
}

// targetFields are what can be changed of a target.
func targetFields(doc *config.Document, alias, redirect *string, portals *[]string, attributes *string, iscsi func() bool) []frame.Field {
	var all []frame.Option
	for _, p := range doc.ISCSI.Portals {
		all = append(all, frame.Option{Value: p.Name, Cells: []string{p.Name, p.Address, fmt.Sprint(p.WithDefaults().Group)}})
	}
	return []frame.Field{
		{Label: "Portals", Many: portals, Options: all, Columns: []string{"portal", "address", "group"}, Show: iscsi, Hint: "Addresses that it is reached by; all if none is chosen."},
		{Label: "Alias", Text: alias, Show: iscsi, Hint: "What initiators show to people; it may stay empty.", Check: func(s string) error {
			if len(s) > 255 {
				return fmt.Errorf("255 characters at most")
			}
			return nil
		}},
		{Label: "Redirect to", Text: redirect, Show: iscsi, Check: frame.Optional(hostPort), Hint: "host:port or [v6]:port that logins are sent to instead; empty as a rule."},
		pick.AttributesField(doc, attributes),
	}
}

func hostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || frame.Number(1, 65535)(port) != nil {
		return fmt.Errorf("host:port, such as 192.0.2.10:3260 or [2001:db8::10]:3260")
	}
	return nil
}

// flags are what makes one target of another.
func flags(have, want config.Target) []string {
	var args []string
	if have.Alias != want.Alias {
		args = append(args, "--alias", want.Alias)
	}
	if have.Redirect != want.Redirect {
		args = append(args, "--redirect", want.Redirect)
	}
	if !slices.Equal(have.Portals, want.Portals) {
		args = append(args, "--portal", strings.Join(want.Portals, ","))
	}
	return args
}

// settings asks for other settings of a target.
func settings(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		have, err := s.Doc.FindTarget(name)
		if err != nil {
			d.Fail("Change target "+name, err)
			return
		}
		want := have.Clone()
		attributes := pick.Attributes(have.Attributes)
		if !have.Driver.Portals() && s.Doc.EngineName() == "native" {
			d.Say("Target "+name, "There is nothing to be set: only iSCSI targets have an alias, portals and a redirection.")
			return
		}
		f := &frame.Form{Title: "Target " + pick.Short(name), Command: "esos target set " + name, Submit: "Change",
			Fields: targetFields(s.Doc, &want.Alias, &want.Redirect, &want.Portals, &attributes, have.Driver.Portals)}
		f.Do = func() {
			d.Change(frame.Change{Why: pick.Command(append([]string{"target", "set", name}, flags(*have, want)...)...), From: f, Edit: func(doc *config.Document) error {
				t, err := doc.FindTarget(name)
				if err != nil {
					return err
				}
				t.Alias, t.Redirect, t.Portals = want.Alias, want.Redirect, slices.Clone(want.Portals)
				t.Attributes, err = pick.ParseAttributes(attributes)
				return err
			}})
		}
		d.Form(f)
	})
}

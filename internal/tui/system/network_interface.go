package system

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// port is an interface whose settings are asked for.
type port struct {
	desk  *frame.Desk
	scene scene
	fresh bool // it is added
	was   config.Interface

	name, mtu, mac string
	parts          *parts
	*addressing
}

// addInterface adds a bond, VLAN or bridge.
func addInterface(d *frame.Desk) {
	add := func(f config.Interface) func() {
		return func() {
			withNetwork(d, func(s scene) {
				p := newPort(d, s, f)
				p.fresh = true
				for i := 0; f.Name != "" && (i == 0 || s.declared(p.name) || s.link(p.name) != nil); i++ {
					p.name = f.Name + strconv.Itoa(i)
				}
				p.show()
			})
		}
	}
	d.Choose("Add", "What is it to be? Ports need not be added: they are in the list.",
		frame.Answer{Text: "Bond", Do: add(config.Interface{Name: "bond", Kind: config.KindBond, Bond: &config.Bond{}})},
		frame.Answer{Text: "VLAN", Do: add(config.Interface{Kind: config.KindVLAN, VLAN: &config.VLAN{}})},
		frame.Answer{Text: "Bridge", Do: add(config.Interface{Name: "br", Kind: config.KindBridge, Bridge: &config.Bridge{}})},
		frame.Answer{Text: "Port that is not there yet", Do: add(config.Interface{Kind: config.KindEthernet})})
}

// editInterface shows the settings of one that is there.
func editInterface(d *frame.Desk, s scene, name string) {
	f := s.doc.Network.Find(name)
	if f == nil {
		l := s.link(name)
		switch {
		case l == nil:
			d.Say(name+" is gone", "It is neither declared nor there any more.")
			return
		case l.Kind != string(config.KindEthernet):
			d.Say(name+" is not ESOS's", fmt.Sprintf("This %s was made by something else. Delete it there, or add one of that name here.", l.Kind))
			return
		}
		f = &config.Interface{Name: name, DHCP: "both"} // what the image does with ports
	}
	newPort(d, s, *f).show()
}

func newPort(d *frame.Desk, s scene, f config.Interface) *port {
	p := &port{desk: d, scene: s, was: f.Clone(), name: f.Name, mac: f.MAC, parts: partsOf(f), addressing: addressingOf(f)}
	if f.MTU != 0 {
		p.mtu = strconv.Itoa(f.MTU)
	}
	return p
}

func (s scene) declared(name string) bool { return s.doc.Network.Find(name) != nil }

// show shows the form.
func (p *port) show() {
	kind := string(p.was.WithDefaults().Kind)
	master := p.scene.doc.Network.Master(p.was.Name)
	f := &frame.Form{Title: "Network Settings: " + p.was.Name, Command: "esos network interface set " + p.was.Name, Submit: "Set",
		Help: "A change of an interface is undone after a minute unless it is confirmed.", Intro: p.intro()}
	if p.fresh {
		f.Title, f.Submit = "Add "+kindName(kind), "Add"
		f.Command = map[string]string{"bond": "esos network bond create", "vlan": "esos network vlan create", "bridge": "esos network bridge create"}[kind]
		if f.Command == "" {
			f.Command = "esos network interface set"
		}
	}
	f.Fields = p.parts.fields(p)
	if p.fresh {
		f.Fields = append(f.Fields, frame.Field{Label: "Name", Text: &p.name, Check: p.checkName, Hint: "What Linux is to call it: up to 15 of letters, digits, . _ -"})
	}
	f.Fields = append(f.Fields, p.addressing.fields(func() bool { return master == nil })...)
	f.Fields = append(f.Fields,
		frame.Field{Label: "MTU", Text: &p.mtu, Check: frame.Optional(frame.Number(68, 65520)),
			Hint: "Bytes. Empty is safe: what is on top needs, else the driver's (1500). 9000 only if every switch and host on the way has it."},
		frame.Field{Label: "MAC", Text: &p.mac, Check: frame.Optional(config.CheckMAC), Hint: macHint(kind)})
	f.Do = func() {
		p.desk.Change(frame.Change{Why: p.command(), From: f, Edit: func(doc document) error {
			next := p.edited(doc)
			if p.fresh && doc.Network.Find(next.Name) != nil {
				return fmt.Errorf("interface %s: %w", next.Name, config.ErrExists)
			}
			doc.Network.SetInterface(next)
			for _, m := range next.Members() {
				doc.Network.Bare(m) // what a bridge's had is the bridge's to have, too
			}
			return nil
		}})
	}
	p.desk.Form(f)
}

func kindName(kind string) string {
	return map[string]string{"bond": "Bond", "vlan": "VLAN", "bridge": "Bridge", "ethernet": "Port"}[kind]
}

func macHint(kind string) string {
	if kind == string(config.KindEthernet) {
		return "Empty: whichever card Linux calls by that name. An address: that card, which gets the name from the next boot on."
	}
	return "Its address; empty for one that is made of its ports."
}

// intro is how the interface is now.
func (p *port) intro() string {
	if p.fresh {
		return ""
	}
	var b strings.Builder
	if l := p.scene.link(p.was.Name); l != nil {
		fmt.Fprintf(&b, "%s, MAC %s, %s, MTU %d; addresses now: %s.", kindName(l.Kind), l.MAC, linkOf(*l), l.MTU, orNone(l.Addresses))
	} else {
		b.WriteString("It is declared, but Linux has no such interface now.")
	}
	n := p.scene.doc.Network
	switch m := n.Master(p.was.Name); {
	case m != nil:
		fmt.Fprintf(&b, " It is a member of %s, which has the addresses.", m.Name)
	case n.Find(p.was.Name) == nil:
		b.WriteString(" It is not in the document: it asks for addresses by DHCP.")
	}
	return b.String()
}

func (p *port) checkName(s string) error {
	if err := config.CheckInterfaceName(s); err != nil {
		return err
	}
	if p.scene.declared(s) {
		return fmt.Errorf("%s is there already", s)
	}
	return nil
}

// edited is the interface as it is to be; what the form does not show stays as
// the document has it.
func (p *port) edited(doc document) config.Interface {
	next := p.was.Clone()
	if have := doc.Network.Find(p.was.Name); have != nil && !p.fresh {
		next = have.Clone()
	}
	next.Name, next.MAC = p.name, p.mac
	next.MTU, _ = strconv.Atoi(p.mtu) // empty is 0
	p.parts.put(&next)
	if doc.Network.Master(next.Name) == nil {
		p.addressing.put(&next)
	}
	return next
}

// command is what does the same.
func (p *port) command() string {
	f := p.edited(p.scene.doc)
	var words []string
	switch {
	case p.fresh && f.Bond != nil:
		words = append([]string{"esos network bond create", f.Name}, f.Bond.Members...)
		words = append(words, "--mode", p.parts.mode)
	case p.fresh && f.VLAN != nil:
		words = []string{"esos network vlan create", f.Name, f.VLAN.Parent, "--id", strconv.Itoa(f.VLAN.ID)}
	case p.fresh && f.Bridge != nil:
		words = append([]string{"esos network bridge create", f.Name}, f.Bridge.Members...)
	default:
		words = []string{"esos network interface set", f.Name}
	}
	flag := func(name, was, is string) {
		if was != is {
			if is == "" {
				is = `""`
			}
			words = append(words, "--"+name, is)
		}
	}
	was := p.was
	if p.fresh || p.scene.doc.Network.Find(was.Name) == nil {
		was = config.Interface{}
	}
	flag("dhcp", was.WithDefaults().DHCP, f.WithDefaults().DHCP)
	flag("address", strings.Join(was.Addresses, ","), strings.Join(f.Addresses, ","))
	flag("gateway4", was.Gateway4, f.Gateway4)
	flag("gateway6", was.Gateway6, f.Gateway6)
	flag("mac", was.MAC, f.MAC)
	if was.MTU != f.MTU {
		words = append(words, "--mtu", strconv.Itoa(f.MTU))
	}
	if f.AcceptRA != nil && (was.AcceptRA == nil || *was.AcceptRA != *f.AcceptRA) {
		words = append(words, fmt.Sprintf("--accept-ra=%t", *f.AcceptRA))
	}
	if !slices.Equal(was.Routes, f.Routes) {
		for _, r := range f.Routes {
			words = append(words, "--route", r.To+"="+r.Via)
		}
	}
	return strings.Join(words, " ")
}

package wizards

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// network is what the wizard asks about it.
type network struct {
	port               string // "" leaves all as they are
	how                string // a value of dhcp, or static
	addresses          string
	gateway4, gateway6 string
	hostname, domain   string
	dns, search        string
}

const static = "static"

// fill takes what the document says.
func (n *network) fill(have config.Network) {
	n.how = "both"
	n.hostname, n.domain = have.Hostname, have.Domain
	n.dns, n.search = strings.Join(have.DNS, " "), strings.Join(have.Search, " ")
}

// choose takes what the document says of the port that was chosen; one that it
// does not name asks for its addresses by DHCP.
func (n *network) choose(have config.Network) {
	i := have.Find(n.port)
	if i == nil {
		n.how, n.addresses, n.gateway4, n.gateway6 = "both", "", "", ""
		return
	}
	n.how = i.WithDefaults().DHCP
	if len(i.Addresses) > 0 || n.how == "none" {
		n.how = static
	}
	n.addresses, n.gateway4, n.gateway6 = strings.Join(i.Addresses, " "), i.Gateway4, i.Gateway6
}

func (n *network) edit(doc *config.Network) {
	doc.Hostname, doc.Domain = n.hostname, n.domain
	doc.DNS, doc.Search = frame.Words(n.dns), frame.Words(n.search)
	if n.port == "" {
		return
	}
	i := doc.Find(n.port)
	if i == nil {
		doc.Interfaces = append(doc.Interfaces, config.Interface{Name: n.port})
		i = doc.Find(n.port)
	}
	if n.how != static {
		i.DHCP, i.Addresses, i.Gateway4, i.Gateway6 = n.how, nil, "", ""
		return
	}
	i.DHCP, i.Addresses, i.Gateway4, i.Gateway6 = "", frame.Words(n.addresses), n.gateway4, n.gateway6
}

// commands are those that do the same.
func (n *network) commands() []string {
	var all []string
	if n.port != "" {
		what := "--dhcp " + n.how
		if n.how == static {
			what = "--dhcp none --address " + strings.Join(frame.Words(n.addresses), ",")
			if n.gateway4 != "" {
				what += " --gateway4 " + n.gateway4
			}
			if n.gateway6 != "" {
				what += " --gateway6 " + n.gateway6
			}
		}
		all = append(all, "network interface set "+n.port+" "+what)
	}
	if n.hostname != "" {
		all = append(all, strings.TrimSuffix("network hostname "+n.hostname+"."+n.domain, "."))
	}
	if n.dns != "" {
		what := "network dns " + strings.Join(frame.Words(n.dns), " ")
		if n.search != "" {
			what += " --search " + strings.Join(frame.Words(n.search), ",")
		}
		all = append(all, what)
	}
	return all
}

// text is what was asked for, in a few words.
func (n *network) text() string {
	switch {
	case n.port == "":
		return "names only"
	case n.how == static:
		return n.port + " has " + strings.Join(frame.Words(n.addresses), ", ")
	}
	return n.port + " asks for its addresses"
}

func (w *newArray) networkForm() *frame.Form {
	n := &w.net
	shown := func() bool { return w.setNetwork }
	fixed := func() bool { return w.setNetwork && n.port != "" && n.how == static }
	f := &frame.Form{Title: "network", Command: "esos network interface set NAME --address ADDRESS/LENGTH",
		Intro: "Ports ask for their addresses by DHCP as long as nobody says otherwise. An array better has fixed ones.",
		Help:  "A change of the network is undone after a minute unless somebody says that it works: who is cut off by it cannot. Bonds, VLANs and bridges are made in System, Network.",
		Fields: []frame.Field{
			{Label: "Set the network", Yes: &w.setNetwork, Hint: "Space leaves this step out, or takes it in: the network stays as it is."},
			{Label: "Port", One: &n.port, Show: shown, Options: ports(w.now.network), Columns: []string{"port", "link", "addresses", "card"}, Changed: func() { n.choose(w.doc.Network) },
				Hint: "The port that this array is administered by."},
			{Label: "Addresses", One: &n.how, Show: func() bool { return w.setNetwork && n.port != "" }, Options: []frame.Option{
				{Value: "both", Cells: []string{"DHCP, IPv4 and IPv6"}}, {Value: "ipv4", Cells: []string{"DHCP, IPv4 only"}},
				{Value: "ipv6", Cells: []string{"DHCP, IPv6 only"}}, {Value: static, Cells: []string{"fixed ones, typed below"}}},
				Hint: "Fixed addresses stay the same whatever becomes of the DHCP server."},
			{Label: "Fixed addresses", Text: &n.addresses, Show: fixed, Check: prefixes, Hint: "With the length of their network, such as 192.0.2.10/24 or 2001:db8::10/64; several with blanks between them."},
			{Label: "Router, IPv4", Text: &n.gateway4, Show: fixed, Check: frame.Optional(router(true)), Hint: "The way to other networks. Empty: none."},
			{Label: "Router, IPv6", Text: &n.gateway6, Show: fixed, Check: frame.Optional(router(false)), Hint: "The way to other networks, such as 2001:db8::1. Empty: none, or as routers announce it."},
			{Label: "Host name", Text: &n.hostname, Show: shown, Check: frame.Optional(hostname), Hint: "What the array is called in logs and mails: letters, digits and -. Empty: as it is."},
			{Label: "Domain", Text: &n.domain, Show: shown, Hint: "Such as example.com. May stay empty."},
			{Label: "Name servers", Text: &n.dns, Show: shown, Check: frame.Each(frame.Address), Hint: "Addresses, IPv4 or IPv6, with blanks between them. Empty: those that DHCP names."},
			{Label: "Search domains", Text: &n.search, Show: shown, Hint: "Where short names are looked for. May stay empty."},
		}}
	return f
}

// ports are the network's interfaces to choose from.
func ports(now v1.NetworkState) []frame.Option {
	all := []frame.Option{{Value: "", Cells: []string{"(leave them as they are)"}}}
	for _, l := range now.Interfaces {
		o := frame.Option{Value: l.Name, Cells: []string{l.Name, linkText(l), strings.Join(l.Addresses, " "), l.MAC}}
		if l.Master != "" {
			o.Why = fmt.Sprintf("it is a member of %s, which has the addresses", l.Master)
		}
		all = append(all, o)
	}
	return all
}

// linkText is how the cable at a port is.
func linkText(l v1.Link) string {
	switch {
	case l.Carrier && l.SpeedMbit > 0:
		return fmt.Sprintf("%d Mbit/s", l.SpeedMbit)
	case l.Carrier:
		return "up"
	case l.Up:
		return "no cable"
	}
	return "off"
}

func prefixes(s string) error {
	if len(frame.Words(s)) == 0 {
		return errors.New("an address is needed, such as 192.0.2.10/24 or 2001:db8::10/64")
	}
	return frame.Each(frame.Prefix)(s)
}

// router returns the check of a router's address.
func router(v4 bool) func(string) error {
	return func(s string) error {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Is4() != v4 {
			return fmt.Errorf("an address such as %s", map[bool]string{true: "192.0.2.1", false: "2001:db8::1"}[v4])
		}
		return nil
	}
}

func hostname(s string) error {
	return wrong(&config.Document{Network: config.Network{Hostname: s}}, "network.hostname")
}

package system

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// general is the machine's name, its gateways and name servers.
func general(d *frame.Desk, doc document) {
	n := doc.Network
	host, domain, dns, search := n.Hostname, n.Domain, strings.Join(n.DNS, ", "), strings.Join(n.Search, ", ")
	gw4, on4 := n.Gateway(true)
	gw6, on6 := n.Gateway(false)
	gateway := func(is4 bool) func(string) error {
		return func(s string) error {
			try := doc.Clone()
			return try.Network.SetGateway(is4, s)
		}
	}
	f := &frame.Form{Title: "Network Settings: General", Command: "esos network hostname", Submit: "Set",
		Help: "The machine's name, where packets for other networks go, and who is asked for names. A change of a gateway is one of its interface: it asks to be kept.",
		Fields: []frame.Field{
			{Label: "Host name", Text: &host, Check: func(s string) error {
				if s == "" && domain == "" {
					return nil
				}
				return config.CheckHostname(s)
			}, Hint: "One label of letters, digits and -. Empty leaves the image's."},
			{Label: "Domain name", Text: &domain, Check: frame.Optional(config.CheckDomain), Hint: "What is behind the host's name, such as example.com; may be empty."},
			{Label: "IPv4 gateway", Text: &gw4, Check: gateway(true), Hint: where(on4, "Default router, in a network of an interface that has a static address.")},
			{Label: "IPv6 gateway", Text: &gw6, Check: gateway(false), Hint: where(on6, "Default router, in a network of an interface that has a static address.")},
			{Label: "Name servers", Text: &dns, Check: frame.Each(nameServer), Hint: "IPv4 or IPv6 addresses with commas between them, the first is asked first. Those of DHCP are asked besides."},
			{Label: "Search domains", Text: &search, Check: frame.Each(config.CheckDomain), Hint: "Domains that short names are looked for in; may be empty."},
		}}
	f.Do = func() {
		var did []string
		if host != n.Hostname || domain != n.Domain {
			did = append(did, "esos network hostname "+strings.Trim(host+"."+domain, "."))
		}
		for _, g := range []struct {
			flag, was, is string
		}{{"gateway4", first(n, true), gw4}, {"gateway6", first(n, false), gw6}} {
			if g.was != g.is {
				did = append(did, fmt.Sprintf("esos network interface set --%s %q", g.flag, g.is))
			}
		}
		if dns != strings.Join(n.DNS, ", ") || search != strings.Join(n.Search, ", ") {
			did = append(did, strings.TrimSpace("esos network dns "+strings.Join(frame.Words(dns), " ")))
		}
		d.Change(frame.Change{Why: strings.Join(did, "; "), From: f, Edit: func(doc document) error {
			doc.Network.Hostname, doc.Network.Domain = host, domain
			doc.Network.DNS, doc.Network.Search = frame.Words(dns), frame.Words(search)
			if err := doc.Network.SetGateway(true, gw4); err != nil {
				return err
			}
			return doc.Network.SetGateway(false, gw6)
		}})
	}
	d.Form(f)
}

func first(n config.Network, is4 bool) string {
	router, _ := n.Gateway(is4)
	return router
}

func where(on, hint string) string {
	if on != "" {
		return hint + " It is " + on + "'s now."
	}
	return hint
}

func nameServer(s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil || a.IsUnspecified() || a.IsMulticast() {
		return fmt.Errorf("an address such as 192.0.2.53 or 2001:db8::53")
	}
	return nil
}

package system

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Where addresses come from.
const (
	fromNowhere = "disabled"
	fromHere    = "static"
	fromDHCP    = "dhcp"
	fromRouters = "auto"
)

// addressing are the fields of an interface that say how it is reached.
type addressing struct {
	mode4, mode6           string
	static4, static6       string
	gateway4, gateway6     string
	advertisements, routes string
}

// What becomes of router advertisements.
const (
	usual = "usual"
	taken = "taken"
	never = "ignored"
)

// addressingOf reads the fields off an interface.
func addressingOf(f config.Interface) *addressing {
	a := &addressing{mode4: fromNowhere, mode6: fromNowhere, gateway4: f.Gateway4, gateway6: f.Gateway6, advertisements: usual}
	var v4, v6 []string
	for _, s := range f.Addresses {
		if is4(s) {
			v4 = append(v4, s)
		} else {
			v6 = append(v6, s)
		}
	}
	a.static4, a.static6 = strings.Join(v4, ", "), strings.Join(v6, ", ")
	if f.AcceptRA != nil {
		a.advertisements = map[bool]string{true: taken, false: never}[*f.AcceptRA]
	}
	ra := f.AcceptRA != nil && *f.AcceptRA
	switch {
	case f.DHCP == "ipv4" || f.DHCP == "both":
		a.mode4 = fromDHCP
	case len(v4) > 0 || f.Gateway4 != "":
		a.mode4 = fromHere
	}
	switch {
	case f.DHCP == "ipv6" || f.DHCP == "both":
		a.mode6 = fromDHCP
	case len(v6) > 0 || f.Gateway6 != "":
		a.mode6 = fromHere
	case ra:
		a.mode6, a.advertisements = fromRouters, usual
	}
	var routes []string
	for _, r := range f.Routes {
		line := r.To
		if r.Via != "" {
			line += " via " + r.Via
		}
		if r.Metric != 0 {
			line += fmt.Sprintf(" metric %d", r.Metric)
		}
		routes = append(routes, line)
	}
	a.routes = strings.Join(routes, "\n")
	return a
}

func is4(prefix string) bool { return !strings.Contains(prefix, ":") }

// put writes the fields to an interface.
func (a *addressing) put(f *config.Interface) {
	v4, v6 := a.mode4 == fromDHCP, a.mode6 == fromDHCP
	f.DHCP = map[[2]bool]string{{true, true}: "both", {true, false}: "ipv4", {false, true}: "ipv6"}[[2]bool{v4, v6}]
	var all []string
	refuses := f.AcceptRA != nil && !*f.AcceptRA
	f.Gateway4, f.Gateway6, f.AcceptRA = "", "", nil
	if a.mode4 != fromNowhere {
		all, f.Gateway4 = frame.Words(a.static4), a.gateway4
	}
	switch a.mode6 {
	case fromHere, fromDHCP:
		all, f.Gateway6 = append(all, frame.Words(a.static6)...), a.gateway6
		if a.advertisements != usual {
			f.AcceptRA = new(a.advertisements == taken)
		}
	case fromRouters:
		f.AcceptRA = new(true)
	default:
		if refuses { // said twice
			f.AcceptRA = new(false)
		}
	}
	f.Addresses = inOrderOf(f.Addresses, all)
	f.Routes = nil
	for _, line := range strings.Split(a.routes, "\n") {
		if r, err := route(line); err == nil && r.To != "" {
			f.Routes = append(f.Routes, r)
		}
	}
}

// inOrderOf keeps what was there where it was, and puts what is new behind it.
func inOrderOf(was, want []string) []string {
	kept := slices.DeleteFunc(slices.Clone(was), func(s string) bool { return !slices.Contains(want, s) })
	for _, s := range want {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// fields are shown where the interface may have addresses.
func (a *addressing) fields(may func() bool) []frame.Field {
	on4 := func() bool { return may() && a.mode4 != fromNowhere }
	on6 := func() bool { return may() && (a.mode6 == fromHere || a.mode6 == fromDHCP) }
	return []frame.Field{
		{Label: "IPv4", One: &a.mode4, Show: may, Options: []frame.Option{{Value: fromNowhere, Cells: []string{"disabled"}},
			{Value: fromHere, Cells: []string{"static"}}, {Value: fromDHCP, Cells: []string{"DHCP"}}}, Hint: "Where its IPv4 addresses come from."},
		{Label: "IPv4 addresses", Text: &a.static4, Show: on4, Check: addresses(true, &a.mode4), Hint: "With the length of the network: 192.0.2.10/24. Several have commas between them. With DHCP: others besides."},
		{Label: "IPv4 gateway", Text: &a.gateway4, Show: on4, Check: frame.Optional(router(true)), Hint: "Default router; empty if this is not the way to other networks, or DHCP tells it."},
		{Label: "IPv6", One: &a.mode6, Show: may, Options: []frame.Option{{Value: fromNowhere, Cells: []string{"disabled"}}, {Value: fromHere, Cells: []string{"static"}},
			{Value: fromRouters, Cells: []string{"auto", "from router advertisements (SLAAC)"}}, {Value: fromDHCP, Cells: []string{"DHCPv6", "and router advertisements"}}}, Hint: "Where its IPv6 addresses come from."},
		{Label: "IPv6 addresses", Text: &a.static6, Show: on6, Check: addresses(false, &a.mode6), Hint: "With the length of the network: 2001:db8::10/64. Several have commas between them. With DHCPv6: others besides."},
		{Label: "IPv6 gateway", Text: &a.gateway6, Show: on6, Check: frame.Optional(router(false)), Hint: "Default router, such as 2001:db8::1 or fe80::1; empty if routers tell it."},
		{Label: "Router advertisements", One: &a.advertisements, Show: on6, Options: []frame.Option{{Value: usual, Cells: []string{"as usual", "taken with DHCPv6, ignored without"}},
			{Value: taken, Cells: []string{"taken"}}, {Value: never, Cells: []string{"ignored"}}}, Hint: "Addresses and routes that IPv6 routers tell."},
		{Label: "Further routes", Lines: &a.routes, Show: may, Check: routes, Hint: "One a line: 198.51.100.0/24 via 192.0.2.1, or default6 via fe80::1 metric 100."},
	}
}

// addresses checks static addresses of one of the protocols.
func addresses(v4 bool, mode *string) func(string) error {
	example := map[bool]string{true: "192.0.2.10/24", false: "2001:db8::10/64"}[v4]
	return func(s string) error {
		words := frame.Words(s)
		if len(words) == 0 && *mode == fromHere {
			return fmt.Errorf("an address with its network's length is needed, such as %s", example)
		}
		for _, w := range words {
			p, err := netip.ParsePrefix(w)
			if err != nil || p.Addr().Is4() != v4 {
				return fmt.Errorf("%s: an IPv%d address with its network's length is wanted, such as %s", w, map[bool]int{true: 4, false: 6}[v4], example)
			}
		}
		return nil
	}
}

func router(v4 bool) func(string) error {
	return func(s string) error {
		if a, err := netip.ParseAddr(s); err != nil || a.Is4() != v4 || a.IsUnspecified() || a.IsMulticast() {
			return fmt.Errorf("an address such as %s", map[bool]string{true: "192.0.2.1", false: "2001:db8::1"}[v4])
		}
		return nil
	}
}

func routes(s string) error {
	for _, line := range strings.Split(s, "\n") {
		if _, err := route(line); err != nil {
			return err
		}
	}
	return nil
}

// route reads a line; an empty one is none.
func route(line string) (config.Route, error) {
	words := strings.Fields(strings.ReplaceAll(line, "=", " via ")) // NETWORK=ROUTER is what the command takes
	if len(words) == 0 {
		return config.Route{}, nil
	}
	r := config.Route{To: words[0]}
	if _, err := netip.ParsePrefix(r.To); err != nil && r.To != "default4" && r.To != "default6" {
		return r, fmt.Errorf("%s is no network such as 198.51.100.0/24 or 2001:db8:1::/48, nor default4 or default6", r.To)
	}
	for words = words[1:]; len(words) > 0; words = words[2:] {
		var err error
		switch {
		case len(words) == 1:
			err = errors.New("something is missing at its end")
		case words[0] == "via":
			if r.Via = words[1]; frame.Address(r.Via) != nil {
				err = errors.New("behind via the address of a router is wanted")
			}
		case words[0] == "metric":
			if r.Metric, err = strconv.Atoi(words[1]); err != nil || r.Metric < 0 {
				err = errors.New("behind metric a number is wanted")
			}
		default:
			err = errors.New("write it like 198.51.100.0/24 via 192.0.2.1 metric 100")
		}
		if err != nil {
			return r, fmt.Errorf("route to %s: %w", r.To, err)
		}
	}
	return r, nil
}

package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (c *checker) checkPortals() {
	addresses := map[string]int{}
	for i, p := range c.doc.ISCSI.Portals {
		at := fmt.Sprintf("iscsi.portals[%d]", i)
		c.name(at+".name", p.Name)
		c.unique(c.portals, at+".name", "iscsi.portals", p.Name, i)
		c.listenAddress(at+".address", p.Address)
		if first, ok := addresses[p.Address]; ok {
			c.error(at+".address", "%q is already the address of iscsi.portals[%d]", clip(p.Address), first)
		} else if !strings.HasSuffix(p.Address, ":0") {
			addresses[p.Address] = i
		}
		if p.Group < 0 || p.Group > 65535 {
			c.error(at+".group", "must be 1 to 65535, not %d", p.Group)
		}
		if p.Announce != "" {
			c.hostPort(at+".announce", p.Announce)
		}
	}
	c.checkAuth("iscsi.discovery", c.doc.ISCSI.Discovery)
	iscsi := slices.ContainsFunc(c.doc.Targets, func(t Target) bool { return t.Driver.Portals() })
	if len(c.doc.ISCSI.Portals) == 0 && iscsi {
		c.warn("iscsi.portals", "there is no portal, so no initiator can connect; add one, like address: \"0.0.0.0:3260\"")
	}
}

// listenAddress checks an address that we listen on.
func (c *checker) listenAddress(at, address string) {
	host, ok := c.hostPort(at, address)
	if !ok || host == "" {
		return
	}
	if _, err := netip.ParseAddr(host); err != nil {
		c.error(at, "%q is no IP address; write one of this machine, or :PORT for all", clip(host))
	}
}

// hostPort checks host:port and returns the host.
func (c *checker) hostPort(at, address string) (host string, ok bool) {
	if address == "" {
		c.error(at, "missing; write host:port, like 192.0.2.10:3260 or \"[2001:db8::10]:3260\"")
		return "", false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || len(address) > 255 || strings.ContainsAny(host, " \t\r\n,/\x00") {
		c.error(at, "%q is no host:port; write it like 192.0.2.10:3260 or \"[2001:db8::10]:3260\"", clip(address))
		return "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		c.error(at, "%q is no port; it must be 1 to 65535", clip(port))
		return "", false
	}
	if n == 0 {
		c.warn(at, "with port 0 the system picks one, each time another")
	}
	return host, true
}

func (c *checker) checkTargets() {
	relative := map[int]string{}
	for i, t := range c.doc.Targets {
		at := fmt.Sprintf("targets[%d]", i)
		if t.Name == "" {
			c.error(at+".name", "missing; write %s", t.Driver.example(c.doc.Name))
		} else if why := t.Driver.targetProblem(t.Name); why != "" {
			c.error(at+".name", "%q %s", clip(t.Name), why)
		}
		c.unique(c.targets, at+".name", "targets", t.Name, i)
		if len(t.Alias) > 255 {
			c.error(at+".alias", "is longer than 255 bytes")
		}
		for _, tag := range slices.Sorted(maps.Keys(t.RelativeIDs)) {
			id := t.RelativeIDs[tag]
			idAt := fmt.Sprintf("%s.relative_ids[%d]", at, tag)
			switch other, taken := relative[id]; {
			case tag < 1 || tag > 65535:
				c.error(idAt, "portal group tag %d must be 1 to 65535", tag)
			case tag != LoneTag && !t.Driver.Portals():
				c.error(idAt, "a target of driver %s has no portal groups; its tag is %d", t.Driver, LoneTag)
			case id < 1 || id > 65535:
				c.error(idAt, "must be 1 to 65535, not %d", id)
			case taken:
				c.error(idAt, "%d is already used by target %q; relative identifiers are unique in the array", id, clip(other))
			}
			relative[id] = t.Name
		}
		for j, p := range t.Portals {
			if _, ok := c.portals[p]; !ok {
				c.error(fmt.Sprintf("%s.portals[%d]", at, j), "no portal %q%s", clip(p), nearest(p, slices.Sorted(maps.Keys(c.portals))))
			}
		}
		if !t.Driver.Portals() {
			c.checkOnlyISCSI(at, t)
		}
		c.checkAuth(at+".auth", t.Auth)
		c.checkParameters(at+".parameters", t.Parameters)
		if t.Redirect != "" {
			c.hostPort(at+".redirect", t.Redirect)
		}
		c.checkAttributes(at, t.Attributes)
		c.checkGroups(at, t)
		c.checkLUNs(at+".luns", t.LUNs)
		switch {
		case len(t.LUNs) == 0 || len(t.Auth.Users) > 0 || !c.reachable(t):
		case !t.Driver.Portals():
			c.warn(at+".luns", "every machine on the fabric sees these LUNs; name initiators in a group")
		default:
			c.warn(at+".luns", "every machine that reaches a portal sees these LUNs; name initiators in a group, or add auth")
		}
	}
}

// checkOnlyISCSI refuses what other drivers do not have.
func (c *checker) checkOnlyISCSI(at string, t Target) {
	for _, f := range []struct {
		key string
		set bool
	}{
		{"portals", len(t.Portals) > 0},
		{"alias", t.Alias != ""},
		{"auth", len(t.Auth.Users) > 0 || len(t.Auth.Algorithms) > 0 || t.Auth.Mutual != nil},
		{"parameters", len(Fields(Parameters{}, t.Parameters)) > 0},
		{"redirect", t.Redirect != ""},
	} {
		if f.set {
			c.error(at+"."+f.key, "only iSCSI targets have %s, and the driver of this one is %s (%s); remove it", f.key, t.Driver, t.Driver.Human())
		}
	}
}

// reachable says whether a target can be reached from another machine.
func (c *checker) reachable(t Target) bool {
	if !t.Driver.Portals() {
		return t.Driver != DriverLocal
	}
	for _, p := range c.doc.ISCSI.Portals {
		if (len(t.Portals) == 0 || slices.Contains(t.Portals, p.Name)) && !Loopback(p.Address) {
			return true
		}
	}
	return false
}

// nameProblem says what is wrong with an iSCSI name (RFC 7143 4.2.7), "" if
// nothing is.
func nameProblem(name string) string {
	if len(name) > 223 {
		return "is longer than 223 bytes"
	}
	if strings.ToLower(name) != name {
		return "must be in lower case"
	}
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case "iqn":
		date, domain, ok := strings.Cut(rest, ".")
		if !ok || len(date) != 7 || date[4] != '-' || !digits(date[:4]) || !digits(date[5:]) || date[5:] < "01" || date[5:] > "12" {
			return "must be like iqn.2026-11.com.example:name (year-month, then a domain you own, reversed)"
		}
		domain, _, _ = strings.Cut(domain, ":")
		if domain == "" || strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") {
			return "needs a domain name after the date, reversed, like com.example"
		}
		for _, r := range rest {
			if r <= ' ' || r == 0x7f || r < 128 && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-:", r) {
				return fmt.Sprintf("has %q; letters, digits, \".\", \"-\" and \":\" are allowed", r)
			}
		}
	case "eui":
		if len(rest) != 16 || strings.Trim(rest, "0123456789abcdef") != "" {
			return "must be eui. and 16 hex digits"
		}
	case "naa":
		if len(rest) != 16 && len(rest) != 32 || strings.Trim(rest, "0123456789abcdef") != "" {
			return "must be naa. and 16 or 32 hex digits"
		}
	default:
		return "is no iSCSI name; it must start with iqn., eui. or naa."
	}
	return ""
}

func (c *checker) checkGroups(at string, t Target) {
	names, initiators := map[string]int{}, map[string]string{}
	for i, g := range t.Groups {
		gat := fmt.Sprintf("%s.groups[%d]", at, i)
		c.name(gat+".name", g.Name)
		c.unique(names, gat+".name", at+".groups", g.Name, i)
		for j, pattern := range g.Initiators {
			pat := fmt.Sprintf("%s.initiators[%d]", gat, j)
			if other, ok := initiators[pattern]; ok {
				c.error(pat, "%q is already in group %q; an initiator is in one group of a target", clip(pattern), other)
			}
			initiators[pattern] = g.Name
			c.checkPattern(pat, pattern, t.Driver)
		}
		if len(g.Initiators) == 0 {
			c.warn(gat+".initiators", "empty, so the group matches nobody")
		}
		c.checkAttributes(gat, g.Attributes)
		c.checkLUNs(gat+".luns", g.LUNs)
	}
}

func (c *checker) checkPattern(at, pattern string, d Driver) {
	name := strings.TrimPrefix(pattern, "!")
	switch {
	case name == "":
		c.error(at, "%q names no initiator", pattern)
	case len(name) > 223:
		c.error(at, "is longer than 223 bytes")
	case strings.ContainsAny(name, " \t\r\n\x00"):
		c.error(at, "%q has a blank", clip(pattern))
	case strings.ContainsAny(name, "*?"):
	default:
		if why := d.InitiatorProblem(name); why != "" {
			c.warn(at, "%q %s, so no initiator may ever match", clip(pattern), why)
		}
	}
}

func (c *checker) checkLUNs(at string, luns []LUN) {
	numbers, devices := map[int]bool{}, map[string]int{}
	for i, l := range luns {
		lat := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case l.LUN < 0 || l.LUN > 16383:
			c.error(lat+".lun", "must be 0 to 16383, not %d", l.LUN)
		case numbers[l.LUN]:
			c.error(lat+".lun", "LUN %d is given twice in this map", l.LUN)
		}
		numbers[l.LUN] = true
		if l.Device == "" {
			c.error(lat+".device", "missing")
		} else if _, ok := c.devices[l.Device]; !ok {
			c.error(lat+".device", "no device %q%s", clip(l.Device), nearest(l.Device, slices.Sorted(maps.Keys(c.devices))))
		} else if first, twice := devices[l.Device]; twice {
			c.warn(lat+".device", "%q is also LUN %d of this map; initiators take them for two paths to one disk", l.Device, first)
		}
		devices[l.Device] = l.LUN
	}
	if len(luns) > 0 && !numbers[0] {
		c.warn(at, "there is no LUN 0; some initiators then find none of the others")
	}
}

func (c *checker) checkAuth(at string, a Auth) {
	names := map[string]bool{}
	user := func(at string, u CHAPUser) {
		if u.Name == "" || len(u.Name) > 255 {
			c.error(at+".name", "must have 1 to 255 bytes")
		}
		c.checkSecret(at+".secret", u.Secret)
	}
	for i, u := range a.Users {
		uat := fmt.Sprintf("%s.users[%d]", at, i)
		user(uat, u)
		if names[u.Name] && len(u.Initiators) == 0 {
			c.error(uat+".name", "%q is given twice; limit each one to its initiators", clip(u.Name))
		}
		names[u.Name] = true
		// RFC 7143 9.2.1: an initiator must not be able to reflect what it got.
		if a.Mutual != nil && u.Secret != "" && u.Secret == a.Mutual.Secret {
			c.error(at+".mutual.secret", "must differ from the secret of user %q (RFC 7143 9.2.1)", clip(u.Name))
		}
		for j, p := range u.Initiators {
			c.checkPattern(fmt.Sprintf("%s.initiators[%d]", uat, j), p, DriverISCSI)
		}
	}
	if a.Mutual != nil {
		user(at+".mutual", *a.Mutual)
		if len(a.Users) == 0 {
			c.error(at+".mutual", "needs users: a target proves itself only to an initiator that proves itself too")
		}
	}
}

func (c *checker) checkSecret(at string, s Secret) {
	switch {
	case s == Hidden:
		c.error(at, "reads %q, which stands for a secret that the document in force does not have; write the secret", Hidden)
	case len(s) < 12 || len(s) > 255:
		c.error(at, "must have 12 to 255 bytes, not %d (RFC 7143 9.2.1 asks for at least 96 bits)", len(s))
	}
}

func (c *checker) checkParameters(at string, p Parameters) {
	between := func(key string, value, least, most int) {
		if value != 0 && (value < least || value > most) {
			c.error(at+"."+key, "must be %d to %d, not %d", least, most, value)
		}
	}
	const mostBytes = 1<<24 - 1 // RFC 7143 13.12 to 13.14
	between("max_recv_data_segment_length", p.MaxRecvDataSegmentLength, 512, mostBytes)
	between("max_burst_length", p.MaxBurstLength, 512, mostBytes)
	between("first_burst_length", p.FirstBurstLength, 512, mostBytes)
	between("max_outstanding_r2t", p.MaxOutstandingR2T, 1, 65535)
	between("queued_commands", p.QueuedCommands, 1, 4096)
	between("nop_in_interval", p.NopInInterval, -1, 3600)
	between("nop_in_timeout", p.NopInTimeout, 1, 3600)
	between("max_sessions", p.MaxSessions, 1, 65535)
	if p.MaxBurstLength != 0 && p.FirstBurstLength > p.MaxBurstLength {
		c.error(at+".first_burst_length", "must not exceed max_burst_length %d (RFC 7143 13.14)", p.MaxBurstLength)
	}
}

package saveconfig

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// tpgs writes a target: a target port group for each tag that it is reached
// by, all with the same LUNs and ACLs.
func (w *writer) tpgs(t config.Target) []savedTPG {
	of := "target " + t.Name
	t = t.Clone()
	everybody(&t)
	g := savedTPG{Enable: !t.Disabled, LUNs: []savedLUN{}, ACLs: []nodeACL{}, Portals: []savedPortal{}}
	w.unsaid(t, of)
	d := t.WithDefaults().Driver
	w.unseen(&t, d, of)
	luns := w.luns(&g, &t, of)
	w.acls(&g, t, luns, of)
	g.Parameters = parameters(t)
	asked := 0
	if len(t.Auth.Users) > 0 {
		asked = 1
	}
	g.Attributes = map[string]int{}
	if d.Portals() {
		g.Attributes["authentication"] = asked
	}
	if d.Portals() || d == config.DriverFC {
		g.Attributes["generate_node_acls"] = 0
	}
	if d == config.DriverFC {
		g.Attributes["demo_mode_login_only"] = 0
	}
	if len(t.LUNs) > 0 && d != config.DriverLocal {
		g.Attributes["generate_node_acls"], g.Attributes["cache_dynamic_acls"] = 1, 1
		protect := 0
		if slices.ContainsFunc(t.LUNs, w.protected) {
			protect = 1
			if !w.allProtected(t.LUNs) {
				w.Miss("luns of "+of, "LIO protects all LUNs of initiators without an ACL, or none: all are protected")
			}
		}
		g.Attributes["demo_mode_write_protect"] = protect
	}
	tags := w.d.Tags(t)
	if len(tags) == 0 {
		tags = []int{1}
	}
	var all []savedTPG
	for _, tag := range tags {
		one := g
		one.Tag, one.Portals = tag, w.portals(t, tag)
		all = append(all, one)
	}
	return all
}

// everybody makes of a last group that all initiators are in the default map,
// which LIO can say.
func everybody(t *config.Target) {
	n := len(t.Groups) - 1
	if n < 0 || len(t.LUNs) > 0 || !slices.Equal(t.Groups[n].Initiators, []string{"*"}) {
		return
	}
	t.LUNs, t.Groups = t.Groups[n].LUNs, t.Groups[:n]
}

// unseen takes out what LIO shows nobody on a fabric, and says so.
func (w *writer) unseen(t *config.Target, d config.Driver, of string) {
	switch {
	case len(t.LUNs) > 0 && (d == config.DriverSRP || d == config.DriverFCoE):
		w.Miss("luns of "+of, "LIO lets no initiator in over "+d.Human()+" that it does not know by name")
		t.LUNs = nil
	case len(t.Groups) > 0 && d == config.DriverLocal:
		w.Miss("groups of "+of, "the initiator of LIO's loopback is the machine itself")
		t.Groups = nil
	}
	for i := range t.LUNs {
		if d == config.DriverLocal && w.protected(t.LUNs[i]) {
			w.Miss(fmt.Sprintf("read_only of LUN %d of %s", t.LUNs[i].LUN, of), "LIO cannot show the machine itself a LUN read-only")
		}
	}
}

// unsaid notes what LIO has no place for.
func (w *writer) unsaid(t config.Target, of string) {
	if len(t.RelativeIDs) > 0 {
		w.Miss("relative_ids of "+of, "LIO numbers its ports itself")
	}
	if t.Redirect != "" {
		w.Miss("redirect of "+of, "LIO sends logins to no other address")
	}
	if len(t.Auth.Algorithms) > 0 {
		w.Miss("algorithms of "+of, "LIO takes all that it knows")
	}
	p := t.Parameters
	if p.QueuedCommands != 0 || p.NopInInterval != 0 || p.NopInTimeout != 0 {
		w.Leave("queued_commands, nop_in_interval and nop_in_timeout of "+of, "LIO has them for each initiator")
	}
	if p.MaxSessions != 0 {
		w.Miss("max_sessions of "+of, "LIO has no such limit")
	}
}

func (w *writer) protected(l config.LUN) bool { return l.ReadOnly || w.readOnly[l.Device] }

func (w *writer) allProtected(luns []config.LUN) bool {
	return !slices.ContainsFunc(luns, func(l config.LUN) bool { return !w.protected(l) })
}

// luns writes what the ACLs map, and returns the numbers of devices. Those of
// the default map keep theirs, since everybody sees all that is there.
func (w *writer) luns(g *savedTPG, t *config.Target, of string) map[string]int {
	known := func(l config.LUN) bool { return w.paths[l.Device] != "" }
	for _, l := range t.LUNs {
		if !known(l) {
			w.Miss(fmt.Sprintf("LUN %d (%s) of %s", l.LUN, l.Device, of), "its device is not in the file")
		}
	}
	t.LUNs = slices.DeleteFunc(t.LUNs, func(l config.LUN) bool { return !known(l) })
	byDefault := map[string]bool{}
	for _, l := range t.LUNs {
		byDefault[l.Device] = true
	}
	for _, group := range t.Groups {
		if len(t.LUNs) > 0 && slices.ContainsFunc(group.LUNs, func(l config.LUN) bool { return known(l) && !byDefault[l.Device] }) {
			w.Miss("luns of "+of, "in LIO an initiator without an ACL sees every LUN of the target, those of group "+group.Name+" too; so it sees none")
			t.LUNs = nil
		}
	}
	for _, group := range t.Groups {
		if len(t.LUNs) > 0 && slices.ContainsFunc(group.Initiators, func(p string) bool { return strings.ContainsAny(p, "*?!") }) {
			w.Miss("luns of "+of, "those whom group "+group.Name+" names by a pattern would see them, since LIO knows whole names only; so nobody does")
			t.LUNs = nil
		}
	}
	numbers, taken := map[string]int{}, map[int]bool{}
	add := func(number int, device string) {
		numbers[device], taken[number] = number, true
		g.LUNs = append(g.LUNs, savedLUN{Index: number, Object: w.paths[device], Group: w.aluaGroup(t.Name, device)})
	}
	for _, l := range t.LUNs {
		add(l.LUN, l.Device)
	}
	for _, group := range t.Groups {
		for _, l := range group.LUNs {
			if _, there := numbers[l.Device]; there || !known(l) {
				continue
			}
			number := l.LUN
			for taken[number] {
				number = (number + 1) % 16384
			}
			add(number, l.Device)
		}
	}
	return numbers
}

// aluaGroup is the ALUA group that a target is in for a device.
func (w *writer) aluaGroup(target, device string) string {
	for _, tg := range w.targetGroups(device) {
		if slices.ContainsFunc(tg.Targets, func(t config.GroupTarget) bool { return t.Name == target && t.RelativeID == 0 }) {
			return tg.Name
		}
	}
	return ""
}

// acls writes an ACL for each initiator of each group.
func (w *writer) acls(g *savedTPG, t config.Target, numbers map[string]int, of string) {
	used := make([]bool, len(t.Auth.Users))
	if u := userOf(t.Auth.Users, ""); u >= 0 && len(t.LUNs) > 0 {
		g.chap = proof(t.Auth, u)
		used[u] = true
	}
	for _, group := range t.Groups {
		var luns []mappedLUN
		for _, l := range group.LUNs {
			from, there := numbers[l.Device]
			if !there {
				w.Miss(fmt.Sprintf("LUN %d (%s) of group %s of %s", l.LUN, l.Device, group.Name, of), "its device is not in the file")
				continue
			}
			luns = append(luns, mappedLUN{Index: l.LUN, From: from, ReadOnly: w.protected(l)})
		}
		for _, initiator := range group.Initiators {
			if strings.ContainsAny(initiator, "*?!") {
				w.Miss("initiator "+initiator+" of group "+group.Name+" of "+of, "LIO knows whole names only; write them out")
				continue
			}
			if excluded(group.Initiators, initiator) {
				continue
			}
			acl := nodeACL{WWN: toWWN(t.WithDefaults().Driver, initiator), LUNs: append([]mappedLUN{}, luns...)}
			if u := userOf(t.Auth.Users, initiator); u >= 0 {
				acl.chap = proof(t.Auth, u)
				used[u] = true
			}
			g.ACLs = append(g.ACLs, acl)
		}
	}
	for i, u := range t.Auth.Users {
		if !used[i] {
			w.Miss("user "+u.Name+" of "+of, "LIO has one user for an initiator that it knows by its whole name")
		}
	}
}

// excluded says whether a ! of a group takes an initiator out of it.
func excluded(patterns []string, initiator string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		p, not := strings.CutPrefix(p, "!")
		match, err := path.Match(p, initiator)
		return not && (match || err != nil)
	})
}

// userOf finds what an initiator proves: a user for it before one for all.
func userOf(users []config.CHAPUser, initiator string) int {
	for i, u := range users {
		if initiator != "" && slices.Contains(u.Initiators, initiator) {
			return i
		}
	}
	return slices.IndexFunc(users, func(u config.CHAPUser) bool { return len(u.Initiators) == 0 })
}

func proof(a config.Auth, user int) chap {
	c := chap{User: a.Users[user].Name, Password: string(a.Users[user].Secret)}
	if a.Mutual != nil {
		c.MutualUser, c.MutualPassword = a.Mutual.Name, string(a.Mutual.Secret)
	}
	return c
}

// portals are the addresses of one tag.
func (w *writer) portals(t config.Target, tag int) []savedPortal {
	found := []savedPortal{}
	if !t.Driver.Portals() {
		return found
	}
	for _, p := range w.d.ISCSI.Portals {
		if p.WithDefaults().Group != tag || len(t.Portals) > 0 && !slices.Contains(t.Portals, p.Name) {
			continue
		}
		host, port, wild := carry.Host(p)
		if wild && host == "" {
			host = "::" // both families, as ours
		}
		if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
			host = "[" + host + "]" // as rtslib has it
		}
		found = append(found, savedPortal{Address: host, Port: port, ISER: p.ISER})
	}
	return found
}

func parameters(t config.Target) map[string]string {
	p := t.Parameters
	set := map[string]string{}
	for key, n := range map[string]int{"MaxRecvDataSegmentLength": p.MaxRecvDataSegmentLength, "MaxBurstLength": p.MaxBurstLength,
		"FirstBurstLength": p.FirstBurstLength, "MaxOutstandingR2T": p.MaxOutstandingR2T} {
		if n != 0 {
			set[key] = strconv.Itoa(n)
		}
	}
	for key, v := range map[string]*bool{"InitialR2T": p.InitialR2T, "ImmediateData": p.ImmediateData} {
		if v != nil {
			set[key] = map[bool]string{true: "Yes", false: "No"}[*v]
		}
	}
	for key, list := range map[string][]string{"HeaderDigest": p.HeaderDigest, "DataDigest": p.DataDigest} {
		if len(list) > 0 {
			set[key] = strings.Join(list, ",")
		}
	}
	if t.Alias != "" {
		set["TargetAlias"] = t.Alias
	}
	return set
}

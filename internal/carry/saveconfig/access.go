package saveconfig

import (
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

func keys(m map[int]lun) iter.Seq[int] { return maps.Keys(m) }

// access reads the ACLs: each initiator's LUNs and what it proves. Initiators
// with the same LUNs are one host group.
func (g *tpg) access(o object, asked, everybody bool) {
	r := g.r
	own := config.CHAPUser{Name: o.text("chap_userid"), Secret: r.secret(o, "chap_password")}
	ownMutual := config.CHAPUser{Name: o.text("chap_mutual_userid"), Secret: r.secret(o, "chap_mutual_password")}
	needed := asked // somebody must prove itself
	var mutual []mutualUser
	switch {
	case own.Name == "" && own.Secret == "":
	case !asked || !everybody || len(g.t.LUNs) == 0:
		r.f.Leave(o.n.at, "chap_userid of "+o.of, "nobody is asked for it (it takes authentication and generate_node_acls, and LUNs)")
	default:
		g.user(o, own)
		mutual = append(mutual, mutualUser{o, ownMutual})
	}
	var unasked []object
	for _, a := range o.objects("node_acls") {
		initiator := strings.ToLower(a.text("node_wwn"))
		if !g.driver.Portals() {
			initiator = g.driver.InitiatorName(fromWWN(g.driver, initiator))
		}
		a.of = "ACL " + initiator + " of " + o.of
		attributes := a.inner("attributes")
		must := asked
		if n := attributes.number("authentication", -1); n >= 0 && g.driver.Portals() {
			must = n == 1
		}
		user := config.CHAPUser{Name: a.text("chap_userid"), Secret: r.secret(a, "chap_password"), Initiators: []string{initiator}}
		back := config.CHAPUser{Name: a.text("chap_mutual_userid"), Secret: r.secret(a, "chap_mutual_password")}
		luns := g.mapped(a)
		a.text("alias")
		a.text("tag") // a name that targetcli groups ACLs by
		attributes.rest(ofACL(), a.of)
		a.rest(map[string]string{"tcq_depth": "64", "cmdsn_depth": "64"}, a.of)
		if why := g.unmatched(initiator); why != "" {
			r.f.Miss(a.n.at, a.of, why)
			continue
		}
		g.place(initiator, luns)
		has := user.Name != "" || user.Secret != ""
		switch {
		case must && has:
			needed = true
			g.user(a, user)
			mutual = append(mutual, mutualUser{a, back})
		case has:
			r.f.Leave(a.n.at, "chap_userid of "+a.of, "it is not asked for it (authentication is off)")
			unasked = append(unasked, a)
		case !must:
			unasked = append(unasked, a)
		}
	}
	if needed && len(g.t.Auth.Users) == 0 {
		g.closed = "initiators have to prove themselves, but no CHAP user was carried, and without one everybody might log in"
	}
	if len(g.t.Auth.Users) > 0 {
		for _, a := range unasked {
			r.f.Miss(a.n.at, "authentication of "+a.of, "where one initiator of a target proves itself, all must in ESOS; give it a CHAP user, or it cannot log in")
		}
	}
	g.mutual(mutual)
	g.orderUsers()
}

// user adds a CHAP user, or its initiators to one that is the same.
func (g *tpg) user(o object, u config.CHAPUser) {
	a := &g.t.Auth
	for i := range a.Users {
		if same := &a.Users[i]; same.Name == u.Name && same.Secret == u.Secret {
			if len(same.Initiators) > 0 {
				same.Initiators = append(same.Initiators, u.Initiators...)
			}
			return
		}
	}
	if why := carry.Unusable(u, nil); why != "" {
		g.r.f.Miss(o.n.at, "chap_userid "+u.Name+" of "+o.of, why)
		return
	}
	a.Users = append(a.Users, u)
}

// orderUsers sorts users as their initiators stand in the groups, those for
// all first: the order of a document, whatever that of the ACLs was.
func (g *tpg) orderUsers() {
	place := map[string]int{}
	for _, group := range g.t.Groups {
		for _, i := range group.Initiators {
			place[i] = len(place) + 1
		}
	}
	byPlace := func(a, b string) int { return place[a] - place[b] }
	for _, u := range g.t.Auth.Users {
		slices.SortFunc(u.Initiators, byPlace)
	}
	first := func(u config.CHAPUser) int {
		if len(u.Initiators) == 0 {
			return 0
		}
		return place[u.Initiators[0]]
	}
	slices.SortStableFunc(g.t.Auth.Users, func(a, b config.CHAPUser) int { return first(a) - first(b) })
}

// mutualUser is what the target proves to somebody.
type mutualUser struct {
	o object
	u config.CHAPUser
}

// mutual takes what the target proves: one thing for all.
func (g *tpg) mutual(all []mutualUser) {
	for _, m := range all {
		if m.u.Name == "" && m.u.Secret == "" {
			continue
		}
		why := carry.UnusableMutual(m.u, g.t.Auth.Users)
		if g.t.Auth.Mutual != nil {
			if reflect.DeepEqual(*g.t.Auth.Mutual, m.u) {
				continue
			}
			why = "a target proves itself to all initiators in one way in ESOS"
		}
		if why != "" {
			g.r.f.Miss(m.o.n.at, "chap_mutual_userid of "+m.o.of, why)
			continue
		}
		u := m.u
		g.t.Auth.Mutual = &u
	}
}

// mapped reads an ACL's LUNs.
func (g *tpg) mapped(a object) []config.LUN {
	var luns []config.LUN
	for _, m := range a.objects("mapped_luns") {
		l := config.LUN{LUN: int(m.number("index", 0)), ReadOnly: m.flag("write_protect", false)}
		from := m.number("tpg_lun", 0)
		m.text("alias")
		what := fmt.Sprintf("mapped LUN %d of %s", l.LUN, a.of)
		m.rest(nil, what)
		l.Device = g.luns[int(from)].device
		switch {
		case l.LUN < 0 || l.LUN > 16383:
			g.r.f.Miss(m.n.at, what, "LUNs are 0 to 16383")
		case l.Device == "":
			g.r.f.Miss(m.n.at, what, fmt.Sprintf("lun %d of the target port group was not carried", from))
		case slices.ContainsFunc(luns, func(o config.LUN) bool { return o.LUN == l.LUN }):
			g.r.f.Miss(m.n.at, what, "a LUN of that number stands above")
		default:
			g.mappedFrom[int(from)] = true
			luns = append(luns, l)
		}
	}
	slices.SortStableFunc(luns, func(a, b config.LUN) int { return a.LUN - b.LUN })
	return luns
}

// unmatched says why an initiator cannot be in a host group.
func (g *tpg) unmatched(initiator string) string {
	switch {
	case initiator == "" || len(initiator) > 223 || strings.ContainsAny(initiator, " \t\r\n\x00*?!"):
		return "its node_wwn is no name of an initiator"
	case slices.ContainsFunc(g.t.Groups, func(o config.Group) bool { return slices.Contains(o.Initiators, initiator) }):
		return "the initiator has an ACL above"
	}
	return ""
}

// place puts an initiator into the group that has its LUNs.
func (g *tpg) place(initiator string, luns []config.LUN) {
	for i := range g.t.Groups {
		if other := &g.t.Groups[i]; reflect.DeepEqual(other.LUNs, luns) {
			other.Initiators = append(other.Initiators, initiator)
			return
		}
	}
	names := carry.Names{}
	for _, other := range g.t.Groups {
		names.Make(other.Name)
	}
	short := initiator
	if g.driver.Portals() {
		short = initiator[strings.LastIndexByte(initiator, ':')+1:]
	}
	g.t.Groups = append(g.t.Groups, config.Group{Name: names.Make(short), Initiators: []string{initiator}, LUNs: luns})
}

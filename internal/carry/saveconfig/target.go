package saveconfig

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// target reads a target with its target port groups.
func (r *reader) target(o object) {
	fabric, given := o.text("fabric"), o.text("wwn")
	o.of = "target " + given
	tpgs := o.objects("tpgs")
	driver, known := driverOf(fabric)
	name := strings.ReplaceAll(strings.ToLower(given), "_", "-")
	if !driver.Portals() {
		name = driver.TargetName(fromWWN(driver, given))
	}
	o.inner("parameters").rest(map[string]string{"cmd_completion_affinity": "-1"}, o.of)
	o.rest(nil, o.of)
	why := ""
	switch {
	case !known:
		why = "it serves " + fabricName(fabric) + ", for which ESOS's document has no driver"
	case driver.Portals() && !carry.TargetName(driver, name):
		why = "its name is no iSCSI name (RFC 7143 4.2.7)"
	case !carry.TargetName(driver, name):
		why = "its name is none that a document has for a target of " + driver.Human()
	case slices.ContainsFunc(r.f.Doc.Targets, func(t config.Target) bool { return t.Name == name }):
		why = "a target of that name stands above"
	case len(tpgs) == 0:
		why = "it has no target port group, so nobody can log in"
	}
	if why != "" {
		r.f.Miss(o.n.at, o.of, why)
		for _, g := range tpgs {
			r.leaveTPG(g, o.of)
		}
		return
	}
	if name != given && driver.Portals() {
		r.f.Miss(o.n.at, "name of "+o.of, "it is "+name+" here (RFC 7143 4.2.7 has neither \"_\" nor capitals): tell initiators")
	}
	first := &tpg{r: r, driver: driver, name: name, of: o.of}
	first.read(tpgs[0])
	parts := []*tpg{first}
	for _, g := range tpgs[1:] {
		if r.err != nil {
			return
		}
		next := &tpg{r: r, driver: driver, name: name, of: o.of}
		next.read(g)
		if next.tag == first.tag {
			r.refuse(g.n.at, "tpg %d of %s stands twice in the file", next.tag, o.of)
			return
		}
		if !next.leadsTo(first) {
			r.f.Miss(g.n.at, fmt.Sprintf("tpg %d of %s", next.tag, o.of), "a target has one map of LUNs and host groups in ESOS, whichever portal it is reached by; make a second target")
			r.leaveTPG(g, o.of)
			continue
		}
		parts = append(parts, next)
	}
	for _, part := range parts {
		part.openPortals(&first.t)
	}
	for _, member := range first.members {
		member.group.Targets = append(member.group.Targets, config.GroupTarget{Name: name})
	}
	t := first.t
	if first.closed != "" {
		t.Disabled = true
		r.f.Miss(o.n.at, o.of, "it is disabled here: "+first.closed+"; put that right, then enable it")
	}
	r.f.At(fmt.Sprintf("targets[%d]", len(r.f.Doc.Targets)), o.n.at)
	r.f.Doc.Targets = append(r.f.Doc.Targets, t)
}

func fabricName(fabric string) string {
	switch fabric {
	case "qla2xxx_npiv", "elx_efct":
		return "Fibre Channel by " + fabric
	case "vhost":
		return "virtual machines"
	case "":
		return "no fabric"
	}
	return fabric
}

// leaveTPG notes what goes with a target.
func (r *reader) leaveTPG(g object, of string) {
	for _, l := range g.objects("luns") {
		r.f.Miss(l.n.at, fmt.Sprintf("lun %d (%s) of %s", l.number("index", 0), l.text("storage_object"), of), "it goes with the target port group")
	}
	for _, a := range g.objects("node_acls") {
		r.f.Miss(a.n.at, "ACL "+a.text("node_wwn")+" of "+of, "it goes with the target port group")
	}
}

// tpg reads a target port group as a target of its own.
type tpg struct {
	r       *reader
	driver  config.Driver
	name    string
	of      string
	tag     int
	t       config.Target
	closed  string // why nobody may log in
	luns    map[int]lun
	there   []there
	members []member
	portals []portal

	mappedFrom map[int]bool // LUNs that some ACL maps
}

// there is a LUN of a target port group and where it came from.
type there struct {
	index  int
	stored *stored
	o      object
	what   string
}

// portal is an address that the group is reached by.
type portal struct {
	at         carry.Place
	host, port string
	iser       bool
}

// lun is a LUN of a target port group.
type lun struct {
	device string
	alua   string
}

// member is an ALUA group that the target is to be put into.
type member struct {
	stored *stored
	group  *config.TargetGroup
}

// leadsTo says whether two target port groups differ by their portals only.
func (g *tpg) leadsTo(other *tpg) bool {
	return reflect.DeepEqual(g.t, other.t) && g.closed == other.closed && reflect.DeepEqual(g.luns, other.luns)
}

func (g *tpg) read(o object) {
	r := g.r
	g.tag = int(o.number("tag", 1))
	o.of = fmt.Sprintf("tpg %d of %s", g.tag, g.of)
	if g.tag < 1 || g.tag > 65535 {
		r.refuse(o.n.at, "the tag of %s must be 1 to 65535", g.of)
		return
	}
	g.t = config.Target{Name: g.name, Disabled: !o.flag("enable", true)}
	g.readLUNs(o)
	a := o.inner("attributes")
	everybody := a.flag("generate_node_acls", false)
	protected := a.flag("demo_mode_write_protect", true)
	asked := a.flag("authentication", false) && g.driver.Portals()
	if g.driver.Portals() {
		g.readPortals(o)
		g.parameters(o.inner("parameters"), o.of)
	} else {
		g.t.Driver = g.driver
		o.find("portals")
		o.inner("parameters").rest(nil, o.of)
		// Who has no ACL may log in, and sees nothing, as one who may not.
		nothing := a.flag("demo_mode_login_only", false)
		everybody = everybody && !nothing
	}
	if g.driver == config.DriverLocal {
		everybody, protected = true, false
		o.text("nexus") // this machine as an initiator: ESOS names it
	}
	if everybody {
		a.find("cache_dynamic_acls")
		for _, n := range slices.Sorted(keys(g.luns)) {
			g.t.LUNs = append(g.t.LUNs, config.LUN{LUN: n, Device: g.luns[n].device, ReadOnly: protected})
		}
	}
	g.access(o, asked, everybody)
	g.joinGroups()
	a.rest(ofTPG(), o.of)
	o.rest(nil, o.of)
}

// readLUNs reads what the ACLs map.
func (g *tpg) readLUNs(o object) {
	g.luns, g.mappedFrom = map[int]lun{}, map[int]bool{}
	for _, l := range o.objects("luns") {
		n, path, alua := int(l.number("index", 0)), l.text("storage_object"), l.text("alua_tg_pt_gp_name")
		l.text("alias")
		what := fmt.Sprintf("lun %d (%s) of %s", n, path, o.of)
		l.rest(nil, what)
		s := g.r.objects[path]
		switch {
		case n < 0 || n > 16383:
			g.r.f.Miss(l.n.at, what, "LUNs are 0 to 16383")
			continue
		case s == nil:
			g.r.f.Miss(l.n.at, what, "the file has no such storage object")
			continue
		case s.device == "":
			g.r.f.Miss(l.n.at, what, "its storage object was not carried")
			continue
		case g.luns[n].device != "":
			g.r.f.Miss(l.n.at, what, "a LUN of that number stands above")
			continue
		}
		g.luns[n] = lun{device: s.device, alua: alua}
		g.there = append(g.there, there{n, s, l, what})
	}
}

// joinGroups puts the target into the ALUA groups of the devices that somebody
// sees through it.
func (g *tpg) joinGroups() {
	visible := map[string]bool{}
	for _, l := range g.t.LUNs {
		visible[l.Device] = true
	}
	for _, group := range g.t.Groups {
		for _, l := range group.LUNs {
			visible[l.Device] = true
		}
	}
	for _, l := range g.there {
		alua := g.luns[l.index].alua
		switch {
		case !visible[l.stored.device] || !g.mappedFrom[l.index] && len(g.t.LUNs) == 0:
			g.r.f.Leave(l.o.n.at, l.what, "no ACL maps it, so nobody sees it")
			delete(g.luns, l.index)
		case alua != "" && alua != "default_tg_pt_gp":
			g.join(l.stored, alua, l.o, l.what)
		}
	}
}

// join puts the target into an ALUA group of a device.
func (g *tpg) join(s *stored, alua string, l object, what string) {
	var to *config.TargetGroup
	for i := range s.groups {
		if s.groups[i].Name == alua {
			to = &s.groups[i]
		}
	}
	if to == nil {
		g.r.f.Miss(l.n.at, "ALUA group "+alua+" of "+what, "it was not carried")
		return
	}
	for _, m := range g.members {
		if m.stored == s {
			if m.group != to {
				g.r.f.Miss(l.n.at, "ALUA group "+alua+" of "+what, "the target is in group "+m.group.Name+" for this device; it can be in one only")
			}
			return
		}
	}
	g.members = append(g.members, member{s, to})
}

func (g *tpg) readPortals(o object) {
	for _, p := range o.objects("portals") {
		host := strings.Trim(p.text("ip_address"), "[]")
		port := p.number("port", 3260)
		of := "portal " + host + " of " + o.of
		iser := p.flag("iser", false)
		p.rest(map[string]string{"offload": "0", "cxgbit": "0"}, of)
		addr, err := netip.ParseAddr(host)
		if err != nil || addr.Zone() != "" || port < 1 || port > 65535 {
			g.r.refuse(p.n.at, "%s: %q and %d are no address and port", of, host, port)
			return
		}
		g.portals = append(g.portals, portal{p.n.at, addr.String(), strconv.FormatInt(port, 10), iser})
	}
	if len(g.portals) == 0 {
		g.closed = "it has no portal, and without one it would be reached by all"
	}
}

// openPortals gives the document the portals that lead to a target.
func (g *tpg) openPortals(t *config.Target) {
	for _, p := range g.portals {
		name, tag := g.r.f.Portal(p.at, p.host, p.port, g.tag)
		if tag != g.tag {
			g.r.f.Miss(p.at, fmt.Sprintf("tag %d of portal %s of %s", g.tag, p.host, g.of), fmt.Sprintf("a portal has one tag for all targets in ESOS; this one has %d", tag))
		}
		if opened, err := g.r.f.Doc.FindPortal(name); err == nil && p.iser {
			opened.ISER = true
		}
		if !slices.Contains(t.Portals, name) {
			t.Portals = append(t.Portals, name)
		}
	}
}

// parameters reads the operational keys; what LIO has when nobody set it stays
// ESOS's own default.
func (g *tpg) parameters(o object, of string) {
	const mostBytes = 1<<24 - 1 // RFC 7143 13.12 to 13.14
	p := &g.t.Parameters
	number := func(key string, usual, least, most int64, to *int) {
		n := o.number(key, usual)
		switch {
		case n == usual:
		case n < least || n > most:
			g.r.f.Leave(o.n.at, key+" of "+of, fmt.Sprintf("ESOS takes %d to %d; its default is in force", least, most))
		default:
			*to = int(n)
		}
	}
	number("MaxRecvDataSegmentLength", 8192, 512, mostBytes, &p.MaxRecvDataSegmentLength)
	number("MaxBurstLength", 262144, 512, mostBytes, &p.MaxBurstLength)
	number("FirstBurstLength", 65536, 512, mostBytes, &p.FirstBurstLength)
	number("MaxOutstandingR2T", 1, 1, 65535, &p.MaxOutstandingR2T)
	if p.MaxBurstLength != 0 && p.FirstBurstLength > p.MaxBurstLength {
		g.r.f.Leave(o.n.at, "FirstBurstLength of "+of, "it exceeds MaxBurstLength (RFC 7143 13.14)")
		p.FirstBurstLength = 0
	}
	for key, to := range map[string]**bool{"InitialR2T": &p.InitialR2T, "ImmediateData": &p.ImmediateData} {
		if o.text(key) == "No" {
			*to = new(false)
		}
	}
	for key, to := range map[string]*[]string{"HeaderDigest": &p.HeaderDigest, "DataDigest": &p.DataDigest} {
		if v := o.text(key); v != "" && v != "CRC32C,None" {
			for _, d := range strings.Split(v, ",") {
				if d = strings.TrimSpace(d); d == "None" || d == "CRC32C" {
					*to = append(*to, d)
				} else {
					g.r.f.Leave(o.n.at, key+" of "+of, fmt.Sprintf("ESOS knows None and CRC32C, not %q", d))
				}
			}
		}
	}
	if alias := o.text("TargetAlias"); alias != "LIO Target" {
		if g.t.Alias = alias; len(alias) > 255 {
			g.t.Alias = ""
			g.r.f.Leave(o.n.at, "TargetAlias of "+of, "it is longer than 255 bytes")
		}
	}
	o.rest(ofParameters(), of)
}

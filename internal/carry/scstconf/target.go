package scstconf

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// lookAhead learns from a TARGET_DRIVER what all targets must know.
func (r *reader) lookAhead(s *statement) error {
	if err := r.check("a TARGET_DRIVER", s.lines, "TARGET"); err != nil {
		return err
	}
	for _, l := range s.lines {
		switch {
		case !carried(s.arg(1)) && l.key() == "TARGET":
			r.elsewhere[l.arg(1)] = s.arg(1)
		case carried(s.arg(1)) && l.key() == "enabled":
			on, err := r.flag(l)
			if err != nil {
				return err
			}
			if s.arg(1) == string(config.DriverISCSI) {
				r.driverOn = on
			} else if !on {
				r.driversOff[s.arg(1)] = true
			}
		}
	}
	return nil
}

// carried says whether a driver's targets are carried: documents have SCST's
// words for them.
func carried(driver string) bool { return slices.Contains(drivers(), config.Driver(driver)) }

// drivers are those of documents, in the order of a file that we write.
func drivers() []config.Driver {
	return []config.Driver{config.DriverISCSI, config.DriverSRP, config.DriverFC, config.DriverFCoE, config.DriverLocal}
}

// ports reads a TARGET_DRIVER whose targets are ports of the machine.
func (r *reader) ports(s *statement) error {
	for _, l := range s.lines {
		switch l.key() {
		case "TARGET":
			if err := r.target(l, config.Driver(s.arg(1))); err != nil {
				return err
			}
		case "enabled":
		default:
			r.leave(l, "TARGET_DRIVER "+s.arg(1))
		}
	}
	return nil
}

// driver reads a TARGET_DRIVER.
func (r *reader) driver(s *statement) error {
	switch name := s.arg(1); {
	case name == string(config.DriverISCSI):
	case carried(name):
		return r.ports(s)
	case name == "copy_manager":
		r.leaveAll(s, "ESOS copies (EXTENDED COPY) between all its disks without one", false)
		return nil
	default:
		r.leaveAll(s, noDriver(name), true)
		return nil
	}
	var discovery []*statement
	for _, l := range s.lines {
		switch l.key() {
		case "TARGET":
			if err := r.target(l, config.DriverISCSI); err != nil {
				return err
			}
		case "IncomingUser", "OutgoingUser":
			discovery = append(discovery, l)
		case "enabled":
		default:
			r.leave(l, "TARGET_DRIVER iscsi")
		}
	}
	iscsi := slices.ContainsFunc(r.f.Doc.Targets, func(t config.Target) bool { return t.Driver.Portals() })
	if !r.driverOn && iscsi {
		r.f.Miss(s.at(), "TARGET_DRIVER iscsi", "it is not enabled, so its targets are disabled here; enable them with: esos target enable NAME")
	}
	r.portals(s)
	open, err := r.auth(&r.f.Doc.ISCSI.Discovery, discovery, "discovery")
	if err == nil && open {
		r.f.Miss(s.at(), "discovery", "none of its users was carried, so everybody may ask for the names of targets")
	}
	return err
}

// portals adds what the file has no word for: the daemon listens everywhere.
// Where targets allow addresses, these alone are opened.
func (r *reader) portals(s *statement) {
	if len(r.f.Doc.ISCSI.Portals) == 0 {
		r.f.Portal(s.at(), "", carry.Port, 1)
		r.f.AnyPortal = true
		return
	}
	for _, t := range r.f.Doc.Targets {
		if t.Driver.Portals() && len(t.Portals) == 0 && !t.Disabled {
			r.f.Miss(s.at(), "portals of target "+t.Name, "it has no allowed_portal: it is reached through the addresses that other targets allow, and no others; add portals if there are")
		}
	}
}

// auth reads CHAP users. open is true when there were users, and none is left.
func (r *reader) auth(a *config.Auth, lines []*statement, of string) (open bool, err error) {
	var mutual []*statement
	for _, l := range lines {
		if l.key() == "OutgoingUser" {
			mutual = append(mutual, l)
			continue
		}
		u, err := r.user(l)
		if err != nil {
			return false, err
		}
		if why := carry.Unusable(u, a.Users); why != "" {
			r.f.Miss(l.at(), "user "+u.Name+" of "+of, why)
			open = true
			continue
		}
		a.Users = append(a.Users, u)
	}
	open = open && len(a.Users) == 0
	for _, l := range mutual {
		u, err := r.user(l)
		if err != nil {
			return false, err
		}
		why := carry.UnusableMutual(u, a.Users)
		if a.Mutual != nil {
			why = "a target proves itself in one way only"
		}
		if why != "" {
			r.f.Miss(l.at(), "OutgoingUser "+u.Name+" of "+of, why)
			continue
		}
		a.Mutual = &u
	}
	return open, nil
}

// user reads "name secret".
func (r *reader) user(s *statement) (config.CHAPUser, error) {
	name := strings.TrimSpace(s.value())
	secret := ""
	if i := strings.IndexFunc(name, unicode.IsSpace); i > 0 {
		name, secret = name[:i], strings.TrimSpace(name[i:])
	}
	if secret == "" {
		return config.CHAPUser{}, r.refuse(s.valueAt(), "%s lacks its secret; it is written: %s \"NAME SECRET\"", s.key(), s.key())
	}
	if secret == config.Hidden {
		return config.CHAPUser{}, r.refuse(s.valueAt(), "%s %s: the secret reads %s; write the secret itself", s.key(), name, config.Hidden)
	}
	return config.CHAPUser{Name: name, Secret: config.Secret(secret)}, nil
}

// targetName makes of a name one that documents allow (RFC 7143 4.2.7): in
// lower case, and without what people put in beside it.
func targetName(d config.Driver, name string) string {
	if !d.Portals() {
		return d.TargetName(name)
	}
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// target reads a TARGET.
func (r *reader) target(s *statement, d config.Driver) error {
	if err := r.check("a TARGET", s.lines, "LUN", "GROUP"); err != nil {
		return err
	}
	given := s.arg(1)
	name := targetName(d, given)
	r.targets[given] = ""
	if !carry.TargetName(d, name) {
		if !d.Portals() {
			r.leaveAll(s, "its name is none that a document has for a target of "+d.Human()+": it says no port of the machine", true)
			return nil
		}
		r.leaveAll(s, "its name is no iSCSI name (RFC 7143 4.2.7): iqn.YEAR-MONTH.DOMAIN:NAME, of letters, digits, \".\", \"-\" and \":\"", true)
		return nil
	}
	if slices.ContainsFunc(r.f.Doc.Targets, func(t config.Target) bool { return t.Name == name }) {
		r.leaveAll(s, "a target of that name stands above", true)
		return nil
	}
	if name != given && d.Portals() {
		r.f.Miss(s.words[1].at, "name of target "+given, "it is "+name+" here (RFC 7143 4.2.7 has neither \"_\" nor capitals): tell initiators")
	}
	r.targets[given] = name
	t := config.Target{Name: name}
	if !d.Portals() {
		t.Driver = d
	}
	of := "target " + given
	enabled, kept := false, "" // kept is somebody whom no group of the document names
	r.closed = ""
	var users []*statement
	for _, l := range s.lines {
		var err error
		switch l.key() {
		case "LUN":
			var lun config.LUN
			var ok bool
			if lun, ok, err = r.lun(l, of, t.LUNs); ok {
				t.LUNs = append(t.LUNs, lun)
			}
		case "GROUP":
			var lost string
			if lost, err = r.group(&t, l, of); lost != "" {
				kept = lost
			}
		case "enabled":
			enabled, err = r.flag(l)
		case "HW_TARGET": // it is the machine's, and was there before the file
		case "IncomingUser", "OutgoingUser":
			if !d.Portals() {
				r.leave(l, of)
				continue
			}
			users = append(users, l)
		case "allowed_portal":
			if !d.Portals() {
				r.leave(l, of)
				continue
			}
			addr, bad := netip.ParseAddr(l.value())
			if bad != nil || addr.Zone() != "" || addr.IsUnspecified() {
				r.closed = "allowed_portal " + l.value() + " is no address, and others must not come in instead"
				r.f.Miss(l.at(), "attribute allowed_portal of "+of, "ESOS's portals are addresses of this machine")
				continue
			}
			p, _ := r.f.Portal(l.at(), addr.String(), carry.Port, 1)
			if !slices.Contains(t.Portals, p) {
				t.Portals = append(t.Portals, p)
			}
		default:
			err = r.targetAttribute(&t, l, of)
		}
		if err != nil {
			return err
		}
	}
	open, err := r.auth(&t.Auth, users, of)
	if err != nil {
		return err
	}
	if open {
		r.closed = "none of its CHAP users was carried, and without one everybody might log in"
	}
	if p := &t.Parameters; p.MaxBurstLength != 0 && p.FirstBurstLength > p.MaxBurstLength {
		r.f.Leave(s.at(), "attribute FirstBurstLength of "+of, "it exceeds MaxBurstLength (RFC 7143 13.14)")
		p.FirstBurstLength = 0
	}
	t.Disabled = !enabled || r.driversOff[string(d)] || d.Portals() && !r.driverOn
	if kept != "" && len(t.LUNs) > 0 {
		r.closed = "initiator " + kept + " would see the LUNs of those that no group names"
	}
	if r.closed != "" {
		t.Disabled = true
		r.f.Miss(s.at(), of, "it is disabled here: "+r.closed+"; put that right, then enable it")
	}
	r.f.At(fmt.Sprintf("targets[%d]", len(r.f.Doc.Targets)), s.at())
	r.f.Doc.Targets = append(r.f.Doc.Targets, t)
	return nil
}

// targetAttribute reads what a target is told besides its access control.
func (r *reader) targetAttribute(t *config.Target, l *statement, of string) (err error) {
	const mostBytes = 1<<24 - 1 // RFC 7143 13.12 to 13.14
	p := &t.Parameters
	digests := func(list *[]string) {
		*list = nil
		for _, d := range strings.Split(l.value(), ",") {
			switch d = strings.TrimSpace(d); d {
			case "None", "CRC32C":
				*list = append(*list, d)
			default:
				r.f.Leave(l.at(), "attribute "+l.key()+" of "+of, fmt.Sprintf("ESOS knows None and CRC32C, not %q", d))
			}
		}
	}
	yes := func(v **bool) {
		if l.value() != "Yes" && l.value() != "No" {
			err = r.refuse(l.valueAt(), "%s: %q is neither Yes nor No", l.key(), l.value())
			return
		}
		*v = new(l.value() == "Yes")
	}
	if !t.Driver.Portals() && l.key() != "rel_tgt_id" {
		r.leave(l, of)
		return nil
	}
	switch l.key() {
	case "alias":
		if t.Alias = l.value(); len(t.Alias) > 255 {
			t.Alias = ""
			r.f.Leave(l.at(), "attribute alias of "+of, "it is longer than 255 bytes")
		}
	case "rel_tgt_id":
		var n int
		if asUsual(l.key(), l.value()) {
			return nil
		}
		if n, err = r.inRange(l, of, 1, 65535); n != 0 {
			if r.relative[n] {
				r.f.Miss(l.at(), "attribute rel_tgt_id of "+of, "another target has the same; ESOS gives this one another")
				return err
			}
			r.relative[n], t.RelativeIDs = true, map[int]int{1: n}
		}
	case "redirect":
		r.redirect(t, l, of)
	case "HeaderDigest":
		digests(&p.HeaderDigest)
	case "DataDigest":
		digests(&p.DataDigest)
	case "MaxRecvDataSegmentLength":
		p.MaxRecvDataSegmentLength, err = r.inRange(l, of, 512, mostBytes)
	case "MaxBurstLength":
		p.MaxBurstLength, err = r.inRange(l, of, 512, mostBytes)
	case "FirstBurstLength":
		p.FirstBurstLength, err = r.inRange(l, of, 512, mostBytes)
	case "MaxOutstandingR2T":
		p.MaxOutstandingR2T, err = r.inRange(l, of, 1, 65535)
	case "InitialR2T":
		yes(&p.InitialR2T)
	case "ImmediateData":
		yes(&p.ImmediateData)
	case "QueuedCommands":
		p.QueuedCommands, err = r.inRange(l, of, 1, 4096)
	case "NopInInterval":
		if l.value() == "0" { // never
			p.NopInInterval = -1
			return nil
		}
		p.NopInInterval, err = r.inRange(l, of, 1, 3600)
	case "NopInTimeout":
		p.NopInTimeout, err = r.inRange(l, of, 1, 3600)
	case "MaxSessions":
		if !asUsual(l.key(), l.value()) {
			p.MaxSessions, err = r.inRange(l, of, 1, 65535)
		}
	default:
		r.leave(l, of)
	}
	return err
}

// redirect reads "address[:port] temp|perm".
func (r *reader) redirect(t *config.Target, l *statement, of string) {
	address, kind, _ := strings.Cut(l.value(), " ")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), carry.Port
	}
	n, bad := strconv.ParseUint(port, 10, 16)
	if _, err := netip.ParseAddr(host); err != nil || bad != nil || n == 0 {
		r.f.Miss(l.at(), "attribute redirect of "+of, "ESOS sends logins to an address and a port")
		return
	}
	t.Redirect = net.JoinHostPort(host, port)
	if kind = strings.TrimSpace(kind); kind != "" && kind != "temp" {
		r.f.Leave(l.at(), "attribute redirect of "+of, "ESOS sends logins on for the time being (temp), not for good")
	}
}

// group reads a GROUP: initiators and their LUNs. lost is an initiator that the
// document cannot name.
func (r *reader) group(t *config.Target, s *statement, of string) (lost string, err error) {
	if err := r.check("a GROUP", s.lines, "LUN", "INITIATOR"); err != nil {
		return "", err
	}
	g := config.Group{Name: r.f.Name(s.words[1].at, "group of "+of, s.arg(1))}
	of = "group " + s.arg(1) + " of " + of
	for _, l := range s.lines {
		switch l.key() {
		case "LUN":
			lun, ok, err := r.lun(l, of, g.LUNs)
			if err != nil {
				return "", err
			}
			if ok {
				g.LUNs = append(g.LUNs, lun)
			}
		case "INITIATOR":
			r.leaveLines(l, of, false)
			// SCST compares without regard to case, and names come in lower
			// case (RFC 7143 4.2.7.1).
			pattern := t.Driver.InitiatorName(strings.ToLower(l.arg(1)))
			if slices.Contains(g.Initiators, pattern) {
				r.f.Leave(l.at(), "initiator "+l.arg(1)+" of "+of, "it stands in this group already")
				continue
			}
			if other := holder(t, pattern); other != "" {
				r.f.Miss(l.at(), "initiator "+l.arg(1)+" of "+of, "it is in group "+other+" already; an initiator is in one group of a target")
				r.excluded(pattern)
				continue
			}
			if why := unnamed(pattern); why != "" {
				r.f.Miss(l.at(), "initiator "+l.arg(1)+" of "+of, why)
				r.excluded(pattern)
				lost = carry.Clip(l.arg(1))
				continue
			}
			g.Initiators = append(g.Initiators, pattern)
		default:
			r.leave(l, of)
		}
	}
	t.Groups = append(t.Groups, g)
	return lost, nil
}

// excluded closes a target that a ! keeps somebody out of, when the document
// cannot say that.
func (r *reader) excluded(pattern string) {
	if strings.HasPrefix(pattern, "!") {
		r.closed = carry.Clip(pattern) + " keeps somebody out who would come in now"
	}
}

// holder is the group of a target that has a pattern already.
func holder(t *config.Target, pattern string) string {
	for _, other := range t.Groups {
		if slices.Contains(other.Initiators, pattern) {
			return other.Name
		}
	}
	return ""
}

// unnamed says why a document cannot have a pattern.
func unnamed(pattern string) string {
	name := strings.TrimPrefix(pattern, "!")
	switch {
	case name == "" || len(name) > 223 || strings.ContainsAny(name, " \t\r\n\x00"):
		return "it is no name or pattern of an initiator"
	case strings.Contains(name, "#"):
		return "ESOS knows an initiator by its name, whichever portal it comes through (per_portal_acl)"
	}
	return ""
}

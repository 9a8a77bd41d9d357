package lio

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Supports implements engine.Engine.
func (e *Engine) Supports(d *config.Document) []error {
	if errs := Supports(d); len(errs) > 0 {
		return errs
	}
	return e.unknownAttributes(d)
}

// Supports says what of a document LIO cannot do, why, and which engine can.
func Supports(d *config.Document) []error {
	var errs []error
	in := func(what, name string, found []error) {
		for _, err := range found {
			errs = append(errs, fmt.Errorf("%s %s: %w", what, name, err))
		}
	}
	for _, dev := range d.Devices {
		in("device", dev.Name, deviceProblems(dev.WithDefaults()))
		in("device", dev.Name, deviceAttributeProblems(dev))
	}
	for _, p := range d.ISCSI.Portals {
		in("portal", p.Name, portalProblems(p))
	}
	for _, err := range discoveryProblems(d.ISCSI.Discovery) {
		errs = append(errs, fmt.Errorf("discovery: %w", err))
	}
	for _, t := range d.Targets {
		in("target", t.Name, targetProblems(t.WithDefaults()))
	}
	for _, g := range d.DeviceGroups {
		in("device group", g.Name, deviceGroupProblems(g, d.Devices))
	}
	return errs
}

// problems gathers reasons.
type problems []error

func (p *problems) add(is bool, format string, args ...any) {
	if is {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

const (
	useNative = "; use engine: native, which can"
	useSCST   = "; use engine: scst, which can"
)

// deviceProblems says what of a device (with its defaults) LIO cannot have.
func deviceProblems(d config.Device) []error {
	var p problems
	if d.Handler.PassThrough() {
		return passThroughProblems(d)
	}
	if plugin(d.Handler) == "" {
		p.add(true, "LIO has no handler %q%s", d.Handler, useNative)
		return p
	}
	if _, err := company(d.Identity); err != nil && (d.Identity.NAA != "" || d.Identity.Serial != "") {
		p.add(true, "%w", err)
	} else if err != nil {
		p.add(true, "it has neither serial nor NAA identifier")
	}
	p.add(d.Removable, "LIO cannot report a removable medium%s", useNative)
	p.add(d.ReadOnly && d.Handler != config.BlockIO,
		"LIO has no read-only %s; write read_only at its LUNs instead, or use engine: native", d.Handler)
	p.add(d.WriteThrough && d.Handler == config.BlockIO,
		"LIO reports the write cache that the block device has, and cannot deny it; leave write_through out, or use engine: native")
	p.add(strings.ContainsAny(d.Path, ",\n"), "LIO takes no path with a comma or a line break in it; rename the file, or use engine: native")
	p.add(d.Handler == config.FileIO && len(d.Path) > 255, "LIO takes no path longer than 255 bytes; use a shorter one, or engine: native")
	p.add(d.Handler == config.BlockIO && len(d.Path) > 400, "LIO takes no path longer than 400 bytes; use a shorter one, or engine: native")
	if plugin(d.Handler) == "rd_mcp" {
		p.add(d.Size <= 0 || d.Size%pageSize != 0, "its size must be a multiple of %d bytes for LIO", pageSize)
		p.add(d.Size/pageSize >= 1<<31, "LIO has no memory or null disk of 8 TiB or more%s", useNative)
	}
	return p
}

func portalProblems(p config.Portal) []error {
	var out problems
	out.add(p.Announce != "", "LIO cannot announce another address than the one that an initiator came to; leave announce out, or use engine: native")
	out.add(strings.HasSuffix(p.Address, ":0"), "LIO cannot have a port picked; write one, like 3260")
	return out
}

// chapProblems says what of CHAP names and secrets the kernel would change.
func chapProblems(a config.Auth) problems {
	var p problems
	p.add(len(a.Algorithms) > 0, "LIO takes every CHAP algorithm that the initiator proposes and cannot be limited to some; leave algorithms out, or use engine: native")
	users := slices.Clone(a.Users)
	if a.Mutual != nil {
		users = append(users, *a.Mutual)
	}
	for _, u := range users {
		for _, v := range []string{u.Name, string(u.Secret)} {
			p.add(strings.HasPrefix(v, unset), "the name or secret of CHAP user %q begins with %s, by which LIO means that there is none; take another one, or use engine: native", u.Name, unset)
			p.add(strings.ContainsRune(v, 0), "the name or secret of CHAP user %q has a NUL, where LIO would cut it off; take another one, or use engine: native", u.Name)
			p.add(len(v) > 255, "the name or secret of CHAP user %q is longer than 255 bytes", u.Name)
		}
	}
	return p
}

func discoveryProblems(a config.Auth) []error {
	p := chapProblems(a)
	p.add(len(a.Users) > 1, "LIO knows one name and secret for discovery; leave one user, or use engine: native")
	for _, u := range a.Users {
		p.add(len(u.Initiators) > 0, "LIO cannot limit the discovery user %q to initiators; leave initiators out, or use engine: native", u.Name)
	}
	return p
}

// ownProblems says what of a target's own settings LIO cannot have.
func ownProblems(t config.Target) []error {
	p := append(chapProblems(t.Auth), targetAttributeProblems(t)...)
	local := t.Driver == config.DriverLocal && !strings.HasPrefix(t.Name, "naa.") && !strings.HasPrefix(t.Name, "iqn.")
	p.add(local, "LIO's loopback targets have names like naa.5001405b2a1c3d4e or iqn. names; take such a name, or use engine: scst")
	p.add(t.Redirect != "", "LIO cannot send logins to another address; leave redirect out, or use engine: native")
	p.add(strings.Contains(t.Alias, ","), "LIO takes no comma in an alias; leave it out, or use engine: native")
	p.add(t.Alias != strings.TrimSpace(t.Alias), "LIO takes no blanks around an alias; leave them out, or use engine: native")
	for _, u := range t.Auth.Users {
		for _, i := range u.Initiators {
			p.add(i != everybody && strings.ContainsAny(i, "*?!"), "LIO cannot limit CHAP user %q to the pattern %q; name the initiators, or use engine: native or scst", u.Name, i)
		}
	}
	q := t.Parameters
	p.add(q.MaxSessions != 0, "LIO cannot limit the number of sessions; leave max_sessions out, or use engine: native")
	p.add(q.QueuedCommands > 512, "LIO queues 512 commands of a session at most; lower queued_commands, or use engine: native")
	p.add(q.NopInInterval > 60 || q.NopInInterval > 0 && q.NopInInterval < 3, "LIO takes a nop_in_interval of 3 to 60 seconds, or -1, not %d; or use engine: native", q.NopInInterval)
	p.add(q.NopInTimeout != 0 && (q.NopInTimeout > 60 || q.NopInTimeout < 3), "LIO takes a nop_in_timeout of 3 to 60 seconds, not %d; or use engine: native", q.NopInTimeout)
	return p
}

// groupProblems says what of a host group LIO cannot have.
func groupProblems(g config.Group, f fabric) []error {
	var p problems
	if !f.named {
		p.add(true, "the initiator of a %s target is this machine, and LIO has no host groups there; map the LUNs in the target's own luns, or use engine: scst", f.driver.Human())
		return p
	}
	for _, i := range g.Initiators {
		if why := f.driver.InitiatorProblem(i); !f.portals() && why != "" && !strings.ContainsAny(i, "*?!") {
			p.add(true, "LIO knows initiators of %s by their port names: %q %s", f.driver.Human(), i, why)
		}
		p.add(i == everybody && f.strange == refused,
			"LIO lets no initiator in over %s that it does not know by name; name each initiator, or use engine: scst", f.driver.Human())
	}
	p = append(p, groupAttributeProblems(g, f)...)
	if len(p) > 0 {
		return p
	}
	p.add(len(g.Name) > 63, "LIO takes a group's name of 63 characters at most")
	p.add(strings.HasPrefix(g.Name, unset), "LIO takes no group whose name begins with %s", unset)
	for _, i := range g.Initiators {
		if i == everybody {
			p.add(len(g.Initiators) > 1, "LIO has a list of names or \"*\" for everybody, not both in one group; leave only \"*\", or use engine: %s", f.elsewhere())
			continue
		}
		p.add(strings.ContainsAny(i, "*?"), "LIO knows initiators by their whole names, and has no patterns but \"*\" for everybody: %q; name each initiator, or use engine: %s", i, f.elsewhere())
		p.add(strings.HasPrefix(i, "!"), "LIO cannot except an initiator: %q; name each of the others, or use engine: %s", i, f.elsewhere())
	}
	return p
}

// targetProblems says what of a whole target LIO cannot have.
func targetProblems(t config.Target) []error {
	p := problems(ownProblems(t))
	f := fabricOf(t.Driver)
	p.add(t.Disabled && f.gate == "", "LIO cannot disable a target of %s; remove it, or use engine: scst", f.driver.Human())
	p.add(len(t.LUNs) > 0 && f.strange == refused,
		"LIO lets no initiator in over %s that it does not know by name, so nobody would see the target's own LUNs; map them in a group that names initiators, or use engine: scst", f.driver.Human())
	for _, l := range t.LUNs {
		p.add(l.ReadOnly && f.strange == allowed, "LUN %d: "+noLocalReadOnly, l.LUN)
	}
	owner, shown := "", t.LUNs
	named := ""
	for _, g := range t.Groups {
		for _, err := range groupProblems(g, f) {
			p.add(true, "group %s: %w", g.Name, err)
		}
		switch {
		case slices.Contains(g.Initiators, everybody):
			p.add(owner != "", "groups %s and %s are both for every initiator", owner, g.Name)
			p.add(len(t.LUNs) > 0, "group %s is for every initiator, so nobody is left for the target's own LUNs; remove those, or use engine: %s", g.Name, f.elsewhere())
			owner, shown = g.Name, g.LUNs
		case len(g.LUNs) > 0 && len(g.Initiators) > 0:
			named = g.Name
		}
		for _, i := range g.Initiators {
			if _, err := credentialsFor(t.Auth, i); err != nil && i != everybody {
				p.add(true, "group %s: %w", g.Name, err)
			}
		}
	}
	if f.strange != onDemand || owner == "" && len(t.LUNs) == 0 {
		return p
	}
	p.add(named != "", "LIO shows initiators that it does not know by name all LUNs of a target, so those of group %s, too; put either on a target of its own, or use engine: %s", named, f.elsewhere())
	p.add(len(t.Auth.Users) > 0, "LIO cannot ask initiators for CHAP that it does not know by name; put them into a group by their names, or use engine: %s", f.elsewhere())
	ro := 0
	for _, l := range shown {
		if l.ReadOnly {
			ro++
		}
	}
	p.add(ro > 0 && ro < len(shown), "LUNs that LIO shows to everybody are all read-only or none is; put the others on a target of their own, or use engine: %s", f.elsewhere())
	return p
}

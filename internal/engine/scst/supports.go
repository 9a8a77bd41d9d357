package scst

import (
	"context"
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
	return e.unknownAttributes(context.Background(), d)
}

// Supports says what of a document SCST cannot do, why, and which engine can.
func Supports(d *config.Document) []error {
	var errs []error
	in := func(what, name string, found problems) {
		for _, err := range found {
			errs = append(errs, fmt.Errorf("%s %s: %w", what, name, err))
		}
	}
	for _, dev := range d.Devices {
		in("device", dev.Name, deviceProblems(dev.WithDefaults()))
	}
	for i, p := range d.ISCSI.Portals {
		in("portal", p.Name, portalProblems(p.WithDefaults()))
		if first := d.ISCSI.Portals[0]; i > 0 && portOf(p.Address) != portOf(first.Address) {
			in("portal", p.Name, problems{fmt.Errorf("%s", onePort(p, first))})
		}
	}
	for _, err := range authProblems(d.ISCSI.Discovery) {
		errs = append(errs, fmt.Errorf("discovery: %w", err))
	}
	for _, t := range d.Targets {
		in("target", t.Name, ownProblems(t.WithDefaults()))
		for _, g := range t.Groups {
			in("target "+t.Name+", group", g.Name, groupProblems(t.Driver, g))
		}
	}
	for _, g := range d.DeviceGroups {
		in("device group", g.Name, deviceGroupProblems(g))
	}
	return errs
}

const (
	useNative = "; use engine: native, which can"
	useOther  = "; use engine: native or lio, which can"
)

// separators are what ends a word in a request to SCST (scst_get_next_lexem,
// scst_get_next_token_str).
const separators = " \t\r\n\v\f=;"

// Longest identities (struct scst_vdisk_dev).
const (
	longestSerial   = 20
	longestT10ID    = 25
	longestVendor   = 8
	longestProduct  = 16
	longestRevision = 4
)

// deviceProblems says what of a device (with its defaults) SCST cannot have.
func deviceProblems(d config.Device) problems {
	var p problems
	p.add(strings.ContainsAny(d.Name, separators), "SCST takes no blank, \"=\" or \";\" in a name")
	p.add(len(d.Name) > 64, "SCST takes a name of 64 characters at most")
	p = append(p, attributeProblems(d.Attributes, ownOfDevice(d.Handler))...)
	if d.Handler.PassThrough() {
		return p
	}
	switch d.Handler {
	case config.FileIO, config.BlockIO, config.NullIO, config.CDROM:
	case config.Memory:
		p.add(true, "SCST has no memory disks; use engine: native or lio, which have, or a vdisk_fileio whose path is on a tmpfs")
		return p
	default:
		p.add(true, "SCST has no handler %q%s", d.Handler, useNative)
		return p
	}
	// In a request a path ends at a blank; a medium's path is a line of its own.
	if d.Handler == config.CDROM {
		p.add(strings.ContainsAny(d.Path, "\n"), "SCST takes no path with a line break in it; rename the file, or use engine: native")
	} else {
		p.add(strings.ContainsAny(d.Path, separators), "SCST takes no path with a blank, \"=\" or \";\" in it; rename the file, or use engine: native")
	}
	p.add(d.Handler != config.FileIO && d.ODirect, "SCST has o_direct for vdisk_fileio only; leave it out")
	p.add(d.Handler == config.NullIO && d.WriteThrough, "SCST's null disks always report a write cache; leave write_through out, or use engine: native")
	p.add(d.Handler == config.NullIO && d.Size <= 0, "it needs a size")
	p.add(d.BlockSize < 512 || d.BlockSize&(d.BlockSize-1) != 0, "SCST takes a block size that is a power of two, at least 512, not %d", d.BlockSize)
	id := d.Identity
	for _, s := range []struct {
		what, value string
		most        int
	}{
		{"serial", id.Serial, longestSerial}, {"t10_id", id.T10ID, longestT10ID}, {"vendor", id.Vendor, longestVendor},
		{"product", id.Product, longestProduct}, {"revision", id.Revision, longestRevision},
	} {
		p.add(len(s.value) > s.most, "SCST takes a %s of %d characters at most, not %q; write a shorter one (initiators will take the device for another one), or use engine: native", s.what, s.most, s.value)
		p.add(strings.ContainsAny(s.value, "\n"), "SCST takes no line break in a %s", s.what)
	}
	p.add(d.Handler != config.CDROM && strings.ContainsAny(id.T10ID, separators), "SCST takes no blank, \"=\" or \";\" in a t10_id, as in %q; write another one, or use engine: native", id.T10ID)
	return p
}

func portalProblems(p config.Portal) problems {
	var out problems
	out.add(p.Announce != "", "SCST announces the address that a target may be reached by, and no other; leave announce out, or use engine: native")
	out.add(strings.HasSuffix(p.Address, ":0"), "SCST cannot have a port picked; write one, like 3260")
	out.add(p.Group > config.LoneTag, "SCST tells initiators that every portal is in portal group 1 (target_print_addr of iscsi-scstd), so portal group tag %d cannot be had; leave group out%s", p.Group, useOther)
	out.add(p.ISER, "SCST's iSER (the module isert-scst) listens wherever its daemon does, not at one portal, and is not in this engine yet; leave iser out, or use engine: lio, which can")
	return out
}

// onePort says why two portals are at odds.
func onePort(p, other config.Portal) string {
	return fmt.Sprintf("SCST's daemon listens at one port for all portals, and portal %s has port %d, not %d; write the same port%s", other.Name, portOf(other.Address), portOf(p.Address), useOther)
}

// authProblems says what of CHAP SCST cannot have.
func authProblems(a config.Auth) problems {
	var p problems
	p.add(len(a.Algorithms) > 0, "SCST takes the first CHAP algorithm of the initiator's that it knows, and cannot be limited to some; leave algorithms out, or use engine: native")
	users := slices.Clone(a.Users)
	if a.Mutual != nil {
		users = append(users, *a.Mutual)
	}
	seen := map[string]bool{}
	for i, u := range users {
		for _, v := range []string{u.Name, string(u.Secret)} {
			p.add(strings.ContainsAny(v, separators+"\x00"), "the name or secret of CHAP user %q has a blank, a line break, \"=\" or \";\", where SCST would cut it off; take another one, or use engine: native", u.Name)
		}
		p.add(len(u.Secret) < 12, "SCST takes no secret of less than 12 bytes (CHAP user %q)", u.Name)
		p.add(len(u.Initiators) > 0, "SCST cannot limit CHAP user %q to initiators; leave initiators out%s", u.Name, useOther)
		p.add(i < len(a.Users) && seen[u.Name], "SCST takes CHAP user %q once", u.Name)
		seen[u.Name] = i < len(a.Users)
	}
	return p
}

// ownProblems says what of a target's own settings (with its defaults) SCST
// cannot have.
func ownProblems(t config.Target) problems {
	p := append(authProblems(t.Auth), attributeProblems(t.Attributes, ownOfTarget(t.Driver))...)
	p.add(strings.ContainsAny(t.Name, separators), "SCST takes no blank, \"=\" or \";\" in a target's name")
	p.add(t.Alias != strings.TrimSpace(t.Alias), "SCST takes no blanks around an alias; leave them out, or use engine: native")
	p.add(t.Driver == config.DriverLocal && t.Disabled, "SCST's loopback cannot be disabled; remove the target, or its LUNs")
	if t.Driver != config.DriverISCSI {
		p.add(t.Alias != "", "SCST has an alias for iSCSI targets only; leave it out")
	}
	if t.Redirect != "" {
		host := pattern(t.Redirect)
		p.add(strings.Trim(strings.ToLower(host), "0123456789abcdef.:") != "", "SCST sends logins to an IP address only, not to %s; write one, or use engine: native", t.Redirect)
	}
	return p
}

// groupProblems says what of a host group SCST cannot have. A pattern with "!"
// means there: everybody but these, whatever the other patterns say (wildcmp);
// in a document it takes away from the others.
func groupProblems(d config.Driver, g config.Group) problems {
	var p problems
	p.add(d == config.DriverLocal, "a loopback target has one initiator, this machine; map its LUNs in the target's own luns")
	p.add(strings.ContainsAny(g.Name, separators), "SCST takes no blank, \"=\" or \";\" in a group's name")
	for _, i := range g.Initiators {
		p.add(strings.ContainsAny(i, separators), "SCST takes no blank, \"=\" or \";\" in an initiator's name: %q", i)
		p.add(strings.HasPrefix(i, "!") && len(g.Initiators) > 1, "SCST takes %q for everybody else, besides the group's other patterns, rather than as an exception from them; leave it alone in its group%s", i, excepting(d))
		p.add(strings.Contains(strings.TrimPrefix(i, "!"), "!"), "SCST would turn %q around at its \"!\"; write it without", i)
	}
	return p
}

// excepting names the engine that can except an initiator, where it has the
// driver.
func excepting(d config.Driver) string {
	if d.Portals() {
		return ", or use engine: native, which excepts"
	}
	return ""
}

// deviceGroupProblems says what of a device group SCST would take and should
// not: it does not see that an identifier is given twice.
func deviceGroupProblems(g config.DeviceGroup) problems {
	var p problems
	p.add(strings.ContainsAny(g.Name, separators), "SCST takes no blank, \"=\" or \";\" in a name")
	ids := map[int]string{}
	for _, tg := range g.TargetGroups {
		tg = tg.WithDefaults()
		p.add(strings.ContainsAny(tg.Name, separators), "SCST takes no blank, \"=\" or \";\" in a name: %q", tg.Name)
		p.add(tg.ID < 1 || tg.ID > 65535, "target group %s: its identifier must be 1 to 65535, not %d", tg.Name, tg.ID)
		p.add(ids[tg.ID] != "", "target groups %s and %s have the same identifier %d, by which initiators tell them apart", ids[tg.ID], tg.Name, tg.ID)
		ids[tg.ID] = tg.Name
		p.add(!slices.Contains(states(), tg.State), "target group %s: there is no access state %q", tg.Name, tg.State)
		for _, t := range tg.Targets {
			p.add(strings.ContainsAny(t.Name, separators), "SCST takes no blank, \"=\" or \";\" in a target's name: %q", t.Name)
			p.add(strings.Contains(t.Name, peerMark), "the engine needs %q itself in names of a peer's targets: %q", peerMark, t.Name)
		}
	}
	return p
}

package lio

import (
	"fmt"
	"path"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
)

const (
	whoSeesWhat = "the target's groups and luns"
	ofTarget    = "parameters of the target, key "
)

// ownOfDevice are the attributes of devices that ESOS sets itself.
func ownOfDevice(h config.Handler) attribute.Owned {
	if h.PassThrough() {
		return nil // nothing of it is set
	}
	own := attribute.Owned{
		"block_size": "block_size", "is_nonrot": "rotational", "emulate_write_cache": "write_through",
		"emulate_tpws": " WRITE SAME that unmaps would pass a LUN that is read-only, so it stays off",
		"emulate_3pc":  " EXTENDED COPY would write through a LUN that is read-only, so it is off where there is one",
	}
	if h == config.FileIO {
		own["emulate_tpu"] = "provisioning"
	}
	return own
}

// ownOfTarget are those of portal groups.
func ownOfTarget() attribute.Owned {
	return attribute.Owned{
		"authentication": "auth", "AuthMethod": "auth", "TargetAlias": "alias",
		"generate_node_acls": whoSeesWhat, "demo_mode_write_protect": whoSeesWhat, "demo_mode_login_only": whoSeesWhat,
		"prod_mode_write_protect": whoSeesWhat, "cache_dynamic_acls": whoSeesWhat,
		"demo_mode_discovery":      " who may not log in does not see the target, so it stays off",
		"default_cmdsn_depth":      "parameters, key queued_commands",
		"HeaderDigest":             "parameters, key header_digest",
		"DataDigest":               "parameters, key data_digest",
		"MaxBurstLength":           "parameters, key max_burst_length",
		"FirstBurstLength":         "parameters, key first_burst_length",
		"MaxOutstandingR2T":        "parameters, key max_outstanding_r2t",
		"InitialR2T":               "parameters, key initial_r2t",
		"ImmediateData":            "parameters, key immediate_data",
		"MaxRecvDataSegmentLength": "parameters, key max_recv_data_segment_length",
	}
}

// ownOfACL are those of ACLs.
func ownOfACL() attribute.Owned {
	return attribute.Owned{
		"authentication": "auth of the target", "nopin_timeout": ofTarget + "nop_in_interval", "nopin_response_timeout": ofTarget + "nop_in_timeout",
	}
}

// owned refuses attributes that ESOS sets itself.
func owned(attributes map[string]string, own attribute.Owned) []error {
	var p problems
	for _, why := range own.Problems(attributes) {
		p.add(true, "%s", why)
	}
	return p
}

func deviceAttributeProblems(d config.Device) []error {
	return owned(d.Attributes, ownOfDevice(d.Handler))
}

func targetAttributeProblems(t config.Target) []error { return owned(t.Attributes, ownOfTarget()) }

// groupAttributeProblems says what of a group's attributes LIO cannot have: they
// are its initiators', which it must know by their names.
func groupAttributeProblems(g config.Group, f fabric) []error {
	p := problems(owned(g.Attributes, ownOfACL()))
	p.add(len(g.Attributes) > 0 && slices.Contains(g.Initiators, everybody),
		"LIO keeps attributes by initiator, and this group is for those that it does not know by name; name the initiators, remove the attributes, or use engine: %s", f.elsewhere())
	return p
}

// unknownAttributes says which attributes objects that are there do not have.
func (e *Engine) unknownAttributes(d *config.Document) []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	in := func(of string, found []error) {
		for _, err := range found {
			errs = append(errs, fmt.Errorf("%s: %w", of, err))
		}
	}
	for _, dev := range d.Devices {
		if len(dev.Attributes) == 0 {
			continue
		}
		if at, err := e.find(dev.Name); err == nil && at != "" {
			in("device "+dev.Name, attribute.Unknown(e.attributesIn(at, "attrib"), dev.Attributes))
		}
	}
	for _, t := range d.Targets {
		if len(t.Attributes) == 0 && !slices.ContainsFunc(t.Groups, func(g config.Group) bool { return len(g.Attributes) > 0 }) {
			continue
		}
		p := place{fabricOf(t.WithDefaults().Driver), t.Name}
		tags, err := e.tags(p)
		if err != nil || len(tags) == 0 {
			continue // it is refused when it is put
		}
		tpg := p.tpg(tags[0])
		in("target "+t.Name, attribute.Unknown(e.attributesIn(tpg, "attrib", "param"), t.Attributes))
		for _, g := range t.Groups {
			if len(g.Attributes) == 0 {
				continue
			}
			for _, i := range g.Initiators {
				acl := path.Join(tpg, "acls", i)
				if there, err := e.k.exists(acl); err == nil && there {
					in("target "+t.Name+", group "+g.Name, attribute.Unknown(e.attributesIn(acl, "attrib"), g.Attributes))
					break // it is the same of all
				}
			}
		}
	}
	return errs
}

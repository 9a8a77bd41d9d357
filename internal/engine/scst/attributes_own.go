package scst

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
)

// ownOfDevice are the attributes of devices that ESOS sets itself, and files
// beside them that are no settings.
func ownOfDevice(h config.Handler) attribute.Owned {
	if h.PassThrough() {
		return attribute.Owned{"type": " the device says it itself"}
	}
	return attribute.Owned{
		"filename": "path", "size": "size", "size_mb": "size", "resync_size": "size", "blocksize": "block_size",
		"write_through": "write_through", "o_direct": "o_direct", "read_only": "read_only", "removable": "removable",
		"rotational": "rotational", "thin_provisioned": "provisioning", "type": "handler",
		"usn": "identity, key serial", "naa_id": "identity, key naa", "t10_dev_id": "identity, key t10_id",
		"t10_vend_id": "identity, key vendor", "prod_id": "identity, key product", "prod_rev_lvl": "identity, key revision",
		"nv_cache":        " writes that were acknowledged would be lost with the power, so it stays off",
		"bind_alua_state": " an access state would close the store of the device, so it stays off",
		"active":          " it closes the store of the device under its initiators",
		"pr_file_name":    " persistent reservations are kept where they survive",
		"block":           " it holds up the initiators' commands, and is no setting",
		"sync":            " it is a request, and no setting",
	}
}

// ownOfTarget are those of targets.
func ownOfTarget(d config.Driver) attribute.Owned {
	own := attribute.Owned{"enabled": "disabled", "rel_tgt_id": "relative_ids"}
	if d.Portals() {
		for file, key := range map[string]string{
			"alias": "alias", "redirect": "redirect",
			"HeaderDigest": "header_digest", "DataDigest": "data_digest", "MaxRecvDataSegmentLength": "max_recv_data_segment_length",
			"MaxBurstLength": "max_burst_length", "FirstBurstLength": "first_burst_length", "MaxOutstandingR2T": "max_outstanding_r2t",
			"InitialR2T": "initial_r2t", "ImmediateData": "immediate_data", "QueuedCommands": "queued_commands",
			"NopInInterval": "nop_in_interval", "NopInTimeout": "nop_in_timeout", "MaxSessions": "max_sessions",
		} {
			if own[file] = key; file != "alias" && file != "redirect" {
				own[file] = "parameters, key " + key
			}
		}
	}
	return own
}

// unknownAttributes says which attributes objects that are there do not have.
func (e *Engine) unknownAttributes(ctx context.Context, d *config.Document) []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	in := func(of, at string, own attribute.Owned, attributes map[string]string) {
		for _, err := range attribute.Unknown(e.attributesAt(ctx, at, own), attributes) {
			errs = append(errs, fmt.Errorf("%s: %w", of, err))
		}
	}
	for _, dev := range d.Devices {
		if at, err := e.inKernel(dev.Name); err == nil {
			in("device "+dev.Name, at, ownOfDevice(dev.Handler), dev.Attributes)
		}
	}
	for _, t := range d.Targets {
		t = t.WithDefaults()
		p := place{t.Driver, t.Name}
		in("target "+t.Name, p.path(), ownOfTarget(t.Driver), t.Attributes)
		for _, g := range t.Groups {
			in("target "+t.Name+", group "+g.Name, p.group(g.Name), nil, g.Attributes)
		}
	}
	return errs
}

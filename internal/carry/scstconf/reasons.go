package scstconf

import "slices"

// asUsual says whether an attribute asks for what ESOS does in any case.
func asUsual(key, value string) bool {
	for _, a := range []struct {
		key    string
		values []string
	}{
		{"active", []string{"1"}}, {"async", []string{"0"}}, {"bind_alua_state", []string{"0"}}, {"black_hole", []string{"0"}},
		{"cluster_mode", []string{"0"}}, {"dummy", []string{"0"}}, {"expl_alua", []string{"0"}}, {"forward_dst", []string{"0"}},
		{"forward_src", []string{"0"}}, {"forwarding", []string{"0"}}, {"nv_cache", []string{"0"}}, {"per_portal_acl", []string{"0"}},
		{"tst", []string{"1"}}, {"MaxSessions", []string{"0"}}, {"rel_tgt_id", []string{"0"}}, {"link_local", []string{"0"}},
	} {
		if a.key == key {
			return slices.Contains(a.values, value)
		}
	}
	return false
}

// grave says whether initiators notice that an attribute is missing.
func grave(key string) bool {
	switch key {
	case "cluster_mode", "dummy", "eui64_id", "forward_dst", "forward_src", "forwarding", "active", "per_portal_acl",
		"expl_alua", "black_hole", "dif_mode", "dif_type", "internal_portal", "iSNSServer", "scsi_device_name", "tst":
		return true
	}
	return false
}

// why says why an attribute is not carried.
func why(key string) string {
	switch key {
	case "threads", "threads_num", "threads_pool_type", "max_tasklet_cmd", "poll_us", "cpu_mask", "numa_node_id", "io_grouping_type",
		"per_sess_dedicated_tgt_threads", "async":
		return "ESOS shares out its work by itself"
	case "nv_cache":
		return "ESOS always carries out the flush that an initiator asks for, so that a power cut loses nothing that was flushed"
	case "cluster_mode", "pr_file_name", "cluster_name":
		return "ESOS keeps persistent reservations on its own medium, and shares them with no other node"
	case "eui64_id":
		return "ESOS gives a disk an NAA identifier, not an EUI-64 one"
	case "scsi_device_name", "vend_specific_id", "inq_vend_specific":
		return "ESOS tells no such identifier"
	case "forward_dst", "forward_src", "forwarding", "internal_portal":
		return "ESOS does not pass commands on to another node"
	case "expl_alua":
		return "ESOS's access states are set by the array (implicit ALUA)"
	case "bind_alua_state":
		return "ESOS keeps a device open in every access state"
	case "dif_mode", "dif_type", "dif_filename", "dif_static_app_tag":
		return "ESOS has no protection information"
	case "iSNSServer", "isns_entity_name":
		return "ESOS registers with no iSNS server; initiators need the address of a portal"
	case "per_portal_acl":
		return "ESOS knows an initiator by its name, whichever portal it comes through"
	case "black_hole":
		return "it made SCST drop commands on purpose"
	case "MaxXmitDataSegmentLength":
		return "ESOS sends as much as the initiator takes"
	case "RspTimeout":
		return "ESOS gives an initiator up by nop_in_timeout"
	case "addr_method":
		return "ESOS chooses the form of a LUN by its number"
	case "opt_trans_len", "lb_per_pb_exp", "max_tgt_dev_commands":
		return "ESOS finds what suits the store by itself"
	case "thin_provisioned":
		return "ESOS takes UNMAP wherever the store can give space back"
	case "active":
		return "ESOS serves every device of its document"
	case "trace_level", "trace_cmds", "trace_mcmds", "measure_latency":
		return "ESOS counts and logs in its own way"
	}
	return "ESOS has no such setting"
}

// noDriver says why a driver's targets are not carried.
func noDriver(driver string) string {
	fabric := map[string]string{
		"qla2xxx": "Fibre Channel", "qla2x00tgt": "Fibre Channel", "ocs_fc_scst": "Fibre Channel", "lpfc_scst": "Fibre Channel",
		"ibmvstgt": "virtual SCSI",
	}[driver]
	if fabric == "" {
		return "ESOS's document has no such driver"
	}
	return "it serves " + fabric + " by a driver that ESOS's document does not have"
}

package saveconfig

import "strings"

// The usual values are those that LIO gives what nobody set; rtslib saves them
// with the rest.

// ofStorage are the attributes of storage objects.
func ofStorage() map[string]string {
	return map[string]string{
		"alua_support": "1", "emulate_3pc": "1", "emulate_caw": "1", "emulate_dpo": "1", "emulate_fua_read": "1",
		"emulate_fua_write": "1", "emulate_pr": "1", "emulate_rest_reord": "0", "emulate_rsoc": "1", "emulate_tas": "1",
		"emulate_tpu": "1", "emulate_tpws": "0", "emulate_ua_intlck_ctrl": "0", "emulate_write_cache": "0", "enforce_pr_isids": "1",
		"force_pr_aptpl": "0", "pgr_support": "1", "pi_prot_format": "0", "pi_prot_type": "0", "pi_prot_verify": "0",
		"submit_type": "0", "complete_type": "1", "queue_depth": "128",
	}
}

// ofGroup are the settings of ALUA groups.
func ofGroup() map[string]string {
	return map[string]string{
		"alua_access_status": "0", "alua_access_type": "3", "alua_support_active_nonoptimized": "1", "alua_support_active_optimized": "1",
		"alua_support_lba_dependent": "0", "alua_support_offline": "1", "alua_support_standby": "1", "alua_support_transitioning": "1",
		"alua_support_unavailable": "1", "alua_write_metadata": "0", "implicit_trans_secs": "0", "nonop_delay_msecs": "100", "trans_delay_msecs": "0",
	}
}

// ofTPG are the attributes of target port groups.
func ofTPG() map[string]string {
	return map[string]string{
		"cache_dynamic_acls": "0", "default_cmdsn_depth": "64", "default_erl": "0", "demo_mode_discovery": "1", "fabric_prot_type": "0",
		"login_keys_workaround": "1", "login_timeout": "15", "netif_timeout": "2", "prod_mode_write_protect": "0", "t10_pi": "0",
		"tpg_enabled_sendtargets": "1",
	}
}

// ofParameters are the operational keys of target port groups.
func ofParameters() map[string]string {
	return map[string]string{
		"AuthMethod": "CHAP,None", "DataPDUInOrder": "Yes", "DataSequenceInOrder": "Yes", "DefaultTime2Retain": "20", "DefaultTime2Wait": "2",
		"ErrorRecoveryLevel": "0", "IFMarkInt": "Reject", "IFMarker": "No", "MaxConnections": "1", "MaxXmitDataSegmentLength": "262144",
		"OFMarkInt": "Reject", "OFMarker": "No",
	}
}

// ofACL are the attributes of node ACLs.
func ofACL() map[string]string {
	return map[string]string{
		"dataout_timeout": "3", "dataout_timeout_retries": "5", "default_erl": "0", "nopin_response_timeout": "30", "nopin_timeout": "15",
		"random_datain_pdu_offsets": "0", "random_datain_seq_offsets": "0", "random_r2t_offsets": "0",
	}
}

// measured says whether the kernel finds a value by the store itself.
func measured(key string) bool {
	switch key {
	case "max_unmap_block_desc_count", "max_unmap_lba_count", "max_write_same_len", "optimal_sectors", "unmap_granularity",
		"unmap_granularity_alignment", "unmap_zeroes_data", "emulate_tpu", "emulate_tpws", "emulate_write_cache",
		"atomic_max_len", "atomic_alignment", "atomic_granularity", "atomic_max_with_boundary", "atomic_max_boundary":
		return true
	}
	return strings.HasPrefix(key, "hw_")
}

// grave says whether initiators notice that a key is missing.
func grave(key string) bool {
	switch key {
	case "offload", "pi_prot_type", "pi_prot_format", "emulate_pr", "emulate_3pc", "emulate_caw", "AuthMethod", "demo_mode_discovery",
		"tpg_enabled_sendtargets", "prod_mode_write_protect":
		return true
	}
	return false
}

// why says why a key is not carried.
func why(key string) string {
	switch key {
	case "offload", "cxgbit":
		return "ESOS serves iSCSI in software"
	case "pi_prot_type", "pi_prot_format", "pi_prot_verify", "t10_pi", "fabric_prot_type":
		return "ESOS has no protection information"
	case "emulate_pr", "emulate_3pc", "emulate_caw", "emulate_dpo", "emulate_fua_read", "emulate_fua_write", "emulate_rsoc", "emulate_tas", "pgr_support", "alua_support":
		return "ESOS always has this part of SCSI, as it should be by the standard"
	case "aio":
		return "ESOS chooses how it reads and writes"
	case "cmd_completion_affinity", "queue_depth", "submit_type", "complete_type", "hw_max_sectors":
		return "ESOS shares out its work by itself"
	case "default_cmdsn_depth", "cmdsn_depth", "tcq_depth":
		return "ESOS's window is queued_commands of the target"
	case "nopin_timeout", "nopin_response_timeout":
		return "in ESOS it is of the target (nop_in_interval, nop_in_timeout), not of one initiator"
	case "login_timeout", "netif_timeout", "dataout_timeout", "dataout_timeout_retries", "DefaultTime2Retain", "DefaultTime2Wait":
		return "ESOS has its own limits of time"
	case "ErrorRecoveryLevel", "default_erl":
		return "ESOS recovers by a new login (error recovery level 0)"
	case "MaxXmitDataSegmentLength":
		return "ESOS sends as much as the initiator takes"
	case "MaxConnections":
		return "ESOS has one connection a session; several sessions make several paths"
	case "AuthMethod":
		return "ESOS asks for CHAP where there are users, and only there"
	case "alua_access_type", "alua_access_status":
		return "ESOS's access states are set by the array (implicit ALUA)"
	case "demo_mode_discovery", "tpg_enabled_sendtargets":
		return "ESOS tells a target in discovery to whoever may log in to it"
	case "cache_dynamic_acls":
		return "ESOS has no node ACLs to keep"
	}
	return "ESOS has no such setting"
}

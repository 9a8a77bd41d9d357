package liofake

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Session is one initiator that is logged in to a portal group.
type Session struct {
	Group     string // path of the portal group
	Initiator string
	ISID      string // six bytes in hex
	Address   string // of the initiator
	Number    int
	dynamic   bool
}

// Login logs an initiator in, if the portal group lets it.
func (t *Tree) Login(s Session) bool {
	t.k.Lock()
	defer t.k.Unlock()
	tpg := t.k.At(s.Group)
	if enable := t.k.At(s.Group + "/enable"); tpg == nil || enable != nil && enable.Text != "1" {
		return false
	}
	stats := path.Dir(s.Group) + "/fabric_statistics/iscsi_login_stats/"
	s.dynamic = t.k.At(s.Group+"/acls/"+s.Initiator) == nil
	if s.dynamic && t.k.Text(s.Group+"/attrib/generate_node_acls") != "1" {
		t.count(stats+"authorize_fails", 1)
		return false
	}
	t.count(stats+"accepts", 1)
	t.sid++
	s.Number = t.sid
	t.sessions = append(t.sessions, s)
	return true
}

// Logout ends what Login began.
func (t *Tree) Logout(group, initiator string) {
	t.k.Lock()
	defer t.k.Unlock()
	t.endSessions(group, initiator)
}

// Count adds to a counter of the kernel's.
func (t *Tree) Count(file string, n int) {
	t.k.Lock()
	defer t.k.Unlock()
	t.count(file, n)
}

func (t *Tree) count(file string, n int) {
	if t.k.At(file) == nil {
		return // this fabric does not count it
	}
	have, _ := strconv.Atoi(t.k.At(file).Text)
	t.k.At(file).Text = strconv.Itoa(have + n)
}

// Seen lists the LUNs that an initiator would see, each with "ro" or "rw": the
// kernel's own answer to who sees what.
func (t *Tree) Seen(group, initiator string) map[string]string {
	t.k.Lock()
	defer t.k.Unlock()
	seen := map[string]string{}
	mode := func(ro bool) string {
		if ro {
			return " ro"
		}
		return " rw"
	}
	acl := group + "/acls/" + initiator
	if t.k.At(acl) != nil {
		for _, lun := range t.k.Children(acl) {
			if to := t.leadsTo(acl + "/" + lun); to != "" {
				seen[lun] = path.Base(t.leadsTo(to)) + mode(t.k.At(acl+"/"+lun+"/write_protect").Text == "1")
			}
		}
		return seen
	}
	if t.k.Text(group+"/nexus") != initiator && t.k.Text(group+"/attrib/generate_node_acls") != "1" || t.k.Text(group+"/attrib/demo_mode_login_only") == "1" {
		return nil
	}
	for _, lun := range t.k.Children(group + "/lun") { // all that the portal group has
		if to := t.leadsTo(group + "/lun/" + lun); to != "" {
			seen[lun] = path.Base(to) + mode(t.k.Text(group+"/attrib/demo_mode_write_protect") == "1")
		}
	}
	return seen
}

// endSessions ends those of an initiator ("" for all) in a portal group.
func (t *Tree) endSessions(group, initiator string) {
	t.sessions = slices.DeleteFunc(t.sessions, func(s Session) bool {
		return s.Group == group && (initiator == "" || s.Initiator == initiator)
	})
}

// endDynamic: the dynamic ACL of an initiator becomes one that is configured.
func (t *Tree) endDynamic(group, initiator string) {
	for i := range t.sessions {
		if s := &t.sessions[i]; s.Group == group && s.Initiator == initiator {
			s.dynamic = false
		}
	}
}

// dynamicSessions lists initiators, each with the NUL that the kernel leaves.
func (t *Tree) dynamicSessions(group string) string {
	var b strings.Builder
	for _, s := range t.sessions {
		if s.Group == group && s.dynamic {
			b.WriteString(s.Initiator + "\n\x00")
		}
	}
	return b.String()
}

// info is the text of lio_target_nacl_info_show: one session of an ACL, the
// last one, whatever others there are.
func (t *Tree) info(acl string) string {
	group, initiator := path.Dir(path.Dir(acl)), path.Base(acl)
	for _, s := range slices.Backward(t.sessions) {
		if s.Group == group && s.Initiator == initiator && !s.dynamic {
			return fmt.Sprintf("InitiatorName: %s\nInitiatorAlias: host\nLIO Session ID: %d   ISID: 0x%s  TSIH: %d  SessionType: Normal\n"+
				"Session State: TARG_SESS_STATE_LOGGED_IN\n"+
				"---------------------[iSCSI Session Values]-----------------------\n"+
				"  CmdSN/WR  :  CmdSN/WC  :  ExpCmdSN  :  MaxCmdSN  :     ITT    :     TTT\n"+
				" 0x00000040   0x00000040   0x00000001   0x00000040   0x00000000   0x00000001\n"+
				"----------------------[iSCSI Connections]-------------------------\n"+
				"CID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN\n   Address %s TCP  StatSN: 0x00000001\n",
				initiator, s.Number, s.ISID, s.Number, s.Address)
		}
	}
	return "No active iSCSI Session for Initiator Endpoint: " + initiator + "\n"
}

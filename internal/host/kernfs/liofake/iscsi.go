package liofake

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
)

func yes(uint64) bool { return true }

// fabric is what mkdir iscsi brings, with the module that it loads.
func (t *Tree) fabric(p string) {
	t.k.File(p+"/lio_version", "Datera Inc. iSCSI Target v4.1.0", 'r', nil)
	t.k.File(p+"/cpus_allowed_list", "0-1", 'b', nil)
	t.k.Dir(p + "/discovery_auth")
	t.credentials(p + "/discovery_auth")
	t.number(p+"/discovery_auth/enforce_discovery_auth", "0", func(n uint64) bool { return n <= 1 })
}

// credentials are the files of iscsi_target_configfs.c's DEF_NACL_AUTH_STR:
// what is written is kept byte for byte, a newline too; what begins with NULL
// unsets.
func (t *Tree) credentials(p string) {
	for _, name := range []string{"userid", "password", "userid_mutual", "password_mutual"} {
		n := t.k.File(p+"/"+name, "", 'b', nil)
		n.Write = func(text string) error {
			if len(text) > 255 {
				return unix.EINVAL
			}
			text, _, _ = strings.Cut(text, "\x00")
			n.Text = text
			set := func(name string) bool {
				v := t.k.At(p + "/" + name).Text
				return v != "" && !strings.HasPrefix(v, "NULL")
			}
			t.k.At(p + "/authenticate_target").Text = strconv.Itoa(btoi(set("userid_mutual") && set("password_mutual")))
			return nil
		}
	}
	t.k.File(p+"/authenticate_target", "0", 'r', nil)
}

// makeISCSI makes what is below a fabric.
func (t *Tree) makeISCSI(p string, parts []string) error {
	last := parts[len(parts)-1]
	switch {
	case len(parts) == 2:
		if len(last) > 223 {
			return unix.EINVAL
		}
		t.k.Dir(p + "/fabric_statistics")
		t.k.Dir(p + "/fabric_statistics/iscsi_login_stats")
		for _, name := range []string{"accepts", "authenticate_fails", "authorize_fails", "negotiate_fails", "other_fails", "redirects"} {
			t.k.File(p+"/fabric_statistics/iscsi_login_stats/"+name, "0", 'r', nil)
		}
		return nil
	case len(parts) == 3:
		tag, err := strconv.ParseUint(strings.TrimPrefix(last, "tpgt_"), 10, 16)
		if err != nil || !strings.HasPrefix(last, "tpgt_") {
			return unix.EINVAL
		}
		t.portalGroup(p, tag)
		return nil
	case len(parts) == 5 && parts[3] == "np":
		return t.portal(p, parts)
	case len(parts) == 5 && parts[3] == "lun":
		if _, err := strconv.ParseUint(strings.TrimPrefix(last, "lun_"), 0, 32); err != nil || !strings.HasPrefix(last, "lun_") {
			return unix.EINVAL
		}
		t.lun(p)
		return nil
	case len(parts) == 5 && parts[3] == "acls":
		if len(last) > 223 {
			return unix.EINVAL
		}
		t.acl(p)
		return nil
	case len(parts) == 6 && parts[3] == "acls":
		if _, err := strconv.ParseUint(strings.TrimPrefix(last, "lun_"), 0, 32); err != nil || !strings.HasPrefix(last, "lun_") {
			return unix.EINVAL
		}
		t.mappedLUN(p)
		return nil
	}
	return unix.EPERM
}

// enableFile lets initiators into a portal group.
func (t *Tree) enableFile(p string) {
	enable := t.k.File(p+"/enable", "0", 'b', nil)
	enable.Write = func(text string) error {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 1)
		switch v := strconv.FormatUint(n, 10); {
		case err != nil:
			return unix.EINVAL
		case v == "1" && v == enable.Text && strings.HasPrefix(p, "qla2xxx/"):
			return unix.EEXIST
		}
		enable.Text = strconv.FormatUint(n, 10)
		if n == 0 {
			t.endSessions(p, "")
		}
		return nil
	}
	if t.opt.RTPI {
		rtpi := t.k.File(p+"/rtpi", "0x1", 'b', nil)
		rtpi.Write = func(text string) error {
			n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 16)
			if err != nil || enable.Text == "1" {
				return unix.EINVAL
			}
			rtpi.Text = fmt.Sprintf("%#x", n)
			return nil
		}
	}
}

func (t *Tree) portalGroup(p string, tag uint64) {
	t.enableFile(p)
	t.k.File(p+"/dynamic_sessions", "", 'r', nil).Read = func() string { return t.dynamicSessions(p) }
	for _, dir := range []string{"attrib", "auth", "param", "np", "lun", "acls"} {
		t.k.Dir(p + "/" + dir)
	}
	for name, value := range map[string]string{
		"authentication": "0", "cache_dynamic_acls": "0", "default_erl": "0", "demo_mode_discovery": "1", "demo_mode_write_protect": "1",
		"fabric_prot_type": "0", "generate_node_acls": "0", "login_keys_workaround": "1", "login_timeout": "15", "netif_timeout": "2",
		"prod_mode_write_protect": "0", "t10_pi": "0", "tpg_enabled_sendtargets": "1",
	} {
		t.number(p+"/attrib/"+name, value, yes)
	}
	t.number(p+"/attrib/default_cmdsn_depth", "64", func(n uint64) bool { return n > 0 && n <= 512 })
	t.credentials(p + "/auth")
	for name, value := range map[string]string{
		"AuthMethod": "CHAP,None", "HeaderDigest": "CRC32C,None", "DataDigest": "CRC32C,None", "InitialR2T": "Yes", "ImmediateData": "Yes",
		"FirstBurstLength": "65536", "MaxBurstLength": "262144", "MaxRecvDataSegmentLength": "8192", "MaxXmitDataSegmentLength": "262144",
		"MaxOutstandingR2T": "1", "MaxConnections": "1", "DefaultTime2Wait": "2", "DefaultTime2Retain": "20", "ErrorRecoveryLevel": "0",
		"TargetAlias": "LIO Target",
	} {
		list := strings.HasSuffix(name, "Digest") || name == "AuthMethod"
		n := t.k.File(p+"/param/"+name, value, 'b', nil)
		n.Write = func(text string) error {
			text = strings.TrimSuffix(text, "\n")
			if strings.Contains(text, ",") && !list {
				return unix.EINVAL
			}
			n.Text = text
			return nil
		}
	}
}

// portal is an address; its kernel thread listens from now on.
func (t *Tree) portal(p string, parts []string) error {
	addr := parts[4]
	host, port, err := net.SplitHostPort(addr)
	if err != nil || net.ParseIP(host) == nil || port == "0" {
		return unix.EINVAL
	}
	// One address is in one portal group of a target only.
	for _, tpg := range t.k.Children(path.Join(parts[0], parts[1])) {
		if tpg != parts[2] && t.k.At(path.Join(parts[0], parts[1], tpg, "np", addr)) != nil {
			return unix.EEXIST
		}
	}
	iser := t.k.File(p+"/iser", "0", 'b', nil)
	iser.Write = func(text string) error { // lio_target_np_driver_store
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 1)
		switch {
		case err != nil || n == 1 && slices.Contains(t.opt.Absent, "ib_isert"):
			return unix.EINVAL
		case n == 1 && !slices.Contains(t.opt.RDMA, host):
			return unix.ENODEV
		}
		iser.Text = strconv.FormatUint(n, 10)
		return nil
	}
	t.number(p+"/cxgbit", "0", func(n uint64) bool { return n <= 1 })
	return nil
}

func (t *Tree) lun(p string) {
	group := t.k.File(p+"/alua_tg_pt_gp", "", 'b', nil)
	group.Read = func() string {
		if group.Text == "" {
			return ""
		}
		return fmt.Sprintf("TG Port Alias: %s\nTG Port Group ID: %s\nTG Port Primary Access State: Active/Optimized\nTG Port Primary Access Status: None\n"+
			"TG Port Secondary Access State: None\nTG Port Secondary Access Status: None\n", group.Text, "1")
	}
	group.Write = func(text string) error {
		text = strings.TrimSpace(text)
		object := t.leadsTo(p)
		if object == "" || strings.HasPrefix(object, "core/pscsi_") {
			return unix.ENODEV
		}
		if text == "NULL" {
			text = "default_tg_pt_gp"
		}
		g := t.k.At(path.Join(object, "alua", text, "tg_pt_gp_id"))
		if g == nil || g.Text == "" {
			return unix.ENODEV
		}
		group.Text = text
		return nil
	}
	t.number(p+"/alua_tg_pt_offline", "0", yes)
	t.k.Dir(p + "/statistics")
	t.k.Dir(p + "/statistics/scsi_tgt_port")
	for _, name := range []string{"in_cmds", "read_mbytes", "write_mbytes"} {
		t.k.File(p+"/statistics/scsi_tgt_port/"+name, "0", 'r', nil)
	}
}

// leadsTo is the object that a LUN's link leads to, "" before there is one.
func (t *Tree) leadsTo(p string) string {
	for _, name := range t.k.Children(p) {
		if n := t.k.At(p + "/" + name); n.Link != "" {
			return n.Link
		}
	}
	return ""
}

func (t *Tree) acl(p string) {
	tpg := path.Dir(path.Dir(p))
	t.endDynamic(tpg, path.Base(p)) // its dynamic ACL becomes this one
	t.k.File(p+"/info", "", 'r', nil).Read = func() string { return t.info(p) }
	depth := t.k.File(p+"/cmdsn_depth", t.k.At(tpg+"/attrib/default_cmdsn_depth").Text, 'b', nil)
	depth.Write = func(text string) error {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 32)
		if err != nil || n == 0 || n > 512 {
			return unix.EINVAL
		}
		if v := strconv.FormatUint(n, 10); v != depth.Text { // core_tpg_set_initiator_node_queue_depth
			depth.Text = v
			t.endSessions(tpg, path.Base(p))
		}
		return nil
	}
	t.tagFile(p)
	t.k.Dir(p + "/auth")
	t.credentials(p + "/auth")
	t.k.Dir(p + "/attrib")
	within := func(least, most uint64, zero bool) func(uint64) bool {
		return func(n uint64) bool { return n >= least && n <= most || zero && n == 0 }
	}
	t.number(p+"/attrib/nopin_timeout", "15", within(3, 60, true))
	t.number(p+"/attrib/nopin_response_timeout", "30", within(3, 60, false))
	t.number(p+"/attrib/dataout_timeout", "3", within(2, 60, false))
	t.k.Dir(p + "/param")
	t.k.Dir(p + "/fabric_statistics")
}

// tagFile is a word of ours on an ACL.
func (t *Tree) tagFile(p string) {
	tag := t.k.File(p+"/tag", "", 'b', nil)
	tag.Read = func() string { return tag.Text } // without a newline
	tag.Write = func(text string) error {
		text = strings.TrimSuffix(text, "\n")
		if len(text) > 63 {
			return unix.EINVAL
		}
		if strings.HasPrefix(text, "NULL") {
			text = ""
		}
		tag.Text = text
		return nil
	}
}

// mappedLUN is a LUN of an ACL: what it leads to is seen by its initiator.
func (t *Tree) mappedLUN(p string) {
	n := t.k.File(p+"/write_protect", "0", 'b', nil)
	n.Write = func(text string) error {
		v, err := strconv.ParseUint(strings.TrimSpace(text), 0, 1)
		if err != nil {
			return unix.EINVAL
		}
		if t.leadsTo(p) != "" { // else there is no entry to set it in
			n.Text = strconv.FormatUint(v, 10)
		}
		return nil
	}
	t.k.Dir(p + "/statistics")
	t.k.Dir(p + "/statistics/scsi_auth_intr")
	for _, name := range []string{"num_cmds", "read_mbytes", "write_mbytes"} {
		t.k.File(p+"/statistics/scsi_auth_intr/"+name, "0", 'r', nil)
	}
	t.k.Dir(p + "/statistics/scsi_att_intr_port")
	ident := t.k.File(p+"/statistics/scsi_att_intr_port/port_ident", path.Base(path.Dir(p))+"+i+0", 'r', nil)
	ident.Unreadable = func() error { // target_stat_iport_port_ident_show
		if !t.sessionOf(path.Dir(p)) {
			return unix.ENODEV
		}
		return nil
	}
}

// relate makes a link, if the kernel would.
func (t *Tree) relate(target, p string) error {
	parts, to := strings.Split(p, "/"), strings.Split(target, "/")
	switch {
	case isFabric(parts[0]) && len(parts) == 6 && parts[3] == "lun":
		if to[0] != "core" || len(to) != 3 || t.k.At(target+"/enable").Text != "1" {
			return unix.ENODEV
		}
		if t.leadsTo(path.Dir(p)) != "" {
			return unix.EEXIST
		}
		t.k.Add(p, &imitation.Node{Link: target, Unlink: func() { t.unexport(path.Dir(p)) }})
		t.k.At(path.Dir(p) + "/alua_tg_pt_gp").Text = "default_tg_pt_gp"
		t.looked(path.Dir(p), true)
		return nil
	case isFabric(parts[0]) && len(parts) == 7 && parts[3] == "acls":
		if to[0] != parts[0] || len(to) != 5 || to[3] != "lun" || to[1] != parts[1] || to[2] != parts[2] || t.leadsTo(target) == "" {
			return unix.EINVAL
		}
		if t.leadsTo(path.Dir(p)) != "" {
			return unix.EINVAL
		}
		t.k.Add(p, &imitation.Node{Link: target})
		t.k.At(path.Dir(p) + "/write_protect").Text = "0"
		if protect := t.k.Text(path.Join(parts[0], parts[1], parts[2], "attrib/prod_mode_write_protect")); protect != "" {
			t.k.At(path.Dir(p) + "/write_protect").Text = protect
		}
		return nil
	}
	return unix.EPERM
}

// unexport is what becomes of a LUN whose link is taken away.
func (t *Tree) unexport(lun string) {
	t.k.At(lun + "/alua_tg_pt_gp").Text = ""
	t.looked(lun, false)
}

// members lists the LUNs of a port group, as paths.
func (t *Tree) members(group string) []string {
	object, name := path.Dir(path.Dir(group)), path.Base(group)
	var out []string
	for fabric := range transports() {
		for _, wwn := range t.k.Children(fabric) {
			for _, tpg := range t.k.Children(path.Join(fabric, wwn)) {
				for _, lun := range t.k.Children(path.Join(fabric, wwn, tpg, "lun")) {
					p := path.Join(fabric, wwn, tpg, "lun", lun)
					if t.leadsTo(p) == object && t.k.At(p+"/alua_tg_pt_gp").Text == name {
						out = append(out, p)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// membersText is how a port group names them. A QLogic port calls itself
// otherwise there than in its directory (tcm_qla2xxx_get_fabric_wwn).
func (t *Tree) membersText(group string) string {
	var b strings.Builder
	for _, p := range t.members(group) {
		parts := strings.Split(p, "/")
		wwn := parts[1]
		if parts[0] == "qla2xxx" {
			wwn = "naa." + strings.ReplaceAll(wwn, ":", "")
		}
		fmt.Fprintf(&b, "%s/%s/%s/%s\n", transports()[parts[0]].member, wwn, parts[2], parts[4])
	}
	return b.String()
}

// removed is what else an rmdir does.
func (t *Tree) removed(p string) {
	parts := strings.Split(p, "/")
	switch {
	case len(parts) == 5 && parts[0] == "core" && parts[3] == "alua": // its members fall back
		for _, lun := range t.members(p) {
			t.k.At(path.Join(lun, "alua_tg_pt_gp")).Text = "default_tg_pt_gp"
		}
	case len(parts) == 5 && isFabric(parts[0]) && parts[3] == "acls":
		t.endSessions(path.Dir(path.Dir(p)), parts[4])
	case len(parts) == 3 && isFabric(parts[0]):
		t.endSessions(p, "")
	}
}

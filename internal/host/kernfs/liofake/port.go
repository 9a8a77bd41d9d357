package liofake

import (
	"context"
	"errors"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// transport is a fabric of the kernel's target.
type transport struct {
	module   string
	autoload bool   // by mkdir (target_core_register_fabric)
	member   string // name in the members of a target port group
}

func transports() map[string]transport {
	return map[string]transport{
		"iscsi":    {module: "iscsi_target_mod", autoload: true, member: "iSCSI"},
		"srpt":     {module: "ib_srpt", member: "srpt"},
		"qla2xxx":  {module: "tcm_qla2xxx", member: "qla2xxx"},
		"fc":       {module: "tcm_fc", member: "fc"},
		"loopback": {module: "tcm_loop", autoload: true, member: "loopback"},
	}
}

// isFabric says whether a path is in a fabric.
func isFabric(name string) bool { return transports()[name].module != "" }

// Load is modprobe.
func (t *Tree) Load(_ context.Context, module string) error {
	t.k.Lock()
	defer t.k.Unlock()
	if slices.Contains(t.opt.Absent, module) {
		return errors.New("modprobe: FATAL: Module " + module + " not found")
	}
	t.modules[module] = true
	return nil
}

// loadFabric is mkdir of a fabric's directory. All have discovery_auth, though
// only those of iSCSI and SRP have something in it.
func (t *Tree) loadFabric(p string) error {
	f := transports()[p]
	if !t.modules[f.module] && (!f.autoload || slices.Contains(t.opt.Absent, f.module)) {
		return unix.EINVAL
	}
	t.modules[f.module] = true
	t.k.File(p+"/version", "TCM "+p+" fabric module", 'r', nil)
	if p == "iscsi" {
		t.fabric(p)
		return nil
	}
	t.k.Dir(p + "/discovery_auth")
	if p == "srpt" { // srpt_da_attrs
		t.number(p+"/discovery_auth/rdma_cm_port", "0", func(n uint64) bool { return n <= 65535 })
	}
	return nil
}

var (
	colonWWPN = regexp.MustCompile(`^([0-9a-f]{2}:){7}[0-9a-f]{2}$`)
	localName = regexp.MustCompile(`^(naa\.|fc\.|iqn\.).+`)
)

// makePort makes what is below a fabric other than iSCSI.
func (t *Tree) makePort(p string, parts []string) error {
	fabric, last := parts[0], parts[len(parts)-1]
	switch {
	case len(parts) == 2:
		return t.portName(fabric, last)
	case len(parts) == 3:
		tag, err := strconv.ParseUint(strings.TrimPrefix(last, "tpgt_"), 10, 16)
		switch {
		case err != nil || !strings.HasPrefix(last, "tpgt_"), fabric == "loopback" && tag >= 32:
			return unix.EINVAL
		case tag != 1 && (fabric == "qla2xxx" || fabric == "fc"):
			return unix.ENOSYS // a single TPG=1 is used for HW port mappings
		}
		t.portPortalGroup(p, fabric)
		return nil
	case len(parts) == 5 && parts[3] == "lun":
		if _, err := strconv.ParseUint(strings.TrimPrefix(last, "lun_"), 0, 32); err != nil || !strings.HasPrefix(last, "lun_") {
			return unix.EINVAL
		}
		t.lun(p)
		return nil
	case len(parts) == 5 && parts[3] == "acls":
		return t.portACL(p, fabric)
	case len(parts) == 6 && parts[3] == "acls":
		if _, err := strconv.ParseUint(strings.TrimPrefix(last, "lun_"), 0, 32); err != nil || !strings.HasPrefix(last, "lun_") {
			return unix.EINVAL
		}
		t.mappedLUN(p)
		return nil
	}
	return unix.EPERM
}

// portName refuses what is no port of this machine.
func (t *Tree) portName(fabric, name string) error {
	switch fabric {
	case "srpt": // srpt_lookup_wwn
		if !slices.Contains(t.opt.Ports, name) {
			return unix.EINVAL
		}
	case "qla2xxx": // tcm_qla2xxx_make_lport
		if !colonWWPN.MatchString(name) {
			return unix.EINVAL
		}
		if !slices.Contains(t.opt.Ports, name) {
			return unix.ENODEV
		}
	case "fc": // ft_add_wwn takes ports that are yet to come
		if !colonWWPN.MatchString(name) {
			return unix.EINVAL
		}
	case "loopback":
		if !localName.MatchString(name) {
			return unix.EINVAL
		}
	}
	return nil
}

func (t *Tree) portPortalGroup(p, fabric string) {
	for _, dir := range []string{"attrib", "auth", "param", "np", "lun", "acls"} {
		t.k.Dir(p + "/" + dir)
	}
	bit := func(n uint64) bool { return n <= 1 }
	switch fabric {
	case "srpt":
		t.enableFile(p)
		for name, value := range map[string]string{"srp_max_rdma_size": "65536", "srp_max_rsp_size": "256", "srp_sq_size": "4096", "use_srq": "0"} {
			t.number(p+"/attrib/"+name, value, yes)
		}
	case "qla2xxx":
		t.enableFile(p)
		// By default everybody may log in, and see nothing (tcm_qla2xxx_make_tpg).
		for name, value := range map[string]string{
			"generate_node_acls": "1", "cache_dynamic_acls": "1", "demo_mode_write_protect": "1", "prod_mode_write_protect": "0", "demo_mode_login_only": "1",
		} {
			t.number(p+"/attrib/"+name, value, bit)
		}
		t.k.File(p+"/dynamic_sessions", "", 'r', nil).Read = func() string { return t.dynamicSessions(p) }
	case "loopback":
		t.k.File(p+"/address", "3:0:1", 'r', nil)
		t.k.File(p+"/transport_status", "online", 'b', nil)
		t.nexusFile(p)
	}
}

// nexusFile is the I_T nexus of loopback (tcm_loop_tpg_nexus_store).
func (t *Tree) nexusFile(p string) {
	nexus := t.k.File(p+"/nexus", "", 'b', nil)
	nexus.Unreadable = func() error {
		if nexus.Text == "" {
			return unix.ENODEV
		}
		return nil
	}
	nexus.Write = func(text string) error {
		text = strings.TrimSuffix(text, "\n")
		if strings.HasPrefix(text, "NULL") {
			switch {
			case nexus.Text == "":
				return unix.ENODEV
			case t.looped[p] > 0:
				return unix.EPERM
			}
			nexus.Text = ""
			return nil
		}
		target := path.Base(path.Dir(p))
		for _, kind := range []string{"naa.", "iqn.", "fc."} {
			if strings.HasPrefix(text, kind) != strings.HasPrefix(target, kind) {
				return unix.EINVAL
			}
		}
		if nexus.Text != "" {
			return unix.EEXIST
		}
		nexus.Text = text
		return nil
	}
}

// portACL is an initiator of a fabric other than iSCSI. Few have a tag.
func (t *Tree) portACL(p, fabric string) error {
	name := path.Base(p)
	switch fabric {
	case "srpt": // srpt_parse_i_port_id
		digits := strings.TrimPrefix(strings.ToLower(name), "0x")
		if len(digits)%2 != 0 || len(digits) > 32 || strings.Trim(digits, "0123456789abcdef") != "" {
			return unix.EINVAL
		}
	case "qla2xxx", "fc":
		if !colonWWPN.MatchString(name) {
			return unix.EINVAL
		}
	default:
		return unix.ENOSYS
	}
	t.endDynamic(path.Dir(path.Dir(p)), name)
	if fabric == "fc" {
		t.k.File(p+"/port_name", name, 'b', nil)
		t.tagFile(p)
	}
	return nil
}

// sessionOf says whether an ACL has a session.
func (t *Tree) sessionOf(acl string) bool {
	return slices.ContainsFunc(t.sessions, func(s Session) bool {
		return s.Group == path.Dir(path.Dir(acl)) && s.Initiator == path.Base(acl) && !s.dynamic
	})
}

// looked is what loopback does when a LUN is linked or taken away: its SCSI
// host looks at it, which fails as long as there is no nexus; and a LUN that it
// has no device for is not counted down (tcm_loop_port_unlink).
func (t *Tree) looked(lun string, linked bool) {
	tpg := path.Dir(path.Dir(lun))
	if !strings.HasPrefix(lun, "loopback/") || t.k.At(tpg) == nil {
		return
	}
	if linked {
		t.looped[tpg]++
		t.devices[lun] = t.k.Text(tpg+"/nexus") != ""
		return
	}
	if t.devices[lun] {
		t.looped[tpg]--
	}
	delete(t.devices, lun)
}

// LocalDevices lists the LUNs that loopback made SCSI devices of.
func (t *Tree) LocalDevices() []string {
	t.k.Lock()
	defer t.k.Unlock()
	var out []string
	for lun, there := range t.devices {
		if there {
			out = append(out, lun)
		}
	}
	slices.Sort(out)
	return out
}

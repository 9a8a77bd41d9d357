package scstfake

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
)

// drivers makes the target drivers: virtual ones, and those whose targets are
// ports of the machine.
func (t *Tree) drivers() {
	t.k.Dir("targets/copy_manager")
	t.k.Dir("targets/copy_manager/copy_manager_tgt")
	t.k.Dir("targets/copy_manager/copy_manager_tgt/luns")
	t.k.File("targets/copy_manager/copy_manager_tgt/luns/mgmt", "", 'b', nil)
	t.k.Dir("targets/copy_manager/copy_manager_tgt/ini_groups")
	t.k.Dir("targets/copy_manager/copy_manager_tgt/sessions")
	t.iscsi()
	t.local()
	for driver, ports := range t.opt.Ports {
		at := "targets/" + driver
		t.k.Dir(at)
		t.k.File(at+"/version", "3.11.0-pre", 'r', nil)
		if driver == "ib_srpt" { // it has an enabled of its own too, which is on
			t.k.File(at+"/enabled", "1", 'b', nil)
		}
		for _, name := range ports {
			t.addTarget(driver, name)
		}
	}
}

func (t *Tree) local() {
	at := "targets/scst_local"
	t.k.Dir(at)
	t.k.File(at+"/version", "3.11.0-pre", 'r', nil)
	t.mgmt(at, "Usage: echo \"add_target target_name [parameters]\" >mgmt\n       echo \"del_target target_name\" >mgmt\n"+
		"       echo \"add_session target_name session_name\" >mgmt\n       echo \"del_session target_name session_name\" >mgmt\n\n"+
		"where parameters are one or more param_name=value pairs separated by ';'\n\nThe following parameters available: session_name\n",
		func(verb string, args []string, _ string) error {
			switch {
			case verb == "add_target" && len(args) > 0:
				if t.k.There(at + "/" + args[0]) {
					return unix.EEXIST
				}
				t.addTarget("scst_local", args[0])
				return nil
			case verb == "del_target" && len(args) == 1:
				return t.delTarget("scst_local", args[0])
			case verb == "add_session" && len(args) == 2 && t.k.There(at+"/"+args[0]):
				if t.k.There(at + "/" + args[0] + "/sessions/" + args[1]) {
					return unix.EEXIST
				}
				t.login(at+"/"+args[0], Session{Initiator: args[1]})
				return nil
			case verb == "del_session" && len(args) == 2 && t.k.There(at+"/"+args[0]+"/sessions/"+args[1]):
				t.k.Drop(at + "/" + args[0] + "/sessions/" + args[1])
				return nil
			}
			return unix.EINVAL
		})
	t.addTarget("scst_local", "scst_local_tgt") // which the module makes by itself
	t.login(at+"/scst_local_tgt", Session{Initiator: "scst_local_host"})
}

func (t *Tree) iscsi() {
	at := "targets/iscsi"
	t.k.Dir(at)
	t.k.File(at+"/version", "3.11.0-pre", 'r', nil)
	t.k.File(at+"/open_state", "closed", 'r', nil)
	t.mgmt(at, "Usage: echo \"add_target target_name [parameters]\" >mgmt\n       echo \"del_target target_name\" >mgmt\n"+
		"       echo \"add_attribute <attribute> <value>\" >mgmt\n       echo \"del_attribute <attribute> <value>\" >mgmt\n"+
		"       echo \"add_target_attribute target_name <attribute> <value>\" >mgmt\n       echo \"del_target_attribute target_name <attribute> <value>\" >mgmt\n\n"+
		"where parameters are one or more param_name=value pairs separated by ';'\n\n"+
		"The following target driver attributes available: IncomingUser, OutgoingUser\n"+
		"The following target attributes available: "+t.advertised([]string{"IncomingUser", "OutgoingUser", "allowed_portal"})+"\n",
		t.manageISCSI)
}

func (t *Tree) manageISCSI(verb string, args []string, _ string) error {
	at := "targets/iscsi"
	if !t.daemon {
		return t.refuse(unix.ENOENT, "Event %d can't be sent: iscsi-scstd does not run", 1)
	}
	target := at
	if strings.Contains(verb, "target") {
		if len(args) == 0 {
			return unix.EINVAL
		}
		target = at + "/" + args[0]
		args = args[1:]
		if there := t.k.There(target); there != (verb != "add_target") {
			if there {
				return t.refuse(unix.EEXIST, "Target %s already exists", path.Base(target))
			}
			return t.refuse(unix.ENOENT, "Target %s not found", path.Base(target))
		}
	}
	switch verb {
	case "add_target":
		t.addTarget("iscsi", path.Base(target))
		return nil
	case "del_target":
		return t.delTarget("iscsi", path.Base(target))
	case "add_attribute", "add_target_attribute":
		return t.addAttribute(target, args)
	case "del_attribute", "del_target_attribute":
		return t.delAttribute(target, args)
	}
	return t.refuse(unix.EINVAL, "Unknown action %q", verb)
}

// addAttribute adds one that may be there several times: its files are
// numbered from the second on.
func (t *Tree) addAttribute(at string, args []string) error {
	if len(args) < 2 {
		return unix.EINVAL
	}
	name, key := args[0], args[1]
	value := key
	switch name {
	case "IncomingUser", "OutgoingUser":
		if len(args) < 3 || len(args[2]) < 12 {
			return t.refuse(unix.EINVAL, "Secret of user %s is too short (min 12)", key)
		}
		value += " " + args[2]
	case "allowed_portal":
		if at == "targets/iscsi" || len(args) != 2 {
			return unix.EINVAL
		}
	default:
		return t.refuse(unix.EINVAL, "Unknown attribute %s", name)
	}
	if t.attribute(at, name, key) != "" {
		return t.refuse(unix.EEXIST, "Attribute %s %s already exists", name, key)
	}
	if name == "OutgoingUser" && t.k.There(at+"/"+name) {
		return t.refuse(unix.EEXIST, "Only one OutgoingUser is possible")
	}
	file := at + "/" + name
	for n := 1; t.k.There(file); n++ {
		file = at + "/" + name + strconv.Itoa(n)
	}
	t.k.File(file, value, 'b', nil).Key = true
	return nil
}

// attribute finds a file of a numbered attribute by its first word.
func (t *Tree) attribute(at, name, key string) string {
	for _, file := range t.k.Children(at) {
		if strings.TrimRight(file, "0123456789") != name {
			continue
		}
		if first, _, _ := strings.Cut(t.k.At(at+"/"+file).Text, " "); first == key {
			return at + "/" + file
		}
	}
	return ""
}

func (t *Tree) delAttribute(at string, args []string) error {
	if len(args) < 2 {
		return unix.EINVAL
	}
	file := t.attribute(at, args[0], args[1])
	if file == "" {
		return t.refuse(unix.EINVAL, "Unknown attribute %s %s", args[0], args[1])
	}
	t.k.Drop(file)
	return nil
}

// StartDaemon is iscsi-scstd connecting to the kernel.
func (t *Tree) StartDaemon() {
	t.k.Lock()
	defer t.k.Unlock()
	if t.daemon {
		return
	}
	t.daemon = true
	at := "targets/iscsi"
	t.k.At(at + "/open_state").Text = "open"
	for file, text := range map[string]string{"enabled": "0", "iSNSServer": "", "link_local": "1", "isns_entity_name": "", "internal_portal": ""} {
		t.k.File(at+"/"+file, text, 'b', nil)
	}
	t.k.At(at + "/enabled").Write = func(text string) error {
		t.k.At(at + "/enabled").Text = text
		return nil
	}
}

// StopDaemon is its end: the kernel drops all targets.
func (t *Tree) StopDaemon() {
	t.k.Lock()
	defer t.k.Unlock()
	if !t.daemon {
		return
	}
	t.daemon = false
	at := "targets/iscsi"
	t.k.At(at + "/open_state").Text = "closed"
	for _, name := range t.k.Children(at) {
		switch name {
		case "mgmt", "version", "open_state":
		default:
			if t.k.At(at + "/" + name).Dir {
				_ = t.delTarget("iscsi", name)
			} else {
				t.k.Drop(at + "/" + name)
			}
		}
	}
}

// addTarget makes a target as its driver does.
func (t *Tree) addTarget(driver, name string) {
	at := "targets/" + driver + "/" + name
	t.k.Dir(at)
	for _, dir := range []string{"luns", "ini_groups", "sessions"} {
		t.k.Dir(at + "/" + dir)
	}
	for file, text := range map[string]string{"comment": "", "aen_disabled": "0", "forward_src": "0", "forward_dst": "0"} {
		t.k.File(at+"/"+file, text, 'b', nil)
	}
	t.access(at)
	if driver == "scst_local" { // cannot be disabled; has its number at once
		t.k.File(at+"/rel_tgt_id", strconv.Itoa(t.freeID()), 'b', t.setRelativeID(at)).Key = true
	} else {
		t.k.File(at+"/rel_tgt_id", "0", 'b', t.setRelativeID(at))
		t.k.File(at+"/enabled", "0", 'b', t.enable(at))
	}
	if driver == "iscsi" {
		for file, text := range map[string]string{
			"DataDigest": "None", "HeaderDigest": "None", "FirstBurstLength": "65536", "MaxBurstLength": "1048576",
			"MaxRecvDataSegmentLength": "1048576", "MaxXmitDataSegmentLength": "1048576", "ImmediateData": "Yes", "InitialR2T": "No",
			"MaxOutstandingR2T": "32", "MaxSessions": "0", "NopInInterval": "30", "NopInTimeout": "30", "RspTimeout": "90",
			"QueuedCommands": "32", "per_portal_acl": "0", "redirect": "", "alias": "",
		} {
			n := t.k.File(at+"/"+file, text, 'b', nil)
			n.Write = t.iscsiParameter(n, file, text)
		}
		t.k.File(at+"/tid", "1", 'r', nil)
	}
	for _, dir := range []string{"read", "write", "bidi"} {
		t.k.File(at+"/"+dir+"_io_count_kb", "0", 'b', nil)
		t.k.File(at+"/"+dir+"_cmd_count", "0", 'b', nil)
	}
	t.lunMap(at + "/luns")
	t.mgmt(at+"/ini_groups", "Usage: echo \"create GROUP_NAME\" >mgmt\n       echo \"del GROUP_NAME\" >mgmt\n",
		func(verb string, args []string, _ string) error { return t.manageGroups(at, verb, args) })
}

func (t *Tree) iscsiParameter(n *imitation.Node, file, fallback string) func(string) error {
	return func(text string) error {
		v, err := strconv.Atoi(text)
		switch file {
		case "NopInInterval", "NopInTimeout", "RspTimeout", "QueuedCommands", "MaxSessions", "MaxOutstandingR2T", "FirstBurstLength", "MaxBurstLength", "MaxRecvDataSegmentLength", "MaxXmitDataSegmentLength":
			if err != nil || v < 0 {
				return t.refuse(unix.EINVAL, "Invalid value %s of %s", text, file)
			}
		case "ImmediateData", "InitialR2T":
			if text != "Yes" && text != "No" {
				return unix.EINVAL
			}
		case "redirect":
			words := strings.Fields(text)
			if len(words) > 0 && (len(words) != 2 || words[1] != "temp" && words[1] != "perm") {
				return t.refuse(unix.EINVAL, "Redirection type required")
			}
			text = ""
			if len(words) > 0 {
				text = strings.TrimSuffix(words[0], ":3260") + " " + words[1]
			}
		}
		n.Text, n.Key = text, text != fallback
		return nil
	}
}

// freeID is the lowest relative target identifier that nobody has.
func (t *Tree) freeID() int {
	for id := 1; ; id++ {
		if !t.taken(strconv.Itoa(id), "") {
			return id
		}
	}
}

// taken says whether an enabled target other than one has an identifier.
func (t *Tree) taken(id, but string) bool {
	for p, n := range t.k.All() {
		if strings.HasPrefix(p, "targets/") && path.Base(p) == "rel_tgt_id" && path.Dir(p) != but && n.Text == id {
			if e := t.k.At(path.Dir(p) + "/enabled"); e == nil || e.Text == "1" {
				return true
			}
		}
	}
	return false
}

func (t *Tree) setRelativeID(at string) func(string) error {
	return func(text string) error {
		id, err := strconv.Atoi(text)
		if err != nil || id < 1 || id > 65535 {
			return t.refuse(unix.EINVAL, "Invalid relative port id %s", text)
		}
		if e := t.k.At(at + "/enabled"); (e == nil || e.Text == "1") && t.taken(text, at) {
			return t.refuse(unix.EBADSLT, "Relative port id %s is not unique", text)
		}
		n := t.k.At(at + "/rel_tgt_id")
		n.Text, n.Key = text, true
		return nil
	}
}

func (t *Tree) enable(at string) func(string) error {
	return func(text string) error {
		if text != "0" && text != "1" {
			return unix.EINVAL
		}
		id := t.k.At(at + "/rel_tgt_id")
		if text == "1" {
			switch {
			case id.Text == "0":
				id.Text, id.Key = strconv.Itoa(t.freeID()), true
			case t.taken(id.Text, at):
				return t.refuse(unix.EBADSLT, "Relative target id %s is not unique", id.Text)
			}
		}
		t.k.At(at + "/enabled").Text = text // whoever is logged in stays
		return nil
	}
}

// delTarget ends a target, enabled or not, with its LUNs, groups and sessions.
func (t *Tree) delTarget(driver, name string) error {
	at := "targets/" + driver + "/" + name
	if !t.k.There(at) {
		return t.refuse(unix.EINVAL, "Target %s not found", name)
	}
	for _, g := range append([]string{""}, t.k.Children(at+"/ini_groups")...) {
		luns := at + "/luns"
		if g != "" {
			luns = at + "/ini_groups/" + g + "/luns"
		}
		t.clearLUNs(luns)
	}
	for p, n := range t.k.All() {
		if strings.HasPrefix(p, "device_groups/") && n.Link == at {
			t.k.Drop(p)
		}
	}
	for p := range t.order {
		if strings.HasPrefix(p, at+"/") {
			delete(t.order, p)
		}
	}
	delete(t.groups, at)
	t.k.Drop(at)
	return nil
}

// hidden says whether an object vanishes while it is looked at.
func (t *Tree) hidden(p string) bool {
	for g := range t.gone {
		if p == g || strings.HasPrefix(p, g+"/") {
			return true
		}
	}
	return false
}

// Describe is a target's map as initiators see it: device and mode by LUN.
func (t *Tree) Describe(luns string) map[int]string {
	t.k.Lock()
	defer t.k.Unlock()
	out := map[int]string{}
	for _, name := range t.k.Children(luns) {
		if n, err := strconv.Atoi(name); err == nil {
			mode := "rw"
			if t.k.At(path.Join(luns, name, "read_only")).Text == "1" {
				mode = "ro"
			}
			out[n] = fmt.Sprintf("%s %s", path.Base(t.k.At(path.Join(luns, name, "device")).Link), mode)
		}
	}
	return out
}

func remove(list []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(n string) bool { return n == name })
}

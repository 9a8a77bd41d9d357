package scstfake

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lunMap adds the requests of a LUN map.
func (t *Tree) lunMap(luns string) {
	t.mgmt(luns, "Usage: echo \"add H:C:I:L lun [parameters]\" >mgmt\n       echo \"add VNAME lun [parameters]\" >mgmt\n       echo \"del lun\" >mgmt\n"+
		"       echo \"replace H:C:I:L lun [parameters]\" >mgmt\n       echo \"replace VNAME lun [parameters]\" >mgmt\n"+
		"       echo \"replace_no_ua H:C:I:L lun [parameters]\" >mgmt\n       echo \"replace_no_ua VNAME lun [parameters]\" >mgmt\n       echo \"clear\" >mgmt\n\n"+
		"where parameters are one or more param_name=value pairs separated by ';'\n\nThe following parameters available: read_only\n",
		func(verb string, args []string, rest string) error {
			switch verb {
			case "clear":
				t.clearLUNs(luns)
				return nil
			case "del":
				if len(args) != 1 || !t.k.There(luns+"/"+args[0]) {
					return t.refuse(unix.EINVAL, "LUN %s not found", strings.Join(args, " "))
				}
				t.unmap(luns + "/" + args[0])
				return nil
			case "add", "replace", "replace_no_ua":
			default:
				return t.refuse(unix.EINVAL, "Unknown action %q", verb)
			}
			if len(args) < 2 || !t.k.There("devices/"+args[0]) || !t.k.There("devices/"+args[0]+"/handler") {
				return t.refuse(unix.EINVAL, "Device '%s' not found", strings.Join(args[:min(1, len(args))], ""))
			}
			lun, err := strconv.Atoi(strings.TrimRight(args[1], ";"))
			if err != nil || lun < 0 || lun > 16383 {
				return t.refuse(unix.EINVAL, "Too big LUN %s (max 16383)", args[1])
			}
			_, after, _ := strings.Cut(strings.TrimSpace(rest[len(args[0]):]), " ")
			p, err := t.parameters(after, []string{"read_only"})
			if err != nil {
				return err
			}
			at := luns + "/" + strconv.Itoa(lun)
			if verb == "add" && t.k.There(at) {
				return t.refuse(unix.EEXIST, "virt lun %d already exists", lun)
			}
			if t.k.There(at) {
				t.unmap(at)
			}
			t.mapLUN(luns, args[0], lun, p["read_only"] == "1")
			return nil
		})
}

func (t *Tree) mapLUN(luns, device string, lun int, readOnly bool) {
	at := luns + "/" + strconv.Itoa(lun)
	t.k.Dir(at)
	t.k.Link(at+"/device", "devices/"+device)
	ro := "0"
	if n := t.k.At("devices/" + device + "/read_only"); readOnly || n != nil && n.Text == "1" {
		ro = "1"
	}
	t.k.File(at+"/read_only", ro, 'r', nil).Key = ro == "1"
	t.k.Link("devices/"+device+"/exported/export"+strconv.Itoa(t.exports), at)
	t.exports++
}

func (t *Tree) unmap(at string) {
	device := t.k.At(at + "/device").Link
	for _, e := range t.k.Children(device + "/exported") {
		if t.k.At(device+"/exported/"+e).Link == at {
			t.k.Drop(device + "/exported/" + e)
		}
	}
	t.k.Drop(at)
}

func (t *Tree) clearLUNs(luns string) {
	for _, name := range t.k.Children(luns) {
		if name != "mgmt" {
			t.unmap(luns + "/" + name)
		}
	}
}

func (t *Tree) manageGroups(target, verb string, args []string) error {
	if len(args) != 1 {
		return t.refuse(unix.EINVAL, "Group name required")
	}
	at := target + "/ini_groups/" + args[0]
	switch {
	case verb == "create" && t.k.There(at):
		return t.refuse(unix.EEXIST, "acg name %s exist", args[0])
	case verb == "create":
		t.k.Dir(at)
		t.k.Dir(at + "/luns")
		t.k.Dir(at + "/initiators")
		t.lunMap(at + "/luns")
		t.access(at)
		t.mgmt(at+"/initiators", "Usage: echo \"add INITIATOR_NAME\" >mgmt\n       echo \"del INITIATOR_NAME\" >mgmt\n"+
			"       echo \"move INITIATOR_NAME DEST_GROUP_NAME\" >mgmt\n       echo \"clear\" >mgmt\n",
			func(verb string, args []string, _ string) error { return t.manageInitiators(target, at, verb, args) })
		t.groups[target] = append(t.groups[target], args[0])
		return nil
	case verb == "del" && !t.k.There(at):
		return t.refuse(unix.EINVAL, "Group %s not found", args[0])
	case verb == "del":
		for _, s := range t.k.Children(target + "/sessions") {
			if t.k.At(target+"/sessions/"+s+"/luns").Link == at+"/luns" {
				return t.refuse(unix.EBUSY, "Group %s is not empty", args[0])
			}
		}
		t.clearLUNs(at + "/luns")
		t.groups[target] = remove(t.groups[target], args[0])
		delete(t.order, at)
		t.k.Drop(at)
		return nil
	}
	return t.refuse(unix.EINVAL, "Unknown action %q", verb)
}

func (t *Tree) manageInitiators(target, group, verb string, args []string) error {
	defer t.reassign(target)
	dir := group + "/initiators/"
	switch {
	case verb == "clear":
		for _, i := range t.order[group] {
			t.k.Drop(dir + i)
		}
		t.order[group] = nil
		return nil
	case len(args) == 0:
		return t.refuse(unix.EINVAL, "Invalid initiator name")
	case verb == "add" && t.k.There(dir+args[0]):
		return t.refuse(unix.EEXIST, "Name %s already exists in group %s", args[0], path.Base(group))
	case verb == "add":
		t.k.File(dir+args[0], args[0], 'r', nil)
		t.order[group] = append(t.order[group], args[0])
		return nil
	case !t.k.There(dir + args[0]):
		return t.refuse(unix.EINVAL, "Unable to find initiator '%s' in group '%s'", args[0], path.Base(group))
	case verb == "del":
		t.k.Drop(dir + args[0])
		t.order[group] = remove(t.order[group], args[0])
		return nil
	case verb == "move" && len(args) == 2:
		to := target + "/ini_groups/" + args[1]
		if !t.k.There(to) {
			return unix.EINVAL
		}
		if t.k.There(to + "/initiators/" + args[0]) {
			return unix.EEXIST
		}
		t.k.Drop(dir + args[0])
		t.order[group] = remove(t.order[group], args[0])
		t.k.File(to+"/initiators/"+args[0], args[0], 'r', nil)
		t.order[to] = append(t.order[to], args[0])
		return nil
	}
	return t.refuse(unix.EINVAL, "Unknown action %q", verb)
}

// groupFor finds the LUN map of an initiator: that of the first group that has
// a pattern for it (scst_find_tgt_acg_by_name_wild).
func (t *Tree) groupFor(target, initiator string) string {
	for _, g := range t.groups[target] {
		at := target + "/ini_groups/" + g
		if slices.ContainsFunc(t.order[at], func(p string) bool { return wild(p, initiator) }) {
			return at + "/luns"
		}
	}
	return target + "/luns"
}

// wild matches as SCST does: a "!" turns the rest of the pattern around, and
// does not except from other patterns.
func wild(pattern, name string) bool {
	if rest, not := strings.CutPrefix(pattern, "!"); not {
		return !wild(rest, name)
	}
	switch {
	case pattern == "":
		return name == ""
	case pattern[0] == '*':
		return wild(pattern[1:], name) || name != "" && wild(pattern, name[1:])
	case name == "":
		return false
	case pattern[0] == '?' || strings.EqualFold(pattern[:1], name[:1]):
		return wild(pattern[1:], name[1:])
	}
	return false
}

// reassign moves sessions to the groups that they match now.
func (t *Tree) reassign(target string) {
	if !t.opt.Reassign {
		return
	}
	for _, s := range t.k.Children(target + "/sessions") {
		at := target + "/sessions/" + s
		t.k.Link(at+"/luns", t.groupFor(target, t.k.Text(at+"/initiator_name")))
	}
}

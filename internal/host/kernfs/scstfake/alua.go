package scstfake

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func (t *Tree) deviceGroups() {
	t.mgmt("device_groups", "Usage: echo \"create group_name\" >mgmt\n       echo \"del group_name\" >mgmt\n",
		func(verb string, args []string, _ string) error {
			if len(args) != 1 {
				return unix.EINVAL
			}
			at := "device_groups/" + args[0]
			switch {
			case verb == "create" && t.k.There(at):
				return unix.EEXIST
			case verb == "create":
				t.deviceGroup(at)
				return nil
			case verb == "del" && t.k.There(at): // whatever is in it
				t.k.Drop(at)
				return nil
			}
			return unix.EINVAL
		})
}

func (t *Tree) deviceGroup(at string) {
	t.k.Dir(at)
	t.k.Dir(at + "/devices")
	t.k.Dir(at + "/target_groups")
	t.mgmt(at+"/devices", "Usage: echo \"add device\" >mgmt\n       echo \"del device\" >mgmt\n",
		func(verb string, args []string, _ string) error {
			if len(args) != 1 {
				return unix.EINVAL
			}
			link := at + "/devices/" + args[0]
			switch {
			case verb == "add" && !t.k.There("devices/"+args[0]):
				return t.refuse(unix.EINVAL, "Device %s not found", args[0])
			case verb == "add":
				for _, g := range t.k.Children("device_groups") {
					if t.k.There("device_groups/" + g + "/devices/" + args[0]) {
						return unix.EEXIST
					}
				}
				t.k.Link(link, "devices/"+args[0])
				t.follow(at)
				return nil
			case verb == "del" && t.k.There(link):
				t.k.Drop(link)
				return nil
			}
			return unix.EINVAL
		})
	t.mgmt(at+"/target_groups", "Usage: echo \"create group_name\" >mgmt\n       echo \"del group_name\" >mgmt\n",
		func(verb string, args []string, _ string) error {
			if len(args) != 1 {
				return unix.EINVAL
			}
			tg := at + "/target_groups/" + args[0]
			switch {
			case (verb == "create" || verb == "add") && t.k.There(tg):
				return unix.EEXIST
			case verb == "create" || verb == "add":
				t.targetGroup(at, tg)
				return nil
			case verb == "del" && t.k.There(tg):
				t.k.Drop(tg)
				return nil
			}
			return unix.EINVAL
		})
}

func (t *Tree) targetGroup(dg, at string) {
	t.k.Dir(at)
	t.k.File(at+"/group_id", "0", 'b', func(text string) error { // who has it already is not looked at
		if id, err := strconv.Atoi(text); err != nil || id < 1 || id > 65535 {
			return unix.EINVAL
		}
		t.k.At(at + "/group_id").Text = text
		return nil
	})
	t.k.File(at+"/preferred", "0", 'b', func(text string) error {
		if text != "0" && text != "1" {
			return unix.EINVAL
		}
		t.k.At(at + "/preferred").Text = text
		return nil
	})
	t.k.File(at+"/state", "active", 'b', func(text string) error {
		if !slices.Contains([]string{"active", "nonoptimized", "standby", "unavailable", "offline", "transitioning"}, text) {
			return unix.EINVAL
		}
		t.k.At(at + "/state").Text = text
		t.follow(dg)
		return nil
	})
	t.mgmt(at, "Usage: echo \"add target\" >mgmt\n       echo \"del target\" >mgmt\n",
		func(verb string, args []string, _ string) error {
			if len(args) != 1 {
				return unix.EINVAL
			}
			member := at + "/" + args[0]
			switch {
			case verb == "add":
				for _, tg := range t.k.Children(dg + "/target_groups") {
					if t.k.There(dg + "/target_groups/" + tg + "/" + args[0]) {
						return unix.EEXIST
					}
				}
				if local := t.localTarget(args[0]); local != "" {
					t.k.Link(member, local)
					return nil
				}
				t.k.Dir(member) // a target of the peer
				t.k.File(member+"/rel_tgt_id", "0", 'b', func(text string) error {
					if id, err := strconv.Atoi(text); err != nil || id < 1 || id > 65535 {
						return unix.EINVAL
					}
					t.k.At(member + "/rel_tgt_id").Text = text
					return nil
				})
				return nil
			case verb == "del" && t.k.There(member):
				t.k.Drop(member)
				return nil
			}
			return unix.EINVAL
		})
}

func (t *Tree) localTarget(name string) string {
	for _, driver := range t.k.Children("targets") {
		if at := "targets/" + driver + "/" + name; t.k.There(at+"/luns") && driver != "copy_manager" {
			return at
		}
	}
	return ""
}

// follow closes and opens the stores of devices that are bound to the access
// state of their group.
func (t *Tree) follow(dg string) {
	for _, tg := range t.k.Children(dg + "/target_groups") {
		at := dg + "/target_groups/" + tg
		if tg == "mgmt" {
			continue
		}
		remote, local := false, false
		for _, member := range t.k.Children(at) {
			if n := t.k.At(at + "/" + member); n.Dir {
				remote = true
			} else if n.Link != "" {
				local = true
			}
		}
		if !local {
			continue
		}
		open := t.k.At(at+"/state").Text == "active" || t.k.At(at+"/state").Text == "nonoptimized"
		for _, d := range t.k.Children(dg + "/devices") {
			bound := t.k.At("devices/" + d + "/bind_alua_state")
			if bound == nil || bound.Text != "1" || open && remote {
				continue
			}
			if a := t.k.At("devices/" + d + "/active"); a != nil {
				a.Text = map[bool]string{true: "1", false: "0"}[open]
			}
		}
	}
}

// Members lists a target group, each with "->" if it is a local target's link.
func (t *Tree) Members(tg string) string {
	t.k.Lock()
	defer t.k.Unlock()
	var out []string
	for _, m := range t.k.Children(tg) {
		switch n := t.k.At(tg + "/" + m); {
		case n.Link != "":
			out = append(out, m+" ->")
		case n.Dir:
			out = append(out, m+" "+t.k.At(tg+"/"+m+"/rel_tgt_id").Text)
		}
	}
	return strings.Join(out, ", ")
}

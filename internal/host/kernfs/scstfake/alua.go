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
			case verb == "create" && t.there(at):
				return unix.EEXIST
			case verb == "create":
				t.deviceGroup(at)
				return nil
			case verb == "del" && t.there(at): // whatever is in it
				t.drop(at)
				return nil
			}
			return unix.EINVAL
		})
}

func (t *Tree) deviceGroup(at string) {
	t.dir(at)
	t.dir(at + "/devices")
	t.dir(at + "/target_groups")
	t.mgmt(at+"/devices", "Usage: echo \"add device\" >mgmt\n       echo \"del device\" >mgmt\n",
		func(verb string, args []string, _ string) error {
			if len(args) != 1 {
				return unix.EINVAL
			}
			link := at + "/devices/" + args[0]
			switch {
			case verb == "add" && !t.there("devices/"+args[0]):
				return t.refuse(unix.EINVAL, "Device %s not found", args[0])
			case verb == "add":
				for _, g := range t.children("device_groups") {
					if t.there("device_groups/" + g + "/devices/" + args[0]) {
						return unix.EEXIST
					}
				}
				t.link(link, "devices/"+args[0])
				t.follow(at)
				return nil
			case verb == "del" && t.there(link):
				t.drop(link)
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
			case (verb == "create" || verb == "add") && t.there(tg):
				return unix.EEXIST
			case verb == "create" || verb == "add":
				t.targetGroup(at, tg)
				return nil
			case verb == "del" && t.there(tg):
				t.drop(tg)
				return nil
			}
			return unix.EINVAL
		})
}

func (t *Tree) targetGroup(dg, at string) {
	t.dir(at)
	t.file(at+"/group_id", "0", 'b', func(text string) error { // who has it already is not looked at
		if id, err := strconv.Atoi(text); err != nil || id < 1 || id > 65535 {
			return unix.EINVAL
		}
		t.nodes[at+"/group_id"].text = text
		return nil
	})
	t.file(at+"/preferred", "0", 'b', func(text string) error {
		if text != "0" && text != "1" {
			return unix.EINVAL
		}
		t.nodes[at+"/preferred"].text = text
		return nil
	})
	t.file(at+"/state", "active", 'b', func(text string) error {
		if !slices.Contains([]string{"active", "nonoptimized", "standby", "unavailable", "offline", "transitioning"}, text) {
			return unix.EINVAL
		}
		t.nodes[at+"/state"].text = text
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
				for _, tg := range t.children(dg + "/target_groups") {
					if t.there(dg + "/target_groups/" + tg + "/" + args[0]) {
						return unix.EEXIST
					}
				}
				if local := t.localTarget(args[0]); local != "" {
					t.link(member, local)
					return nil
				}
				t.dir(member) // a target of the peer
				t.file(member+"/rel_tgt_id", "0", 'b', func(text string) error {
					if id, err := strconv.Atoi(text); err != nil || id < 1 || id > 65535 {
						return unix.EINVAL
					}
					t.nodes[member+"/rel_tgt_id"].text = text
					return nil
				})
				return nil
			case verb == "del" && t.there(member):
				t.drop(member)
				return nil
			}
			return unix.EINVAL
		})
}

func (t *Tree) localTarget(name string) string {
	for _, driver := range t.children("targets") {
		if at := "targets/" + driver + "/" + name; t.there(at+"/luns") && driver != "copy_manager" {
			return at
		}
	}
	return ""
}

// follow closes and opens the stores of devices that are bound to the access
// state of their group.
func (t *Tree) follow(dg string) {
	for _, tg := range t.children(dg + "/target_groups") {
		at := dg + "/target_groups/" + tg
		if tg == "mgmt" {
			continue
		}
		remote, local := false, false
		for _, member := range t.children(at) {
			if n := t.nodes[at+"/"+member]; n.dir {
				remote = true
			} else if n.link != "" {
				local = true
			}
		}
		if !local {
			continue
		}
		open := t.nodes[at+"/state"].text == "active" || t.nodes[at+"/state"].text == "nonoptimized"
		for _, d := range t.children(dg + "/devices") {
			bound := t.nodes["devices/"+d+"/bind_alua_state"]
			if bound == nil || bound.text != "1" || open && remote {
				continue
			}
			if a := t.nodes["devices/"+d+"/active"]; a != nil {
				a.text = map[bool]string{true: "1", false: "0"}[open]
			}
		}
	}
}

// Members lists a target group, each with "->" if it is a local target's link.
func (t *Tree) Members(tg string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, m := range t.children(tg) {
		switch n := t.nodes[tg+"/"+m]; {
		case n.link != "":
			out = append(out, m+" ->")
		case n.dir:
			out = append(out, m+" "+t.nodes[tg+"/"+m+"/rel_tgt_id"].text)
		}
	}
	return strings.Join(out, ", ")
}

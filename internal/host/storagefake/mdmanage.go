package storagefake

import (
	"slices"
	"strconv"
)

// mdManage changes the members of a running array.
func (m *Machine) mdManage(p string, args []string) error {
	a := m.mdByPath(p)
	if a == nil {
		return mdFail("error opening %s: No such file or directory", p)
	}
	for i := 0; i+1 < len(args); i += 2 {
		d := m.find(args[i+1])
		if d == nil {
			return mdFail("Cannot find %s: No such file or directory", args[i+1])
		}
		x := a.find(d.Name)
		switch args[i] {
		case "--add", "--re-add":
			if err := m.mdAdd(a, d, args[i] == "--re-add"); err != nil {
				return err
			}
		case "--fail":
			if x == nil {
				return mdFail("set device faulty failed for %s:  No such device", args[i+1])
			}
			x.faulty, x.inSync = true, false
			if x.replacement {
				x.replacement = false
			}
		case "--remove":
			switch {
			case x == nil:
				return mdFail("hot remove failed for %s: No such device or address", args[i+1])
			case !x.faulty && (x.role >= 0 || x.isJournal):
				return mdFail("hot remove failed for %s: Device or resource busy", args[i+1])
			}
			a.members = slices.DeleteFunc(a.members, func(y *mdMember) bool { return y == x })
		case "--replace":
			if i+3 >= len(args) || args[i+2] != "--with" {
				return mdFail("the imitation wants --with after --replace")
			}
			spare := m.find(args[i+3])
			if spare == nil || a.find(spare.Name) == nil || a.find(spare.Name).role >= 0 {
				return mdFail("%s is not a spare, cannot be used for replacement", args[i+3])
			}
			if x == nil || !x.inSync || a.level == "0" {
				return mdFail("%s is not an active device, cannot be replaced", args[i+1])
			}
			x.wantsReplacement = true
			y := a.find(spare.Name)
			y.role, y.replacement, a.sync = x.role, true, "recover"
			i += 2
		default:
			return mdFail("the imitation knows no %s", args[i])
		}
	}
	m.mdUse(a)
	m.mdWrite(a)
	m.mdChanged(a)
	return nil
}

// mdAdd adds a device. mdadm asks nothing of what is on it, unless it is an
// older part of the array.
func (m *Machine) mdAdd(a *mdArray, d *Device, again bool) error {
	if why := m.busy(d); why != "" {
		return mdFail("Cannot open %s: Device or resource busy", d.Name)
	}
	s, old := d.Super[mdKey].(*mdSuper)
	old = old && s.uuid == a.uuid
	back := old && a.bitmap && s.role >= 0 && !s.rebuilding && s.role < a.disks && a.at(s.role) == nil
	if again && !back {
		return mdFail("--re-add for %s to %s is not possible", d.Name, a.kernel)
	}
	if a.level == "0" {
		return mdFail("add new device failed for %s: Invalid argument", d.Name)
	}
	if need := a.members[0].dev.Size; d.Size+4<<20 < need {
		return mdFail("%s not large enough to join array", d.Name)
	}
	x := &mdMember{dev: d, name: d.Name, role: -1}
	if back {
		x.role, x.writeMostly = s.role, s.writeMostly
	} else if !old {
		m.overwrite(d)
	}
	a.members = append(a.members, x)
	return nil
}

// mdGrow reshapes a running array, or gives it a bitmap.
func (m *Machine) mdGrow(p string, args []string) error {
	a := m.mdByPath(p)
	if a == nil {
		return mdFail("error opening %s: No such file or directory", p)
	}
	if a.sync != "idle" {
		return mdFail("%s is performing resync/recovery and cannot be reshaped", p)
	}
	if b := option(args, "bitmap"); b != "" {
		if (b == "internal") == a.bitmap {
			return mdFail("%s already has a bitmap.", p)
		}
		a.bitmap = b == "internal"
	}
	if n, err := strconv.Atoi(option(args, "raid-devices")); err == nil && n > a.disks {
		var spares []*mdMember
		for _, x := range a.members {
			if x.role < 0 && !x.faulty && !x.isJournal {
				spares = append(spares, x)
			}
		}
		if len(spares) < n-a.disks {
			return mdFail("Need %d spares to avoid degraded array, and only have %d.", n-a.disks, len(spares))
		}
		for i, x := range spares[:n-a.disks] {
			x.role, x.inSync = a.disks+i, a.level != "1"
		}
		a.disks = n
		a.sync = map[bool]string{true: "recover", false: "reshape"}[a.level == "1"]
	}
	if l := option(args, "level"); l != "" && l != a.level {
		a.level, a.sync = l, "reshape"
		a.device.Type = "raid" + l
		if a.layout == "" {
			a.layout, a.chunk = "left-symmetric", 64<<10
		}
	}
	m.mdWrite(a)
	m.mdChanged(a)
	return nil
}

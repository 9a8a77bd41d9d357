package storagefake

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

const multipathConf = "/etc/multipath.conf"

// multipathTools are multipathd and multipath, for disks of iSCSI targets.
func multipathTools(m *Machine) {
	m.unit("multipathd.service", func(started bool) error {
		if started {
			m.gather()
		}
		return nil
	})
	m.tools["multipathd"], m.tools["multipath"] = multipathd, multipath
}

// named are the disks of multipath.conf that are gathered, and their names;
// locked.
func (m *Machine) named() map[string]string {
	found := map[string]string{}
	allowed := map[string]bool{}
	var wwid string
	for line := range strings.Lines(string(m.files[multipathConf])) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.Trim(value, `"`)
		inner, exact := strings.CutPrefix(value, "^")
		switch {
		case key == "wwid" && exact:
			allowed[strings.ReplaceAll(strings.TrimSuffix(inner, "$"), `\`, "")] = true
		case key == "wwid":
			wwid = value
		case key == "alias" && allowed[wwid]:
			found[wwid] = value
		}
	}
	return found
}

// remoteDisks are those of all targets, each once; locked.
func (m *Machine) remoteDisks() []*RemoteDisk {
	var all []*RemoteDisk
	for _, n := range slices.Sorted(maps.Keys(m.remotes.targets)) {
		for _, l := range m.remotes.targets[n].LUNs {
			if !slices.Contains(all, l) {
				all = append(all, l)
			}
		}
	}
	return all
}

// mapOf is the map that gathers the paths of a disk, nil if none does; locked.
func (m *Machine) mapOf(r *RemoteDisk) *Device {
	for _, n := range m.order {
		if d := m.devs[n]; d.Type == "mpath" && d.WWN == r.WWID {
			return d
		}
	}
	return nil
}

// gather does what multipathd does when it is started, told to read its
// configuration, or hears of a disk; locked.
func (m *Machine) gather() {
	want := m.named()
	for _, r := range m.remoteDisks() {
		name, wanted := want[r.WWID]
		d := m.mapOf(r)
		switch {
		case d != nil && !wanted:
			_ = m.flush(r, d) // what is in use stays
		case d != nil:
			d.Below = slices.Clone(r.paths)
			if len(d.Below) == 0 && m.busy(d) == "" {
				_ = m.flush(r, d)
				continue
			}
			m.rename(d, name)
		case wanted && len(r.paths) > 0 && !slices.ContainsFunc(r.paths, func(p string) bool { return m.busy(m.devs[p]) != "" }):
			d := m.add(&Device{Name: m.name("dm-"), Type: "mpath", Size: r.Size, Below: slices.Clone(r.paths), WWN: r.WWID})
			r.move(m.devs[r.paths[0]], d)
			m.rename(d, name)
		}
	}
}

func (m *Machine) rename(d *Device, name string) {
	maps.DeleteFunc(m.links, func(p, n string) bool { return n == d.Name && strings.HasPrefix(p, "/dev/mapper/") })
	m.links["/dev/mapper/"+name] = d.Name
}

// flush takes a map away; locked.
func (m *Machine) flush(r *RemoteDisk, d *Device) error {
	if m.busy(d) != "" {
		return fails("multipath", 1, "%s: map in use", d.Name)
	}
	r.move(d, r.Device)
	for _, p := range r.paths {
		r.move(d, m.devs[p])
	}
	m.remove(d.Name)
	return nil
}

// multipathd answers, and reads its configuration anew.
func multipathd(m *Machine, args []string, _ string) (string, error) {
	if !m.units.running["multipathd.service"] {
		return "", fails("multipathd", 1, "multipathd is not running")
	}
	switch strings.Join(args, " ") {
	case "reconfigure":
		m.gather()
		return "ok\n", nil
	case "show maps json":
		return m.showMaps()
	}
	return "", fails("multipathd", 1, "the imitation does not know %q", args)
}

func (m *Machine) showMaps() (string, error) {
	type object = map[string]any
	list := []object{}
	for _, r := range m.remoteDisks() {
		d := m.mapOf(r)
		if d == nil {
			continue
		}
		var paths []object
		for _, p := range d.Below {
			state, kernel := "ready", "active"
			if !m.answers(p) {
				state, kernel = "faulty", "failed"
			}
			paths = append(paths, object{"dev": p, "dm_st": kernel, "dev_st": "running", "chk_st": state, "target_wwnn": "[undef]"})
		}
		name := ""
		for p, n := range m.links {
			if rest, ok := strings.CutPrefix(p, "/dev/mapper/"); ok && n == d.Name {
				name = rest
			}
		}
		list = append(list, object{"name": name, "uuid": r.WWID, "sysfs": d.Name, "queueing": "12 chk", "paths": len(paths), "path_groups": []object{{"paths": paths}}})
	}
	out, err := json.Marshal(object{"major_version": 0, "minor_version": 1, "maps": list})
	return string(out), err
}

// answers says whether the array is reached through a path; locked.
func (m *Machine) answers(path string) bool {
	for _, s := range m.remotes.sessions {
		if _, ok := s.disks[path]; ok {
			return m.remotes.up[s.address()]
		}
	}
	return true
}

// multipath takes a map away.
func multipath(m *Machine, args []string, _ string) (string, error) {
	if len(args) != 2 || args[0] != "-f" {
		return "", fails("multipath", 1, "the imitation does not know %q", args)
	}
	d := m.find("/dev/mapper/" + args[1])
	for _, r := range m.remoteDisks() {
		if own := m.mapOf(r); own != nil && own == d {
			return "", m.flush(r, d)
		}
	}
	return "", fails("multipath", 1, "%s is not a multipath device", args[1])
}

package storagefake

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// mountTools are what mounts file systems and looks at those that are.
func mountTools(m *Machine) {
	m.tools["mount"], m.tools["umount"], m.tools["findmnt"], m.tools["fstrim"], m.tools["find"] = mount, umount, findmnt, fstrim, find
}

// mountedAt is the device that is mounted at a directory; locked.
func (m *Machine) mountedAt(where string) *Device {
	for _, n := range m.order {
		if slices.Contains(m.devs[n].Mounts, where) {
			return m.devs[n]
		}
	}
	return nil
}

func mount(m *Machine, args []string, _ string) (string, error) {
	p, where := args[len(args)-2], args[len(args)-1]
	options := flagged(args, "-o")
	d := m.find(p)
	if d == nil {
		return "", fails("mount", 32, "%s: special device %s does not exist.", where, p)
	}
	fs, _ := d.Super[fileSystemKey].(*fileSystem)
	if rest, again := strings.CutPrefix(options, "remount,"); again {
		if m.mountedAt(where) != d {
			return "", fails("mount", 32, "%s: mount point not mounted or bad option.", where)
		}
		if strings.Contains(rest, "impossible") {
			return "", fails("mount", 32, "%s: bad option.", where)
		}
		fs.options = rest
		return "", nil
	}
	switch kind := flagged(args, "-t"); {
	case !m.dirs[where]:
		return "", fails("mount", 32, "%s: mount point does not exist.", where)
	case fs == nil || fs.kind != kind, fs.damaged && kind == "xfs", strings.Contains(options, "impossible"):
		return "", fails("mount", 32, "%s: wrong fs type, bad option, bad superblock on %s, missing codepage or helper program, or other error.", where, p)
	case m.mountedAt(where) != nil:
		return "", fails("mount", 32, "%s: %s already mounted or mount point busy.", where, p)
	}
	fs.options, fs.readOnly = options, false
	d.Mounts = append(d.Mounts, where)
	m.show(d, where)
	return "", nil
}

// show puts the files of a file system below where it is mounted; locked.
func (m *Machine) show(d *Device, where string) {
	for name := range d.Super[fileSystemKey].(*fileSystem).files {
		m.files[path.Join(where, name)] = nil
	}
}

// hide is what an unmount does; locked.
func (m *Machine) hide(d *Device, where string) {
	d.Mounts = slices.DeleteFunc(d.Mounts, func(w string) bool { return w == where })
	maps.DeleteFunc(m.files, func(p string, _ []byte) bool { return strings.HasPrefix(p, where+"/") })
}

func umount(m *Machine, args []string, _ string) (string, error) {
	where := args[len(args)-1]
	d := m.mountedAt(where)
	switch {
	case m.ghosts[where] != "":
		delete(m.ghosts, where)
		return "", nil
	case d == nil:
		return "", fails("umount", 32, "%s: not mounted.", where)
	case m.held[where]:
		return "", fails("umount", 32, "%s: target is busy.", where)
	}
	m.hide(d, where)
	return "", nil
}

func findmnt(m *Machine, _ []string, _ string) (string, error) {
	type row struct {
		Target  string `json:"target"`
		Source  string `json:"source"`
		Type    string `json:"fstype"`
		Options string `json:"options"`
		Super   string `json:"fs-options"`
		Size    int64  `json:"size"`
		Used    int64  `json:"used"`
		Free    int64  `json:"avail"`
	}
	var rows []row
	for _, n := range m.order {
		d := m.devs[n]
		fs, ok := d.Super[fileSystemKey].(*fileSystem)
		for _, where := range d.Mounts {
			r := row{Target: where, Source: "/dev/" + d.Name, Type: "unknown", Options: "rw", Super: "rw"}
			if ok {
				r.Type, r.Options, r.Size = fs.kind, "rw,"+fs.options+",relatime", fs.span-fs.span/50
				for _, size := range fs.files {
					r.Used += size
				}
				r.Free = r.Size - r.Used
				if fs.readOnly {
					r.Super = "ro"
				}
			}
			rows = append(rows, r)
		}
	}
	for _, where := range slices.Sorted(maps.Keys(m.ghosts)) {
		rows = append(rows, row{Target: where, Source: "/dev/" + m.ghosts[where], Type: "xfs", Options: "rw", Super: "rw"})
	}
	if len(rows) == 0 {
		return "", fails("findmnt", 1, "")
	}
	out, err := json.Marshal(map[string]any{"filesystems": rows})
	return string(out), err
}

func fstrim(m *Machine, args []string, _ string) (string, error) {
	where := args[len(args)-1]
	if m.mountedAt(where) == nil {
		return "", fails("fstrim", 1, "%s: not a directory", where)
	}
	return where + ": 1 GiB (1073741824 bytes) trimmed", nil
}

// find lists the files of a file system as find does with the -printf of ours.
func find(m *Machine, args []string, _ string) (string, error) {
	d := m.mountedAt(args[1])
	if d == nil {
		return "", nil
	}
	fs := d.Super[fileSystemKey].(*fileSystem)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fs.files)) {
		fmt.Fprintf(&text, "%d\t%d\t%s\x00", fs.files[name], fs.files[name]/512, name)
	}
	return text.String(), nil
}

// Unmounted is what a reboot makes of file systems: none is mounted.
func (m *Machine) Unmounted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.order {
		for _, where := range slices.Clone(m.devs[n].Mounts) {
			m.hide(m.devs[n], where)
			delete(m.dirs, where)
		}
	}
	clear(m.held)
	clear(m.ghosts)
}

// Hold has somebody use what is mounted at a directory, until Unmounted.
func (m *Machine) Hold(where string, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held[where] = held
}

// Store puts a file of that size into the file system that is mounted at a
// directory above it.
func (m *Machine) Store(p string, size int64) error {
	return m.change("store "+p, func() error {
		for dir := path.Dir(p); dir != "/" && dir != "."; dir = path.Dir(dir) {
			if d := m.mountedAt(dir); d != nil {
				d.Super[fileSystemKey].(*fileSystem).files[strings.TrimPrefix(p, dir+"/")] = size
				m.files[p] = nil
				return nil
			}
		}
		return fmt.Errorf("%s: nothing is mounted there", p)
	})
}

// Fail has the kernel find an error in the file system on a device: it is
// read-only from then on, or cannot be used at all.
func (m *Machine) Fail(device string, damaged bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fs := m.find(device).Super[fileSystemKey].(*fileSystem)
	fs.readOnly, fs.damaged = !damaged, damaged
}

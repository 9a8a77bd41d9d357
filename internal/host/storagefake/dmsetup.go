package storagefake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func addDMSetup(m *Machine) { m.tools["dmsetup"] = dmsetup }

// dmsetup holds and lets go of the I/O of devices, and tells of which it is
// held. Names are those below /dev/mapper.
func dmsetup(m *Machine, args []string, _ string) (string, error) {
	if len(args) == 0 {
		return "", fails("dmsetup", 1, "Usage:")
	}
	switch args[0] {
	case "suspend", "resume":
		if len(args) != 2 {
			return "", fails("dmsetup", 1, "%s: one device", args[0])
		}
		name, mapped := m.links["/dev/mapper/"+args[1]]
		d := m.devs[name]
		if !mapped || d == nil {
			return "", fails("dmsetup", 1, "Device %s not found\nCommand failed.", args[1])
		}
		d.Suspended = args[0] == "suspend"
		return "", nil
	case "info":
		return m.dmInfo(args)
	}
	return "", fails("dmsetup", 1, "Unknown command")
}

func (m *Machine) dmInfo(args []string) (string, error) {
	if i := slices.Index(args, "-o"); i < 0 || args[i+1] != "attr,uuid,name" || !slices.Contains(args, "--noheadings") {
		return "", fails("dmsetup", 3, "the imitation knows -o attr,uuid,name only")
	}
	var out strings.Builder
	for _, p := range slices.Sorted(maps.Keys(m.links)) {
		name, mapped := strings.CutPrefix(p, "/dev/mapper/")
		d := m.devs[m.links[p]]
		if !mapped || d == nil || d.MappedUUID == "" {
			continue
		}
		attr := []byte("L--w")
		if d.Suspended {
			attr[2] = 's'
		}
		if d.ReadOnly {
			attr[3] = 'r'
		}
		fmt.Fprintf(&out, "%s:%s:%s\n", attr, d.MappedUUID, name)
	}
	if out.Len() == 0 {
		return "No devices found\n", nil
	}
	return out.String(), nil
}

// Suspended lists the devices of device-mapper whose I/O is held.
func (m *Machine) Suspended() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.suspendedNames()
}

func (m *Machine) suspendedNames() (names []string) {
	for _, p := range slices.Sorted(maps.Keys(m.links)) {
		if d := m.devs[m.links[p]]; d != nil && d.Suspended && strings.HasPrefix(p, "/dev/mapper/") {
			names = append(names, strings.TrimPrefix(p, "/dev/mapper/"))
		}
	}
	return names
}

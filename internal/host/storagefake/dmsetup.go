package storagefake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ThinTarget is a thin pool in the kernel. It is called with the machine
// locked.
type ThinTarget interface {
	Message(text string) error
	Status() string
}

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
	case "message", "status":
		pool := m.thinTarget(args[1])
		switch {
		case pool == nil:
			return "", fails("dmsetup", 1, "Device %s not found\nCommand failed.", args[1])
		case args[0] == "status":
			return pool.Status(), nil
		case len(args) != 4 || args[2] != "0":
			return "", fails("dmsetup", 1, "message: a device, a sector and a message")
		}
		return "", pool.Message(args[3])
	case "info":
		return m.dmInfo(args)
	}
	return "", fails("dmsetup", 1, "Unknown command")
}

func (m *Machine) dmInfo(args []string) (string, error) {
	if i := slices.Index(args, "-o"); i < 0 || args[i+1] != "suspended,uuid,name" || !slices.Contains(args, "--noheadings") || !slices.Contains(args, "|") {
		return "", fails("dmsetup", 3, "the imitation knows -o suspended,uuid,name only")
	}
	var out strings.Builder
	for _, p := range slices.Sorted(maps.Keys(m.links)) {
		name, mapped := strings.CutPrefix(p, "/dev/mapper/")
		d := m.devs[m.links[p]]
		if !mapped || d == nil || d.MappedUUID == "" {
			continue
		}
		state := "Active"
		if d.Suspended {
			state = "Suspended"
		}
		fmt.Fprintf(&out, "%s|%s|%s\n", state, d.MappedUUID, name)
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

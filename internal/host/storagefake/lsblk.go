package storagefake

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
)

// row is a device in lsblk's JSON.
type row struct {
	Name     string   `json:"kname"`
	Path     string   `json:"path"`
	Type     string   `json:"type"`
	Number   string   `json:"maj:min"`
	Size     int64    `json:"size"`
	Sector   int      `json:"log-sec"`
	Physical int      `json:"phy-sec"`
	RO       bool     `json:"ro"`
	Discard  int64    `json:"disc-max"`
	Model    string   `json:"model,omitempty"`
	Serial   string   `json:"serial,omitempty"`
	WWN      string   `json:"wwn,omitempty"`
	Tran     string   `json:"tran,omitempty"`
	FSType   string   `json:"fstype,omitempty"`
	Label    string   `json:"label,omitempty"`
	UUID     string   `json:"uuid,omitempty"`
	Mounts   []string `json:"mountpoints"`
	Children []row    `json:"children,omitempty"`
}

func (m *Machine) row(d *Device, deep bool) row {
	r := row{Name: d.Name, Path: "/dev/" + d.Name, Type: d.Type, Number: "259:" + d.Name, Size: d.Size, Sector: 512, Physical: 512, RO: d.ReadOnly,
		Discard: 1 << 20, Model: d.Model, Serial: d.Serial, WWN: d.WWN, Tran: d.Transport, Mounts: d.Mounts}
	for p, name := range m.links { // the device mapper's devices go by their own names
		if name == d.Name && strings.HasPrefix(p, "/dev/mapper/") {
			r.Path = p
		}
	}
	if len(d.Content) > 0 && d.Content[0].Type != block.Unknown {
		r.FSType, r.Label, r.UUID = d.Content[0].Type, d.Content[0].Label, d.Content[0].UUID
	}
	if slices.ContainsFunc(m.above(d.Name), func(up *Device) bool { return up.Type == "mpath" }) {
		r.FSType, r.Label, r.UUID = "mpath_member", "", "" // 60-multipath.rules
	}
	if deep {
		for _, up := range m.above(d.Name) {
			r.Children = append(r.Children, m.row(up, true))
		}
	}
	return r
}

// lsblk lists all devices, or with --list one and what stands on it.
func lsblk(m *Machine, args []string, _ string) (string, error) {
	var rows []row
	last := args[len(args)-1]
	if slices.Contains(args, "--nodeps") {
		missing := false
		for _, p := range args {
			if !strings.HasPrefix(p, "/dev/") {
				continue
			}
			if d := m.find(p); d != nil {
				rows = append(rows, m.row(d, false))
			} else {
				missing = true
			}
		}
		out, err := json.Marshal(map[string]any{"blockdevices": rows})
		if missing && err == nil {
			err = fails("lsblk", 64, "not a block device")
		}
		return string(out), err
	}
	if slices.Contains(args, "--list") {
		d := m.find(last)
		if d == nil {
			return "", fails("lsblk", 32, "%s: not a block device", last)
		}
		var walk func(d *Device)
		walk = func(d *Device) {
			rows = append(rows, m.row(d, false))
			for _, up := range m.above(d.Name) {
				walk(up)
			}
		}
		walk(d)
	} else {
		// Without the column NAME the real one prints a list, not a tree.
		deep := slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "NAME,") })
		for _, n := range m.order {
			if d := m.devs[n]; len(d.Below) == 0 || !slices.ContainsFunc(d.Below, func(b string) bool { return m.devs[b] != nil }) {
				rows = append(rows, m.row(d, deep))
			}
		}
	}
	out, err := json.Marshal(map[string]any{"blockdevices": rows})
	return string(out), err
}

// wipefs tells the signatures on a device, or takes them away.
func wipefs(m *Machine, args []string, _ string) (string, error) {
	p := args[len(args)-1]
	d := m.find(p)
	if d == nil {
		return "", fails("wipefs", 1, "error: %s: probing initialization failed: No such file or directory", p)
	}
	if slices.Contains(args, "--no-act") {
		type signature struct {
			Device string `json:"device"`
			Offset string `json:"offset"`
			Type   string `json:"type"`
			UUID   string `json:"uuid"`
			Label  string `json:"label"`
		}
		var found []signature
		for _, c := range d.Content {
			if c.Type != block.Unknown {
				found = append(found, signature{d.Name, "0x0", c.Type, c.UUID, c.Label})
			}
		}
		if len(found) == 0 {
			return "", nil
		}
		out, err := json.Marshal(map[string]any{"signatures": found})
		return string(out), err
	}
	if why := m.busy(d); why != "" {
		return "", fails("wipefs", 1, "error: %s: probing initialization failed: %s", p, why)
	}
	if slices.ContainsFunc(d.Content, func(c block.Content) bool { return c.Type != block.Unknown }) {
		m.overwrite(d)
	}
	return "", nil
}

// blkdiscard writes zeros to a part of a device.
func blkdiscard(m *Machine, args []string, _ string) (string, error) {
	p := args[len(args)-1]
	d := m.find(p)
	switch {
	case d == nil:
		return "", fails("blkdiscard", 1, "cannot open %s: No such file or directory", p)
	case m.busy(d) != "":
		return "", fails("blkdiscard", 1, "cannot open %s: Device or resource busy", p)
	case slices.ContainsFunc(d.Content, func(c block.Content) bool { return c.Type != block.Unknown }):
		// It asks where there is a terminal, and does nothing elsewhere (2.41).
		return "", fails("blkdiscard", 1, "%s contains existing %s", p, d.Content[0].Type)
	}
	m.overwrite(d)
	return "", nil
}

// sysBlock lists a directory below /sys/class/block; locked.
func (m *Machine) sysBlock(dir string) ([]string, bool) {
	rest, ok := strings.CutPrefix(dir, "/sys/class/block")
	if !ok {
		return nil, false
	}
	name, inside, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	d := m.devs[name]
	var names []string
	switch {
	case rest == "":
		names = slices.Clone(m.order)
	case d == nil:
		return nil, false
	case inside == "":
		names = append(names, "size")
		if d.Type != "part" {
			names = append(names, "slaves")
		}
		for _, up := range m.above(name) {
			if up.Type == "part" {
				names = append(names, up.Name)
			}
		}
	case inside == "slaves":
		for _, b := range d.Below {
			if m.devs[b] != nil {
				names = append(names, b)
			}
		}
	default:
		return nil, false
	}
	slices.Sort(names)
	return names, true
}

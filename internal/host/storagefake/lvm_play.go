package storagefake

import (
	"regexp"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
)

var serial = regexp.MustCompile(`(PV|LV|VG)0000-[0-9-]+`)

func (m *Machine) lvm() {
	m.tools["lvm"] = lvm
	m.tools["sync"] = func(*Machine, []string, string) (string, error) { return "", nil }
}

// played finds a volume by GROUP/NAME for a test, which knows that it is there.
func (m *Machine) played(full string, do func(v *lvmVolume)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	group, name, _ := strings.Cut(full, "/")
	for _, g := range m.groups() {
		if v := g.volume(name); g.name == group && v != nil {
			do(v)
		}
	}
}

// FillPool sets how full a thin pool or VDO pool is, in percent.
func (m *Machine) FillPool(full string, data, metadata float64) {
	m.played(full, func(v *lvmVolume) { v.data, v.meta = data, metadata })
}

// SetHealth sets what LVM reports of a volume's health.
func (m *Machine) SetHealth(full, health string) {
	m.played(full, func(v *lvmVolume) { v.health = health })
}

// SuspendVolume leaves a volume suspended, as a process that was killed does.
func (m *Machine) SuspendVolume(full string) {
	m.played(full, func(v *lvmVolume) { v.dev.Suspended = true })
}

// RebootLVM deactivates all volumes, whoever uses them.
func (m *Machine) RebootLVM() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.groups() {
		for _, v := range g.volumes {
			if v.dev != nil && m.devs[v.dev.Name] == v.dev {
				v.dev.Mounts = nil
				m.remove(v.dev.Name)
			}
			v.active = false
		}
	}
}

// WriteVolumes has users write data to all volumes that hold none: what is
// lost from now on, Lost tells by the volume's name.
func (m *Machine) WriteVolumes() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.groups() {
		for _, v := range g.volumes {
			if v.dev != nil && v.dev.Owner == "" {
				v.dev.Owner = "volume/" + g.name + "/" + v.name
				if len(v.dev.Content) == 0 {
					v.dev.Content = []block.Content{{Type: block.Unknown}}
				}
			}
		}
	}
}

// ForeignGroup makes a volume group of another machine's on devices, with one
// linear volume in it, whose data is volume/NAME/VOLUME.
func (m *Machine) ForeignGroup(name, volume string, size int64, devices ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := &lvmGroup{name: name, uuid: m.identity("VG"), extent: 4 << 20}
	for _, d := range devices {
		if m.label(d, g) != nil {
			return
		}
	}
	v := &lvmVolume{name: volume, uuid: m.identity("LV"), kind: "linear", size: size, stripes: 1, copies: 1}
	v.device(m)
	v.dev.Owner = "volume/" + name + "/" + volume
	if m.take(g, v, size/g.extent, nil, nil) == nil {
		g.volumes = append(g.volumes, v)
	}
}

// Anonymous is a report without what differs between two volumes that are made
// the same: their UUIDs.
func (m *Machine) Anonymous(report string) string {
	return serial.ReplaceAllString(report, "$1")
}

// CutOffMove leaves a move off a device half done, as a process that was killed
// does.
func (m *Machine) CutOffMove(group, device string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.groups() {
		if g.name == group {
			g.volumes = append(g.volumes, &lvmVolume{name: "pvmove0", uuid: m.identity("LV"), kind: "mirror", hidden: true, moves: device, active: true})
		}
	}
}

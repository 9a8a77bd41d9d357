package storagefake

import (
	"maps"
	"slices"

	"github.com/esos-project/esos/internal/host/block"
)

// Foreign puts somebody else's data on a disk: an ext4 file system.
func (m *Machine) Foreign(name, owner string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.find(name)
	d.Content, d.Owner = []block.Content{{Type: "ext4", Label: "foreign", UUID: "11111111-2222-4333-8444-555555555555"}}, owner
}

// Reboot leaves what is on the disks: nothing is mounted, open, active or
// assembled after it.
func (m *Machine) Reboot() {
	m.Unmounted()
	m.RebootLVM()
	m.Locked()
	m.StopArrays()
	m.RebootRemote()
}

// Write has users write data to every volume and array that holds none and
// that nothing stands on: what is lost from now on, Lost tells by its name.
func (m *Machine) Write() {
	m.WriteVolumes()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.md {
		if a.device.Owner == "" && len(m.above(a.device.Name)) == 0 {
			a.device.Owner, a.device.Content = "array/"+a.name, []block.Content{{Type: block.Unknown}}
		}
	}
}

// Owners are those whose data is on the machine, whether it is running or not.
func (m *Machine) Owners() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	owners := map[string]bool{}
	look := func(d *Device) {
		if d == nil {
			return
		}
		owners[d.Owner] = true
		if h, ok := d.Super[luksKey].(*luksHeader); ok {
			owners[h.inner.Owner] = true
		}
	}
	for _, d := range m.devs {
		look(d)
	}
	for _, a := range m.md {
		look(a.device)
	}
	for _, g := range m.groups() {
		for _, v := range g.volumes {
			look(v.dev)
		}
	}
	delete(owners, "")
	return slices.Sorted(maps.Keys(owners))
}

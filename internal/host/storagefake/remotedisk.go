package storagefake

import (
	"maps"
	"slices"
	"strings"
)

// remotes are the arrays elsewhere, and what this machine is logged in to.
type remotes struct {
	up         map[string]bool // by address and port
	targets    map[string]*Target
	subsystems map[string]*Subsystem
	sessions   map[int]*session
	hosts      map[string]*connection // NVMe controllers, by the kernel's name
	next       int
}

// RemoteDisk is a disk of an array elsewhere. What it holds is held by the
// devices that lead to it while there are some.
type RemoteDisk struct {
	WWID   string // as multipath shows it: 3600140512345678
	Size   int64
	Serial string
	Device *Device // what it holds while nobody is logged in
	paths  []string
}

// Portal has an address of an array elsewhere answer, or no more.
func (m *Machine) Portal(address string, up bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remotes.up[address] = up
	m.follow()
}

// remoteTools prepares for arrays elsewhere.
func remoteTools(m *Machine) {
	m.remotes = remotes{up: map[string]bool{}, targets: map[string]*Target{}, subsystems: map[string]*Subsystem{}, sessions: map[int]*session{}, hosts: map[string]*connection{}}
	m.files["/etc/iscsi/initiatorname.iscsi"] = []byte("InitiatorName=iqn.2026-11.org.esos-project:host.0123456789abcdef\n")
	m.files["/etc/nvme/hostnqn"] = []byte("nqn.2014-08.org.nvmexpress:uuid:7d9f0a2e-1111-4222-8333-444455556666\n")
	m.files["/etc/nvme/hostid"] = []byte("7d9f0a2e-1111-4222-8333-444455556666\n")
	m.unit("iscsid.service", func(bool) error { return nil })
	m.tools["iscsiadm"], m.tools["nvme"] = iscsiadm, nvme
}

// appear brings a device that leads to a remote disk; locked.
func (m *Machine) appear(r *RemoteDisk, name, transport string, links ...string) {
	d := m.add(&Device{Name: name, Type: "disk", Size: r.Size, Model: "Imitation", Serial: r.Serial, WWN: wwn(r.WWID), Transport: transport})
	from := r.Device
	if len(r.paths) > 0 {
		from = m.devs[r.paths[0]]
	}
	r.move(from, d)
	r.paths = append(r.paths, name)
	for _, l := range links {
		m.links[l] = name
	}
}

// vanish takes such a device away, with whatever stands on it; locked.
func (m *Machine) vanish(r *RemoteDisk, name string) {
	d := m.devs[name]
	if d == nil {
		return
	}
	gathered := m.mapOf(r)
	if gathered != nil {
		gathered.Below = slices.DeleteFunc(gathered.Below, func(b string) bool { return b == name })
	}
	r.paths = slices.DeleteFunc(r.paths, func(p string) bool { return p == name })
	holder := d
	if gathered != nil {
		holder = gathered
	}
	if m.busy(d) != "" || len(r.paths) == 0 && m.busy(holder) != "" { // taken from under somebody
		m.lost = append(m.lost, "in use: "+name)
	}
	if len(r.paths) == 0 {
		r.move(holder, r.Device)
	}
	m.remove(name)
	maps.DeleteFunc(m.links, func(_, n string) bool { return n == name })
	for _, p := range r.paths { // udev gives the names to another path
		m.links["/dev/disk/by-id/scsi-"+r.WWID] = p
	}
}

// move has what a disk holds held by another device.
func (r *RemoteDisk) move(from, to *Device) {
	if from == nil || to == nil || from == to {
		return
	}
	to.Content, to.Super, to.Owner = slices.Clone(from.Content), map[string]any{}, from.Owner
	maps.Copy(to.Super, from.Super)
}

// wwn is lsblk's identifier of a disk, by multipath's.
func wwn(wwid string) string {
	if rest, ok := strings.CutPrefix(wwid, "3"); ok {
		return "0x" + rest
	}
	return wwid
}

// putKernel writes the kernel's files below a directory; locked.
func (m *Machine) putKernel(dir string, files map[string]string) {
	for name, text := range files {
		m.files[dir+"/"+name] = []byte(text + "\n")
	}
}

// dropKernel takes the kernel's files below a directory away; locked.
func (m *Machine) dropKernel(dir string) {
	maps.DeleteFunc(m.files, func(p string, _ []byte) bool { return strings.HasPrefix(p, dir+"/") })
	maps.DeleteFunc(m.dirs, func(p string, _ bool) bool { return p == dir || strings.HasPrefix(p, dir+"/") })
}

// RebootRemote is what a reboot does to remote disks: nobody is logged in, and
// no daemon runs. Files and what the disks hold stay.
func (m *Machine) RebootRemote() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, unit := range []string{"multipathd.service", "iscsid.service"} {
		m.units.running[unit] = false
	}
	for _, r := range m.remoteDisks() {
		if d := m.mapOf(r); d != nil {
			r.move(d, r.Device)
			for _, p := range r.paths {
				r.move(d, m.devs[p])
			}
			m.remove(d.Name)
		}
	}
	for _, s := range slices.Collect(maps.Values(m.remotes.sessions)) {
		m.logout(s)
	}
	for _, c := range slices.Collect(maps.Values(m.remotes.hosts)) {
		m.disconnect(c)
	}
}

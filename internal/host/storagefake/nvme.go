package storagefake

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Subsystem is an NVMe subsystem of an array elsewhere. Linux shows its disks
// once, however many controllers lead to them.
type Subsystem struct {
	NQN        string
	Namespaces []*RemoteDisk
	number     int // of the kernel's nvme-subsysN, while it is connected
}

// connection is a controller that this machine is connected to.
type connection struct {
	name      string
	of        *Subsystem
	transport string
	address   string // ADDRESS:PORT
}

// Subsystem adds an NVMe subsystem elsewhere; Portal has its addresses answer.
func (m *Machine) Subsystem(nqn string, namespaces ...*RemoteDisk) *Subsystem {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &Subsystem{NQN: nqn, Namespaces: namespaces}
	for _, n := range namespaces {
		if n.Device == nil {
			n.Device = &Device{Super: map[string]any{}}
		}
	}
	m.remotes.subsystems[nqn] = s
	return s
}

// nvme connects and disconnects as nvme-cli does.
func nvme(m *Machine, args []string, _ string) (string, error) {
	set := map[string]string{}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(strings.TrimPrefix(a, "--"), "=")
		set[key] = value
	}
	switch args[0] {
	case "connect":
		return "", m.connect(set)
	case "disconnect":
		c := m.remotes.hosts[set["device"]]
		if c == nil {
			return "", fails("nvme", 1, "Did not find device %s", set["device"])
		}
		m.disconnect(c)
		return "", nil
	}
	return "", fails("nvme", 1, "the imitation does not know %q", args)
}

func (m *Machine) connect(set map[string]string) error {
	s := m.remotes.subsystems[set["nqn"]]
	address := set["traddr"] + ":" + set["trsvcid"]
	if strings.Contains(set["traddr"], ":") {
		address = "[" + set["traddr"] + "]:" + set["trsvcid"]
	}
	for _, c := range m.remotes.hosts {
		if c.of == s && c.address == address {
			return fails("nvme", 1, "already connected to hostnqn=... nqn=%s", set["nqn"])
		}
	}
	if s == nil || !m.remotes.up[address] {
		return fails("nvme", 1, "could not add new controller: failed to write to nvme-fabrics device")
	}
	first := !slices.ContainsFunc(slices.Collect(maps.Values(m.remotes.hosts)), func(c *connection) bool { return c.of == s })
	m.remotes.next++
	c := &connection{name: fmt.Sprintf("nvme%d", m.remotes.next), of: s, transport: set["transport"], address: address}
	m.remotes.hosts[c.name] = c
	m.putKernel(path.Join("/sys/class/nvme", c.name), map[string]string{"subsysnqn": s.NQN, "transport": c.transport, "state": "live",
		"address": fmt.Sprintf("traddr=%s,trsvcid=%s,src_addr=10.0.0.1", set["traddr"], set["trsvcid"])})
	if !first {
		return nil
	}
	s.number = m.remotes.next
	dir := fmt.Sprintf("/sys/class/nvme-subsystem/nvme-subsys%d", s.number)
	m.putKernel(dir, map[string]string{"subsysnqn": s.NQN})
	for i, n := range s.Namespaces {
		name := fmt.Sprintf("nvme%dn%d", s.number, i+1)
		m.appear(n, name, "nvme", "/dev/disk/by-id/nvme-"+n.WWID)
		m.dirs[dir+"/"+name] = true
	}
	return nil
}

func (m *Machine) disconnect(c *connection) {
	delete(m.remotes.hosts, c.name)
	m.dropKernel(path.Join("/sys/class/nvme", c.name))
	for _, other := range m.remotes.hosts {
		if other.of == c.of {
			return
		}
	}
	for _, n := range c.of.Namespaces {
		for _, p := range slices.Clone(n.paths) {
			m.vanish(n, p)
		}
	}
	m.dropKernel(fmt.Sprintf("/sys/class/nvme-subsystem/nvme-subsys%d", c.of.number))
}

// follow has logins lose and find the addresses that they go through; locked.
func (m *Machine) follow() {
	for _, s := range m.remotes.sessions {
		state := map[bool]string{true: "LOGGED_IN", false: "FAILED"}[m.remotes.up[s.address()]]
		m.files[fmt.Sprintf("/sys/class/iscsi_session/session%d/state", s.id)] = []byte(state + "\n")
	}
	for _, c := range m.remotes.hosts {
		state := map[bool]string{true: "live", false: "connecting"}[m.remotes.up[c.address]]
		m.files["/sys/class/nvme/"+c.name+"/state"] = []byte(state + "\n")
	}
}

package config

import (
	"fmt"
	"slices"
	"strconv"
)

// FindNVMePort returns the NVMe port of that name.
func (d *Document) FindNVMePort(name string) (*NVMePort, error) {
	return find(d.NVMe.Ports, "NVMe port", name, func(v NVMePort) string { return v.Name })
}

// FindNVMeSubsystem returns the NVMe subsystem of that name.
func (d *Document) FindNVMeSubsystem(nqn string) (*NVMeSubsystem, error) {
	return find(d.NVMe.Subsystems, "NVMe subsystem", nqn, func(v NVMeSubsystem) string { return v.NQN })
}

// FindNVMeHost returns a host that may use a subsystem.
func (d *Document) FindNVMeHost(subsystem, nqn string) (*NVMeHost, error) {
	s, err := d.FindNVMeSubsystem(subsystem)
	if err != nil {
		return nil, err
	}
	return find(s.Hosts, "host of NVMe subsystem "+subsystem, nqn, func(v NVMeHost) string { return v.NQN })
}

// FindNVMeNamespace returns a namespace of a subsystem.
func (d *Document) FindNVMeNamespace(subsystem string, nsid int) (*NVMeNamespace, error) {
	s, err := d.FindNVMeSubsystem(subsystem)
	if err != nil {
		return nil, err
	}
	return find(s.Namespaces, "namespace of NVMe subsystem "+subsystem, strconv.Itoa(nsid), func(v NVMeNamespace) string { return strconv.Itoa(v.NSID) })
}

// AddNVMePort adds an NVMe port.
func (d *Document) AddNVMePort(v NVMePort) error {
	return add(&d.NVMe.Ports, "NVMe port", v.Name, v, func(v NVMePort) string { return v.Name })
}

// AddNVMeSubsystem adds an NVMe subsystem.
func (d *Document) AddNVMeSubsystem(v NVMeSubsystem) error {
	return add(&d.NVMe.Subsystems, "NVMe subsystem", v.NQN, v, func(v NVMeSubsystem) string { return v.NQN })
}

// AddNVMeHost lets a host use a subsystem. A key that the array has for it
// already, at another subsystem, goes for this one, too.
func (d *Document) AddNVMeHost(subsystem string, v NVMeHost) error {
	s, err := d.FindNVMeSubsystem(subsystem)
	if err != nil {
		return err
	}
	if v.DHCHAPKey == "" && v.DHCHAPCtrlKey == "" {
		for _, other := range d.NVMe.Subsystems {
			if i := slices.IndexFunc(other.Hosts, func(h NVMeHost) bool { return h.NQN == v.NQN }); i >= 0 {
				v = other.Hosts[i]
				break
			}
		}
	}
	return add(&s.Hosts, "host of NVMe subsystem "+subsystem, v.NQN, v, func(v NVMeHost) string { return v.NQN })
}

// AddNVMeNamespace adds a namespace to a subsystem; nsid 0 takes the lowest
// that is free.
func (d *Document) AddNVMeNamespace(subsystem string, v NVMeNamespace) error {
	s, err := d.FindNVMeSubsystem(subsystem)
	if err != nil {
		return err
	}
	if _, err := d.FindDevice(v.Device); err != nil {
		return err
	}
	if v.NSID == 0 {
		taken := map[int]bool{}
		for _, ns := range s.Namespaces {
			taken[ns.NSID] = true
		}
		for v.NSID = 1; taken[v.NSID]; v.NSID++ {
		}
	}
	if err := add(&s.Namespaces, "namespace of NVMe subsystem "+subsystem, strconv.Itoa(v.NSID), v, func(v NVMeNamespace) string { return strconv.Itoa(v.NSID) }); err != nil {
		return err
	}
	slices.SortStableFunc(s.Namespaces, func(a, b NVMeNamespace) int { return a.NSID - b.NSID })
	return nil
}

// RemoveNVMePort removes an NVMe port, also from the subsystems that name it.
// A subsystem that names no other is refused: it would then be reached by all.
func (d *Document) RemoveNVMePort(name string) error {
	if _, err := d.FindNVMePort(name); err != nil {
		return err
	}
	for _, s := range d.NVMe.Subsystems {
		if len(s.Ports) == 1 && s.Ports[0] == name {
			return fmt.Errorf("remove NVMe port %q: subsystem %s is reached by no other; give it another one first", name, s.NQN)
		}
	}
	for i := range d.NVMe.Subsystems {
		s := &d.NVMe.Subsystems[i]
		s.Ports = slices.DeleteFunc(s.Ports, func(n string) bool { return n == name })
	}
	d.NVMe.Ports = slices.DeleteFunc(d.NVMe.Ports, func(v NVMePort) bool { return v.Name == name })
	return nil
}

// RemoveNVMeSubsystem removes an NVMe subsystem with its namespaces; devices stay.
func (d *Document) RemoveNVMeSubsystem(nqn string) error {
	if _, err := d.FindNVMeSubsystem(nqn); err != nil {
		return err
	}
	d.NVMe.Subsystems = slices.DeleteFunc(d.NVMe.Subsystems, func(v NVMeSubsystem) bool { return v.NQN == nqn })
	return nil
}

// RemoveNVMeHost lets a host use a subsystem no more.
func (d *Document) RemoveNVMeHost(subsystem, nqn string) error {
	if _, err := d.FindNVMeHost(subsystem, nqn); err != nil {
		return err
	}
	s, _ := d.FindNVMeSubsystem(subsystem) // it was found above
	s.Hosts = slices.DeleteFunc(s.Hosts, func(v NVMeHost) bool { return v.NQN == nqn })
	return nil
}

// RemoveNVMeNamespace removes a namespace; its device stays.
func (d *Document) RemoveNVMeNamespace(subsystem string, nsid int) error {
	if _, err := d.FindNVMeNamespace(subsystem, nsid); err != nil {
		return err
	}
	s, _ := d.FindNVMeSubsystem(subsystem) // it was found above
	s.Namespaces = slices.DeleteFunc(s.Namespaces, func(v NVMeNamespace) bool { return v.NSID == nsid })
	return nil
}

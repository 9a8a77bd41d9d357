// Package networktest has a machine whose network is in memory, for tests of
// what sets networks up.
package networktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/esos-project/esos/internal/host/networking"
)

// Machine is a machine whose networkd does what the files say, at once. It
// reads the files as systemd-networkd does, so what they lack does not come
// about.
type Machine struct {
	mu sync.Mutex // guards what follows, while more than one goroutine is there

	Interfaces map[string]networking.Link
	Etc        map[string]string // files by their paths
	Name       string
	Stopped    bool            // networkd does not run
	Deaf       map[string]bool // interfaces that get no addresses
	Full       string          // path that cannot be written
	Did        []string        // what was done besides writing files
}

// New makes a machine with ports, called esos.
func New(ports ...string) *Machine {
	m := &Machine{Interfaces: map[string]networking.Link{}, Name: "esos", Deaf: map[string]bool{},
		Etc: map[string]string{"/etc/hostname": "esos\n", "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1 esos\n::1 localhost\n"}}
	for i, p := range ports {
		mac := fmt.Sprintf("52:54:00:12:34:%02x", 3+i)
		m.Interfaces[p] = networking.Link{Name: p, MAC: mac, PermanentMAC: mac, MTU: 1500, Up: true, Carrier: true}
	}
	return m
}

// Links lists the interfaces.
func (m *Machine) Links() ([]networking.Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	links := slices.Collect(maps.Values(m.Interfaces))
	slices.SortFunc(links, func(a, b networking.Link) int { return strings.Compare(a.Name, b.Name) })
	return links, nil
}

// DeleteLink removes an interface, and what is on it.
func (m *Machine) DeleteLink(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.Interfaces[name]; ok && l.Kind == "" {
		return errors.New(name + " is a port")
	}
	m.Did = append(m.Did, "delete "+name)
	delete(m.Interfaces, name)
	for n, l := range m.Interfaces {
		if l.Master == name {
			l.Master = ""
			m.Interfaces[n] = l
		}
		if l.Parent == name {
			delete(m.Interfaces, n)
		}
	}
	return nil
}

// SetMTU sets an MTU.
func (m *Machine) SetMTU(name string, mtu int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.Interfaces[name]
	l.MTU = mtu
	m.Interfaces[name] = l
	m.Did = append(m.Did, fmt.Sprintf("mtu %s %d", name, mtu))
	return nil
}

// Files returns all files.
func (m *Machine) Files(...string) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.Etc), nil
}

// WriteFile writes a file.
func (m *Machine) WriteFile(path, text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if path == m.Full {
		return errors.New("write " + path + ": no space left on device")
	}
	m.Etc[path] = text
	return nil
}

// RemoveFile removes a file.
func (m *Machine) RemoveFile(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.Etc, path)
	return nil
}

// Networkd says that networkd is settled if it runs.
func (m *Machine) Networkd(context.Context) (bool, bool) { return !m.Stopped, !m.Stopped }

// ReloadResolver notes that it was called.
func (m *Machine) ReloadResolver(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Did = append(m.Did, "resolver")
	return nil
}

// Hostname is the name.
func (m *Machine) Hostname() (string, error) { return m.Name, nil }

// SetHostname changes the name.
func (m *Machine) SetHostname(name string) error {
	m.Name = name
	m.Did = append(m.Did, "name "+name)
	return nil
}

// values of a key in a unit's file.
func values(text, key string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			all = append(all, v)
		}
	}
	return all
}

func value(text, key string) string {
	if v := values(text, key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Reload does what the files say.
func (m *Machine) Reload(_ context.Context, again ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Did = append(m.Did, strings.TrimSpace("reload "+strings.Join(again, " ")))
	for p, text := range m.Etc {
		if name := value(text, "Kind"); strings.HasSuffix(p, ".netdev") {
			name, kind := value(text, "Name"), name
			l, there := m.Interfaces[name]
			if !there {
				l = networking.Link{Name: name, Kind: kind, MTU: 1500, Up: true, Carrier: true, BondMode: value(text, "Mode")}
				_, _ = fmt.Sscan(value(text, "Id"), &l.VLANID)
			}
			m.Interfaces[name] = l
		}
	}
	for name, l := range m.Interfaces {
		l.Addresses = nil
		m.Interfaces[name] = l
	}
	for p, text := range m.Etc {
		if !strings.HasPrefix(p, "/etc/systemd/network/20-esos-") || !strings.HasSuffix(p, ".network") {
			continue
		}
		name := value(text, "Name")
		for n, l := range m.Interfaces {
			if mac := value(text, "PermanentMACAddress"); mac != "" && l.PermanentMAC == mac {
				name = n
			}
		}
		l, there := m.Interfaces[name]
		if !there {
			continue
		}
		if mtu := value(text, "MTUBytes"); mtu != "" {
			_, _ = fmt.Sscan(mtu, &l.MTU)
		}
		l.Master = value(text, "Bond") + value(text, "Bridge")
		for _, a := range values(text, "Address") {
			if !m.Deaf[name] {
				l.Addresses = append(l.Addresses, netip.MustParsePrefix(a))
			}
		}
		m.Interfaces[name] = l
		for _, v := range values(text, "VLAN") {
			if on, ok := m.Interfaces[v]; ok {
				on.Parent = name
				m.Interfaces[v] = on
			}
		}
	}
	return nil
}

// RestartNetwork notes that it was called.
func (m *Machine) RestartNetwork(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Did = append(m.Did, "restart")
	return nil
}

// Address says whether an interface has an address.
func (m *Machine) Address(name, prefix string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.Interfaces[name].Addresses, netip.MustParsePrefix(prefix))
}

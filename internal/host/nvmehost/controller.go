// Package nvmehost is the gate to Linux as an NVMe host: what it is connected
// to over a network, by sysfs, and nvme-cli, by which it connects and
// disconnects (nvme-connect(1)).
package nvmehost

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Controller is a connection to a subsystem.
type Controller struct {
	Name      string         `json:"name"` // the kernel's: nvme1
	Subsystem string         `json:"subsystem"`
	Transport string         `json:"transport"` // tcp, rdma; fc and loop of others
	Address   netip.AddrPort `json:"address"`
	State     string         `json:"state"`           // the kernel's word
	Disks     []string       `json:"disks,omitempty"` // of the subsystem, by the kernel's names
}

// Live is the state of a controller that works (nvme_sysfs_show_state).
const Live = "live"

// Reader reads the kernel's files (host.Linux).
type Reader interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
}

const (
	controllers = "/sys/class/nvme"
	subsystems  = "/sys/class/nvme-subsystem"
)

// namespace matches disks among what is below a subsystem or a controller;
// nvme0c1n1 is a path to one that the kernel keeps to itself.
var namespace = regexp.MustCompile(`^nvme[0-9]+n[0-9]+$`)

// Controllers reads what the machine is connected to; drives of its own are
// left out.
func Controllers(m Reader) ([]Controller, error) {
	names, err := m.ReadDir(controllers)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the NVMe controllers: %w", err)
	}
	shared, err := namespaces(m)
	if err != nil {
		return nil, fmt.Errorf("list the NVMe disks: %w", err)
	}
	var found []Controller
	for _, n := range names {
		c, err := read(m, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("look at NVMe controller %s: %w", n, err)
		}
		if c.Transport == "pcie" || c.Transport == "apple-nvme" {
			continue
		}
		c.Disks = append(c.Disks, shared[c.Subsystem]...)
		slices.Sort(c.Disks)
		found = append(found, c)
	}
	slices.SortFunc(found, func(a, b Controller) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

func read(m Reader, name string) (Controller, error) {
	c := Controller{Name: name}
	dir := path.Join(controllers, name)
	var failed error
	for _, f := range []struct {
		file string
		into *string
	}{{"subsysnqn", &c.Subsystem}, {"transport", &c.Transport}, {"state", &c.State}} {
		text, err := m.ReadFile(path.Join(dir, f.file))
		if err != nil && failed == nil {
			failed = err
		}
		*f.into = strings.TrimSpace(string(text))
	}
	if failed != nil || c.Transport != "tcp" && c.Transport != "rdma" {
		return c, failed
	}
	text, err := m.ReadFile(path.Join(dir, "address"))
	if err != nil {
		return c, err
	}
	if c.Address, err = parseAddress(string(text)); err != nil {
		return c, err
	}
	names, err := m.ReadDir(dir)
	for _, n := range names {
		if namespace.MatchString(n) { // where nvme_core.multipath is off
			c.Disks = append(c.Disks, n)
		}
	}
	return c, err
}

// parseAddress reads traddr=10.0.0.5,trsvcid=4420,src_addr=10.0.0.1.
func parseAddress(text string) (netip.AddrPort, error) {
	fields := map[string]string{}
	for f := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		key, value, _ := strings.Cut(f, "=")
		fields[key] = value
	}
	a, err := netip.ParseAddr(fields["traddr"])
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("its address is %q: %w", strings.TrimSpace(text), err)
	}
	port, err := strconv.ParseUint(fields["trsvcid"], 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("its port is %q", fields["trsvcid"])
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(port)), nil
}

// namespaces are the disks of subsystems that are reached over all of their
// controllers, by the subsystem's name.
func namespaces(m Reader) (map[string][]string, error) {
	names, err := m.ReadDir(subsystems)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, n := range names {
		nqn, err := m.ReadFile(path.Join(subsystems, n, "subsysnqn"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		below, err := m.ReadDir(path.Join(subsystems, n))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, b := range below {
			if namespace.MatchString(b) {
				found[strings.TrimSpace(string(nqn))] = append(found[strings.TrimSpace(string(nqn))], b)
			}
		}
	}
	return found, nil
}

// String names a controller for people.
func (c Controller) String() string {
	return fmt.Sprintf("%s at %s (%s)", c.Subsystem, c.Address, c.Transport)
}

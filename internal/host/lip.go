package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FCPort is a Fibre Channel or FCoE port of this machine.
type FCPort struct {
	Host string // the kernel's name: host8
	WWPN string // as the kernel writes it, 0x and 16 hex digits
}

// FCPorts lists the Fibre Channel and FCoE ports of this machine.
func (a Adapters) FCPorts() ([]FCPort, error) {
	entries, err := os.ReadDir(a.fcHosts())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list Fibre Channel ports: %w", err)
	}
	var ports []FCPort
	for _, e := range entries {
		name, err := os.ReadFile(filepath.Join(a.fcHosts(), e.Name(), "port_name"))
		if err != nil {
			continue // it was just taken out
		}
		ports = append(ports, FCPort{Host: e.Name(), WWPN: strings.TrimSpace(string(name))})
	}
	slices.SortFunc(ports, func(x, y FCPort) int { return strings.Compare(x.Host, y.Host) })
	return ports, nil
}

// IssueLIP has a port begin its loop, or its link to the switch, anew (FC-AL-2,
// loop initialization), so that the fabric looks at it again.
func (a Adapters) IssueLIP(p FCPort) error {
	f, err := os.OpenFile(filepath.Join(a.fcHosts(), p.Host, "issue_lip"), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("issue a LIP at %s: %w", p.Host, err)
	}
	_, err = f.WriteString("1")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("issue a LIP at %s: %w", p.Host, err)
	}
	return nil
}

func (a Adapters) fcHosts() string {
	root := a.Sys
	if root == "" {
		root = "/sys"
	}
	return filepath.Join(root, "class/fc_host")
}

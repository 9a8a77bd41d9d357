package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Adapters tells the ports of this machine that initiators could reach, in sysfs.
type Adapters struct {
	Sys string // /sys if empty
}

// FibreChannel lists the WWPNs of Fibre Channel and FCoE ports, as the kernel
// writes them (0x and 16 hex digits).
func (a Adapters) FibreChannel() ([]string, error) {
	return a.read("class/fc_host/*/port_name")
}

// InfiniBand lists the GIDs of the ports of RDMA devices, each port's first.
func (a Adapters) InfiniBand() ([]string, error) {
	return a.read("class/infiniband/*/ports/*/gids/0")
}

// RoCE says whether an RDMA device is on Ethernet.
func (a Adapters) RoCE() (bool, error) {
	layers, err := a.read("class/infiniband/*/ports/*/link_layer")
	return slices.Contains(layers, "Ethernet"), err
}

func (a Adapters) read(pattern string) ([]string, error) {
	root := a.Sys
	if root == "" {
		root = "/sys"
	}
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		return nil, fmt.Errorf("list adapters: %w", err)
	}
	var names []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it was just taken out
		}
		names = append(names, strings.TrimSpace(string(b)))
	}
	slices.Sort(names)
	return names, nil
}

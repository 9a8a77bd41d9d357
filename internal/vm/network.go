package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// loopback is where forwarded ports listen: nobody else can reach the guest.
const loopback = "127.0.0.1"

// Forward leads TCP connections from a port of this host's loopback to one of
// the guest.
type Forward struct {
	Host  int // 0: one that is free
	Guest int
}

// Address is where the guest's port is reached on this host, "" if it is not
// forwarded.
func (m *Machine) Address(guestPort int) string {
	for _, f := range m.forwards {
		if f.Guest == guestPort {
			return loopback + ":" + strconv.Itoa(f.Host)
		}
	}
	return ""
}

func networkArgs(forwards []Forward) []string {
	net := "user,id=net0"
	for _, f := range forwards {
		net += fmt.Sprintf(",hostfwd=tcp:%s:%d-:%d", loopback, f.Host, f.Guest)
	}
	return []string{"-netdev", net, "-device", "virtio-net-pci,netdev=net0,romfile="}
}

// findForwards asks QEMU which ports it got: only the one who holds a port
// knows that it was free.
func (m *Machine) findForwards(ctx context.Context) error {
	for _, f := range m.forwards {
		if f.Host == 0 {
			return m.askForwards(ctx)
		}
	}
	return nil
}

func (m *Machine) askForwards(ctx context.Context) error {
	answer, err := m.Do(ctx, "human-monitor-command", map[string]any{"command-line": "info usernet"})
	if err != nil {
		return fmt.Errorf("ask which ports are forwarded: %w", err)
	}
	var table string
	if err := json.Unmarshal(answer, &table); err != nil {
		return fmt.Errorf("ask which ports are forwarded: %w", err)
	}
	ports := parseUsernet(table)
	for i, f := range m.forwards {
		if f.Host != 0 {
			continue
		}
		port, ok := ports[f.Guest]
		if !ok {
			return fmt.Errorf("port %d of the guest is not in QEMU's list of forwarded ports:\n%s", f.Guest, table)
		}
		m.forwards[i].Host = port
	}
	return nil
}

// parseUsernet reads the host's ports from QEMU's table, by the guest's:
//
//	Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
//	TCP[HOST_FORWARD]  12       127.0.0.1 36543       10.0.2.15    22     0     0
func parseUsernet(table string) map[int]int {
	ports := map[int]int{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 6 || f[0] != "TCP[HOST_FORWARD]" {
			continue
		}
		host, err1 := strconv.Atoi(f[3])
		guest, err2 := strconv.Atoi(f[5])
		if err1 == nil && err2 == nil {
			ports[guest] = host
		}
	}
	return ports
}

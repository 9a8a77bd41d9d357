package nvmehost

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Machine is what connects and disconnects (host.Linux).
type Machine interface {
	Reader
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// Path is a way to a subsystem.
type Path struct {
	Subsystem string
	Transport string // tcp or rdma
	Address   netip.AddrPort
}

// Is says whether a controller is connected this way.
func (p Path) Is(c Controller) bool {
	return p.Subsystem == c.Subsystem && p.Transport == c.Transport && p.Address == c.Address
}

// String names a path for people.
func (p Path) String() string {
	return fmt.Sprintf("%s at %s (%s)", p.Subsystem, p.Address, p.Transport)
}

// Files of the name and the identifier by which subsystems know this machine.
// The first boot makes them; nvme-cli would make up others at each boot.
const (
	NameFile = "/etc/nvme/hostnqn"
	IDFile   = "/etc/nvme/hostid"
)

// HostName reads the name of this machine as an NVMe host.
func HostName(m Reader) (string, error) {
	for _, f := range []string{IDFile, NameFile} {
		text, err := m.ReadFile(f)
		if err != nil {
			return "", fmt.Errorf("read this machine's name as an NVMe host: %w", err)
		}
		name := strings.TrimSpace(string(text))
		if name == "" {
			return "", fmt.Errorf("this machine has no name as an NVMe host yet (%s); 'esos first-boot' makes one", f)
		}
		if f == NameFile {
			return name, nil
		}
	}
	return "", nil
}

// Times, in seconds.
const (
	reconnectDelay = 5
	// forever: a controller that was lost is tried again as long as it is
	// declared.
	forever = -1
	// failAfter is how long I/O waits for a lost controller where there is no
	// other path: without it an array of RAID over it would hang, rather than
	// go on without that disk.
	failAfter = 60
)

// Connect connects to a subsystem. A connection that is there already is as
// good.
func Connect(ctx context.Context, m Machine, p Path) error {
	name, err := HostName(m)
	if err != nil {
		return fmt.Errorf("connect to %v: %w", p, err)
	}
	if _, err := m.Output(ctx, host.Call{Name: "modprobe", Args: []string{"nvme-" + p.Transport}}); err != nil {
		return fmt.Errorf("connect to %v: load its module: %w", p, err)
	}
	number := func(flag string, n int) string { return "--" + flag + "=" + strconv.Itoa(n) }
	_, err = m.Output(ctx, host.Call{Name: "nvme", Args: []string{"connect",
		"--transport=" + p.Transport, "--traddr=" + p.Address.Addr().String(), number("trsvcid", int(p.Address.Port())), "--nqn=" + p.Subsystem,
		number("reconnect-delay", reconnectDelay), number("ctrl-loss-tmo", forever), number("fast_io_fail_tmo", failAfter)}})
	if err == nil {
		return nil
	}
	there, look := Controllers(m)
	if look == nil && slices.ContainsFunc(there, p.Is) {
		return nil
	}
	return errors.Join(fmt.Errorf("connect to %v: %w; does it let host %s in?", p, err, name), look)
}

// Disconnect ends a connection; one that is gone already is no error. With the
// last one to a subsystem its disks go.
func Disconnect(ctx context.Context, m Machine, c Controller) error {
	_, err := m.Output(ctx, host.Call{Name: "nvme", Args: []string{"disconnect", "--device=" + c.Name}})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("disconnect from %v: %w", c, err)
	left, look := Controllers(m)
	if look != nil || slices.ContainsFunc(left, func(o Controller) bool {
		return o.Name == c.Name && o.Subsystem == c.Subsystem && o.Address == c.Address
	}) {
		return errors.Join(err, look)
	}
	return nil
}

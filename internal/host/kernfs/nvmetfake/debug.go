package nvmetfake

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
)

// Connection is a host that is connected to a subsystem: a controller.
type Connection struct {
	Subsystem string
	Host      string
	Port      int
	ID        int
	// Told is what the host was told of (asynchronous events).
	Told []string
	// Ended says that it was cut off.
	Ended bool
}

// Connect is a host's Connect command, and the Identify that follows.
func (t *Tree) Connect(port int, nqn, host string) (*Connection, error) {
	t.k.Lock()
	defer t.k.Unlock()
	if !t.leadsThere(path.Join("ports", strconv.Itoa(port), "subsystems"), "subsystems/"+nqn) {
		return nil, fmt.Errorf("connect: %w", unix.ECONNREFUSED)
	}
	allowed := t.k.Text(path.Join("subsystems", nqn, "attr_allow_any_host")) == "1" || t.leadsThere(path.Join("subsystems", nqn, "allowed_hosts"), "hosts/"+host)
	if !allowed {
		return nil, fmt.Errorf("connect: %w", unix.EACCES)
	}
	t.next++
	c := &Connection{Subsystem: nqn, Host: host, Port: port, ID: t.next}
	t.hosts = append(t.hosts, c)
	t.discovered[nqn] = true
	return c, nil
}

// tell tells the hosts of a subsystem. The caller holds mu.
func (t *Tree) tell(nqn, what string) {
	for _, c := range t.hosts {
		if c.Subsystem == nqn && !c.Ended {
			c.Told = append(c.Told, what)
		}
	}
}

// end cuts hosts off. The caller holds mu.
func (t *Tree) end(which func(c *Connection) bool) {
	for _, c := range t.hosts {
		c.Ended = c.Ended || which(c)
	}
}

// Debug is nvmet's tree in debugfs. Its methods are kernfs.Tree's.
type Debug struct{ t *Tree }

// Debug is the tree in debugfs.
func (t *Tree) Debug() Debug { return Debug{t} }

func (d Debug) find(p string) *Connection {
	nqn, name := path.Split(p)
	for _, c := range d.t.hosts {
		if !c.Ended && c.Subsystem == path.Clean(nqn) && name == "ctrl"+strconv.Itoa(c.ID) {
			return c
		}
	}
	return nil
}

// ReadDir lists subsystems, or their controllers.
func (d Debug) ReadDir(p string) ([]string, error) {
	d.t.k.Lock()
	defer d.t.k.Unlock()
	if d.t.opt.NoDebug {
		return nil, imitation.Refusal("open", p, unix.ENOENT)
	}
	if p == "." {
		return append(d.t.k.Children("subsystems"), discoveryNQN), nil
	}
	if p != discoveryNQN && d.t.k.At("subsystems/"+p) == nil {
		return nil, imitation.Refusal("open", p, unix.ENOENT)
	}
	var names []string
	for _, c := range d.t.hosts {
		if !c.Ended && c.Subsystem == p {
			names = append(names, "ctrl"+strconv.Itoa(c.ID))
		}
	}
	slices.Sort(names)
	return names, nil
}

// ReadFile reads what is known of a controller.
func (d Debug) ReadFile(p string) (string, error) {
	d.t.k.Lock()
	defer d.t.k.Unlock()
	c := d.find(path.Dir(p))
	if c == nil {
		return "", imitation.Refusal("open", p, unix.ENOENT)
	}
	switch path.Base(p) {
	case "hostnqn":
		return c.Host, nil // without a newline, as the kernel has it
	case "port":
		return strconv.Itoa(c.Port) + "\n", nil
	case "kato":
		return "5\n", nil
	case "state":
		return "ready\n", nil
	case "host_traddr":
		return fmt.Sprintf("192.0.2.%d\n", 100+c.ID), nil
	}
	return "", imitation.Refusal("open", p, unix.ENOENT)
}

// WriteFile takes "fatal" for a controller's state, which ends it.
func (d Debug) WriteFile(p, text string) error {
	d.t.k.Lock()
	defer d.t.k.Unlock()
	c := d.find(path.Dir(p))
	switch {
	case c == nil:
		return imitation.Refusal("open", p, unix.ENOENT)
	case path.Base(p) != "state":
		return imitation.Refusal("open", p, unix.EACCES)
	case !strings.HasPrefix(text, "fatal"):
		return imitation.Refusal("write", p, unix.EINVAL)
	}
	if err := d.t.k.Take("write", "debug/"+p, text); err != nil {
		return err
	}
	c.Ended = true
	return nil
}

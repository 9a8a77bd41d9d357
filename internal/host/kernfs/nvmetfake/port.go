package nvmetfake

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
)

// port is nvmet_ports_make.
func (t *Tree) port(p, name string) error {
	if _, err := strconv.ParseUint(name, 0, 16); err != nil {
		return unix.EINVAL
	}
	at := func(name string) string { return path.Join(p, name) }
	setting := func(name string, most int, allowed ...string) {
		t.k.File(at(name), "", 'b', func(text string) error {
			text = strings.TrimSpace(text)
			switch {
			case len(t.k.Children(at("subsystems"))) > 0:
				return unix.EACCES // nvmet_is_port_enabled
			case text == "" || len(text) > most || allowed != nil && !slices.Contains(allowed, text):
				return unix.EINVAL
			}
			t.k.At(at(name)).Text = text
			return nil
		})
	}
	setting("addr_trtype", 16, "rdma", "fc", "tcp", "loop")
	setting("addr_adrfam", 16, "pcie", "ipv4", "ipv6", "ib", "fc", "loop")
	setting("addr_traddr", 256)
	setting("addr_trsvcid", 32)
	setting("addr_treq", 16, "not specified", "required", "not required")
	setting("param_inline_data_size", 16)
	t.k.At(at("addr_treq")).Text = "not specified"
	if n := t.k.At(at("param_inline_data_size")); n != nil {
		n.Text = "-1"
	}
	t.k.Dir(at("subsystems"))
	t.k.Dir(at("referrals"))
	t.k.Dir(at("ana_groups"))
	t.k.Dir(at("ana_groups/1"))
	t.ana(at("ana_groups/1"), "optimized")
	return nil
}

func (t *Tree) ana(p, state string) {
	t.k.File(path.Join(p, "ana_state"), state, 'b', func(text string) error {
		text = strings.TrimSpace(text)
		if !slices.Contains([]string{"optimized", "non-optimized", "inaccessible", "persistent-loss", "change"}, text) {
			return unix.EINVAL
		}
		t.k.At(path.Join(p, "ana_state")).Text = text
		return nil
	})
}

// relate makes a link: a subsystem at a port, or a host of a subsystem.
func (t *Tree) relate(target, p string) error {
	parts, to := strings.Split(p, "/"), strings.Split(target, "/")
	switch {
	case len(parts) == 4 && parts[0] == "ports" && parts[2] == "subsystems":
		return t.expose(target, to, p, parts[1])
	case len(parts) == 4 && parts[0] == "subsystems" && parts[2] == "allowed_hosts":
		if len(to) != 2 || to[0] != "hosts" || t.k.Text(path.Join("subsystems", parts[1], "attr_allow_any_host")) == "1" {
			return unix.EINVAL
		}
		if t.leadsThere(path.Dir(p), target) {
			return unix.EEXIST
		}
		t.k.Add(p, &imitation.Node{Link: target}) // those who are connected stay: drop_link does nothing about them
		return nil
	}
	return unix.EPERM
}

func (t *Tree) leadsThere(dir, target string) bool {
	return slices.ContainsFunc(t.k.Children(dir), func(name string) bool { return t.k.At(path.Join(dir, name)).Link == target })
}

// expose is nvmet_port_subsys_allow_link; the first subsystem opens the port.
func (t *Tree) expose(target string, to []string, p, port string) error {
	if len(to) != 2 || to[0] != "subsystems" {
		return unix.EINVAL
	}
	at := path.Join("ports", port)
	dir := path.Join(at, "subsystems")
	if t.leadsThere(dir, target) {
		return unix.EEXIST
	}
	if len(t.k.Children(dir)) == 0 {
		if err := t.open(at); err != nil {
			return err
		}
	}
	t.k.Add(p, &imitation.Node{Link: target, Unlink: func() {
		t.end(func(c *Connection) bool { return c.Subsystem == to[1] && strconv.Itoa(c.Port) == port }) // nvmet_port_del_ctrls
	}})
	return nil
}

// open is nvmet_enable_port.
func (t *Tree) open(at string) error {
	address := func(port string) string {
		return t.k.Text(path.Join(port, "addr_trtype")) + " " + t.k.Text(path.Join(port, "addr_traddr")) + " " + t.k.Text(path.Join(port, "addr_trsvcid"))
	}
	traddr := t.k.Text(path.Join(at, "addr_traddr"))
	switch {
	case t.k.Text(path.Join(at, "addr_trtype")) == "" || t.k.Text(path.Join(at, "addr_adrfam")) == "" || traddr == "":
		return unix.EINVAL
	case slices.Contains(t.opt.Foreign, traddr):
		return unix.EADDRNOTAVAIL
	}
	for _, name := range t.k.Children("ports") {
		other := path.Join("ports", name)
		if other != at && len(t.k.Children(path.Join(other, "subsystems"))) > 0 && address(other) == address(at) {
			return unix.EADDRINUSE
		}
	}
	if n := t.k.At(path.Join(at, "param_inline_data_size")); n != nil && n.Text == "-1" {
		n.Text = "16384" // the transport chose
	}
	return nil
}

// removed is what goes with an object.
func (t *Tree) removed(p string) {
	parts := strings.Split(p, "/")
	switch {
	case len(parts) == 2 && parts[0] == "subsystems":
		delete(t.discovered, parts[1])
		t.end(func(c *Connection) bool { return c.Subsystem == parts[1] })
	case len(parts) == 4 && parts[2] == "namespaces" && t.k.Text(path.Join(p, "enable")) == "1":
		t.tell(parts[1], "namespace "+parts[3]+" went")
	}
}

package nvmet

import (
	"context"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Observe reads what is served now. A kernel whose NVMe target is not loaded
// serves nothing.
func (t *Target) Observe(context.Context) (State, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var s State
	err := t.observePorts(&s)
	if err == nil {
		err = t.observeSubsystems(&s)
	}
	if err == nil {
		s.Controllers, s.Tells, err = t.controllers()
	}
	if err != nil {
		return State{}, fmt.Errorf("observe the kernel's NVMe target: %w", err)
	}
	return s, nil
}

func (t *Target) observePorts(s *State) error {
	names, err := t.k.list("ports")
	if err != nil {
		return err
	}
	for _, name := range names {
		id, err := strconv.Atoi(name)
		if err != nil || number(id) != name {
			continue // "0x1" is somebody else's, and cannot be a declared one
		}
		p, err := t.port(id)
		if err != nil {
			return err
		}
		s.Ports = append(s.Ports, p)
	}
	slices.SortFunc(s.Ports, func(a, b Port) int { return a.ID - b.ID })
	return nil
}

func (t *Target) port(id int) (Port, error) {
	at := portAt(id)
	w, ours, err := t.words.get(portWords, number(id))
	if err != nil {
		return Port{}, err
	}
	p := Port{ID: id, Ours: ours}
	read := func(name string) string {
		if err != nil {
			return ""
		}
		var text string
		text, err = t.k.read(path.Join(at, name))
		return text
	}
	p.Transport = read("addr_trtype")
	p.Address = addressOf(p.Transport, read("addr_traddr"), read("addr_trsvcid"))
	if err != nil {
		return p, err
	}
	if w.InCapsuleSize != 0 {
		text, has, err := t.k.optional(path.Join(at, "param_inline_data_size"))
		if err != nil {
			return p, err
		}
		if p.InCapsuleSize, err = strconv.Atoi(text); has && err != nil {
			return p, fmt.Errorf("read param_inline_data_size of port %d: %q is no number", id, text)
		}
	}
	groups, err := t.k.list(path.Join(at, "ana_groups"))
	if err != nil {
		return p, err
	}
	for _, g := range groups {
		state, err := t.k.read(path.Join(at, "ana_groups", g, "ana_state"))
		if err != nil {
			return p, err
		}
		p.ANA = append(p.ANA, ANA{g, state})
	}
	if len(groups) == 0 { // a kernel without ANA (before 4.19)
		p.ANA = []ANA{{"1", "optimized"}}
	}
	sortANA(p.ANA)
	p.Links, err = t.k.leads(exposedAt(id))
	return p, err
}

func addressOf(transport, traddr, trsvcid string) string {
	if transport == config.NVMeFC {
		return strings.ToLower(traddr)
	}
	if traddr == "" && trsvcid == "" {
		return ""
	}
	return net.JoinHostPort(traddr, trsvcid)
}

func (t *Target) observeSubsystems(s *State) error {
	names, err := t.k.list("subsystems")
	if err != nil {
		return err
	}
	for _, nqn := range names {
		sub, err := t.subsystem(nqn)
		if err != nil {
			return err
		}
		s.Subsystems = append(s.Subsystems, sub)
	}
	return nil
}

func (t *Target) subsystem(nqn string) (Subsystem, error) {
	at := subsystemAt(nqn)
	w, ours, err := t.words.get(subsystemWords, nqn)
	if err != nil {
		return Subsystem{}, err
	}
	s := Subsystem{NQN: nqn, Ours: ours}
	serial, err := t.k.read(path.Join(at, "attr_serial"))
	if err != nil {
		return s, err
	}
	s.Serial = strings.TrimRight(serial, " ") // the kernel pads it
	model, has, err := t.k.optional(path.Join(at, "attr_model"))
	if err != nil {
		return s, err
	}
	if s.Model = model; !has {
		s.Model = DefaultModel // nobody can set one
	}
	open, err := t.k.read(path.Join(at, "attr_allow_any_host"))
	if err != nil {
		return s, err
	}
	s.AllowAnyHost = open == "1"
	allowed, err := t.k.leads(allowedAt(nqn))
	if err != nil {
		return s, err
	}
	for _, nqn := range allowed {
		h, err := t.host(nqn)
		if err != nil {
			return s, err
		}
		s.Hosts = append(s.Hosts, h)
	}
	sortHosts(s.Hosts)
	names, err := t.k.list(path.Join(at, "namespaces"))
	if err != nil {
		return s, err
	}
	for _, name := range names {
		nsid, err := strconv.Atoi(name)
		if err != nil || number(nsid) != name {
			continue
		}
		ns, err := t.namespace(nqn, nsid)
		if err != nil {
			return s, err
		}
		ns.Size = w.Sizes[nsid]
		s.Namespaces = append(s.Namespaces, ns)
	}
	slices.SortFunc(s.Namespaces, func(a, b Namespace) int { return a.NSID - b.NSID })
	return s, nil
}

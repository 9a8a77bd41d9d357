package nvmet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
)

// PutPort makes a port, or sets what of it differs. What is reached there is
// not looked at. The address cannot change while something is.
func (t *Target) PutPort(ctx context.Context, p Port) error {
	return t.change(ctx, fmt.Sprintf("put NVMe port %d", p.ID), func() error { return t.putPort(p) })
}

func (t *Target) putPort(p Port) error {
	at := portAt(p.ID)
	if err := t.words.put(portWords, objectWords{Name: number(p.ID), InCapsuleSize: p.InCapsuleSize}); err != nil {
		return err
	}
	if err := t.k.mkdir(at); err != nil {
		return err
	}
	family, traddr, trsvcid, err := split(p)
	if err != nil {
		return err
	}
	settings := [][2]string{{"addr_trtype", p.Transport}, {"addr_adrfam", family}, {"addr_traddr", traddr}, {"addr_trsvcid", trsvcid}}
	if p.InCapsuleSize != 0 {
		settings = append(settings, [2]string{"param_inline_data_size", number(p.InCapsuleSize)})
	} else if err := t.defaultInCapsuleSize(at); err != nil {
		return err
	}
	for _, s := range settings {
		err := t.k.set(path.Join(at, s[0]), s[1])
		if errors.Is(err, unix.EACCES) { // nvmet_is_port_enabled
			return fmt.Errorf("%s cannot change while subsystems are reached through the port; take them away from it first: %w", s[0], err)
		}
		if err != nil {
			return err
		}
	}
	return t.putANA(at, p.ANA)
}

// defaultInCapsuleSize leaves the size to the transport. Once a port is open
// the setting reads what the transport chose, and cannot be written.
func (t *Target) defaultInCapsuleSize(at string) error {
	links, err := t.k.list(path.Join(at, "subsystems"))
	if err != nil || len(links) > 0 {
		return err
	}
	err = t.k.set(path.Join(at, "param_inline_data_size"), "-1")
	if _, missing := errors.AsType[*missingError](err); missing {
		return nil
	}
	return err
}

// split makes of a port's address what the kernel's settings take.
func split(p Port) (family, traddr, trsvcid string, err error) {
	if p.Transport == config.NVMeFC {
		return "fc", p.Address, "none", nil
	}
	host, port, err := net.SplitHostPort(p.Address)
	if err != nil {
		return "", "", "", err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", "", "", err
	}
	if ip.Is4() {
		return "ipv4", host, port, nil
	}
	return "ipv6", host, port, nil
}

// putANA sets the access states, which may change at any time: hosts are told
// (ANA change events).
func (t *Target) putANA(at string, groups []ANA) error {
	dir := path.Join(at, "ana_groups")
	have, err := t.k.list(dir)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if len(have) == 0 && g == (ANA{"1", "optimized"}) {
			continue // a kernel without ANA has that
		}
		if !slices.Contains(have, g.Name) {
			if err := t.k.mkdir(path.Join(dir, g.Name)); err != nil {
				return err
			}
		}
		if err := t.k.set(path.Join(dir, g.Name, "ana_state"), g.State); err != nil {
			return err
		}
	}
	for _, name := range have {
		if !slices.ContainsFunc(groups, func(g ANA) bool { return g.Name == name }) {
			if err := t.k.rmdir(path.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeletePort closes a port: hosts that came through it are cut off.
func (t *Target) DeletePort(ctx context.Context, id int) error {
	return t.change(ctx, fmt.Sprintf("delete NVMe port %d", id), func() error {
		at := portAt(id)
		links, err := t.k.leads(exposedAt(id))
		if err != nil {
			return err
		}
		for _, nqn := range links {
			if err := t.k.part(exposedAt(id), nqn); err != nil {
				return err
			}
		}
		// What was made below it must go first; group 1 came with the port.
		groups, err := t.k.list(path.Join(at, "ana_groups"))
		if err != nil {
			return err
		}
		for _, g := range groups {
			if g == "1" {
				continue
			}
			if err := t.k.rmdir(path.Join(at, "ana_groups", g)); err != nil {
				return err
			}
		}
		err = t.k.rmdir(at)
		if errors.Is(err, unix.ENOTEMPTY) {
			return fmt.Errorf("somebody else put referrals there; take them out of %s/%s/referrals first: %w", Root, at, err)
		}
		if err != nil {
			return err
		}
		return t.words.Remove(portWords, number(id))
	})
}

// Open lets hosts reach a subsystem through ports. The kernel begins to listen
// at a port's first subsystem.
func (t *Target) Open(ctx context.Context, nqn string, ports []int) error {
	return t.change(ctx, "let hosts reach NVMe subsystem "+nqn, func() error {
		for _, id := range ports {
			if err := t.expose(nqn, id); err != nil {
				return t.whyNotOpen(id, err)
			}
		}
		return nil
	})
}

// expose makes the link from a port to a subsystem, unless it is there.
func (t *Target) expose(nqn string, port int) error {
	is, err := t.k.related(exposedAt(port), nqn)
	if err != nil || is {
		return err
	}
	return t.k.link(subsystemAt(nqn), path.Join(exposedAt(port), nqn))
}

// whyNotOpen says what a refusal of nvmet_enable_port means.
func (t *Target) whyNotOpen(id int, err error) error {
	at := portAt(id)
	var what []string
	for _, name := range []string{"addr_trtype", "addr_traddr", "addr_trsvcid"} {
		if text, err := t.k.read(path.Join(at, name)); err == nil {
			what = append(what, text)
		}
	}
	address := strings.Join(what, " ")
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("port %d (%s): another program has this address; give the port another one: %w", id, address, err)
	case errors.Is(err, unix.EADDRNOTAVAIL), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("port %d (%s): this machine has no such address, or no adapter for it: %w", id, address, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("port %d (%s): the kernel has no such transport (is nvmet-%s in this kernel?), or takes no such address: %w", id, address, what[0], err)
	}
	return fmt.Errorf("port %d (%s): %w", id, address, err)
}

// Close cuts a subsystem off from ports: the hosts that are connected there
// lose it (nvmet_port_del_ctrls).
func (t *Target) Close(ctx context.Context, nqn string, ports []int) error {
	return t.change(ctx, "close NVMe subsystem "+nqn, func() error {
		for _, id := range ports {
			if err := t.k.part(exposedAt(id), nqn); err != nil {
				return fmt.Errorf("port %d: %w", id, err)
			}
		}
		return nil
	})
}

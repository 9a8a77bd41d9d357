package nvmet

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// PutSubsystem makes a subsystem, or sets what of it differs: its own
// settings, and who may connect. Namespaces and ports are not looked at. A
// host that may not connect any more is cut off where the kernel can do that.
func (t *Target) PutSubsystem(ctx context.Context, s Subsystem) error {
	return t.change(ctx, "put NVMe subsystem "+s.NQN, func() error { return t.putSubsystem(s) })
}

func (t *Target) putSubsystem(s Subsystem) error {
	at := subsystemAt(s.NQN)
	w, _, err := t.words.get(subsystemWords, s.NQN)
	if err != nil {
		return err
	}
	if err := t.words.put(subsystemWords, w); err != nil {
		return err
	}
	if err := t.k.mkdir(at); err != nil {
		return err
	}
	have, err := t.subsystem(s.NQN)
	if err != nil {
		return err
	}
	if have.Serial != s.Serial {
		if err := t.identify(path.Join(at, "attr_serial"), s.Serial); err != nil {
			return err
		}
	}
	if have.Model != s.Model {
		if err := t.identify(path.Join(at, "attr_model"), s.Model); err != nil {
			return err
		}
	}
	if err := t.putAccess(have, s); err != nil {
		return err
	}
	return t.sweepHosts()
}

// identify sets what hosts know a subsystem by, which stays once one of them
// has seen it (subsys_discovered).
func (t *Target) identify(p, value string) error {
	err := t.k.set(p, value)
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%s cannot change: hosts have seen the subsystem; delete it and make it anew: %w", path.Base(p), err)
	}
	return err
}

// putAccess sets who may connect. The kernel has either named hosts or
// everybody, so that the order matters.
func (t *Target) putAccess(have, want Subsystem) error {
	at := subsystemAt(want.NQN)
	open := path.Join(at, "attr_allow_any_host")
	if !want.AllowAnyHost {
		if err := t.k.set(open, "0"); err != nil {
			return err
		}
	}
	for _, h := range want.Hosts {
		if err := t.putHost(h); err != nil {
			return fmt.Errorf("host %s: %w", h.NQN, err)
		}
		is, err := t.k.related(allowedAt(want.NQN), h.NQN)
		if err != nil {
			return err
		}
		if is {
			continue
		}
		if err := t.k.link(hostAt(h.NQN), path.Join(allowedAt(want.NQN), h.NQN)); err != nil {
			return fmt.Errorf("let in host %s: %w", h.NQN, err)
		}
	}
	for _, h := range have.Hosts {
		if slices.ContainsFunc(want.Hosts, func(o Host) bool { return o.NQN == h.NQN }) {
			continue
		}
		if err := t.dropHost(want.NQN, h.NQN, !want.AllowAnyHost); err != nil {
			return fmt.Errorf("shut out host %s: %w", h.NQN, err)
		}
	}
	if want.AllowAnyHost {
		return t.k.set(open, "1")
	}
	if have.AllowAnyHost {
		return t.cutOff(want.NQN, func(host string) bool {
			return !slices.ContainsFunc(want.Hosts, func(h Host) bool { return h.NQN == host })
		})
	}
	return nil
}

// DeleteSubsystem deletes a subsystem with its namespaces; the hosts that are
// connected lose it.
func (t *Target) DeleteSubsystem(ctx context.Context, nqn string) error {
	return t.change(ctx, "delete NVMe subsystem "+nqn, func() error { return t.deleteSubsystem(nqn) })
}

// deleteSubsystem goes from the outside in: the kernel refuses to end what is
// linked to (EBUSY) or has something in it (ENOTEMPTY).
func (t *Target) deleteSubsystem(nqn string) error {
	ports, err := t.k.list("ports")
	if err != nil {
		return err
	}
	for _, p := range ports {
		if err := t.k.part(path.Join("ports", p, "subsystems"), nqn); err != nil {
			return err
		}
	}
	at := subsystemAt(nqn)
	namespaces, err := t.k.list(path.Join(at, "namespaces"))
	if err != nil {
		return err
	}
	for _, n := range namespaces {
		if err := t.dropNamespace(path.Join(at, "namespaces", n)); err != nil {
			return err
		}
	}
	hosts, err := t.k.leads(allowedAt(nqn))
	if err != nil {
		return err
	}
	for _, h := range hosts {
		if err := t.dropHost(nqn, h, false); err != nil {
			return err
		}
	}
	if err := t.k.rmdir(at); err != nil {
		return err
	}
	if err := t.sweepHosts(); err != nil {
		return err
	}
	return t.words.Remove(subsystemWords, nqn)
}

package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// kernelAddress is how the kernel is told an address. It has no word for every
// address but that of IPv6, which takes IPv4 as well.
func kernelAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if host == "" {
		host = "::0"
	}
	return net.JoinHostPort(host, port)
}

// portals are the portals by their words. The kernel knows portals only as
// parts of targets: before there is one, this is all there is of them.
func (e *Engine) portals() ([]config.Portal, error) {
	return words.All[config.Portal](e.words.Store, "portals")
}

// reaches says whether a target is reached by a portal.
func reaches(t config.Target, portal string) bool {
	return len(t.Portals) == 0 || slices.Contains(t.Portals, portal)
}

// tagsOf are the tags of the portal groups that a target is to have. One
// without a portal has tag 1: its LUNs need a place.
func tagsOf(t config.Target, portals []config.Portal) []int {
	if !t.Driver.Portals() {
		return []int{config.LoneTag}
	}
	var tags []int
	for _, p := range portals {
		if reaches(t, p.Name) && !slices.Contains(tags, p.Group) {
			tags = append(tags, p.Group)
		}
	}
	if len(tags) == 0 {
		tags = append(tags, config.LoneTag)
	}
	slices.Sort(tags)
	return tags
}

// PutPortal implements engine.Engine. The kernel keeps connections that came
// through an address which is closed.
func (e *Engine) PutPortal(_ context.Context, p config.Portal) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putPortal(p.WithDefaults()); err != nil {
		return fmt.Errorf("put portal %s: %w", p.Name, err)
	}
	return nil
}

func (e *Engine) putPortal(p config.Portal) error {
	if errs := portalProblems(p); len(errs) > 0 {
		return errors.Join(errs...)
	}
	portals, err := e.portals()
	if err != nil {
		return err
	}
	var old *config.Portal
	for i, have := range portals {
		switch {
		case have.Name == p.Name:
			old = &portals[i]
		case kernelAddress(have.Address) == kernelAddress(p.Address):
			return fmt.Errorf("listen on %s: it is the address of portal %s", p.Address, have.Name)
		}
	}
	if old != nil && (kernelAddress(old.Address) != kernelAddress(p.Address) || old.Group != p.Group) {
		if err := e.closeAddress(func(a string) bool { return a == kernelAddress(old.Address) }); err != nil {
			return err
		}
	}
	if err := e.words.Put("portals", p.Name, p); err != nil {
		return err
	}
	if portals, err = e.portals(); err != nil {
		return err
	}
	return e.eachTarget(func(at place) error {
		w, err := e.words.target(at)
		if err != nil || w.Was == nil || !at.portals() || !reaches(w.Target, p.Name) {
			return err // one without words is not ours (yet): PutTarget takes it over
		}
		return e.arrange(&w, portals)
	})
}

// listen opens the address of a portal in a portal group, unless it is open,
// and there also to RDMA if it is to be.
func (e *Engine) listen(tpg string, p config.Portal, open bool) error {
	np := path.Join(tpg, "np", kernelAddress(p.Address))
	if !open {
		err := e.k.mkdir(np)
		if errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("listen on %s: %w (another program has it, or the machine has no such address)", p.Address, err)
		}
		if err != nil {
			return err
		}
	}
	err := e.k.set(path.Join(np, "iser"), digit(p.ISER))
	switch {
	case err == nil, !p.ISER && errors.Is(err, fs.ErrNotExist):
		return nil
	case p.ISER:
		return fmt.Errorf("serve iSER at %s: %w (it takes the module ib_isert, and an RDMA device that has this address: `rdma link` lists those)", p.Address, err)
	}
	return err
}

// closeAddress closes an address in all targets that are ours.
func (e *Engine) closeAddress(which func(address string) bool) error {
	return e.eachTarget(func(p place) error {
		if w, err := e.words.target(p); err != nil || !w.kept {
			return err
		}
		tags, err := e.tags(p)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			np := path.Join(p.tpg(tag), "np")
			addresses, err := e.k.list(np)
			if err != nil {
				return err
			}
			for _, a := range addresses {
				if !which(a) {
					continue
				}
				if err := e.k.rmdir(path.Join(np, a)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// DeletePortal implements engine.Engine. A portal that is not ours is named
// after its address.
func (e *Engine) DeletePortal(_ context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var p config.Portal
	known, err := e.words.Get("portals", name, &p)
	if err == nil {
		if known {
			err = e.closeAddress(func(a string) bool { return a == kernelAddress(p.Address) })
		} else {
			err = e.closeAddress(func(a string) bool { return handName(a) == name })
		}
	}
	if err == nil {
		err = e.words.Remove("portals", name)
	}
	if err != nil {
		return fmt.Errorf("delete portal %s: %w", name, err)
	}
	return nil
}

// PutDiscovery implements engine.Engine.
func (e *Engine) PutDiscovery(ctx context.Context, a config.Auth) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putDiscovery(ctx, a); err != nil {
		return fmt.Errorf("put discovery authentication: %w", err)
	}
	return nil
}

const discovery = "iscsi/discovery_auth"

func (e *Engine) putDiscovery(ctx context.Context, a config.Auth) error {
	if errs := discoveryProblems(a); len(errs) > 0 {
		return errors.Join(errs...)
	}
	iscsi := fabricOf(config.DriverISCSI)
	there, err := e.k.exists(iscsi.dir)
	if err != nil {
		return err
	}
	if !there {
		if len(a.Users) == 0 {
			return nil // nothing is served, and nothing is asked for
		}
		if err := e.load(ctx, iscsi); err != nil {
			return err
		}
	}
	c, err := credentialsFor(a, "")
	if err != nil {
		return err
	}
	if err := e.setCredentials(discovery, c); err != nil {
		return err
	}
	return e.k.set(path.Join(discovery, "enforce_discovery_auth"), digit(len(a.Users) > 0))
}

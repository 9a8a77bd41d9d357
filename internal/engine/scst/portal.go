package scst

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// portalWords are portals by their names. SCST knows no portals: its daemon
// listens on all addresses at one port, and a target says which of them it may
// be reached by (allowed_portal). So a portal comes and goes without a
// connection being dropped elsewhere, which another listening address of the
// daemon could not: all targets end with it.
const portalWords = "portals"

// defaultPort is iSCSI's (RFC 7143 4.2.7.1).
const defaultPort = 3260

const allowedPortal = "allowed_portal"

// Patterns of addresses.
const (
	nobody  = "!*"      // iscsi-scst/README
	anyIPv4 = "*.*.*.*" // 0.0.0.0
)

func isNoDirectory(err error) bool { return errors.Is(err, unix.ENOTDIR) }

// reaches says whether a target is reached by a portal.
func reaches(t config.Target, portal string) bool {
	return len(t.Portals) == 0 || slices.Contains(t.Portals, portal)
}

func (e *Engine) portals() ([]config.Portal, error) {
	return words.All[config.Portal](e.words, portalWords)
}

// pattern is what an address of a portal is for allowed_portal, "" for any.
func pattern(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	a, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && a.Is6() && a.IsUnspecified():
		return ""
	case err == nil && a.IsUnspecified():
		return anyIPv4
	case err == nil:
		return a.String()
	}
	return host
}

func portOf(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

// allowed are the patterns of a target: nil for every address.
func allowed(t config.Target, portals []config.Portal) []string {
	var out []string
	for _, p := range portals {
		if !reaches(t, p.Name) {
			continue
		}
		a := pattern(p.Address)
		if a == "" {
			return nil
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return []string{nobody}
	}
	return out
}

// PutPortal implements engine.Engine. Connections that came through an address
// which is taken back go on.
func (e *Engine) PutPortal(ctx context.Context, p config.Portal) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putPortal(ctx, p.WithDefaults()); err != nil {
		return fmt.Errorf("put portal %s: %w", p.Name, err)
	}
	return nil
}

func (e *Engine) putPortal(ctx context.Context, p config.Portal) error {
	if err := portalProblems(p).join(); err != nil {
		return err
	}
	portals, err := e.portals()
	if err != nil {
		return err
	}
	for _, have := range portals {
		switch {
		case have.Name == p.Name:
		case pattern(have.Address) == pattern(p.Address) && portOf(have.Address) == portOf(p.Address):
			return fmt.Errorf("listen on %s: it is the address of portal %s", p.Address, have.Name)
		case portOf(have.Address) != portOf(p.Address):
			return errors.New(onePort(p, have))
		}
	}
	if err := e.listenAt(ctx, portOf(p.Address)); err != nil {
		return err
	}
	if err := e.words.Put(portalWords, p.Name, p); err != nil {
		return err
	}
	return e.admitAll(ctx)
}

// DeletePortal implements engine.Engine. The daemon goes on listening: it has
// the one port for all.
func (e *Engine) DeletePortal(ctx context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.words.Remove(portalWords, name)
	if err == nil {
		err = e.admitAll(ctx)
	}
	if err != nil {
		return fmt.Errorf("delete portal %s: %w", name, err)
	}
	return nil
}

// admitAll brings the addresses of all targets that are ours to the portals.
func (e *Engine) admitAll(ctx context.Context) error {
	portals, err := e.portals()
	if err != nil {
		return err
	}
	targets, err := e.targets(ctx)
	if err != nil {
		return err
	}
	for _, p := range targets {
		w, err := e.target(p)
		if err != nil {
			return err
		}
		if p.driver != config.DriverISCSI || !w.ours() {
			continue // one without words is not ours (yet): PutTarget takes it over
		}
		if err := e.admit(ctx, w.Target, portals); err != nil {
			return fmt.Errorf("target %s: %w", p.name, err)
		}
	}
	return nil
}

// admit sets the addresses that a target may be reached by. One without any
// would be reached by all: what is wanted is added before anything is taken
// away.
func (e *Engine) admit(ctx context.Context, t config.Target, portals []config.Portal) error {
	p := place{config.DriverISCSI, t.Name}
	want := allowed(t, portals)
	have, err := e.values(ctx, p.path(), allowedPortal)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(want), func(a string) bool { return slices.Contains(have, a) })
	if len(missing) > 0 {
		if err := e.canAdd(ctx, allowedPortal); err != nil {
			return err
		}
	}
	mgmt := path.Join(driverPath(p.driver), "mgmt")
	for _, a := range missing {
		if err := e.k.write(ctx, mgmt, strings.Join([]string{"add_target_attribute", t.Name, allowedPortal, a}, " ")); err != nil {
			return err
		}
	}
	for _, a := range have {
		if !slices.Contains(want, a) {
			if err := e.k.write(ctx, mgmt, strings.Join([]string{"del_target_attribute", t.Name, allowedPortal, a}, " ")); err != nil {
				return err
			}
		}
	}
	return nil
}

// values reads an attribute that may be there several times.
func (e *Engine) values(ctx context.Context, at, name string) ([]string, error) {
	files, err := e.k.list(at)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, file := range files {
		if !numbered(file, name) {
			continue
		}
		v, there, err := e.k.optional(ctx, path.Join(at, file))
		if err != nil {
			return nil, err
		}
		if there {
			out = append(out, v)
		}
	}
	return out, nil
}

// canAdd says whether SCST's iSCSI targets take an attribute.
func (e *Engine) canAdd(ctx context.Context, name string) error {
	a, err := e.k.abilities(ctx, driverPath(config.DriverISCSI))
	if err != nil {
		return err
	}
	if !slices.Contains(a.target, name) {
		return fmt.Errorf("the SCST that runs has no attribute %s for iSCSI targets (it has %s); a newer SCST, or engine: native or lio, can do this", name, strings.Join(a.target, ", "))
	}
	return nil
}

// listen has the daemon listen, at the port of the portals.
func (e *Engine) listen(ctx context.Context) error {
	portals, err := e.portals()
	if err != nil {
		return err
	}
	for _, p := range portals {
		return e.listenAt(ctx, portOf(p.Address))
	}
	now, err := e.opt.Daemon.Port(ctx)
	if err != nil || now != 0 {
		return err
	}
	return e.listenAt(ctx, defaultPort)
}

// listenAt has the daemon listen at a port. All targets end with the daemon, so
// that it gets another port only as long as there is none.
func (e *Engine) listenAt(ctx context.Context, port int) error {
	if e.opt.Daemon == nil {
		return nil
	}
	now, err := e.opt.Daemon.Port(ctx)
	if err != nil || now == port {
		return err
	}
	if now != 0 {
		targets, err := e.targets(ctx)
		if err != nil {
			return err
		}
		for _, p := range targets {
			if p.driver == config.DriverISCSI {
				return fmt.Errorf("iscsi-scstd listens at port %d, and another port needs another daemon, with which all iSCSI targets of SCST would end (%s is one); remove them first, or use engine: native or lio, which change it in place", now, p.name)
			}
		}
		if err := e.opt.Daemon.Stop(ctx); err != nil {
			return err
		}
	}
	there, err := e.k.exists(driverPath(config.DriverISCSI))
	if err != nil {
		return err
	}
	if !there && e.opt.Load != nil {
		if err := e.opt.Load(ctx, driverModule(config.DriverISCSI)); err != nil {
			return fmt.Errorf("have the kernel load SCST's iSCSI target: %w", err)
		}
	}
	if err := e.opt.Daemon.Start(ctx, port); err != nil {
		return fmt.Errorf("listen at port %d: %w", port, err)
	}
	return nil
}

package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// copyManager is SCST's own driver, for EXTENDED COPY: it has a LUN of every
// device, and nobody logs in to it.
const copyManager = "copy_manager"

// place is where a target is in the tree.
type place struct {
	driver config.Driver
	name   string
}

func driverPath(d config.Driver) string { return path.Join("targets", string(d)) }

func (p place) path() string { return path.Join(driverPath(p.driver), p.name) }

// group is where a host group is; "" is the target itself, with its default map.
func (p place) group(name string) string {
	if name == "" {
		return p.path()
	}
	return path.Join(p.path(), "ini_groups", name)
}

// luns is a LUN map.
func (p place) luns(group string) string { return path.Join(p.group(group), "luns") }

// virtual says whether a driver's targets are made and deleted. The others are
// ports of this machine.
func virtual(d config.Driver) bool { return d == config.DriverISCSI || d == config.DriverLocal }

// driverModule is the module of a driver.
func driverModule(d config.Driver) string {
	switch d {
	case config.DriverISCSI:
		return "iscsi-scst"
	case config.DriverFC:
		return "qla2x00tgt"
	}
	return string(d) // ib_srpt, fcst, scst_local
}

// targets are those of all drivers but SCST's own, and but those that are idle.
func (e *Engine) targets(ctx context.Context) ([]place, error) {
	all, err := e.everyTarget()
	if err != nil {
		return nil, err
	}
	used := all[:0]
	for _, p := range all {
		idle, err := e.idle(ctx, p)
		if err != nil {
			return nil, err
		}
		if !idle {
			used = append(used, p)
		}
	}
	return used, nil
}

// everyTarget lists the idle ones, too.
func (e *Engine) everyTarget() ([]place, error) {
	drivers, err := e.k.list("targets")
	if err != nil {
		return nil, fmt.Errorf("list SCST's targets: %w", err)
	}
	var all []place
	for _, d := range drivers {
		if d == copyManager {
			continue
		}
		names, err := e.k.list(path.Join("targets", d))
		if err != nil {
			return nil, fmt.Errorf("list SCST's targets of driver %s: %w", d, err)
		}
		for _, name := range names {
			p := place{config.Driver(d), name}
			there, err := e.k.exists(p.luns(""))
			if err != nil {
				if isNoDirectory(err) {
					continue // an attribute of the driver
				}
				return nil, err
			}
			if there {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// locate finds a target by its name.
func (e *Engine) locate(name string) (place, bool, error) {
	drivers, err := e.k.list("targets")
	if err != nil {
		return place{}, false, err
	}
	for _, d := range drivers {
		p := place{config.Driver(d), name}
		if d == copyManager {
			continue
		}
		if there, err := e.k.exists(p.luns("")); there || err != nil && !isNoDirectory(err) {
			return p, there, err
		}
	}
	return place{name: name}, false, nil
}

// ready makes a driver ready for targets.
func (e *Engine) ready(ctx context.Context, d config.Driver) error {
	there, err := e.k.exists(driverPath(d))
	if err != nil {
		return err
	}
	if !there && e.opt.Load != nil {
		if err := e.opt.Load(ctx, driverModule(d)); err != nil {
			return fmt.Errorf("have the kernel load SCST's %s target: %w (is the module in the image, and has the machine the hardware for it?)", d.Human(), err)
		}
		if there, err = e.k.exists(driverPath(d)); err != nil {
			return err
		}
	}
	if !there {
		return fmt.Errorf("the SCST that runs has no driver %s: is its module %s loaded?", d, driverModule(d))
	}
	if d != config.DriverISCSI || e.opt.Daemon == nil {
		return nil
	}
	return e.listen(ctx)
}

// make makes a target of a virtual driver; others must be there.
func (e *Engine) make(ctx context.Context, p place) error {
	a, err := e.k.abilities(ctx, driverPath(p.driver))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if a.does("add_target") {
		return e.k.write(ctx, path.Join(driverPath(p.driver), "mgmt"), "add_target "+p.name)
	}
	here, hint := "none", ""
	ports, err := e.k.list(driverPath(p.driver))
	if err != nil {
		return err
	}
	var names []string
	for _, name := range ports {
		if there, err := e.k.exists(place{p.driver, name}.luns("")); err == nil && there {
			names = append(names, name)
		}
	}
	if len(names) == 0 && e.opt.Ports != nil {
		if names, err = e.opt.Ports(p.driver); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		here = strings.Join(names, ", ")
	}
	if p.driver == config.DriverFC {
		hint = "; a port must be in target mode, which the parameter qlini_mode of the module qla2xxx says"
	}
	return fmt.Errorf("SCST has no such port to serve %s at; ports of this machine: %s%s", p.driver.Human(), here, hint)
}

// Loopback is this machine as its own initiator: it is logged in by a request.
// The module makes a target by itself, which is nobody's as long as nothing is
// mapped there (add_default_tgt of scst_local.c).
const (
	localSession = "esos"
	localDefault = "scst_local_tgt"
)

// logInHere logs this machine in to a loopback target.
func (e *Engine) logInHere(ctx context.Context, p place) error {
	sessions, err := e.k.list(path.Join(p.path(), "sessions"))
	if err != nil || len(sessions) > 0 {
		return err
	}
	return e.k.write(ctx, path.Join(driverPath(p.driver), "mgmt"), "add_session "+p.name+" "+localSession)
}

// idle says whether a target is only there, made by nobody and serving nobody:
// a port of this machine, or the one that the loopback's module makes.
func (e *Engine) idle(ctx context.Context, p place) (bool, error) {
	if virtual(p.driver) && (p.driver != config.DriverLocal || p.name != localDefault) {
		return false, nil
	}
	w, err := e.target(p)
	if err != nil || w.ours() {
		return false, err
	}
	for _, dir := range []string{p.luns(""), path.Join(p.path(), "ini_groups")} {
		if names, err := e.k.list(dir); err != nil || len(names) > 0 {
			return false, err
		}
	}
	enabled, _, err := e.k.optional(ctx, path.Join(p.path(), "enabled"))
	return enabled != "1", err
}

// enable lets initiators in, or keeps them out from now on: who is logged in
// stays.
func (e *Engine) enable(ctx context.Context, p place, on bool) error {
	file := path.Join(p.path(), "enabled")
	_, has, err := e.k.optional(ctx, file)
	if err != nil || !has {
		return err // scst_local, whose sessions are made by hand
	}
	if err := e.k.set(ctx, file, digit(on)); err != nil {
		return err
	}
	if !on {
		return nil
	}
	// The driver's own switch comes last of all.
	file = path.Join(driverPath(p.driver), "enabled")
	if _, has, err := e.k.optional(ctx, file); err != nil || !has {
		return err
	}
	return e.k.set(ctx, file, "1")
}

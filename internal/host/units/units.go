// Package units is the gate to systemd: its units are looked at, started,
// stopped and enabled here. It is apart from package host because the first
// process of a boot uses that one and has no systemd to speak to.
package units

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Systemd looks at units, and starts and stops them. It speaks to systemd
// itself, over a socket that is there before any bus is. The zero value works.
type Systemd struct{}

// Unit is what systemd knows of one.
type Unit struct {
	Name string
	// File is what its file is: enabled, disabled, static (nothing can enable
	// it), masked and so on (systemctl(1), is-enabled); "" if there is none.
	File string
	// Active is active, inactive, failed, activating and so on.
	Active string
	// Result says why it failed, such as exit-code.
	Result string
	// Once says that it does something and ends, so that being inactive says
	// nothing about it.
	Once bool
	// Unmet are the conditions that kept it from being started, such as
	// ConditionPathExists=/etc/snmp/snmpd.conf.
	Unmet []string
	busy  bool // something is about to be done with it
}

// Enabled says whether it is started at each boot.
func (u Unit) Enabled() bool { return u.File == "enabled" || u.File == "enabled-runtime" }

// Switchable says whether it can be enabled and disabled.
func (u Unit) Switchable() bool { return u.Enabled() || u.File == "disabled" || u.File == "indirect" }

// Running says whether it runs, or is just being started.
func (u Unit) Running() bool {
	return u.Active == "active" || u.Active == "activating" || u.Active == "reloading" || u.Active == "refreshing"
}

// startGrace is how long a program has to fail.
const startGrace = time.Second

// unitWait is how often a unit that is being started is looked at.
const unitWait = 100 * time.Millisecond

// connect opens a connection for one piece of work.
func (Systemd) connect(ctx context.Context) (*dbus.Conn, error) {
	c, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask systemd: %w", err)
	}
	return c, nil
}

// Starting says whether the machine is still booting: what is enabled and does
// not run yet may be about to.
func (u Systemd) Starting(ctx context.Context) (bool, error) {
	c, err := u.connect(ctx)
	if err != nil {
		return false, err
	}
	defer c.Close()
	return starting(ctx, c)
}

func starting(ctx context.Context, c *dbus.Conn) (bool, error) {
	p, err := c.SystemStateContext(ctx)
	if err != nil {
		return false, fmt.Errorf("ask systemd for its state: %w", err)
	}
	state, _ := p.Value.Value().(string)
	return state == "initializing" || state == "starting", nil
}

// Look tells about units, in the order of their names as given.
func (u Systemd) Look(ctx context.Context, names ...string) ([]Unit, error) {
	c, err := u.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	units := make([]Unit, 0, len(names))
	for _, n := range names {
		unit, err := look(ctx, c, n)
		if err != nil {
			return nil, err
		}
		units = append(units, unit)
	}
	return units, nil
}

func look(ctx context.Context, c *dbus.Conn, name string) (Unit, error) {
	all, err := c.GetUnitPropertiesContext(ctx, name)
	if err != nil {
		return Unit{}, fmt.Errorf("ask systemd about %s: %w", name, err)
	}
	text := func(key string) string { s, _ := all[key].(string); return s }
	unit := Unit{Name: name, File: text("UnitFileState"), Active: text("ActiveState")}
	switch text("LoadState") {
	case "not-found":
		return Unit{Name: name, Active: unit.Active}, nil
	case "masked":
		unit.File = "masked"
	}
	if job, ok := all["Job"].([]any); ok && len(job) > 0 {
		id, _ := job[0].(uint32)
		unit.busy = id != 0
	}
	if met, ok := all["ConditionResult"].(bool); ok && !met {
		unit.Unmet = unmet(all["Conditions"])
	}
	if strings.HasSuffix(name, ".service") {
		own, err := c.GetUnitTypePropertiesContext(ctx, name, "Service")
		if err != nil {
			return Unit{}, fmt.Errorf("ask systemd about %s: %w", name, err)
		}
		unit.Result, _ = own["Result"].(string)
		kind, _ := own["Type"].(string)
		stays, _ := own["RemainAfterExit"].(bool)
		unit.Once = kind == "oneshot" && !stays
		if text("SubState") == "auto-restart" {
			// For the moment; it may come and go like that forever.
			if unit.Active = "failed"; unit.Result == "success" {
				unit.Result = "it ended by itself"
			}
		}
	}
	return unit, nil
}

// unmet picks those of a unit's conditions that were looked at and do not
// hold. Each is its name, whether it is one of several of which one is enough,
// whether it is turned round, its parameter, and what came of it (the
// interface org.freedesktop.systemd1.Unit, "Conditions").
func unmet(conditions any) []string {
	list, _ := conditions.([][]any)
	var failed []string
	for _, c := range list {
		if len(c) < 5 {
			continue
		}
		name, _ := c[0].(string)
		not, _ := c[2].(bool)
		parameter, _ := c[3].(string)
		if result, _ := c[4].(int32); result >= 0 {
			continue
		}
		if not {
			parameter = "!" + parameter
		}
		failed = append(failed, name+"="+parameter)
	}
	return failed
}

// Enable has units started at each boot.
func (u Systemd) Enable(ctx context.Context, names ...string) error {
	return u.switched(ctx, "enable", names, func(c *dbus.Conn) error {
		_, _, err := c.EnableUnitFilesContext(ctx, names, false, false)
		return err
	})
}

// Disable has units not started at boot any more.
func (u Systemd) Disable(ctx context.Context, names ...string) error {
	return u.switched(ctx, "disable", names, func(c *dbus.Conn) error {
		_, err := c.DisableUnitFilesContext(ctx, names, false)
		return err
	})
}

func (u Systemd) switched(ctx context.Context, what string, names []string, do func(*dbus.Conn) error) error {
	if len(names) == 0 {
		return nil
	}
	c, err := u.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := do(c); err != nil {
		return fmt.Errorf("%s %s: %w", what, strings.Join(names, ", "), err)
	}
	// Without it systemd goes on by the links that it read before.
	if err := c.ReloadContext(ctx); err != nil {
		return fmt.Errorf("%s %s: have systemd read its files: %w", what, strings.Join(names, ", "), err)
	}
	return nil
}

// Start starts units and waits until they run, or failed. While the machine is
// booting it does not wait: they may be in the row behind whoever asks.
func (u Systemd) Start(ctx context.Context, names ...string) error {
	return u.jobs(ctx, "start", names, (*dbus.Conn).StartUnitContext)
}

// Stop stops units and waits until they did.
func (u Systemd) Stop(ctx context.Context, names ...string) error {
	return u.jobs(ctx, "stop", names, (*dbus.Conn).StopUnitContext)
}

// Restart stops units, if they run, and starts them.
func (u Systemd) Restart(ctx context.Context, names ...string) error {
	return u.jobs(ctx, "restart", names, (*dbus.Conn).RestartUnitContext)
}

type unitJob func(c *dbus.Conn, ctx context.Context, name, mode string, done chan<- string) (int, error)

func (u Systemd) jobs(ctx context.Context, what string, names []string, job unitJob) error {
	if len(names) == 0 {
		return nil
	}
	c, err := u.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	booting, err := starting(ctx, c)
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, strings.Join(names, ", "), err)
	}
	for _, n := range names {
		if what != "stop" {
			// One that failed too often is not started otherwise.
			_ = c.ResetFailedUnitContext(ctx, n) // it may not be loaded, or not have failed
		}
		if _, err := job(c, ctx, n, "replace", nil); err != nil {
			return fmt.Errorf("%s %s: %w", what, n, err)
		}
	}
	if booting {
		return nil
	}
	if what != "stop" {
		// Most programs are up for systemd as soon as they were started, and
		// only then read the settings that they fail for.
		select {
		case <-ctx.Done():
		case <-time.After(startGrace):
		}
	}
	var failed []error
	for _, n := range names {
		unit, err := settled(ctx, c, n)
		if err != nil {
			return fmt.Errorf("%s %s: %w", what, n, err)
		}
		if unit.Active == "failed" && what != "stop" {
			failed = append(failed, fmt.Errorf("%s %s: it failed (%s); 'journalctl -u %s' shows what it said", what, n, unit.Result, n))
		}
	}
	return errors.Join(failed...)
}

// settled waits until nothing is about to be done with a unit.
func settled(ctx context.Context, c *dbus.Conn, name string) (Unit, error) {
	changing := []string{"activating", "deactivating", "reloading", "refreshing"}
	for {
		unit, err := look(ctx, c, name)
		if err != nil || !unit.busy && !slices.Contains(changing, unit.Active) {
			return unit, err
		}
		select {
		case <-ctx.Done():
			return unit, fmt.Errorf("it is %s: %w", unit.Active, ctx.Err())
		case <-time.After(unitWait):
		}
	}
}

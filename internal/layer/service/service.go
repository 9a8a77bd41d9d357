// Package service is the layer of the machine's services: which of those that
// the image has are started, and run.
package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/units"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (units.Systemd).
type Machine interface {
	Starting(ctx context.Context) (bool, error)
	Look(ctx context.Context, names ...string) ([]units.Unit, error)
	Enable(ctx context.Context, names ...string) error
	Disable(ctx context.Context, names ...string) error
	Start(ctx context.Context, names ...string) error
	Stop(ctx context.Context, names ...string) error
}

// Layer plans services.
type Layer struct{ Machine Machine }

// patience is how long a service may take to start or stop.
const patience = 2 * time.Minute

// Name is service.
func (Layer) Name() string { return "service" }

// Declares says whether a document has anything for this layer.
func Declares(d *config.Document) bool { return len(d.Services) > 0 }

// Observe asks systemd about the services that are declared.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	if !Declares(declared) {
		return nil
	}
	s := &seen.Services
	s.Units = map[string]units.Unit{}
	var names []string
	for _, d := range declared.Services {
		if kind := config.KindOfService(d.Name); kind != nil {
			names = append(names, kind.Units...)
		}
	}
	if s.Starting, s.Err = l.Machine.Starting(ctx); s.Err != nil {
		return ctx.Err()
	}
	found, err := l.Machine.Look(ctx, names...)
	if err != nil {
		s.Err = err
		return ctx.Err()
	}
	for _, u := range found {
		s.Units[u.Name] = u
	}
	return nil
}

// Plan switches services on and off.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	for _, s := range declared.Services {
		if kind := config.KindOfService(s.Name); kind != nil { // others are refused by config
			l.plan(s, kind, seen, b)
		}
	}
	if seen.InForce == nil {
		return
	}
	for _, s := range seen.InForce.Services {
		if !slices.ContainsFunc(declared.Services, func(d config.Service) bool { return d.Name == s.Name }) {
			b.Note(object(s.Name), "service %s stays as it is: %s", s.Name, map[bool]string{true: "it runs", false: "it is off"}[s.Enabled])
		}
	}
}

func object(name string) string { return "service/" + name }

func (l Layer) plan(s config.Service, kind *config.ServiceKind, seen *layer.Observed, b *plan.Builder) {
	refuse := func(format string, args ...any) { seen.Refuse(b, object(s.Name), s, format, args...) }
	if err := seen.Services.Err; err != nil {
		refuse("%v", err)
		return
	}
	main := seen.Services.Units[kind.Units[0]]
	switch main.File {
	case "":
		refuse("this machine has no unit %s", main.Name)
		return
	case "masked":
		if s.Enabled {
			refuse("unit %s is masked, by hand; 'systemctl unmask %s' lets it be started", main.Name, main.Name)
			return
		}
	}
	if s.Enabled {
		l.on(s, kind, seen, b)
	} else {
		l.off(s, kind, seen, b)
	}
}

// on has a service started now and at each boot.
func (l Layer) on(s config.Service, kind *config.ServiceKind, seen *layer.Observed, b *plan.Builder) {
	main := seen.Services.Units[kind.Units[0]]
	off := pick(kind, seen, func(u units.Unit) bool { return u.Switchable() && !u.Enabled() })
	fresh := len(off) > 0
	stopped := !main.Running() && !seen.Services.Starting
	switch {
	case fresh:
	case stopped && main.Active == "failed":
		// It is not tried again and again: that would only bury what it said.
		b.Block(object(s.Name), "service %s failed (%s); 'journalctl -u %s' shows what it said, 'esos service restart %s' tries again", s.Name, main.Result, main.Name, s.Name)
		return
	case stopped && len(main.Unmet) > 0:
		b.Note(object(s.Name), "service %s is on, and not started because of its condition %s", s.Name, strings.Join(main.Unmet, ", "))
		return
	case stopped && !main.Once:
	default:
		return
	}
	step := plan.Step{
		Layer: l.Name(), Object: object(s.Name), Action: plan.Change, Phase: layer.Machine,
		Sentence: fmt.Sprintf("Start service %s (%s)", s.Name, kind.Does),
		Do: func(ctx context.Context, _ plan.Report) error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if fresh {
				if err := l.Machine.Enable(ctx, off...); err != nil {
					return err
				}
			}
			return l.Machine.Start(ctx, kind.Units...)
		},
		Undo: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if fresh {
				if err := l.Machine.Disable(ctx, off...); err != nil {
					return err
				}
			}
			return l.Machine.Stop(ctx, reversed(pick(kind, seen, func(u units.Unit) bool { return !u.Running() }))...)
		},
	}
	if fresh {
		step.Changes = []config.FieldChange{{Field: "enabled", Old: "false", New: "true"}}
	}
	b.Add(step)
}

// off stops a service and keeps it from being started.
func (l Layer) off(s config.Service, kind *config.ServiceKind, seen *layer.Observed, b *plan.Builder) {
	enabled := pick(kind, seen, units.Unit.Enabled)
	running := pick(kind, seen, units.Unit.Running)
	if len(enabled) == 0 && len(running) == 0 {
		return
	}
	step := plan.Step{
		Layer: l.Name(), Object: object(s.Name), Action: plan.Change, Phase: layer.Machine,
		Sentence: fmt.Sprintf("Stop service %s (%s)", s.Name, kind.Does),
		Do: func(ctx context.Context, _ plan.Report) error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if err := l.Machine.Disable(ctx, enabled...); err != nil {
				return err
			}
			// Sockets first, or they start it again.
			return l.Machine.Stop(ctx, reversed(kind.Units)...)
		},
		Undo: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if err := l.Machine.Enable(ctx, enabled...); err != nil {
				return err
			}
			return l.Machine.Start(ctx, running...)
		},
	}
	if len(enabled) > 0 {
		step.Changes = []config.FieldChange{{Field: "enabled", Old: "true", New: "false"}}
	}
	if s.Name == "ssh" {
		step.Disrupts = "nobody can log in over the network any more; the console is left"
	}
	b.Add(step)
}

// pick returns the units of a service that are so.
func pick(kind *config.ServiceKind, seen *layer.Observed, so func(units.Unit) bool) []string {
	var names []string
	for _, n := range kind.Units {
		if so(seen.Services.Units[n]) {
			names = append(names, n)
		}
	}
	return names
}

func reversed(names []string) []string {
	r := slices.Clone(names)
	slices.Reverse(r)
	return r
}

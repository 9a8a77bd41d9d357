package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// Observe implements engine.Engine. Everything is read from SCST. Words that
// were kept say only how to call what is there; where they do not agree with
// it, it is told as it is.
func (e *Engine) Observe(ctx context.Context) (engine.State, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.observe(ctx)
	if err != nil {
		return engine.State{}, fmt.Errorf("observe SCST: %w", err)
	}
	return s, nil
}

func (e *Engine) observe(ctx context.Context) (engine.State, error) {
	s := engine.State{Shared: true}
	foreign := func(object string) {
		if s.Foreign == nil {
			s.Foreign = map[string]bool{}
		}
		s.Foreign[object] = true
	}
	devices, err := e.devices(ctx)
	if err != nil {
		return s, err
	}
	readOnly := map[string]bool{}
	for _, d := range devices {
		if err := e.seeDeviceAttributes(ctx, &d); err != nil {
			return s, err
		}
		s.Devices = append(s.Devices, d.Device)
		if d.foreign {
			foreign("device/" + d.Name)
		}
		readOnly[d.Name] = d.ReadOnly
	}
	if s.ISCSI.Portals, err = e.observePortals(ctx); err != nil {
		return s, err
	}
	if s.ISCSI.Discovery, err = e.observeAuth(ctx, driverPath(config.DriverISCSI), config.Auth{}); err != nil {
		return s, err
	}
	targets, err := e.targets(ctx)
	if err != nil {
		return s, err
	}
	portals, err := e.portals()
	if err != nil {
		return s, err
	}
	o := observer{Engine: e, ctx: ctx, portals: portals, readOnly: readOnly}
	for _, p := range targets {
		w, err := e.target(p)
		if err != nil {
			return s, err
		}
		t, err := o.target(p, w)
		if err != nil {
			return s, fmt.Errorf("target %s: %w", p.name, err)
		}
		s.Targets = append(s.Targets, t)
		if !w.kept {
			foreign("target/" + p.name)
		}
	}
	slices.SortFunc(s.Targets, func(a, b config.Target) int { return strings.Compare(a.Name, b.Name) })
	s.DeviceGroups, err = e.observeDeviceGroups(ctx)
	return s, err
}

// observePortals tells the portals that the daemon listens at. What addresses
// targets are reached by is told with them.
func (e *Engine) observePortals(ctx context.Context) ([]config.Portal, error) {
	portals, err := e.portals()
	if err != nil || e.opt.Daemon == nil || len(portals) == 0 {
		return portals, err
	}
	port, err := e.opt.Daemon.Port(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(portals, func(p config.Portal) bool { return portOf(p.Address) != port }), nil
}

// observer reads the tree once.
type observer struct {
	*Engine
	ctx      context.Context // of the one call that it belongs to
	portals  []config.Portal
	readOnly map[string]bool // devices that are
}

// target reads a target in its words.
func (o *observer) target(p place, w targetWords) (config.Target, error) {
	t := w.Target
	t.Groups, t.LUNs = nil, nil
	enabled, has, err := o.k.optional(o.ctx, path.Join(p.path(), "enabled"))
	if err != nil {
		return t, err
	}
	if has {
		t.Disabled = enabled != "1"
	}
	if err := o.relativeID(&t, p); err != nil {
		return t, err
	}
	if err := o.access(&t, p, &w); err != nil {
		return t, err
	}
	if err := o.attributes(&t, p, &w); err != nil {
		return t, err
	}
	if p.driver != config.DriverISCSI {
		return t, nil
	}
	for _, s := range w.settings() {
		now, there, err := o.k.optional(o.ctx, path.Join(p.path(), s.file))
		if err != nil {
			return t, err
		}
		if there && !equal(now, s.value) {
			differ(&t, s.file, now)
		}
	}
	auth, err := o.observeAuth(o.ctx, p.path(), w.Target.Auth)
	if err != nil {
		return t, err
	}
	t.Auth = auth
	return t, o.addresses(&t)
}

// relativeID puts the identifier that SCST has into t, unless its words leave
// it to SCST.
func (o *observer) relativeID(t *config.Target, p place) error {
	text, err := o.k.read(o.ctx, path.Join(p.path(), "rel_tgt_id"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	id, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("read its relative identifier: %q is no number", text)
	}
	if want := t.RelativeIDs[config.LoneTag]; want == id || want == 0 && len(t.RelativeIDs) > 0 || id == 0 && want == 0 {
		return nil
	}
	ids := map[int]int{}
	for tag, v := range t.RelativeIDs {
		ids[tag] = v
	}
	ids[config.LoneTag] = id
	t.RelativeIDs = ids
	return nil
}

// access reads host groups and LUN maps, in the order of their words.
func (o *observer) access(t *config.Target, p place, w *targetWords) error {
	var err error
	if t.LUNs, err = o.luns(p.luns(""), w.Target.LUNs); err != nil {
		return err
	}
	names, err := o.groups(p)
	if err != nil {
		return err
	}
	var order []string
	for _, g := range w.Target.Groups {
		order = append(order, g.Name)
	}
	sortAs(names, order, func(s string) string { return s })
	for _, name := range names {
		g := config.Group{Name: name}
		if g.Initiators, err = o.initiators(p, name); err != nil {
			return err
		}
		if len(g.Initiators) == 0 {
			g.Initiators = nil
		}
		if g.Attributes, err = o.groupAttributes(p, w, name); err != nil {
			return err
		}
		var luns []config.LUN
		if said := w.group(name); said != nil {
			sortAs(g.Initiators, said.Initiators, func(s string) string { return s })
			luns = said.LUNs
		}
		if g.LUNs, err = o.luns(p.luns(name), luns); err != nil {
			return err
		}
		t.Groups = append(t.Groups, g)
	}
	return nil
}

// luns reads a LUN map. A LUN of a device that is read-only is read-only, too,
// whether that was said of it or not; twice are those of which it was.
func (o *observer) luns(at string, twice []config.LUN) ([]config.LUN, error) {
	have, err := o.lunsOf(o.ctx, at)
	if err != nil {
		return nil, err
	}
	var out []config.LUN
	for _, m := range have {
		l := m.LUN
		if l.ReadOnly && o.readOnly[l.Device] {
			l.ReadOnly = slices.ContainsFunc(twice, func(o config.LUN) bool { return o.LUN == l.LUN })
		}
		out = append(out, l)
	}
	return out, nil
}

// addresses tells by which portals a target is reached, if it is by others
// than its words say. An address that no portal has is told as it is.
func (o *observer) addresses(t *config.Target) error {
	have, err := o.values(o.ctx, path.Join(driverPath(config.DriverISCSI), t.Name), allowedPortal)
	if err != nil {
		return err
	}
	want := allowed(*t, o.portals)
	slices.Sort(have)
	if sorted := slices.Sorted(slices.Values(want)); slices.Equal(sorted, have) {
		return nil
	}
	var names []string
	for _, p := range o.portals {
		if a := pattern(p.Address); len(have) == 0 || slices.Contains(have, a) {
			names = append(names, p.Name)
			have = slices.DeleteFunc(have, func(h string) bool { return h == a && len(have) > 1 })
		}
	}
	for _, a := range have {
		if !slices.ContainsFunc(o.portals, func(p config.Portal) bool { return pattern(p.Address) == a }) {
			names = append(names, a)
		}
	}
	if slices.Equal(names, t.Portals) || len(names) == 0 {
		names = append(names, t.Name+engine.NotEverywhere)
	}
	t.Portals = names
	return nil
}

// differ puts into a target what SCST has of one of its files.
func differ(t *config.Target, file, now string) {
	n, err := strconv.Atoi(now)
	if err != nil {
		n = -1
	}
	yes := now == "Yes"
	p := &t.Parameters
	switch file {
	case "alias":
		t.Alias = now
	case "redirect":
		t.Redirect, _, _ = strings.Cut(now, " ")
	case "HeaderDigest":
		p.HeaderDigest = strings.Split(now, ",")
	case "DataDigest":
		p.DataDigest = strings.Split(now, ",")
	case "MaxRecvDataSegmentLength":
		p.MaxRecvDataSegmentLength = n
	case "MaxBurstLength":
		p.MaxBurstLength = n
	case "FirstBurstLength":
		p.FirstBurstLength = n
	case "MaxOutstandingR2T":
		p.MaxOutstandingR2T = n
	case "InitialR2T":
		p.InitialR2T = &yes
	case "ImmediateData":
		p.ImmediateData = &yes
	case "QueuedCommands":
		p.QueuedCommands = n
	case "NopInInterval":
		if p.NopInInterval = n; n == 0 {
			p.NopInInterval = -1
		}
	case "NopInTimeout":
		p.NopInTimeout = n
	case "MaxSessions":
		p.MaxSessions = n
	}
}

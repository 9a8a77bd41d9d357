package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// Observe implements engine.Engine. Everything is read from the kernel. Words
// that were kept say only how to call what is there; where they do not agree
// with it, it is told as it is.
func (e *Engine) Observe(context.Context) (engine.State, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.observe()
	if err != nil {
		return engine.State{}, fmt.Errorf("observe LIO: %w", err)
	}
	return s, nil
}

func (e *Engine) observe() (engine.State, error) {
	// It has no unit attention for a new capacity (target_core_ua.h).
	s := engine.State{Shared: true, Silent: true, NoGrow: map[config.Handler]string{config.Memory: noGrow}}
	devices, err := e.devices()
	if err != nil {
		return s, err
	}
	slices.SortFunc(devices, func(a, b served) int { return strings.Compare(a.Name, b.Name) })
	for _, d := range devices {
		if err := e.seeDeviceAttributes(&d); err != nil {
			return s, err
		}
		s.Devices = append(s.Devices, d.Device)
		if d.foreign {
			foreign(&s, "device/"+d.Name)
		}
	}
	portals, err := e.portals()
	if err != nil {
		return s, err
	}
	o := observer{Engine: e, portals: portals, open: map[string]bool{}, rdma: map[string]bool{}, strange: map[place]bool{}, strangers: map[config.Portal]int{}}
	for _, p := range portals {
		o.open[p.Name] = true
	}
	if err := e.eachTarget(func(p place) error {
		t, there, err := o.target(p)
		if err == nil && there {
			s.Targets = append(s.Targets, t)
			if o.strange[p] {
				foreign(&s, "target/"+t.Name)
			}
		}
		return err
	}); err != nil {
		return s, err
	}
	for _, p := range portals {
		if o.open[p.Name] {
			p.ISER = p.ISER != o.rdma[p.Name]
			s.ISCSI.Portals = append(s.ISCSI.Portals, p)
		}
	}
	s.ISCSI.Portals = append(s.ISCSI.Portals, o.unnamed()...)
	if s.ISCSI.Discovery, err = e.observeDiscovery(); err != nil {
		return s, err
	}
	s.DeviceGroups, err = o.deviceGroups(devices)
	return s, err
}

func foreign(s *engine.State, object string) {
	if s.Foreign == nil {
		s.Foreign = map[string]bool{}
	}
	s.Foreign[object] = true
}

func (e *Engine) observeDiscovery() (config.Auth, error) {
	there, err := e.k.exists(discovery)
	if err != nil || !there {
		return config.Auth{}, err
	}
	c, err := e.readCredentials(discovery)
	if err != nil {
		return config.Auth{}, err
	}
	enforced, err := e.k.read(path.Join(discovery, "enforce_discovery_auth"))
	if err != nil || enforced == "0" {
		return config.Auth{}, err
	}
	return c.auth(""), nil
}

// observer reads the tree once.
type observer struct {
	*Engine
	portals []config.Portal
	open    map[string]bool // portals by name: not missing in any target
	rdma    map[string]bool // portals by name: open to RDMA otherwise than their words say
	// strangers are addresses that no portal has, and in how many targets.
	strangers map[config.Portal]int
	strange   map[place]bool // targets that somebody else made
	exports   []export
}

// export is a LUN of a portal group and where it leads.
type export struct{ target, device, lun string }

// target reads a target in its words.
func (o *observer) target(p place) (config.Target, bool, error) {
	w, err := o.words.target(p)
	if err != nil {
		return w.Target, false, err
	}
	tags, err := o.tags(p)
	if err != nil || len(tags) == 0 && w.kept {
		return w.Target, false, err // it was just begun
	}
	t := own(w.Target)
	views := make([]view, len(tags))
	for i, tag := range tags {
		if views[i], err = o.view(&w, tag); err != nil {
			return t, false, err
		}
		if err := o.settings(&t, &w, tag, views[i]); err != nil {
			return t, false, err
		}
	}
	if err := o.attributes(&t, &w, views); err != nil {
		return t, false, err
	}
	if o.strange[p] = !w.kept; w.kept && p.portals() {
		o.addresses(&t, views)
	}
	if err := o.chap(&t, &w, views); err != nil {
		return t, false, err
	}
	o.access(&t, w, views)
	return t, true, nil
}

// view is what a portal group lets whom see.
type view struct {
	tag       int
	acls      map[string]string // group by initiator
	maps      map[string][]config.LUN
	shown     bool         // to everybody
	luns      []config.LUN // that everybody sees
	unshown   []config.LUN // made to be seen by everybody, but not yet
	addresses []string
	iser      map[string]bool // addresses that are open to RDMA
	enabled   bool
	// attributes are those of ACLs, by initiator, if any were put.
	attributes map[string]map[string]string
}

func (o *observer) view(w *targetWords, tag int) (view, error) {
	tpg := w.place().tpg(tag)
	v := view{tag: tag, acls: map[string]string{}, maps: map[string][]config.LUN{}, iser: map[string]bool{}}
	var err error
	if v.enabled, err = o.gateOpen(tpg); err != nil {
		return v, err
	}
	if v.addresses, err = o.k.list(path.Join(tpg, "np")); err != nil {
		return v, err
	}
	for _, a := range v.addresses {
		iser, err := o.k.read(path.Join(tpg, "np", a, "iser"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return v, err
		}
		v.iser[a] = iser == "1"
	}
	luns, err := o.portLUNs(tpg)
	if err != nil {
		return v, err
	}
	leads := map[string]string{}
	for _, l := range luns {
		lun := path.Join(tpg, "lun", "lun_"+strconv.Itoa(l.number))
		leads[lun] = path.Base(l.to)
		o.exports = append(o.exports, export{w.Target.Name, l.to, lun})
		if l.name == shownLink {
			v.unshown = append(v.unshown, config.LUN{LUN: l.number, Device: path.Base(l.to)})
		}
	}
	if v.shown, v.luns, err = o.shown(tpg); err != nil {
		return v, err
	}
	initiators, err := o.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return v, err
	}
	for _, initiator := range initiators {
		if v.acls[initiator], err = o.groupOf(tpg, initiator); err != nil {
			return v, err
		}
		if v.maps[initiator], err = o.aclLUNs(tpg, initiator); err != nil {
			return v, err
		}
	}
	return v, nil
}

// settings puts into t what a portal group has otherwise than its words say.
func (o *observer) settings(t *config.Target, w *targetWords, tag int, v view) error {
	tpg := w.place().tpg(tag)
	if v.enabled == w.Target.Disabled {
		t.Disabled = !v.enabled
	}
	for _, s := range w.settings(tag) {
		now, err := o.k.read(path.Join(tpg, s.file))
		if err != nil {
			if s.file == "rtpi" {
				continue // this kernel gives them itself
			}
			return err
		}
		if !equal(now, s.value) {
			differ(t, tag, s.file, now)
		}
	}
	if !w.place().portals() {
		return nil
	}
	for initiator := range v.acls {
		at := path.Join(tpg, "acls", initiator)
		for _, s := range w.aclSettings() {
			now, err := o.k.read(path.Join(at, s.file))
			if err != nil {
				return err
			}
			if !equal(now, s.value) {
				differ(t, tag, s.file, now)
			}
		}
	}
	return nil
}

// differ notes the kernel's value of a setting in the words of the document.
func differ(t *config.Target, tag int, file, now string) {
	n, err := strconv.Atoi(now)
	if err != nil {
		n = -1
	}
	yes := now == "Yes"
	p := &t.Parameters
	switch path.Base(file) {
	case "authentication":
		t.Auth = config.Auth{}
		if now != "0" {
			t.Auth.Users = []config.CHAPUser{{Name: "somebody" + deviates}}
		}
	case "TargetAlias":
		t.Alias = now
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
	case "default_cmdsn_depth", "cmdsn_depth":
		p.QueuedCommands = n
	case "nopin_timeout":
		p.NopInInterval = n
	case "nopin_response_timeout":
		p.NopInTimeout = n
	case "rtpi":
		id, err := strconv.ParseUint(now, 0, 16)
		if err == nil {
			ids := maps.Clone(t.RelativeIDs)
			ids[tag] = int(id)
			t.RelativeIDs = ids
		}
	default: // demo_mode_discovery, prod_mode_write_protect: told as what they are
		t.Alias += deviates
	}
}

// addresses finds portals that are missing, and addresses that are no portal's.
func (o *observer) addresses(t *config.Target, views []view) {
	for _, p := range o.portals {
		if !reaches(*t, p.Name) {
			continue
		}
		i := slices.IndexFunc(views, func(v view) bool { return v.tag == p.Group })
		if i < 0 || !slices.Contains(views[i].addresses, kernelAddress(p.Address)) {
			o.open[p.Name] = false
			continue
		}
		if views[i].iser[kernelAddress(p.Address)] != p.ISER {
			o.rdma[p.Name] = true
		}
	}
	var names []string
	limited := len(t.Portals) > 0
	more := false
	for _, v := range views {
		for _, a := range v.addresses {
			i := slices.IndexFunc(o.portals, func(p config.Portal) bool { return kernelAddress(p.Address) == a && p.Group == v.tag })
			if i < 0 {
				o.strangers[config.Portal{Name: handName(a), Address: a, Group: v.tag, ISER: v.iser[a]}]++
				continue
			}
			names = append(names, o.portals[i].Name)
			more = more || limited && !reaches(*t, o.portals[i].Name)
		}
	}
	if more {
		slices.Sort(names)
		t.Portals = names
	}
}

// unnamed are the addresses that no portal has, as portals. One that is not in
// all of our targets is no portal: those are in all that are not limited.
func (o *observer) unnamed() []config.Portal {
	ours := 0
	for p, strange := range o.strange {
		if !strange && p.portals() {
			ours++
		}
	}
	var all []config.Portal
	for p, times := range o.strangers {
		if times < ours {
			p.Address += deviates
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b config.Portal) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// handName names something that somebody made by hand after what it is, as
// documents can name it.
func handName(of string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, of), "-.")
}

package scsi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Target is a SCSI target device with its access control: host groups of
// initiators, each with a LUN map of its own, and a default map for
// initiators that no group wants. An initiator falls into a group when it logs
// in and stays in it for as long as its session lasts, as with SCST; the LUNs
// of the group may change all the while.
type Target struct {
	name string

	mu      sync.Mutex
	groups  []*hostGroup // in the order of their creation
	byName  map[string]*hostGroup
	nexuses map[*Nexus]*hostGroup
}

// hostGroup is a host group, or the default map (name "").
type hostGroup struct {
	name     string
	patterns []pattern
	luns     map[LUN]Mapping
	past     map[LUN]Counters // of paths that are gone
}

// NewTarget makes a target device whose default map is empty.
func NewTarget(name string) *Target {
	t := &Target{name: name, byName: map[string]*hostGroup{}, nexuses: map[*Nexus]*hostGroup{}}
	t.byName[""] = newHostGroup("")
	return t
}

func newHostGroup(name string) *hostGroup {
	return &hostGroup{name: name, luns: map[LUN]Mapping{}, past: map[LUN]Counters{}}
}

// Name returns the name of the target device.
func (t *Target) Name() string { return t.name }

// ErrNoGroup says that a target has no such host group.
var ErrNoGroup = errors.New("scsi: no such host group")

// PutGroup creates a host group, or gives it other initiators. Sessions stay
// in the group that they are in.
func (t *Target) PutGroup(name string, initiators []string) error {
	if name == "" {
		return errors.New("a host group needs a name")
	}
	patterns := newPatterns(initiators)
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.byName[name]
	if g == nil {
		g = newHostGroup(name)
		t.byName[name] = g
		t.groups = append(t.groups, g)
	}
	g.patterns = patterns
	return nil
}

// DeleteGroup removes a host group. Sessions in it lose its LUNs; they see
// none until they log in again. A group that is gone already is fine.
func (t *Target) DeleteGroup(name string) {
	t.mu.Lock()
	g := t.byName[name]
	if g == nil || name == "" {
		t.mu.Unlock()
		return
	}
	delete(t.byName, name)
	t.groups = slices.DeleteFunc(t.groups, func(o *hostGroup) bool { return o == g })
	clear(g.luns)
	t.mu.Unlock()
	t.refresh(g)
}

// PutLUN maps a LUN in a group's map ("": the default map). Sessions in the
// group hear of it.
func (t *Target) PutLUN(group string, m Mapping) error {
	if m.LUN > MaxLUN {
		return fmt.Errorf("map LUN %d: LUNs go from 0 to %d", m.LUN, MaxLUN)
	}
	if m.Unit == nil {
		return fmt.Errorf("map LUN %d: it leads to no unit", m.LUN)
	}
	t.mu.Lock()
	g := t.byName[group]
	if g == nil {
		t.mu.Unlock()
		return fmt.Errorf("map LUN %d in group %q of %s: %w", m.LUN, group, t.name, ErrNoGroup)
	}
	old, had := g.luns[m.LUN]
	g.luns[m.LUN] = m
	t.mu.Unlock()
	if !had || old != m {
		t.refresh(g)
	}
	return nil
}

// DeleteLUN takes a LUN from a group's map. When it returns no task of it
// touches the unit any more. A LUN that is gone already is fine.
func (t *Target) DeleteLUN(group string, l LUN) {
	t.mu.Lock()
	g := t.byName[group]
	if g == nil {
		t.mu.Unlock()
		return
	}
	_, had := g.luns[l]
	delete(g.luns, l)
	t.mu.Unlock()
	if had {
		t.refresh(g)
	}
	t.mu.Lock()
	delete(g.past, l)
	t.mu.Unlock()
}

// Resolve says which host group an initiator falls into, and what it sees.
// The first group that has the very name wins, else the first one that has a
// pattern which matches; "" is the default map.
func (t *Target) Resolve(initiator string) (group string, luns []Mapping) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.resolve(initiator)
	return g.name, g.mappings()
}

func (t *Target) resolve(initiator string) *hostGroup {
	var best *hostGroup
	for _, g := range t.groups {
		switch matchInitiator(g.patterns, initiator) {
		case matchExact:
			return g
		case matchPattern:
			if best == nil {
				best = g
			}
		}
	}
	if best == nil {
		return t.byName[""]
	}
	return best
}

func (g *hostGroup) mappings() []Mapping {
	m := make([]Mapping, 0, len(g.luns))
	for _, e := range g.luns {
		m = append(m, e)
	}
	slices.SortFunc(m, func(a, b Mapping) int { return cmp.Compare(a.LUN, b.LUN) })
	return m
}

// NewNexus makes a nexus whose LUN map is that of the host group which the
// initiator falls into, and keeps it so until Nexus.Close.
func (t *Target) NewNexus(initiator InitiatorID, port *Port, tr Transport) *Nexus {
	n := NewNexus(initiator, port, tr)
	n.target = t
	t.mu.Lock()
	g := t.resolve(initiator.Name)
	n.group = g.name
	t.nexuses[n] = g
	t.mu.Unlock()
	t.bring(n, g)
	return n
}

// refresh brings the sessions of a group up to its LUN map.
func (t *Target) refresh(g *hostGroup) {
	t.mu.Lock()
	var in []*Nexus
	for n, has := range t.nexuses {
		if has == g {
			in = append(in, n)
		}
	}
	t.mu.Unlock()
	for _, n := range in {
		t.bring(n, g)
	}
}

// bring makes the map of g what n sees. The map is read under the nexus's
// lock, so that of two changes the later one stays.
func (t *Target) bring(n *Nexus, g *hostGroup) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	t.mu.Lock()
	m := g.mappings()
	t.mu.Unlock()
	n.setLUNs(m)
}

// forget takes a nexus that closes from its group.
func (t *Target) forget(n *Nexus) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.nexuses, n)
}

// retire keeps the counters of a path that goes.
func (t *Target) retire(group string, p *Path) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.byName[group]; g != nil && g.luns[p.LUN].Unit == p.Unit {
		c := g.past[p.LUN]
		c.Add(p.Counters())
		g.past[p.LUN] = c
	}
}

// LUNCounters are the counters of a LUN of a host group, over all sessions
// that it has and had.
type LUNCounters struct {
	Group string
	LUN   LUN
	Unit  string
	Counters
}

// Counters returns the counters of every LUN that the target maps, by group
// and LUN.
func (t *Target) Counters() []LUNCounters {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []LUNCounters
	at := map[*hostGroup]map[LUN]int{}
	for _, g := range t.byName {
		at[g] = map[LUN]int{}
		for l, m := range g.luns {
			at[g][l] = len(all)
			all = append(all, LUNCounters{Group: g.name, LUN: l, Unit: m.Unit.identity.Name, Counters: g.past[l]})
		}
	}
	for n, g := range t.nexuses {
		for _, p := range n.Paths() {
			if i, ok := at[g][p.LUN]; ok && all[i].Unit == p.Unit.identity.Name {
				all[i].Add(p.Counters())
			}
		}
	}
	slices.SortFunc(all, func(a, b LUNCounters) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.LUN, b.LUN))
	})
	return all
}

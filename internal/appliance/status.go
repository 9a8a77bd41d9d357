package appliance

import (
	"context"
	"slices"
)

// States of an array.
const (
	StateOK       = "ok"
	StateApplying = "applying"
	StateDegraded = "degraded" // something that is declared is not served
)

// Status is the array at a glance.
type Status struct {
	Name     string   `json:"name"`
	Engine   string   `json:"engine"`
	Revision Revision `json:"revision"`
	State    string   `json:"state"`
	Problems []string `json:"problems,omitempty"` // sentences with their object
	// Drift names what was changed by hand, as of the last look.
	Drift    []string `json:"drift,omitempty"`
	Devices  int      `json:"devices"` // declared, as are the next two
	Targets  int      `json:"targets"`
	LUNs     int      `json:"luns"`
	Sessions int      `json:"sessions"`
	Portals  []string `json:"portals"` // addresses that are declared
	// Unconfirmed is the change of the network that waits to be confirmed.
	Unconfirmed *Unconfirmed `json:"unconfirmed,omitempty"`
}

// Status returns the array at a glance.
func (a *Appliance) Status(ctx context.Context) (Status, error) {
	doc, rev := a.inForce()
	s := Status{Name: doc.Name, Engine: a.engine.Name(), Revision: rev, State: StateOK, Unconfirmed: a.Unconfirmed(),
		Devices: len(doc.Devices), Targets: len(doc.Targets), Portals: []string{}}
	for _, t := range doc.Targets {
		s.LUNs += len(t.LUNs)
		for _, g := range t.Groups {
			s.LUNs += len(g.LUNs)
		}
	}
	for _, p := range doc.ISCSI.Portals {
		s.Portals = append(s.Portals, p.Address)
	}
	a.mu.Lock()
	for _, p := range a.problems {
		s.Problems = append(s.Problems, p.Object+": "+p.Message)
	}
	s.Problems = append(s.Problems, a.snapshotTroubles(doc)...)
	for _, d := range a.drift {
		s.Drift = append(s.Drift, d.Object+": "+d.Message)
	}
	applying := slices.ContainsFunc(a.operations, (*Operation).running)
	a.mu.Unlock()
	sessions, err := a.engine.Sessions(ctx)
	if err != nil {
		s.Problems = append(s.Problems, "engine: "+err.Error())
	}
	s.Sessions = len(sessions)
	switch {
	case len(s.Problems) > 0:
		s.State = StateDegraded
	case applying:
		s.State = StateApplying
	}
	return s, nil
}

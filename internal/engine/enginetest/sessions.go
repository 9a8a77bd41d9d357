package enginetest

import (
	"context"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
)

func (l *lab) sessions() []engine.Session {
	l.Helper()
	got, err := l.Engine.Sessions(l.Context())
	l.ok(err)
	return got
}

func sessionsAreListedAndClosed(l *lab) {
	ctx := l.Context()
	address := l.serve()
	l.ok(l.Engine.PutGroup(ctx, iqn, config.Group{Name: "g", Initiators: []string{bob}}))
	hosts := ""
	if l.Lacks.Patterns { // of strangers the name is all that is known
		hosts = "hosts"
		l.byName(hosts, alice)
	}
	before := time.Now().Add(-time.Second)
	a, b := l.login(address, alice), l.login(address, bob)
	_, err := a.Read(0, 0, 8, 512)
	l.ok(err)
	l.soon("two sessions", func() bool { return len(l.sessions()) == 2 })
	var id string
	for _, s := range l.sessions() {
		group, luns := hosts, 1
		if s.Initiator == bob {
			group, luns = "g", 0
		} else {
			id = s.ID
			c := s.Counters
			if l.Lacks.Kinds && c.Other == 0 || !l.Lacks.Kinds && (c.Reads != 1 || c.ReadBytes != 4096) {
				l.Errorf("alice's counters: %+v", c)
			}
		}
		if s.ID == "" || s.Target != iqn || s.Group != group || s.LUNs != luns || s.Portal != "main" ||
			s.ISID == "" || !strings.HasPrefix(s.Address, "127.") || s.Since.Before(before) {
			l.Errorf("session of %s: %+v", s.Initiator, s)
		}
	}
	l.ok(l.Engine.CloseSession(ctx, id))
	l.soon("the session ends", func() bool {
		_, err := a.Read(0, 0, 1, 512)
		return err != nil
	})
	l.soon("one session is left", func() bool { return len(l.sessions()) == 1 })
	if _, err := b.LUNs(); err != nil {
		l.Errorf("the other session: %v", err)
	}
	l.ok(l.Engine.CloseSession(ctx, id)) // it is gone already
}

func statisticsOutliveSessions(l *lab) {
	address := l.serve()
	hosts, size := "", 1024
	if l.Lacks.Patterns {
		hosts = "hosts"
		l.byName(hosts, alice, bob)
	}
	if l.Lacks.Kinds {
		size = 1 << 20 // the unit that bytes are counted in
	}
	for _, name := range []string{alice, bob} {
		s := l.login(address, name)
		_, err := s.Read(0, 0, 8, 512)
		l.ok(err)
		for i := 0; i < size; i += 64 << 10 {
			l.ok(s.Write(0, 0, make([]byte, min(size, 64<<10)), 512, false))
		}
		if name == alice {
			l.ok(s.Close())
		}
	}
	l.soon("alice's session ends", func() bool { return len(l.sessions()) == 1 })
	st, err := l.Engine.Statistics(l.Context())
	l.ok(err)
	if len(st.LUNs) != 1 {
		l.Fatalf("statistics of %d LUNs, want 1: %+v", len(st.LUNs), st.LUNs)
	}
	g := st.LUNs[0]
	c := g.Counters
	if g.Target != iqn || g.Group != hosts || g.LUN != 0 || g.Device != "disk0" || c.WriteBytes != uint64(2*size) {
		l.Errorf("statistics: %+v", g)
	}
	if l.Lacks.Kinds {
		if c.Other < 2*(1+16) {
			l.Errorf("%d commands counted", c.Other)
		}
		return
	}
	if c.Reads != 2 || c.ReadBytes != 8192 || c.Writes != 2 {
		l.Errorf("statistics: %+v", g)
	}
	var sum uint64
	for _, n := range c.ReadLatency.Buckets {
		sum += n
	}
	if sum != c.Reads {
		l.Errorf("read latencies of %d commands, want %d", sum, c.Reads)
	}
}

func eventsTellOfSessions(l *lab) {
	ctx, cancel := context.WithCancel(l.Context())
	events, err := l.Engine.Events(ctx)
	l.ok(err)
	await := func(kind string) engine.Event {
		l.Helper()
		timeout := time.After(5 * time.Second)
		for {
			select {
			case e := <-events:
				if e.Kind == kind {
					if e.Time.IsZero() || e.Message == "" || e.Object == "" {
						l.Errorf("event lacks something: %+v", e)
					}
					return e
				}
			case <-timeout:
				l.Fatalf("no event %s within 5 s", kind)
			}
		}
	}
	address := l.serve()
	s := l.login(address, alice)
	if e := await("session.opened"); !strings.Contains(e.Message+e.Object+e.Detail["initiator"], alice) {
		l.Errorf("the event does not name the initiator: %+v", e)
	}
	l.ok(s.Close())
	await("session.closed")
	l.ok(l.Engine.PutTarget(l.Context(), config.Target{Name: named, RelativeIDs: map[int]int{1: 2}}))
	l.ok(l.Engine.PutGroup(l.Context(), named, config.Group{Name: "g", Initiators: []string{bob}}))
	_, err = initiator.Login(l.Context(), initiator.Options{Address: address, Target: named, Initiator: alice})
	l.refused("login to a target of others", err)
	await("login.refused")
	cancel()
	l.soon("the channel is closed", func() bool {
		select {
		case _, open := <-events:
			return !open
		default:
			return false
		}
	})
}

func accessStatesHold(l *lab) {
	ctx := l.Context()
	address := l.serve()
	s := l.login(address, alice)
	g := config.DeviceGroup{Name: "pair", Devices: []string{"disk0"}, TargetGroups: []config.TargetGroup{
		{Name: "here", ID: 1, State: "active", Preferred: true, Targets: []config.GroupTarget{{Name: iqn}}},
		{Name: "there", ID: 2, State: "standby", Targets: []config.GroupTarget{{Name: iqn, RelativeID: 77}}},
	}}
	l.ok(l.Engine.PutDeviceGroup(ctx, g))
	l.ok(l.Engine.PutDeviceGroup(ctx, g))
	l.same("device groups", []config.DeviceGroup{g}, l.observe().DeviceGroups)
	_, err := s.Read(0, 0, 1, 512)
	if err != nil {
		_, err = s.Read(0, 0, 1, 512)
	}
	l.ok(err)
	for _, step := range []struct {
		state string
		want  uint16
	}{{"standby", 0x040b}, {"unavailable", 0x040c}, {"transitioning", 0x040a}, {"nonoptimized", 0}} {
		g.TargetGroups[0].State = step.state
		l.ok(l.Engine.PutDeviceGroup(ctx, g))
		// The attention of the change itself (2A06h) comes first.
		read := []byte{0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}
		r, err := s.Do(0, read, nil, 512)
		for err == nil && r.Key() == initiator.KeyUnitAttention {
			r, err = s.Do(0, read, nil, 512)
		}
		l.ok(err)
		if r.Code() != step.want {
			l.Errorf("READ in state %s: code %04x, want %04x", step.state, r.Code(), step.want)
		}
	}
	l.ok(l.Engine.DeleteDeviceGroup(ctx, "pair"))
	if got := l.observe().DeviceGroups; len(got) != 0 {
		l.Errorf("device groups left: %v", got)
	}
}

func secretsAreKept(l *lab) {
	ctx := l.Context()
	auth := config.Auth{
		Users:  []config.CHAPUser{{Name: "finder", Secret: "discovery-secret"}},
		Mutual: &config.CHAPUser{Name: "array", Secret: "the-arrays-secret"},
	}
	l.ok(l.Engine.PutDiscovery(ctx, auth))
	l.same("discovery", auth, l.observe().ISCSI.Discovery)
	l.ok(l.Engine.PutDiscovery(ctx, config.Auth{}))
	l.same("discovery taken back", config.Auth{}, l.observe().ISCSI.Discovery)
}

func accessStatesAreObservedAsPut(l *lab) {
	ctx := l.Context()
	l.serve()
	g := config.DeviceGroup{Name: "pair", Devices: []string{"disk0"}, TargetGroups: []config.TargetGroup{
		{Name: "here", ID: 1, State: "active", Preferred: true, Targets: []config.GroupTarget{{Name: iqn}}},
		{Name: "there", ID: 2, State: "standby", Targets: []config.GroupTarget{{Name: iqn, RelativeID: 77}}},
	}}
	for _, state := range []string{"standby", "unavailable", "transitioning", "offline", "nonoptimized", "active"} {
		g.TargetGroups[0].State = state
		l.ok(l.Engine.PutDeviceGroup(ctx, g))
		l.same("device groups", []config.DeviceGroup{g}, l.observe().DeviceGroups)
	}
	g.TargetGroups[0].Name, g.TargetGroups[1].ID = "another", 3
	l.ok(l.Engine.PutDeviceGroup(ctx, g))
	l.same("device groups after changes", []config.DeviceGroup{g}, l.observe().DeviceGroups)
	l.ok(l.Engine.DeleteDeviceGroup(ctx, "pair"))
	if got := l.observe().DeviceGroups; len(got) != 0 {
		l.Errorf("device groups left: %v", got)
	}
}

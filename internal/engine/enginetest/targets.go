package enginetest

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
)

// richTarget is a target with every setting.
func richTarget() config.Target {
	yes, no := true, false
	return config.Target{
		Name: iqn, Driver: "iscsi", Alias: "the suite's", RelativeIDs: map[int]int{1: 11, 2: 12}, Portals: []string{"main"},
		Auth: config.Auth{
			Algorithms: []string{"SHA256"},
			Users:      []config.CHAPUser{{Name: "u", Secret: "secret-of-the-user", Initiators: []string{alice}}},
			Mutual:     &config.CHAPUser{Name: "t", Secret: "secret-of-the-target"},
		},
		Parameters: config.Parameters{
			HeaderDigest: []string{"CRC32C"}, DataDigest: []string{"None", "CRC32C"}, MaxRecvDataSegmentLength: 65536,
			MaxBurstLength: 131072, FirstBurstLength: 65536, MaxOutstandingR2T: 2, InitialR2T: &yes, ImmediateData: &no,
			QueuedCommands: 32, NopInInterval: 20, NopInTimeout: 10, MaxSessions: 3,
		},
	}
}

func targetsAreObservedAsPut(l *lab) {
	ctx := l.Context()
	l.ok(l.Engine.PutDevice(ctx, l.memory("disk0", 1<<20)))
	rich := richTarget()
	rich.LUNs = []config.LUN{{LUN: 0, Device: "disk0", ReadOnly: true}}
	rich.Groups = []config.Group{
		{Name: "zulu", Initiators: []string{"iqn.*", "!" + bob}, LUNs: []config.LUN{{LUN: 5, Device: "disk0"}, {LUN: 300, Device: "disk0"}}},
		{Name: "alpha", Initiators: []string{bob}},
	}
	doc := l.trim(config.Document{
		ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "main", Address: l.Portal, Group: 1, Announce: "192.0.2.1:3260"}}},
		Targets: []config.Target{rich},
	})
	want := doc.Targets[0]
	l.ok(l.Engine.PutPortal(ctx, doc.ISCSI.Portals[0]))
	put := func() {
		l.Helper()
		l.ok(l.Engine.PutTarget(ctx, want))
		for _, m := range want.LUNs {
			l.ok(l.Engine.PutLUN(ctx, iqn, "", m))
		}
		for _, g := range want.Groups {
			l.ok(l.Engine.PutGroup(ctx, iqn, g))
			for _, m := range g.LUNs {
				l.ok(l.Engine.PutLUN(ctx, iqn, g.Name, m))
			}
		}
	}
	put()
	l.same("targets", []config.Target{want}, l.observe().Targets)
	put()
	l.same("targets put twice", []config.Target{want}, l.observe().Targets)

	// Each Put changes its own part and leaves the rest.
	want.Alias, want.Auth.Mutual = "another", nil
	l.ok(l.Engine.PutTarget(ctx, want))
	want.Groups[1].Initiators = []string{bob, carol}
	l.ok(l.Engine.PutGroup(ctx, iqn, config.Group{Name: "alpha", Initiators: []string{bob, carol}}))
	want.Groups[0].LUNs[0].ReadOnly = true
	l.ok(l.Engine.PutLUN(ctx, iqn, "zulu", want.Groups[0].LUNs[0]))
	l.same("targets after changes", []config.Target{want}, l.observe().Targets)
	l.same("portals", doc.ISCSI.Portals, l.observe().ISCSI.Portals)
}

func everythingIsDeletedTwice(l *lab) {
	ctx := l.Context()
	l.serve()
	l.ok(l.Engine.PutTarget(ctx, config.Target{Name: named, RelativeIDs: map[int]int{1: 2}}))
	l.ok(l.Engine.PutGroup(ctx, named, config.Group{Name: "g", Initiators: []string{alice}}))
	l.ok(l.Engine.PutLUN(ctx, named, "g", config.LUN{LUN: 1, Device: "disk0"}))
	l.ok(l.Engine.PutDeviceGroup(ctx, config.DeviceGroup{Name: "dg", Devices: []string{"disk0"}}))
	for range 2 {
		l.ok(l.Engine.DeleteLUN(ctx, named, "g", 1))
		l.ok(l.Engine.DeleteGroup(ctx, named, "g"))
		l.ok(l.Engine.DeleteLUN(ctx, iqn, "", 0))
		l.ok(l.Engine.DeleteDeviceGroup(ctx, "dg"))
		l.ok(l.Engine.DeleteTarget(ctx, iqn))
		l.ok(l.Engine.DeleteTarget(ctx, named))
		l.ok(l.Engine.DeletePortal(ctx, "main"))
		l.ok(l.Engine.DeleteDevice(ctx, "disk0"))
	}
	l.same("what is left", engine.State{Shared: l.observe().Shared, Silent: l.observe().Silent, NoGrow: l.observe().NoGrow}, l.observe())
	// A group takes its LUNs along, a target its groups.
	l.serve()
	l.ok(l.Engine.DeleteTarget(ctx, iqn))
	l.ok(l.Engine.DeleteDevice(ctx, "disk0"))
}

func hostGroupsDecide(l *lab) {
	ctx := l.Context()
	address := l.serve()
	l.ok(l.Engine.PutDevice(ctx, l.memory("disk1", 1<<20)))
	alices := config.Group{Name: "alices", Initiators: []string{"*:alice*"}}
	if l.Lacks.Patterns {
		alices.Initiators = []string{alice}
		l.byName("bobs", bob)
	}
	l.ok(l.Engine.PutGroup(ctx, iqn, alices))
	l.ok(l.Engine.PutLUN(ctx, iqn, "alices", config.LUN{LUN: 0, Device: "disk1"}))
	l.ok(l.Engine.PutLUN(ctx, iqn, "alices", config.LUN{LUN: 9, Device: "disk0", ReadOnly: true}))

	a, b := l.login(address, alice), l.login(address, bob)
	for _, c := range []struct {
		s    *initiator.Session
		want []uint16
	}{{a, []uint16{0, 9}}, {b, []uint16{0}}} {
		l.same("LUNs seen", c.want, l.luns(c.s))
	}
	l.ok(b.Write(0, 1, []byte(strings.Repeat("b", 512)), 512, false))
	got, err := a.Read(9, 1, 1, 512)
	l.ok(err)
	if got[0] != 'b' {
		l.Errorf("LUN 9 of the group does not lead to disk0")
	}
	if got, err = a.Read(0, 1, 1, 512); err != nil || got[0] != 0 {
		l.Errorf("LUN 0 of the group leads to disk0 (%v)", err)
	}
	var status *initiator.StatusError
	if err := a.Write(9, 1, make([]byte, 512), 512, false); !errors.As(err, &status) || status.Key() != initiator.KeyDataProtect {
		l.Errorf("write to a read-only LUN: %v, want DATA PROTECT", err)
	}
}

func lunsChangeUnderASession(l *lab) {
	ctx := l.Context()
	address := l.serve()
	l.ok(l.Engine.PutDevice(ctx, l.memory("disk1", 1<<20)))
	s := l.login(address, alice)
	l.ok(s.Write(0, 0, []byte(strings.Repeat("x", 512)), 512, false))
	for range 3 {
		l.ok(l.Engine.PutLUN(ctx, iqn, "", config.LUN{LUN: 1, Device: "disk1"}))
		l.attention(s, 0, 0x3f0e) // REPORTED LUNS DATA HAS CHANGED
		l.same("LUNs", []uint16{0, 1}, l.luns(s))
		l.ok(s.Write(1, 0, make([]byte, 512), 512, false))

		l.ok(l.Engine.DeleteLUN(ctx, iqn, "", 1))
		l.attention(s, 0, 0x3f0e)
		r, err := s.Do(1, make([]byte, 6), nil, 0)
		l.ok(err)
		if r.Code() != 0x2500 { // LOGICAL UNIT NOT SUPPORTED
			l.Errorf("LUN that is gone: status %#x, code %04x", r.Status, r.Code())
		}
	}
	if _, err := s.Read(0, 0, 1, 512); err != nil {
		l.Errorf("the other LUN: %v", err)
	}
	l.ok(s.Close())
}

func targetChangesUnderASession(l *lab) {
	ctx := l.Context()
	address := l.serve()
	s := l.login(address, alice)
	t := config.Target{Name: iqn, Alias: "changed", RelativeIDs: map[int]int{1: 1}, Parameters: config.Parameters{QueuedCommands: 8, MaxBurstLength: 65536}}
	t.Auth.Users = []config.CHAPUser{{Name: "u", Secret: "long-enough-a-secret"}}
	l.ok(l.Engine.PutTarget(ctx, t))
	l.ok(l.Engine.PutDiscovery(ctx, t.Auth))
	l.ok(l.Engine.PutGroup(ctx, iqn, config.Group{Name: "g", Initiators: []string{bob}}))
	_, err := s.Read(0, 0, 1, 512)
	l.ok(err)
	// New logins find the new settings.
	var refused *initiator.RefusedError
	_, err = initiator.Login(ctx, initiator.Options{Address: address, Target: iqn, Initiator: bob})
	if !errors.As(err, &refused) || refused.Status>>8 != 2 {
		l.Errorf("login without proof: %v, want a refusal", err)
	}
	_, err = s.Read(0, 0, 1, 512)
	l.ok(err)
}

func disabledTargetEndsItsSessions(l *lab) {
	ctx := l.Context()
	address := l.serve()
	s := l.login(address, alice)
	left := make(chan struct{})
	go func() { // a well-behaved initiator leaves when it is asked to
		defer close(left)
		for {
			if _, err := s.Read(0, 0, 1, 512); err != nil {
				_ = s.Close()
				return
			}
		}
	}()
	t := config.Target{Name: iqn, RelativeIDs: map[int]int{1: 1}, Disabled: true}
	l.ok(l.Engine.PutTarget(ctx, t))
	<-left
	var refused *initiator.RefusedError
	if _, err := initiator.Login(ctx, initiator.Options{Address: address, Target: iqn, Initiator: alice}); !errors.As(err, &refused) {
		l.Errorf("login to a disabled target: %v", err)
	}
	t.Disabled = false
	l.ok(l.Engine.PutTarget(ctx, t))
	l.login(address, alice)
}

func portalsComeAndGo(l *lab) {
	ctx := l.Context()
	address := l.serve()
	s := l.login(address, alice)
	// The same portal again is no change, nor is another announcement.
	l.ok(l.Engine.PutPortal(ctx, config.Portal{Name: "main", Address: l.Portal, Group: 1}))
	if !l.Lacks.Announce {
		l.ok(l.Engine.PutPortal(ctx, config.Portal{Name: "main", Address: l.Portal, Group: 1, Announce: "192.0.2.1:3260"}))
	}
	_, err := s.Read(0, 0, 1, 512)
	l.ok(err)
	l.ok(l.Engine.PutPortal(ctx, config.Portal{Name: "second", Address: cmp.Or(l.Second, l.Portal), Group: 1}))
	b := l.login(l.Address(l.T, "second"), bob)

	l.ok(l.Engine.DeletePortal(ctx, "main"))
	if !l.Lacks.Portals {
		l.soon("the portal's session ends", func() bool {
			_, err := s.Read(0, 0, 1, 512)
			return err != nil
		})
	}
	if _, err := initiator.Login(ctx, initiator.Options{Address: address, Target: iqn, Initiator: alice, Timeout: time.Second}); err == nil {
		l.Error("a portal that is gone takes logins")
	}
	_, err = b.Read(0, 0, 1, 512)
	l.ok(err)
	// The very address can be had again at once.
	l.ok(l.Engine.PutPortal(ctx, config.Portal{Name: "main", Address: address, Group: 1}))
	l.login(address, alice)
	l.refused("an address that is taken", l.Engine.PutPortal(ctx, config.Portal{Name: "third", Address: address, Group: 1}))
	l.refused("a move to an address that is taken", l.Engine.PutPortal(ctx, config.Portal{Name: "second", Address: address, Group: 1}))
	names := []string{}
	for _, p := range l.observe().ISCSI.Portals {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	l.same("portals", []string{"main", "second"}, names)
}

func portalsAreObservedAsPut(l *lab) {
	ctx := l.Context()
	main := config.Portal{Name: "main", Address: l.Portal, Group: 1}
	for range 2 { // before there is a target, and with one
		l.ok(l.Engine.PutPortal(ctx, main))
		l.ok(l.Engine.PutPortal(ctx, main))
		l.same("portals", []config.Portal{main}, l.observe().ISCSI.Portals)
		main.Group = 2
		main = l.trim(config.Document{ISCSI: config.ISCSI{Portals: []config.Portal{main}}}).ISCSI.Portals[0]
		l.ok(l.Engine.PutPortal(ctx, main))
		l.same("a portal of another group", []config.Portal{main}, l.observe().ISCSI.Portals)
		l.ok(l.Engine.DeletePortal(ctx, "main"))
		if left := l.observe().ISCSI.Portals; len(left) != 0 {
			l.Errorf("portals left: %v", left)
		}
		main.Group = 1
		l.ok(l.Engine.PutTarget(ctx, config.Target{Name: iqn, RelativeIDs: map[int]int{1: 1, 2: 2}}))
	}
}

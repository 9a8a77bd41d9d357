package lio

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

const (
	gid   = "fe80:0000:0000:0000:0002:c903:0005:f34b"
	gidIn = "0xfe800000000000000002c9030005f34b" // the kernel's word for it
	wwpn  = "50:01:43:80:24:26:bb:b4"
	local = "naa.5001405b2a1c3d4e"

	stranger = "21:00:00:e0:8b:05:be:ff"
)

// lonePort is a target of a fabric that has no portals, and who logs in there.
type lonePort struct {
	driver     config.Driver
	name, at   string
	alice, bob string
	rtpi       string // what the kernel reads of identifier 9
}

func lonePorts() []lonePort {
	return []lonePort{
		{config.DriverSRP, gid, "srpt/" + gidIn + "/tpgt_1", "0x0002c9030005f34c0002c9030005f34d", "0x0002c9030005f34e0002c9030005f34f", "0x9"},
		{config.DriverFC, wwpn, "qla2xxx/" + wwpn + "/tpgt_1", "21:00:00:e0:8b:05:be:ad", "21:00:00:e0:8b:05:be:ae", "0x9"},
		{config.DriverFCoE, wwpn, "fc/" + wwpn + "/tpgt_1", "21:00:00:e0:8b:05:be:ad", "21:00:00:e0:8b:05:be:ae", ""},
	}
}

func newFabricBench(t *testing.T, o liofake.Options) *bench {
	t.Helper()
	o.RTPI = true
	o.Ports = append(o.Ports, gidIn, wwpn)
	b := newBench(t, o)
	b.opt.Load = b.kernel.Load
	b.opt.Ports = func(d config.Driver) ([]string, error) {
		if d == config.DriverSRP {
			return []string{gid}, nil
		}
		return []string{wwpn}, nil
	}
	b.start()
	return b
}

// served is the one target that is served, as it is observed.
func (b *bench) observedTarget() config.Target {
	b.Helper()
	s, err := b.Observe(b.Context())
	b.ok(err)
	if len(s.Targets) != 1 {
		b.Fatalf("targets: %+v", s.Targets)
	}
	return s.Targets[0]
}

// TestPorts: named initiators of each fabric see their LUNs and nobody else
// does; it is told as it was put, and is gone when it is deleted.
func TestPorts(t *testing.T) {
	for _, p := range lonePorts() {
		t.Run(string(p.driver), func(t *testing.T) {
			b := newFabricBench(t, liofake.Options{})
			ctx := b.Context()
			for _, name := range []string{"d0", "d1"} {
				b.ok(b.PutDevice(ctx, b.disk(name, config.FileIO)))
			}
			devices := b.kernel.Dump()
			want := config.Target{
				Name: p.name, Driver: p.driver, RelativeIDs: map[int]int{1: 9},
				Groups: []config.Group{
					{Name: "a", Initiators: []string{p.alice}, LUNs: []config.LUN{{LUN: 0, Device: "d0"}, {LUN: 3, Device: "d1", ReadOnly: true}}},
					{Name: "b", Initiators: []string{p.bob}, LUNs: []config.LUN{{LUN: 0, Device: "d1"}}},
				},
			}
			closed := own(want)
			closed.Disabled = true
			b.ok(b.PutTarget(ctx, closed))
			for _, g := range want.Groups {
				b.ok(b.PutGroup(ctx, p.name, g))
				for _, l := range g.LUNs {
					b.ok(b.PutLUN(ctx, p.name, g.Name, l))
				}
			}
			b.ok(b.PutTarget(ctx, own(want)))
			for initiator, sees := range map[string]map[string]string{
				p.alice: {"lun_0": "d0 rw", "lun_3": "d1 ro"}, p.bob: {"lun_0": "d1 rw"}, stranger: nil,
			} {
				if diff := cmp.Diff(sees, b.kernel.Seen(p.at, initiator)); diff != "" {
					t.Errorf("what %s sees (-want +got):\n%s", initiator, diff)
				}
			}
			if p.rtpi != "" {
				b.reads(p.at+"/rtpi", p.rtpi)
				b.reads(p.at+"/enable", "1")
			}
			if diff := cmp.Diff(want, b.observedTarget()); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
			// Another daemon finds the same, and what is put again asks for nothing.
			b.start()
			b.kernel.Requests()
			b.ok(b.PutTarget(ctx, own(want)))
			b.ok(b.PutGroup(ctx, p.name, want.Groups[0]))
			b.ok(b.PutLUN(ctx, p.name, "a", want.Groups[0].LUNs[1]))
			if asked := b.kernel.Requests(); len(asked) > 0 {
				t.Errorf("the same once more asked for %q", asked)
			}
			if diff := cmp.Diff(want, b.observedTarget()); diff != "" {
				t.Errorf("observed by the next (-want +got):\n%s", diff)
			}
			// bob moves to group a, and sees what that sees.
			b.ok(b.PutGroup(ctx, p.name, config.Group{Name: "a", Initiators: []string{p.alice, p.bob}}))
			b.ok(b.DeleteGroup(ctx, p.name, "b"))
			if diff := cmp.Diff(map[string]string{"lun_0": "d0 rw", "lun_3": "d1 ro"}, b.kernel.Seen(p.at, p.bob)); diff != "" {
				t.Errorf("moved (-want +got):\n%s", diff)
			}
			b.ok(b.DeleteGroup(ctx, p.name, "a"))
			if got := b.kernel.Seen(p.at, p.alice); got != nil {
				t.Errorf("a group that is gone leaves %v", got)
			}
			b.ok(b.DeleteTarget(ctx, p.name))
			b.ok(b.DeleteTarget(ctx, p.name))
			dir := strings.Split(p.at, "/")[0]
			left := slices.DeleteFunc(strings.Split(b.kernel.Dump(), "\n"), func(l string) bool { return strings.HasPrefix(l, dir+"/") })
			if diff := cmp.Diff(devices, strings.Join(left, "\n")); diff != "" {
				t.Errorf("deleting left (-want +got):\n%s", diff)
			}
			b.ok(b.Stop(ctx))
		})
	}
}

// Stop ends what is ours on every fabric, and leaves what somebody else made.
func TestStopPorts(t *testing.T) {
	b := newFabricBench(t, liofake.Options{})
	ctx := b.Context()
	b.ok(b.PutDevice(ctx, b.disk("d0", config.FileIO)))
	targets := []config.Target{{Name: local, Driver: config.DriverLocal}, {Name: iqn, Driver: config.DriverISCSI}}
	for _, p := range lonePorts() {
		if p.driver != config.DriverFCoE {
			targets = append(targets, config.Target{Name: p.name, Driver: p.driver})
		}
	}
	targets = append(targets, config.Target{Name: "20:00:00:1b:21:3c:9d:f8", Driver: config.DriverFCoE})
	for _, target := range targets {
		b.ok(b.PutTarget(ctx, target))
		if target.Driver == config.DriverLocal {
			b.ok(b.PutLUN(ctx, target.Name, "", config.LUN{LUN: 0, Device: "d0"}))
		}
	}
	const theirs = "fc/20:00:00:1b:21:3c:9d:ff"
	b.ok(b.kernel.Mkdir(theirs))
	b.ok(b.kernel.Mkdir(theirs + "/tpgt_1"))
	b.start()
	b.ok(b.Stop(ctx))
	left, err := b.targets()
	b.ok(err)
	if len(left) != 1 || left[0].path() != theirs {
		t.Errorf("left: %v", left)
	}
	if s, err := b.Observe(ctx); err != nil || len(s.Devices) != 0 {
		t.Errorf("devices: %v %v", s.Devices, err)
	}
}

// A setup that was cut off anywhere is carried on by the next daemon, and
// taking one down too.
func TestPortsCutOff(t *testing.T) {
	targets := []config.Target{{Name: local, Driver: config.DriverLocal, RelativeIDs: map[int]int{1: 9}, LUNs: []config.LUN{{LUN: 1, Device: "d0"}}}}
	for _, p := range lonePorts() {
		targets = append(targets, config.Target{
			Name: p.name, Driver: p.driver, RelativeIDs: map[int]int{1: 9},
			Groups: []config.Group{{Name: "a", Initiators: []string{p.alice, p.bob}, LUNs: []config.LUN{{LUN: 0, Device: "d0", ReadOnly: true}}}},
		})
	}
	for _, want := range targets {
		t.Run(string(want.Driver), func(t *testing.T) {
			put := func(b *bench) error {
				ctx := b.Context()
				closed := own(want)
				closed.Disabled = true
				errs := []error{b.PutTarget(ctx, closed)}
				for _, l := range want.LUNs {
					errs = append(errs, b.PutLUN(ctx, want.Name, "", l))
				}
				for _, g := range want.Groups {
					errs = append(errs, b.PutGroup(ctx, want.Name, g))
					for _, l := range g.LUNs {
						errs = append(errs, b.PutLUN(ctx, want.Name, g.Name, l))
					}
				}
				return errors.Join(append(errs, b.PutTarget(ctx, own(want)))...)
			}
			for n := range 60 {
				b := newFabricBench(t, liofake.Options{})
				b.ok(b.PutDevice(b.Context(), b.disk("d0", config.FileIO)))
				b.kernel.FailAfter(n)
				cut := put(b)
				b.kernel.FailAfter(-1)
				b.start()
				if _, err := b.Observe(b.Context()); err != nil {
					t.Fatalf("after %d requests it cannot be observed: %v", n, err)
				}
				b.ok(put(b))
				if diff := cmp.Diff(want, b.observedTarget()); diff != "" {
					t.Errorf("cut off after %d requests (-want +got):\n%s", n, diff)
				}
				b.kernel.FailAfter(n)
				_ = b.DeleteTarget(b.Context(), want.Name)
				b.kernel.FailAfter(-1)
				b.start()
				b.ok(b.DeleteTarget(b.Context(), want.Name))
				if s, err := b.Observe(b.Context()); err != nil || len(s.Targets) != 0 {
					t.Errorf("deleting was cut off after %d requests, and left %v, %v", n, s.Targets, err)
				}
				if cut == nil {
					if n < 5 {
						t.Errorf("done after %d requests", n)
					}
					return
				}
			}
			t.Error("it never came to its end")
		})
	}
}

// Without a word of ours each ACL is a group of its own, and can be removed.
func TestPortsWithoutWords(t *testing.T) {
	p := lonePorts()[0]
	b := newFabricBench(t, liofake.Options{})
	ctx := b.Context()
	b.ok(b.PutDevice(ctx, b.disk("d0", config.FileIO)))
	b.ok(b.PutTarget(ctx, config.Target{Name: p.name, Driver: p.driver}))
	b.ok(b.PutGroup(ctx, p.name, config.Group{Name: "a", Initiators: []string{p.alice}}))
	b.ok(b.PutLUN(ctx, p.name, "a", config.LUN{LUN: 1, Device: "d0"}))
	b.ok(b.words.Clear())
	b.start()
	got := b.observedTarget()
	want := []config.Group{{Name: p.alice, Initiators: []string{p.alice}, LUNs: []config.LUN{{LUN: 1, Device: "d0"}}}}
	if diff := cmp.Diff(want, got.Groups); diff != "" || got.Driver != p.driver || got.Name != p.name {
		t.Errorf("%s %s: %s", got.Driver, got.Name, diff)
	}
	b.ok(b.DeleteGroup(ctx, p.name, p.alice))
	if got := b.kernel.Seen(p.at, p.alice); got != nil {
		t.Errorf("it sees %v still", got)
	}
}

// Fibre Channel of LIO lets everybody in from the start: not ours.
func TestFibreChannelDeniesByDefault(t *testing.T) {
	b := newFabricBench(t, liofake.Options{})
	ctx := b.Context()
	at := lonePorts()[1].at
	b.ok(b.PutDevice(ctx, b.disk("d0", config.FileIO)))
	b.ok(b.PutTarget(ctx, config.Target{Name: wwpn, Driver: config.DriverFC}))
	b.reads(at+"/attrib/generate_node_acls", "0")
	if b.kernel.Login(liofake.Session{Group: at, Initiator: "21:00:00:e0:8b:05:be:ad"}) {
		t.Error("a stranger was let in")
	}
	b.ok(b.PutLUN(ctx, wwpn, "", config.LUN{LUN: 2, Device: "d0"}))
	if diff := cmp.Diff(map[string]string{"lun_2": "d0 rw"}, b.kernel.Seen(at, "21:00:00:e0:8b:05:be:ad")); diff != "" {
		t.Errorf("LUNs for everybody (-want +got):\n%s", diff)
	}
	if !b.kernel.Login(liofake.Session{Group: at, Initiator: "21:00:00:e0:8b:05:be:ad"}) {
		t.Error("nobody is let in")
	}
	sessions, err := b.Sessions(ctx)
	b.ok(err)
	if len(sessions) != 1 || sessions[0].Initiator != "21:00:00:e0:8b:05:be:ad" || sessions[0].LUNs != 1 || sessions[0].Target != wwpn {
		t.Errorf("sessions: %+v", sessions)
	}
	b.ok(b.DeleteLUN(ctx, wwpn, "", 2))
	b.reads(at+"/attrib/generate_node_acls", "0")
}

// A session of a port is told by the statistics of its LUNs; it is closed by
// making its ACL anew, with all that it sees.
func TestPortSessions(t *testing.T) {
	for _, p := range lonePorts() {
		t.Run(string(p.driver), func(t *testing.T) {
			b := newFabricBench(t, liofake.Options{})
			ctx := b.Context()
			b.ok(b.PutDevice(ctx, b.disk("d0", config.FileIO)))
			b.ok(b.PutTarget(ctx, config.Target{Name: p.name, Driver: p.driver}))
			for group, initiator := range map[string]string{"a": p.alice, "b": p.bob} {
				b.ok(b.PutGroup(ctx, p.name, config.Group{Name: group, Initiators: []string{initiator}}))
				b.ok(b.PutLUN(ctx, p.name, group, config.LUN{LUN: 4, Device: "d0"}))
			}
			if sessions, err := b.Sessions(ctx); err != nil || len(sessions) != 0 {
				t.Fatalf("before anybody came: %v %v", sessions, err)
			}
			if !b.kernel.Login(liofake.Session{Group: p.at, Initiator: p.alice}) {
				t.Fatal("refused")
			}
			b.kernel.Count(p.at+"/acls/"+p.alice+"/lun_4/statistics/scsi_auth_intr/read_mbytes", 3)
			sessions, err := b.Sessions(ctx)
			b.ok(err)
			if len(sessions) != 1 || sessions[0].Initiator != p.alice || sessions[0].Group != "a" || sessions[0].Counters.ReadBytes != 3<<20 {
				t.Fatalf("sessions: %+v", sessions)
			}
			stats, err := b.Statistics(ctx)
			b.ok(err)
			if len(stats.LUNs) != 2 || stats.LUNs[0].Counters.ReadBytes+stats.LUNs[1].Counters.ReadBytes != 3<<20 {
				t.Errorf("statistics: %+v", stats)
			}
			want := b.observedTarget()
			b.ok(b.CloseSession(ctx, sessions[0].ID))
			if left, err := b.Sessions(ctx); err != nil || len(left) != 0 {
				t.Errorf("closed: %v %v", left, err)
			}
			if diff := cmp.Diff(want, b.observedTarget()); diff != "" {
				t.Errorf("closing changed (-before +after):\n%s", diff)
			}
			b.ok(b.CloseSession(ctx, sessions[0].ID))
		})
	}
}

// ALUA works on every fabric; a port group names its members in the fabric's
// own words.
func TestPortALUA(t *testing.T) {
	for _, p := range lonePorts() {
		t.Run(string(p.driver), func(t *testing.T) {
			b := newFabricBench(t, liofake.Options{})
			ctx := b.Context()
			b.ok(b.PutDevice(ctx, b.disk("d0", config.FileIO)))
			b.ok(b.PutTarget(ctx, config.Target{Name: p.name, Driver: p.driver}))
			b.ok(b.PutGroup(ctx, p.name, config.Group{Name: "a", Initiators: []string{p.alice}}))
			b.ok(b.PutLUN(ctx, p.name, "a", config.LUN{LUN: 0, Device: "d0"}))
			want := config.DeviceGroup{Name: "g", Devices: []string{"d0"}, TargetGroups: []config.TargetGroup{
				{Name: "here", ID: 5, State: "nonoptimized", Targets: []config.GroupTarget{{Name: p.name}}},
			}}
			b.ok(b.PutDeviceGroup(ctx, want))
			s, err := b.Observe(ctx)
			b.ok(err)
			if diff := cmp.Diff([]config.DeviceGroup{want}, s.DeviceGroups); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
			members, err := b.kernel.ReadFile("core/fileio_0/d0/alua/g:here/members")
			b.ok(err)
			if !strings.Contains(members, "/tpgt_1/lun_") {
				t.Errorf("members: %q", members)
			}
		})
	}
}

// TestLocal: this machine is the initiator. It is logged in last, and there is
// no LUN while it is not.
func TestLocal(t *testing.T) {
	b := newFabricBench(t, liofake.Options{})
	ctx := b.Context()
	at := "loopback/" + local + "/tpgt_1"
	for _, name := range []string{"d0", "d1"} {
		b.ok(b.PutDevice(ctx, b.disk(name, config.FileIO)))
	}
	want := config.Target{Name: local, Driver: config.DriverLocal, RelativeIDs: map[int]int{1: 9}, LUNs: []config.LUN{{LUN: 0, Device: "d0"}, {LUN: 5, Device: "d1"}}}
	closed := own(want)
	closed.Disabled = true
	b.ok(b.PutTarget(ctx, closed))
	for _, l := range want.LUNs {
		b.ok(b.PutLUN(ctx, local, "", l))
	}
	if got := b.kernel.LocalDevices(); len(got) > 0 {
		t.Errorf("disabled, there is %q", got)
	}
	disabled := want
	disabled.Disabled = true
	if diff := cmp.Diff(disabled, b.observedTarget()); diff != "" {
		t.Errorf("disabled (-want +got):\n%s", diff)
	}
	b.ok(b.PutTarget(ctx, own(want)))
	b.reads(at+"/nexus", nexusName(local))
	luns := []string{at + "/lun/lun_0", at + "/lun/lun_5"}
	if diff := cmp.Diff(luns, b.kernel.LocalDevices()); diff != "" {
		t.Errorf("SCSI devices (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, b.observedTarget()); diff != "" {
		t.Errorf("enabled (-want +got):\n%s", diff)
	}
	sessions, err := b.Sessions(ctx)
	b.ok(err)
	if len(sessions) != 1 || sessions[0].LUNs != 2 || sessions[0].Initiator != nexusName(local) {
		t.Fatalf("sessions: %+v", sessions)
	}
	b.refused(b.CloseSession(ctx, sessions[0].ID), "this machine itself")
	b.refused(b.PutGroup(ctx, local, config.Group{Name: "g", Initiators: []string{"x"}}), "no host groups")
	b.refused(b.PutLUN(ctx, local, "", config.LUN{LUN: 1, Device: "d0", ReadOnly: true}), "read-only")
	b.ok(b.DeleteLUN(ctx, local, "", 1)) // what was refused left a word

	// In and out again, also by a daemon that has lost its words.
	b.ok(b.words.Clear())
	b.start()
	for range 2 {
		b.ok(b.PutTarget(ctx, closed))
		if got := b.kernel.LocalDevices(); len(got) > 0 {
			t.Errorf("disabled again, there is %q", got)
		}
		if diff := cmp.Diff(disabled, b.observedTarget()); diff != "" {
			t.Errorf("disabled again (-want +got):\n%s", diff)
		}
		b.ok(b.PutTarget(ctx, own(want)))
		if diff := cmp.Diff(luns, b.kernel.LocalDevices()); diff != "" {
			t.Errorf("enabled again (-want +got):\n%s", diff)
		}
	}
	b.ok(b.DeleteLUN(ctx, local, "", 5))
	b.ok(b.DeleteLUN(ctx, local, "", 0))
	b.ok(b.DeleteTarget(ctx, local))
	if left, err := b.kernel.ReadDir("loopback"); err != nil || slices.Contains(left, local) {
		t.Errorf("deleted: %q %v", left, err)
	}
}

// What the machine does not have is said in words that help.
func TestMissing(t *testing.T) {
	b := newFabricBench(t, liofake.Options{Absent: []string{"ib_srpt", "tcm_loop"}, RDMA: []string{"10.0.0.1"}})
	ctx := b.Context()
	b.refused(b.PutTarget(ctx, config.Target{Name: gid, Driver: config.DriverSRP}), "SRP", "ib_srpt", "hardware")
	b.refused(b.PutTarget(ctx, config.Target{Name: local, Driver: config.DriverLocal}), "tcm_loop")
	b.refused(b.PutTarget(ctx, config.Target{Name: "50:01:43:80:24:26:bb:b9", Driver: config.DriverFC}), "no such port", wwpn, "qlini_mode")
	b.refused(b.PutTarget(ctx, config.Target{Name: "here", Driver: config.DriverLocal}), "scst")

	b = newFabricBench(t, liofake.Options{})
	b.refused(b.PutTarget(ctx, config.Target{Name: "fe80:0000:0000:0000:0002:c903:0005:f34c", Driver: config.DriverSRP}), "no such port", gid)

	// The same name elsewhere is not the same target.
	b.ok(b.PutTarget(ctx, config.Target{Name: wwpn, Driver: config.DriverFC}))
	b.refused(b.PutTarget(ctx, config.Target{Name: wwpn, Driver: config.DriverFCoE}), "driver cannot change", "qla2x00t")
}

// TestISER: an address serves RDMA besides TCP, where there is an RDMA device.
func TestISER(t *testing.T) {
	b := newFabricBench(t, liofake.Options{RDMA: []string{"10.0.0.1"}})
	ctx := b.Context()
	at := tpg1 + "/np/10.0.0.1:3260/iser"
	want := config.Portal{Name: "main", Address: "10.0.0.1:3260", Group: 1, ISER: true}
	b.ok(b.PutPortal(ctx, want))
	b.ok(b.PutTarget(ctx, config.Target{Name: iqn}))
	b.reads(at, "1")
	portal := func() []config.Portal {
		s, err := b.Observe(ctx)
		b.ok(err)
		return s.ISCSI.Portals
	}
	if diff := cmp.Diff([]config.Portal{want}, portal()); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	b.ok(b.kernel.WriteFile(at, "0")) // by hand
	tcp := want
	tcp.ISER = false
	if diff := cmp.Diff([]config.Portal{tcp}, portal()); diff != "" {
		t.Errorf("changed by hand (-want +got):\n%s", diff)
	}
	b.ok(b.PutPortal(ctx, want))
	b.reads(at, "1")
	b.ok(b.PutPortal(ctx, tcp))
	b.reads(at, "0")
	b.refused(b.PutPortal(ctx, config.Portal{Name: "other", Address: "10.0.0.2:3260", ISER: true}), "RDMA device", "ib_isert")
}

// SRP is heard over Ethernet where the machine has that, at the port that
// somebody chose, or ours.
func TestSRPOverEthernet(t *testing.T) {
	for _, c := range []struct {
		name, had, want string
		roce            bool
	}{{"InfiniBand", "0", "0", false}, {"Ethernet", "0", "5555", true}, {"another port", "4711", "4711", true}} {
		t.Run(c.name, func(t *testing.T) {
			b := newFabricBench(t, liofake.Options{})
			b.opt.RoCE = func() (bool, error) { return c.roce, nil }
			b.start()
			b.ok(b.kernel.Load(t.Context(), "ib_srpt"))
			b.ok(b.kernel.Mkdir("srpt"))
			b.ok(b.kernel.WriteFile("srpt/discovery_auth/rdma_cm_port", c.had))
			b.ok(b.PutTarget(t.Context(), config.Target{Name: gid, Driver: config.DriverSRP}))
			b.reads("srpt/discovery_auth/rdma_cm_port", c.want)
		})
	}
}

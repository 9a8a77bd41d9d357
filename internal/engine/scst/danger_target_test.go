package scst

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

func targetDangers() []danger {
	return []danger{
		{name: "disabling does not drop sessions", o: scstfake.Options{Linger: 3}, test: func(b *bench) {
			b.serve()
			b.login(alice)
			b.taken(tgt+"/enabled", "0")
			b.there(tgt+"/sessions/"+alice, true)
			b.taken(tgt+"/enabled", "1")
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn, RelativeIDs: map[int]int{1: 7}, Disabled: true}))
			b.there(tgt+"/sessions/"+alice, false)
			b.reads(tgt+"/enabled", "0")
		}},
		{name: "del_target of an enabled target", o: scstfake.Options{Linger: 3}, test: func(b *bench) {
			b.serve()
			b.login(alice)
			b.kernel.Requests()
			b.ok(b.DeleteTarget(b.Context(), iqn))
			log := strings.Join(b.kernel.Requests(), "\n")
			off, closed, gone := strings.Index(log, tgt+"/enabled 0"), strings.Index(log, "force_close"), strings.Index(log, "del_target")
			if off < 0 || off > closed || closed > gone {
				b.Errorf("initiators are not closed in order:\n%s", log)
			}
			b.there(tgt, false)
		}},
		{name: "rel_tgt_id is 0 before a target is enabled", test: func(b *bench) {
			b.serve()
			other := config.Target{Name: iqn + ":b", RelativeIDs: map[int]int{1: 7}, Disabled: true}
			// SCST itself would see that only when it is enabled.
			b.refused(b.PutTarget(b.Context(), other), "identifier 7", iqn)
			other.RelativeIDs = nil
			b.ok(b.PutTarget(b.Context(), other))
			b.reads(tgt+":b/rel_tgt_id", "0")
			if s, err := b.Observe(b.Context()); err != nil || len(s.Targets) != 2 || s.Targets[1].RelativeIDs != nil {
				b.Errorf("observed %+v, %v", s.Targets, err)
			}
			other.Disabled, other.RelativeIDs = false, map[int]int{1: 8}
			b.ok(b.PutTarget(b.Context(), other))
			b.reads(tgt+":b/rel_tgt_id", "8")
		}},
		{name: "everything first, enabled last, the driver at the very end", test: func(b *bench) {
			b.ok(b.PutPortal(b.Context(), config.Portal{Name: "p", Address: "127.0.0.1:3260"}))
			b.kernel.Requests()
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn, RelativeIDs: map[int]int{1: 7}, Auth: config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}}}}))
			log := b.kernel.Requests()
			if n := len(log); n < 5 || log[n-2] != "write "+tgt+"/enabled 1" || log[n-1] != "write targets/iscsi/enabled 1" {
				b.Errorf("requests:\n%s", strings.Join(log, "\n"))
			}
		}},
		{name: "a target without a portal is reached by every address", test: func(b *bench) {
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn}))
			b.reads(tgt+"/allowed_portal", "!*")
			b.ok(b.PutPortal(b.Context(), config.Portal{Name: "p", Address: "192.0.2.1:3260"}))
			b.reads(tgt+"/allowed_portal1", "192.0.2.1")
			b.there(tgt+"/allowed_portal", false)
			b.ok(b.PutPortal(b.Context(), config.Portal{Name: "q", Address: "0.0.0.0:3260"}))
			b.reads(tgt+"/allowed_portal", "*.*.*.*")
			for n := 0; ; n++ {
				b.kernel.FailAfter(n)
				err := errors.Join(b.DeletePortal(b.Context(), "p"), b.DeletePortal(b.Context(), "q"))
				b.kernel.FailAfter(-1)
				have, look := b.values(b.Context(), tgt, allowedPortal)
				if look != nil || len(have) == 0 {
					b.Fatalf("after %d requests it is reached by every address: %v", n, look)
				}
				if err == nil {
					break
				}
			}
			b.ok(b.PutPortal(b.Context(), config.Portal{Name: "all", Address: ":3260"}))
			if have, err := b.values(b.Context(), tgt, allowedPortal); err != nil || len(have) != 0 {
				b.Errorf("addresses %q, %v; want every one", have, err)
			}
		}},
		{name: "another port of the daemon ends all targets", test: func(b *bench) {
			b.serve()
			b.refused(b.PutPortal(b.Context(), config.Portal{Name: "main", Address: "127.0.0.1:3261"}), "3260", "would end", iqn, "native or lio")
			b.there(tgt, true)
			b.refused(b.PutPortal(b.Context(), config.Portal{Name: "more", Address: "127.0.0.1:3261"}), "one port", "3260")
			b.ok(b.DeleteTarget(b.Context(), iqn))
			b.ok(b.PutPortal(b.Context(), config.Portal{Name: "main", Address: "127.0.0.1:3261"}))
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn}))
			if b.daemon.port != 3261 {
				b.Errorf("the daemon listens at %d", b.daemon.port)
			}
		}},
		{name: "no iSCSI without the daemon", test: func(b *bench) {
			if err := b.kernel.WriteFile("targets/iscsi/mgmt", "add_target "+iqn); err == nil {
				b.Fatal("the imitation has targets without it")
			}
			b.there("targets/iscsi/enabled", false)
			b.daemon.fails = errors.New("port is taken")
			b.refused(b.PutTarget(b.Context(), config.Target{Name: iqn}), "port is taken")
			b.daemon.fails = nil
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn}))
			b.reads("targets/iscsi/enabled", "1")
			b.daemon.kernel.StopDaemon()
			if s, err := b.Observe(b.Context()); err != nil || len(s.Targets) != 0 {
				b.Errorf("after its end: %+v, %v", s.Targets, err)
			}
		}},
		{name: "several portal group tags", test: func(b *bench) {
			b.refused(b.PutPortal(b.Context(), config.Portal{Name: "p", Address: "127.0.0.1:3260", Group: 2}), "portal group 1", "native or lio")
		}},
		{name: "duplicate group ids", test: func(b *bench) {
			g := config.DeviceGroup{Name: "dg", TargetGroups: []config.TargetGroup{{Name: "a", ID: 5}, {Name: "b", ID: 5}}}
			b.refused(b.PutDeviceGroup(b.Context(), g), "a and b", "identifier 5")
			g.TargetGroups[1].ID = 6
			b.ok(b.PutDeviceGroup(b.Context(), g))
			b.taken("device_groups/dg/target_groups/b/group_id", "5")
			g.TargetGroups[0].ID = 0
			b.refused(b.PutDeviceGroup(b.Context(), g), "1 to 65535")
		}},
		{name: "device_groups del of one that is not empty", test: func(b *bench) {
			b.serve()
			g := config.DeviceGroup{Name: "dg", Devices: []string{"d0"}, TargetGroups: []config.TargetGroup{{Name: "a", ID: 5, Targets: []config.GroupTarget{{Name: iqn}}}}}
			b.ok(b.PutDeviceGroup(b.Context(), g))
			b.taken("device_groups/mgmt", "del dg")
			b.ok(b.PutDeviceGroup(b.Context(), g)) // whole again
			b.ok(b.DeleteDeviceGroup(b.Context(), "dg"))
			b.ok(b.PutDeviceGroup(b.Context(), config.DeviceGroup{Name: "other", Devices: []string{"d0"}})) // the device is free
		}},
		{name: "a device in two groups", test: func(b *bench) {
			b.serve()
			b.ok(b.PutDeviceGroup(b.Context(), config.DeviceGroup{Name: "one", Devices: []string{"d0"}}))
			err := b.PutDeviceGroup(b.Context(), config.DeviceGroup{Name: "two", Devices: []string{"d0"}})
			b.refused(err, "device d0")
			if !errors.Is(err, unix.EEXIST) {
				b.Errorf("the error is %v", err)
			}
		}},
		{name: "a name that is no target yet is taken for one of the peer", test: func(b *bench) {
			b.ok(b.PutDevice(b.Context(), b.disk("d0", config.FileIO)))
			g := config.DeviceGroup{Name: "dg", Devices: []string{"d0", "later"}, TargetGroups: []config.TargetGroup{
				{Name: "here", ID: 1, Targets: []config.GroupTarget{{Name: iqn}}},
				{Name: "there", ID: 2, Targets: []config.GroupTarget{{Name: iqn, RelativeID: 77}, {Name: "iqn.peer", RelativeID: 78}}},
			}}
			b.ok(b.PutDeviceGroup(b.Context(), g))
			members := func(tg, want string) {
				b.Helper()
				if got := b.kernel.Members("device_groups/dg/target_groups/" + tg); got != want {
					b.Errorf("target group %s has %q, want %q", tg, got, want)
				}
			}
			members("here", "")
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn}))
			members("here", iqn+" ->")
			members("there", iqn+"#77 77, iqn.peer 78")
			d := b.disk("n", config.NullIO)
			d.Name = "later"
			b.ok(b.PutDevice(b.Context(), d))
			b.there("device_groups/dg/devices/later", true)
			s, err := b.Observe(b.Context())
			b.ok(err)
			if got := s.DeviceGroups[0].TargetGroups[1].Targets; len(got) != 2 || got[0] != (config.GroupTarget{Name: iqn, RelativeID: 77}) {
				b.Errorf("observed %+v", got)
			}
			// A target that goes leaves its group, and is in it again when it is back.
			b.ok(b.DeleteTarget(b.Context(), iqn))
			members("here", "")
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn}))
			members("here", iqn+" ->")
		}},
		{name: "hardware targets are neither made nor deleted", test: func(b *bench) {
			wwpn := "50:01:43:80:24:26:bb:b4"
			b.refused(b.PutTarget(b.Context(), config.Target{Name: "50:00:00:00:00:00:00:00", Driver: config.DriverFC}), wwpn, "qlini_mode")
			if s, err := b.Observe(b.Context()); err != nil || len(s.Targets) != 0 {
				b.Errorf("ports that nobody uses are told as targets: %+v, %v", s.Targets, err)
			}
			b.ok(b.PutDevice(b.Context(), b.disk("d0", config.FileIO)))
			b.ok(b.PutTarget(b.Context(), config.Target{Name: wwpn, Driver: config.DriverFC, RelativeIDs: map[int]int{1: 3}}))
			b.ok(b.PutGroup(b.Context(), wwpn, config.Group{Name: "g", Initiators: []string{"21:00:00:e0:8b:05:be:ad"}}))
			b.ok(b.PutLUN(b.Context(), wwpn, "g", config.LUN{LUN: 0, Device: "d0"}))
			b.ok(b.PutLUN(b.Context(), wwpn, "", config.LUN{LUN: 0, Device: "d0"}))
			b.reads("targets/qla2x00t/"+wwpn+"/enabled", "1")
			b.ok(b.DeleteTarget(b.Context(), wwpn))
			b.reads("targets/qla2x00t/"+wwpn+"/enabled", "0")
			b.there("targets/qla2x00t/"+wwpn+"/ini_groups/g", false)
			b.ok(b.DeleteDevice(b.Context(), "d0"))
		}},
		{name: "loopback has no initiator until one is made, and a target that nobody made", test: func(b *bench) {
			local := config.Target{Name: "naa.5001405b2a1c3d4e", Driver: config.DriverLocal, RelativeIDs: map[int]int{1: 7}}
			b.ok(b.PutDevice(b.Context(), b.disk("d0", config.FileIO)))
			b.reads("targets/scst_local/scst_local_tgt/rel_tgt_id", "1")
			if b.TookUp() {
				b.Error("it passes for somebody's")
			}
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn, RelativeIDs: map[int]int{1: 1}}))
			b.reads(tgt+"/rel_tgt_id", "1")
			b.reads("targets/scst_local/scst_local_tgt/rel_tgt_id", "65535")
			b.ok(b.DeleteTarget(b.Context(), iqn))
			b.ok(b.PutTarget(b.Context(), local))
			b.ok(b.PutTarget(b.Context(), local))
			b.refused(b.PutTarget(b.Context(), config.Target{Name: local.Name}), "driver scst_local", "cannot change")
			b.there("targets/scst_local/naa.5001405b2a1c3d4e/sessions/esos", true)
			b.refused(b.PutGroup(b.Context(), local.Name, config.Group{Name: "g"}), "one initiator")
			b.ok(b.PutLUN(b.Context(), local.Name, "", config.LUN{LUN: 0, Device: "d0"}))
			s, err := b.Observe(b.Context())
			if err != nil || len(s.Targets) != 1 || len(s.Targets[0].LUNs) != 1 {
				b.Errorf("observed %+v, %v", s.Targets, err)
			}
			if got, err := b.Sessions(b.Context()); err != nil || len(got) != 1 || got[0].LUNs != 1 {
				b.Errorf("sessions %+v, %v", got, err)
			}
			b.ok(b.DeleteTarget(b.Context(), local.Name))
			b.there("targets/scst_local/naa.5001405b2a1c3d4e", false)
			// Something mapped there is somebody's.
			b.taken("targets/scst_local/scst_local_tgt/luns/mgmt", "add d0 0")
			if s, err = b.Observe(b.Context()); err != nil || len(s.Targets) != 1 {
				b.Errorf("observed %+v, %v", s.Targets, err)
			}
		}},
		{name: "a SCSI device is there before it is passed on", test: func(b *bench) {
			b.serve()
			d := config.Device{Name: "lto", Handler: config.PassTape, Path: "/dev/tape/by-id/lto"}
			if s, err := b.Observe(b.Context()); err != nil || len(s.Devices) != 3 {
				b.Errorf("devices %+v, %v", s.Devices, err)
			}
			b.refused(b.PutLUN(b.Context(), iqn, "", config.LUN{LUN: 1, Device: "lto"}), "no device lto")
			b.ok(b.PutDevice(b.Context(), d))
			b.ok(b.PutLUN(b.Context(), iqn, "", config.LUN{LUN: 1, Device: "lto"}))
			s, err := b.Observe(b.Context())
			if err != nil || len(s.Devices) != 4 || !reflect.DeepEqual(s.Devices[3], d) || s.Targets[0].LUNs[0].Device != "lto" {
				b.Errorf("observed %+v, %v", s, err)
			}
			d.Name = "other"
			b.refused(b.PutDevice(b.Context(), d), "already", "lto")
			b.refused(b.PutDevice(b.Context(), config.Device{Name: "x", Handler: config.PassDisk, Path: "9:0:0:0"}), "no SCSI device 9:0:0:0")
			b.refused(b.DeleteDevice(b.Context(), "lto"), "LUN 1", "unmap it first")
			b.ok(b.DeleteLUN(b.Context(), iqn, "", 1))
			b.ok(b.DeleteDevice(b.Context(), "lto"))
			b.there("devices/3:0:0:0/handler", false)
			b.there("devices/3:0:0:0", true)
		}},
		{name: "modules that are not loaded, and not there", test: func(b *bench) {
			var asked []string
			missing := errors.New("no such module")
			b.opt.Load = func(_ context.Context, module string) error {
				asked = append(asked, module)
				return missing
			}
			b.start()
			err := b.PutTarget(b.Context(), config.Target{Name: "50:01:43:80:24:26:bb:b5", Driver: config.DriverFCoE})
			b.refused(err, "FCoE", "in the image", "hardware")
			d := config.Device{Name: "x", Handler: config.PassRAID, Path: "2:0:0:0"}
			if later := b.PutDevice(b.Context(), d); !errors.Is(err, missing) || !errors.Is(later, missing) {
				b.Errorf("errors %v, %v", err, later)
			}
			if got := strings.Join(asked, " "); got != "fcst scst_raid" {
				b.Errorf("asked for modules %q", got)
			}
			b.opt.Load = nil
			b.start()
			b.refused(b.PutDevice(b.Context(), d), "no handler dev_raid", "scst_raid")
		}},
		{name: "attributes that must be kept have a mark", test: func(b *bench) {
			b.serve()
			text, err := b.kernel.ReadFile(tgt + "/rel_tgt_id")
			if err != nil || text != "7\n[key]\n" {
				b.Fatalf("the imitation reads %q, %v", text, err)
			}
			if v, err := b.k.read(b.Context(), tgt+"/rel_tgt_id"); err != nil || v != strconv.Itoa(7) {
				b.Errorf("read %q, %v", v, err)
			}
		}},
	}
}

package lio

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

// Each test of this file is one danger of LIO's tree, by name.

func TestDangerNewlineInCHAPSecret(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("g", []string{alice})
	ctx := t.Context()
	target := config.Target{Name: iqn, Auth: config.Auth{
		Users: []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}}, Mutual: &config.CHAPUser{Name: "m", Secret: "ends with a blank \n"},
	}}
	b.ok(b.PutTarget(ctx, target))
	for file, want := range map[string]string{"userid": "u", "password": "twelve-bytes-and-more", "userid_mutual": "m", "password_mutual": "ends with a blank \n"} {
		// The kernel adds one newline when it is read, so that a second one
		// would be the secret's.
		got, err := b.kernel.ReadFile(tpg1 + "/acls/" + alice + "/auth/" + file)
		if err != nil || got != want+"\n" {
			t.Errorf("%s reads %q, %v; want %q", file, got, err, want+"\n")
		}
	}
	b.reads(tpg1+"/acls/"+alice+"/auth/authenticate_target", "1")
	b.reads(tpg1+"/attrib/authentication", "1")
	b.ok(b.PutTarget(ctx, config.Target{Name: iqn}))
	b.reads(tpg1+"/acls/"+alice+"/auth/authenticate_target", "0")
	b.reads(tpg1+"/attrib/authentication", "0")
}

func TestDangerSecretThatMeansNone(t *testing.T) {
	b := newBench(t, liofake.Options{})
	for _, u := range []config.CHAPUser{{Name: "NULLA", Secret: "twelve-bytes-and-more"}, {Name: "u", Secret: "NULL-and-twelve-bytes"}, {Name: "u", Secret: "with\x00in-twelve-bytes"}} {
		a := config.Auth{Users: []config.CHAPUser{u}}
		b.refused(b.PutDiscovery(t.Context(), a), "another one", "native")
		b.refused(b.PutTarget(t.Context(), config.Target{Name: iqn, Auth: a}), "another one", "native")
	}
}

func TestDangerMissingPRDirectory(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.ok(b.PutDevice(t.Context(), b.disk("d0", config.FileIO)))
	b.ok(b.kernel.SavePR("core/fileio_0/d0"))
	found, err := filepath.Glob(filepath.Join(b.opt.StateDir, "pr", "aptpl_*"))
	if err != nil || len(found) != 1 {
		t.Errorf("reservations are kept in %q, %v", found, err)
	}
	if _, err := os.Stat(filepath.Join(b.opt.StateDir, "alua")); err != nil {
		t.Error(err)
	}
	b.ok(os.RemoveAll(filepath.Join(b.opt.StateDir, "pr")))
	if err := b.kernel.SavePR("core/fileio_0/d0"); err == nil {
		t.Fatal("the imitation saves reservations nowhere")
	}
	b.start() // the next daemon puts it back
	b.ok(b.kernel.SavePR("core/fileio_0/d0"))
}

// A name that is shorter than the one before has to be ended.
func TestDangerDBRootKeepsTheEndOfALongerName(t *testing.T) {
	b := newBench(t, liofake.Options{})
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 20))
	b.ok(os.Mkdir(long, 0o700))
	b.ok(b.kernel.WriteFile("dbroot", long+"\n"))
	b.start()
	b.reads("dbroot", b.opt.StateDir)
}

func TestDangerDBRootWrittenTooLate(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.ok(b.PutDevice(t.Context(), b.disk("d0", config.FileIO)))
	// Another daemon, with another state directory, comes when there is a
	// target already: reservations go on being kept where they were.
	old := b.opt.StateDir
	b.opt.StateDir = filepath.Join(t.TempDir(), "elsewhere")
	b.ok(os.RemoveAll(old))
	b.start()
	b.reads("dbroot", old)
	b.ok(b.kernel.SavePR("core/fileio_0/d0"))
	if root, err := b.Reservations(); err != nil || root != old {
		t.Errorf("reservations are told to be in %s, %v", root, err)
	}
}

func TestDangerSerialRewrittenWhileExported(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
	d := b.disk("d0", config.FileIO)
	serial := "core/fileio_0/d0/wwn/vpd_unit_serial"
	if err := b.kernel.WriteFile(serial, d.Identity.Serial); !errors.Is(err, unix.EINVAL) {
		t.Fatalf("the imitation takes the same serial while it is exported: %v", err)
	}
	b.ok(b.PutDevice(t.Context(), d))
	d.Identity.Serial, d.Identity.NAA = "0123456789abcdef", "60014050123456789abcdef000000000"
	b.refused(b.PutDevice(t.Context(), d), "identity", "delete the device")
}

func TestDangerRmdirWhileExported(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("g", []string{alice}, config.LUN{LUN: 4, Device: "d0"})
	b.ok(b.PutDeviceGroup(t.Context(), config.DeviceGroup{Name: "dg", Devices: []string{"d0"}, TargetGroups: []config.TargetGroup{{Name: "tg", ID: 1}}}))
	if err := b.kernel.Rmdir("core/fileio_0/d0"); !errors.Is(err, unix.EBUSY) {
		t.Fatalf("the imitation lets an exported object go: %v", err)
	}
	before := b.kernel.Dump()
	b.refused(b.DeleteDevice(t.Context(), "d0"), "LUN 4", "group g", iqn, "unmap it first")
	if b.kernel.Dump() != before {
		t.Error("a refused deletion changed something")
	}
	b.ok(b.DeleteLUN(t.Context(), iqn, "g", 4))
	b.ok(b.DeleteDevice(t.Context(), "d0"))
}

// Taking the link of a portal group's LUN away would take it from all
// initiators at once: it stays as long as one of them has it.
func TestDangerUnlinkOfALUNInUse(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("a", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
	b.group("b", []string{bob}, config.LUN{LUN: 9, Device: "d0"})
	b.ok(b.DeleteLUN(t.Context(), iqn, "a", 0))
	b.sees(alice, map[string]string{})
	b.sees(bob, map[string]string{"lun_9": "d0 rw"})
	b.ok(b.DeleteGroup(t.Context(), iqn, "b"))
	if left, err := b.kernel.ReadDir(tpg1 + "/lun"); err != nil || len(left) != 0 {
		t.Errorf("LUNs of the portal group left: %q, %v", left, err)
	}
}

func TestDangerDefaultPortGroup(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
	ctx := t.Context()
	g := config.DeviceGroup{Name: "dg", Devices: []string{"d0"}, TargetGroups: []config.TargetGroup{
		{Name: "default_tg_pt_gp", ID: 1, State: "standby", Targets: []config.GroupTarget{{Name: iqn}}},
	}}
	b.ok(b.PutDeviceGroup(ctx, g))
	// The kernel's own is neither taken for ours nor touched.
	b.reads("core/fileio_0/d0/alua/default_tg_pt_gp/alua_access_state", "0")
	b.reads("core/fileio_0/d0/alua/dg:default_tg_pt_gp/alua_access_state", "2")
	b.ok(b.DeleteDeviceGroup(ctx, "dg"))
	if s, err := b.Observe(ctx); err != nil || len(s.DeviceGroups) != 0 {
		t.Errorf("device groups %v, %v", s.DeviceGroups, err)
	}
	b.ok(b.DeleteLUN(ctx, iqn, "g", 0))
	b.ok(b.DeleteDevice(ctx, "d0"))
}

func TestDangerStateThatTheKernelDoesNotTake(t *testing.T) {
	b := newBench(t, liofake.Options{NoTransitioning: true})
	b.ok(b.PutDevice(t.Context(), b.disk("d0", config.FileIO)))
	g := config.DeviceGroup{Name: "dg", Devices: []string{"d0"}, TargetGroups: []config.TargetGroup{{Name: "tg", ID: 1, State: "transitioning"}}}
	b.refused(b.PutDeviceGroup(t.Context(), g), "transitioning", "scst")
}

func TestDangerDemoModeWriteProtectDefault(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.reads(tpg1+"/attrib/demo_mode_write_protect", "1") // the kernel's default
	ctx := t.Context()
	b.group("all", []string{"*"}, config.LUN{LUN: 0, Device: "d0"}, config.LUN{LUN: 3, Device: "d1"})
	b.sees(alice, map[string]string{"lun_0": "d0 rw", "lun_3": "d1 rw"})
	// Read-only for everybody: from the first LUN that says so on.
	b.ok(b.PutLUN(ctx, iqn, "all", config.LUN{LUN: 0, Device: "d0", ReadOnly: true}))
	b.sees(alice, map[string]string{"lun_0": "d0 ro", "lun_3": "d1 ro"})
	b.ok(b.PutLUN(ctx, iqn, "all", config.LUN{LUN: 3, Device: "d1", ReadOnly: true}))
	b.ok(b.PutLUN(ctx, iqn, "all", config.LUN{LUN: 0, Device: "d0"}))
	b.sees(alice, map[string]string{"lun_0": "d0 ro", "lun_3": "d1 ro"})
	b.ok(b.PutLUN(ctx, iqn, "all", config.LUN{LUN: 3, Device: "d1"}))
	b.sees(alice, map[string]string{"lun_0": "d0 rw", "lun_3": "d1 rw"})
}

// Dynamic ACLs see every LUN of their portal group: named initiators' LUNs
// must never be among them.
func TestDangerDynamicACLsSeeEverything(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	ctx := t.Context()
	b.sees(alice, nil) // deny by default
	b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
	b.sees(bob, nil)
	b.refused(b.PutLUN(ctx, iqn, "", config.LUN{LUN: 1, Device: "d1"}), "everybody")
	b.refused(b.PutGroup(ctx, iqn, config.Group{Name: "all", Initiators: []string{"*"}}), "everybody")
	b.sees(bob, nil)
	b.ok(b.DeleteLUN(ctx, iqn, "g", 0))
	b.ok(b.PutLUN(ctx, iqn, "all", config.LUN{LUN: 1, Device: "d1"}))
	b.sees(bob, map[string]string{"lun_1": "d1 rw"})
	b.sees(alice, map[string]string{}) // she has an ACL, without LUNs
	b.refused(b.PutLUN(ctx, iqn, "g", config.LUN{LUN: 0, Device: "d0"}), "every initiator", "scst")
	b.ok(b.DeleteGroup(ctx, iqn, "all"))
	b.sees(bob, nil)
	b.ok(b.PutLUN(ctx, iqn, "g", config.LUN{LUN: 0, Device: "d0"}))
}

// A read-only LUN can be written between the moment that it is mapped and the
// moment that it is protected, unless the portal group protects new ones.
func TestDangerReadOnlyLUNIsNeverWritable(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("g", []string{alice})
	ctx := t.Context()
	l := config.LUN{LUN: 0, Device: "d0", ReadOnly: true}
	for n := 0; ; n++ {
		b.kernel.FailAfter(n)
		err := b.PutLUN(ctx, iqn, "g", l)
		b.kernel.FailAfter(-1)
		for _, mode := range b.kernel.Seen(tpg1, alice) {
			if !strings.HasSuffix(mode, " ro") {
				t.Fatalf("cut off after %d requests, alice can write", n)
			}
		}
		if err == nil {
			break
		}
		b.ok(b.DeleteLUN(ctx, iqn, "g", 0))
	}
	b.reads(tpg1+"/attrib/prod_mode_write_protect", "0")
}

func TestDangerPathsFromTheRootOfProcessOne(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.opt.SameRoot = func() error { return errors.New("another root") }
	_, err := Start(t.Context(), b.opt)
	b.refused(err, "another root")
	// The kernel would take a relative path from there, and make a file that is missing.
	b.ok(b.PutDevice(t.Context(), b.disk("d0", config.FileIO)))
	info, err := b.kernel.ReadFile("core/fileio_0/d0/info")
	if err != nil || !strings.Contains(info, "File: "+b.opt.DataDir+"/devices/d0.img  Size: 1048576") {
		t.Errorf("info %q, %v", info, err)
	}
	lost := b.disk("lost", config.FileIO)
	b.ok(os.Remove(filepath.Join(b.opt.DataDir, lost.Path)))
	b.refused(b.PutDevice(t.Context(), lost), "lost.img")
	if _, err := os.Stat(filepath.Join(b.opt.DataDir, lost.Path)); err == nil {
		t.Error("a missing image file was made")
	}
}

func TestDangerPathThatControlCutsOff(t *testing.T) {
	b := newBench(t, liofake.Options{})
	for _, name := range []string{"a,fd_dev_size=1.img", "a\nb.img"} {
		d := b.disk("d0", config.FileIO)
		d.Path = name
		b.ok(os.WriteFile(filepath.Join(b.opt.DataDir, name), make([]byte, 1<<20), 0o600))
		b.refused(b.PutDevice(t.Context(), d), "comma", "native")
	}
}

func TestDangerBlockSizeSetBeforeEnable(t *testing.T) {
	b := newBench(t, liofake.Options{})
	d := b.disk("d0", config.FileIO)
	d.BlockSize = 4096
	b.ok(b.PutDevice(t.Context(), d))
	b.reads("core/fileio_0/d0/attrib/block_size", "4096")
}

func TestDangerAttributeThatThisKernelLacks(t *testing.T) {
	b := newBench(t, liofake.Options{Lacks: []string{"company_id", "emulate_tpws"}})
	d := b.disk("d0", config.FileIO)
	b.refused(b.PutDevice(t.Context(), d), "company_id", "newer kernel", "native")
	if s, err := b.Observe(t.Context()); err != nil || slices.ContainsFunc(s.Devices, func(d config.Device) bool { return d.Identity.T10ID != "" }) {
		t.Errorf("half a device passes for a whole one: %v, %v", s.Devices, err)
	}
}

// The relative target port identifier cannot change in a portal group that is
// enabled.
func TestDangerRelativeIDWhileEnabled(t *testing.T) {
	b := newBench(t, liofake.Options{RTPI: true})
	b.serve()
	b.reads(tpg1+"/rtpi", "0x7")
	b.ok(b.PutTarget(t.Context(), config.Target{Name: iqn, RelativeIDs: map[int]int{1: 12}}))
	b.reads(tpg1+"/rtpi", "0xc")
	b.reads(tpg1+"/enable", "1")
}

// Reservations that outlive a boot name LUNs of the portal group: the same
// device must have the same one again, in whatever order LUNs are made.
func TestDangerLUNNumbersAfterABoot(t *testing.T) {
	numbers := func(names ...string) map[string]int {
		b := newBench(t, liofake.Options{})
		b.serve()
		b.group("g", []string{alice})
		for i, name := range names {
			b.ok(b.PutLUN(t.Context(), iqn, "g", config.LUN{LUN: i, Device: name}))
		}
		luns, err := b.portLUNs(tpg1)
		b.ok(err)
		got := map[string]int{}
		for _, l := range luns {
			got[filepath.Base(l.to)] = l.number
		}
		return got
	}
	a, b := numbers("d0", "d1", "d2"), numbers("d2", "d0", "d1")
	for name := range a {
		if a[name] != b[name] || a[name] < firstHidden {
			t.Errorf("device %s is LUN %d and LUN %d", name, a[name], b[name])
		}
	}
}

// The kernel lets an initiator copy onto a disk that it sees read-only, and
// unmap it by a WRITE SAME without data.
func TestDangerReadOnlyLUNIsWrittenWithoutAWrite(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	const takesPart, unmaps = "core/fileio_0/d1/attrib/emulate_3pc", "core/fileio_0/d1/attrib/emulate_tpws"
	b.reads(unmaps, "0")
	ctx := t.Context()
	b.group("reads", []string{alice}, config.LUN{LUN: 0, Device: "d0"}, config.LUN{LUN: 1, Device: "d1", ReadOnly: true})
	b.group("writes", []string{bob}, config.LUN{LUN: 1, Device: "d1"})
	b.reads(takesPart, "0") // one that writes does not open it for one that reads
	b.reads("core/fileio_0/d0/attrib/emulate_3pc", "1")
	b.ok(b.DeleteLUN(ctx, iqn, "writes", 1))
	b.reads(takesPart, "0")
	b.ok(b.PutLUN(ctx, iqn, "reads", config.LUN{LUN: 1, Device: "d1"}))
	b.reads(takesPart, "1")
	b.ok(b.PutLUN(ctx, iqn, "reads", config.LUN{LUN: 1, Device: "d1", ReadOnly: true}))
	b.ok(b.DeleteGroup(ctx, iqn, "reads"))
	b.reads(takesPart, "1")
	b.ok(b.DeleteGroup(ctx, iqn, "writes"))
	b.group("all", []string{"*"}, config.LUN{LUN: 1, Device: "d1", ReadOnly: true})
	b.reads(takesPart, "0")
	b.ok(b.DeleteTarget(ctx, iqn))
	b.reads(takesPart, "1")
}

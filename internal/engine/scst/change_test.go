package scst

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

// steps are what a plan would do for a document that has one of each.
func steps(b *bench) []func() error {
	ctx := b.Context()
	named := config.Target{
		Name: iqn, Driver: config.DriverISCSI, Alias: "the suite's own", Redirect: "", RelativeIDs: map[int]int{1: 7},
		Auth: config.Auth{
			Users:  []config.CHAPUser{{Name: "v", Secret: "twelve-bytes-and-more"}, {Name: "a", Secret: "twelve-bytes-of-bob"}},
			Mutual: &config.CHAPUser{Name: "m", Secret: "twelve-bytes-of-ours"},
		},
		Portals:    []string{"two"},
		Parameters: config.Parameters{MaxBurstLength: 65536, NopInInterval: -1, QueuedCommands: 16, HeaderDigest: []string{"CRC32C", "None"}},
	}
	all := config.Target{Name: iqn + ":all", RelativeIDs: map[int]int{1: 9}}
	srp := config.Target{Name: srpPort, Driver: config.DriverSRP, RelativeIDs: map[int]int{1: 11}}
	local := config.Target{Name: "naa.5001405b2a1c3d4e", Driver: config.DriverLocal, RelativeIDs: map[int]int{1: 12}}
	put := []func() error{}
	do := func(f func() error) { put = append(put, f) }
	put = append(put, func() error {
		return b.PutDeviceGroup(ctx, config.DeviceGroup{Name: "pair", Devices: []string{"n", "d0"}, TargetGroups: []config.TargetGroup{
			{Name: "there", ID: 2, Preferred: true, Targets: []config.GroupTarget{{Name: iqn, RelativeID: 77}, {Name: "iqn.peer", RelativeID: 78}}},
			{Name: "here", ID: 1, State: "nonoptimized", Targets: []config.GroupTarget{{Name: srpPort}, {Name: iqn}}},
		}})
	})
	for _, d := range []config.Device{b.disk("d0", config.FileIO), b.disk("d1", config.FileIO), b.disk("n", config.NullIO)} {
		d.ReadOnly = d.Name == "d1"
		do(func() error { return b.PutDevice(ctx, d) })
	}
	if err := os.WriteFile(filepath.Join(b.opt.DataDir, "a b.iso"), make([]byte, 4096), 0o600); err != nil {
		b.Fatal(err)
	}
	do(func() error {
		return b.PutDevice(ctx, config.Device{Name: "cd", Handler: config.CDROM, Path: "a b.iso"})
	})
	do(func() error {
		return b.PutDevice(ctx, config.Device{Name: "lto", Handler: config.PassTape, Path: "/dev/tape/by-id/lto"})
	})
	do(func() error { return b.PutPortal(ctx, config.Portal{Name: "one", Address: "127.0.0.1:3260"}) })
	do(func() error { return b.PutPortal(ctx, config.Portal{Name: "two", Address: "[::1]:3260"}) })
	do(func() error {
		return b.PutDiscovery(ctx, config.Auth{Users: []config.CHAPUser{{Name: "f", Secret: "twelve-bytes-to-find"}}})
	})
	for _, t := range []config.Target{named, all, srp, local} {
		if t.Driver != config.DriverLocal {
			t := t
			t.Disabled = true // as a plan does, until all is there
			do(func() error { return b.PutTarget(ctx, t) })
		}
	}
	do(func() error { return b.PutTarget(ctx, local) })
	group := func(target, name string, initiators []string, luns ...config.LUN) {
		do(func() error { return b.PutGroup(ctx, target, config.Group{Name: name, Initiators: initiators}) })
		for _, l := range luns {
			do(func() error { return b.PutLUN(ctx, target, name, l) })
		}
	}
	group(iqn, "zulu", []string{bob, alice}, config.LUN{LUN: 0, Device: "d0"}, config.LUN{LUN: 10, Device: "n", ReadOnly: true}, config.LUN{LUN: 9, Device: "lto"})
	group(iqn, "nobody", nil, config.LUN{LUN: 1, Device: "d1"}, config.LUN{LUN: 2, Device: "d1", ReadOnly: true})
	group(srpPort, "g", []string{"0x0002c9030005f34c0002c9030005f34d"}, config.LUN{LUN: 0, Device: "cd"})
	do(func() error { return b.PutLUN(ctx, all.Name, "", config.LUN{LUN: 3, Device: "d0"}) })
	do(func() error { return b.PutLUN(ctx, local.Name, "", config.LUN{LUN: 0, Device: "n"}) })
	for _, t := range []config.Target{named, all, srp} {
		do(func() error { return b.PutTarget(ctx, t) })
	}
	return put
}

func everything(b *bench) {
	b.Helper()
	for _, step := range steps(b) {
		b.ok(step())
	}
}

// TestPutAgainWritesNothing: whatever is there already is not asked for again.
func TestPutAgainWritesNothing(t *testing.T) {
	for name, o := range modes() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, machine(o))
			everything(b)
			want := b.observed()
			b.kernel.Requests()
			before := dirText(t, b.opt.RunDir)
			for _, step := range steps(b) {
				b.ok(step())
			}
			b.start()
			if diff := cmp.Diff(want, b.observed()); diff != "" {
				t.Errorf("another daemon sees (-want +got):\n%s", diff)
			}
			again := b.kernel.Requests()
			for _, r := range again { // the setup itself disables targets first
				if !strings.HasSuffix(r, "/enabled 0") && !strings.HasSuffix(r, "/enabled 1") {
					t.Errorf("put again: %s", r)
				}
			}
			if len(again) != 6 {
				t.Errorf("put again, %d requests: %q", len(again), again)
			}
			if diff := cmp.Diff(before, dirText(t, b.opt.RunDir)); diff != "" {
				t.Errorf("words changed: %s", diff)
			}
		})
	}
}

func dirText(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	if err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		out[p] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCutOffAnywhere cuts a whole setup off after each request that it makes;
// then another engine finds what is there and the same setup completes it.
func TestCutOffAnywhere(t *testing.T) {
	for name, o := range map[string]scstfake.Options{"plain": {}, "EAGAIN everywhere": {EAGAIN: true}} {
		t.Run(name, func(t *testing.T) {
			whole := newBench(t, machine(o))
			everything(whole)
			n := len(whole.kernel.Requests())
			if n < 70 {
				t.Fatalf("only %d requests", n)
			}
			want := whole.observed()
			for i := range n {
				if o.EAGAIN && i%19 != 0 {
					continue // what is cut off is the same; how it is told is not
				}
				b := newBench(t, machine(o))
				b.kernel.FailAfter(i)
				failed := false
				for _, step := range steps(b) {
					if failed = step() != nil; failed {
						break
					}
				}
				if !failed {
					t.Fatalf("cut off after %d requests: nothing failed", i)
				}
				b.kernel.FailAfter(-1)
				b.start()
				if s, err := b.Observe(t.Context()); err != nil || len(s.Foreign) > 0 {
					t.Errorf("cut off after %d requests: %v, and somebody else's are %v", i, err, s.Foreign)
				}
				everything(b)
				if diff := cmp.Diff(want, b.observed()); diff != "" {
					t.Fatalf("cut off after %d requests (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// TestOneRequestMoves: a change asks SCST for that change only.
func TestOneRequestMoves(t *testing.T) {
	b := newBench(t, machine(scstfake.Options{}))
	everything(b)
	ctx := t.Context()
	luns := "write " + tgt + "/ini_groups/zulu/luns/mgmt "
	for _, c := range []struct {
		what string
		do   func() error
		want []string
	}{
		{"a LUN", func() error { return b.PutLUN(ctx, iqn, "zulu", config.LUN{LUN: 4, Device: "d1"}) }, []string{luns + "add d1 4"}},
		{"a LUN read-only", func() error { return b.PutLUN(ctx, iqn, "zulu", config.LUN{LUN: 0, Device: "d0", ReadOnly: true}) }, []string{luns + "replace d0 0 read_only=1"}},
		{"another device", func() error { return b.PutLUN(ctx, iqn, "zulu", config.LUN{LUN: 0, Device: "n"}) }, []string{luns + "replace n 0"}},
		{"no LUN", func() error { return b.DeleteLUN(ctx, iqn, "zulu", 4) }, []string{luns + "del 4"}},
		{"a portal", func() error { return b.PutPortal(ctx, config.Portal{Name: "three", Address: "127.0.0.3:3260"}) },
			[]string{"write targets/iscsi/mgmt add_target_attribute " + iqn + ":all allowed_portal 127.0.0.3"}},
		{"another portal", func() error { return b.PutPortal(ctx, config.Portal{Name: "three", Address: "127.0.0.4:3260"}) }, []string{
			"write targets/iscsi/mgmt add_target_attribute " + iqn + ":all allowed_portal 127.0.0.4",
			"write targets/iscsi/mgmt del_target_attribute " + iqn + ":all allowed_portal 127.0.0.3",
		}},
		{"an initiator", func() error {
			return b.PutGroup(ctx, iqn, config.Group{Name: "zulu", Initiators: []string{bob, alice, "iqn.*:x?"}})
		}, []string{"write " + tgt + "/ini_groups/zulu/initiators/mgmt add iqn.*:x?"}},
		{"an initiator of another group", func() error {
			return b.PutGroup(ctx, iqn, config.Group{Name: "nobody", Initiators: []string{alice}})
		}, []string{"write " + tgt + "/ini_groups/zulu/initiators/mgmt move " + alice + " nobody"}},
		{"an access state", func() error {
			return b.PutDeviceGroup(ctx, config.DeviceGroup{Name: "pair", Devices: []string{"n", "d0"}, TargetGroups: []config.TargetGroup{
				{Name: "there", ID: 2, Preferred: true, Targets: []config.GroupTarget{{Name: iqn, RelativeID: 77}, {Name: "iqn.peer", RelativeID: 78}}},
				{Name: "here", ID: 1, State: "standby", Targets: []config.GroupTarget{{Name: srpPort}, {Name: iqn}}},
			}})
		}, []string{"write device_groups/pair/target_groups/here/state standby"}},
		{"growth", func() error {
			d := b.disk("d0", config.FileIO)
			d.Size = 3 << 20
			return b.PutDevice(ctx, d)
		}, []string{"write devices/d0/resync_size 1"}},
	} {
		b.kernel.Requests()
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if diff := cmp.Diff(c.want, b.kernel.Requests()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	b.reads("devices/d0/size", "3145728")
}

// TestDriftIsSeen changes the tree by hand in ways that matter, and wants each
// to differ from what was put: a plan then has something to do. Putting all
// again mends it.
func TestDriftIsSeen(t *testing.T) {
	zulu := tgt + "/ini_groups/zulu"
	for name, drift := range map[string][2]string{
		"a parameter":          {tgt + "/MaxBurstLength", "512"},
		"alias":                {tgt + "/alias", "x"},
		"redirected":           {tgt + "/redirect", "192.0.2.1 temp"},
		"a secret":             {tgt + "/IncomingUser", "v another-secret-by-hand"},
		"a user more":          {"targets/iscsi/mgmt", "add_target_attribute " + iqn + " IncomingUser x twelve-bytes-by-hand"},
		"a user less":          {"targets/iscsi/mgmt", "del_target_attribute " + iqn + " IncomingUser a"},
		"no mutual":            {"targets/iscsi/mgmt", "del_target_attribute " + iqn + " OutgoingUser m"},
		"discovery":            {"targets/iscsi/mgmt", "del_attribute IncomingUser f"},
		"disabled":             {tgt + "/enabled", "0"},
		"another identifier":   {tgt + "/rel_tgt_id", "99"},
		"a LUN less":           {zulu + "/luns/mgmt", "del 0"},
		"a LUN more":           {tgt + "/luns/mgmt", "add d0 0"},
		"writable":             {zulu + "/luns/mgmt", "replace n 10"},
		"another device":       {zulu + "/luns/mgmt", "replace n 0"},
		"an initiator":         {zulu + "/initiators/mgmt", "add *"},
		"an initiator less":    {zulu + "/initiators/mgmt", "del " + alice},
		"a group":              {tgt + "/ini_groups/mgmt", "create more"},
		"an address more":      {"targets/iscsi/mgmt", "add_target_attribute " + iqn + " allowed_portal 192.0.2.9"},
		"every address":        {"targets/iscsi/mgmt", "del_target_attribute " + iqn + " allowed_portal ::1"},
		"another address":      {"targets/iscsi/mgmt", "del_target_attribute " + iqn + ":all allowed_portal 127.0.0.1"},
		"an access state":      {"device_groups/pair/target_groups/here/state", "standby"},
		"preferred":            {"device_groups/pair/target_groups/here/preferred", "1"},
		"a group's identifier": {"device_groups/pair/target_groups/here/group_id", "2"},
		"a target less":        {"device_groups/pair/target_groups/here/mgmt", "del " + iqn},
		"a device less":        {"device_groups/pair/devices/mgmt", "del d0"},
		"an identity":          {"devices/d0/usn", "x"},
		"a medium":             {"devices/cd/filename", "\n"},
		"a device more":        {"handlers/vdisk_nullio/mgmt", "add_device more"},
		"a device less, whole": {"handlers/vdisk_nullio/mgmt", "del_device n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, machine(scstfake.Options{}))
			everything(b)
			want := b.observed()
			b.ok(b.kernel.WriteFile(drift[0], drift[1]))
			if cmp.Equal(want, b.observed()) {
				t.Error("nobody notices")
			}
			switch name { // what a plan would take away, or make anew, by other steps
			case "a LUN more", "a group", "a device more", "an identity", "a device less, whole":
				return
			}
			everything(b)
			if diff := cmp.Diff(want, b.observed()); diff != "" {
				t.Errorf("put again (-want +got):\n%s", diff)
			}
		})
	}
}

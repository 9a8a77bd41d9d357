package lio

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

// TestOneChangeIsAllThatIsAskedFor lists the requests of one changed line each.
func TestOneChangeIsAllThatIsAskedFor(t *testing.T) {
	b := newBench(t, liofake.Options{RTPI: true})
	b.serve()
	b.group("g", []string{alice, bob}, config.LUN{LUN: 0, Device: "d0"})
	ctx := t.Context()
	lun := func(device string) string {
		e, err := b.export(tpg1, device)
		b.ok(err)
		return e
	}
	a, c := tpg1+"/acls/"+alice, tpg1+"/acls/"+bob
	b.kernel.Requests()
	for _, step := range []struct {
		name string
		do   func() error
		want func() []string
	}{
		{"a LUN", func() error { return b.PutLUN(ctx, iqn, "g", config.LUN{LUN: 1, Device: "d1"}) }, func() []string {
			return []string{
				"mkdir " + lun("d1"), "symlink " + lun("d1") + "/d1 -> core/fileio_0/d1",
				"mkdir " + a + "/lun_1", "symlink " + a + "/lun_1/d1 -> " + lun("d1"),
				"mkdir " + c + "/lun_1", "symlink " + c + "/lun_1/d1 -> " + lun("d1"),
			}
		}},
		{"read-only", func() error { return b.PutLUN(ctx, iqn, "g", config.LUN{LUN: 1, Device: "d1", ReadOnly: true}) }, func() []string {
			return []string{"write core/fileio_0/d1/attrib/emulate_3pc 0", "write " + a + "/lun_1/write_protect 1", "write " + c + "/lun_1/write_protect 1"}
		}},
		{"an alias", func() error {
			return b.PutTarget(ctx, config.Target{Name: iqn, Alias: "x", RelativeIDs: map[int]int{1: 7}})
		}, func() []string { return []string{"write " + tpg1 + "/param/TargetAlias x"} }},
		{"no alias", func() error {
			return b.PutTarget(ctx, config.Target{Name: iqn, RelativeIDs: map[int]int{1: 7}})
		}, func() []string { return []string{"write " + tpg1 + "/param/TargetAlias LIO Target"} }},
		{"a portal", func() error { return b.PutPortal(ctx, config.Portal{Name: "second", Address: "127.0.0.2:3260"}) }, func() []string {
			return []string{"mkdir " + tpg1 + "/np/127.0.0.2:3260"}
		}},
		{"no portal", func() error { return b.DeletePortal(ctx, "second") }, func() []string { return []string{"rmdir " + tpg1 + "/np/127.0.0.2:3260"} }},
		{"an initiator less", func() error { return b.PutGroup(ctx, iqn, config.Group{Name: "g", Initiators: []string{bob}}) }, func() []string {
			return []string{
				"unlink " + a + "/lun_0/d0", "rmdir " + a + "/lun_0", "unlink " + a + "/lun_1/d1", "rmdir " + a + "/lun_1", "rmdir " + a,
			}
		}},
		{"a LUN less", func() error { return b.DeleteLUN(ctx, iqn, "g", 1) }, func() []string {
			return []string{"unlink " + c + "/lun_1/d1", "rmdir " + c + "/lun_1"}
		}},
	} {
		b.ok(step.do())
		got := b.kernel.Requests()
		if step.name == "a LUN less" {
			if len(got) != 5 || got[4] != "write core/fileio_0/d1/attrib/emulate_3pc 1" || !strings.HasPrefix(got[2], "unlink "+tpg1+"/lun/lun_") || !strings.HasPrefix(got[3], "rmdir "+tpg1+"/lun/lun_") {
				t.Errorf("%s: %q", step.name, got)
				continue
			}
			got = got[:2]
		}
		if diff := cmp.Diff(step.want(), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// TestDriftIsSeen changes the tree by hand in ways that matter, and wants each
// to differ from what was put: a plan then has something to do.
func TestDriftIsSeen(t *testing.T) {
	acl := tpg1 + "/acls/" + alice
	for name, drift := range map[string]func(b *bench) error{
		"authentication": func(b *bench) error { return b.kernel.WriteFile(tpg1+"/attrib/authentication", "0") },
		"a secret":       func(b *bench) error { return b.kernel.WriteFile(acl+"/auth/password", "another") },
		"a parameter":    func(b *bench) error { return b.kernel.WriteFile(tpg1+"/param/MaxBurstLength", "512") },
		"the depth":      func(b *bench) error { return b.kernel.WriteFile(acl+"/cmdsn_depth", "1") },
		"disabled":       func(b *bench) error { return b.kernel.WriteFile(tpg1+"/enable", "0") },
		"writable":       func(b *bench) error { return b.kernel.WriteFile(acl+"/lun_1/write_protect", "0") },
		"another group":  func(b *bench) error { return b.kernel.WriteFile(acl+"/tag", "x") },
		"a portal less":  func(b *bench) error { return b.kernel.Rmdir(tpg1 + "/np/127.0.0.1:3260") },
		"a portal more":  func(b *bench) error { return b.kernel.Mkdir(tpg1 + "/np/127.0.0.9:3260") },
		"an initiator":   func(b *bench) error { return b.kernel.Mkdir(tpg1 + "/acls/" + bob) },
		"everybody":      func(b *bench) error { return b.kernel.WriteFile(tpg1+"/attrib/generate_node_acls", "1") },
		"a LUN less":     func(b *bench) error { return b.unlinkByHand(acl + "/lun_1") },
		"an access state": func(b *bench) error {
			return b.kernel.WriteFile("core/fileio_0/d0/alua/dg:tg/alua_access_state", "2")
		},
		"preferred": func(b *bench) error { return b.kernel.WriteFile("core/fileio_0/d0/alua/dg:tg/preferred", "1") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, liofake.Options{})
			b.serve()
			ctx := t.Context()
			b.ok(b.PutTarget(ctx, config.Target{Name: iqn, RelativeIDs: map[int]int{1: 7}, Auth: config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}}}}))
			b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"}, config.LUN{LUN: 1, Device: "d1", ReadOnly: true})
			b.ok(b.PutDeviceGroup(ctx, config.DeviceGroup{Name: "dg", Devices: []string{"d0"}, TargetGroups: []config.TargetGroup{{Name: "tg", ID: 5, State: "nonoptimized", Targets: []config.GroupTarget{{Name: iqn}}}}}))
			want := b.observed()
			b.ok(drift(b))
			if cmp.Equal(want, b.observed()) {
				t.Error("nobody notices")
			}
		})
	}
}

// unlinkByHand does what somebody with a shell would.
func (b *bench) unlinkByHand(at string) error { return b.k.unlink(at) }

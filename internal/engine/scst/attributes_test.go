package scst

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

const inGroup = tgt + "/ini_groups/g/"

// attributes are those of a device, a SCSI device, a target and a group.
type attributes struct{ device, tape, target, group map[string]string }

func someAttributes() attributes {
	return attributes{
		device: map[string]string{"threads_num": "0x10", "threads_pool_type": "shared"}, tape: map[string]string{"threads_num": "4"},
		target: map[string]string{"io_grouping_type": "this_group_only", "cpu_mask": "1", "RspTimeout": "60"},
		group:  map[string]string{"black_hole": "1", "cpu_mask": "2"},
	}
}

// withAttributes serves one of each with attributes.
func withAttributes(b *bench, a attributes) error {
	ctx := b.Context()
	d := b.disk("d0", config.FileIO)
	d.Attributes = a.device
	for _, do := range []func() error{
		func() error { return b.PutDevice(ctx, d) },
		func() error {
			return b.PutDevice(ctx, config.Device{Name: "lto", Handler: config.PassTape, Path: "/dev/tape/by-id/lto", Attributes: a.tape})
		},
		func() error { return b.PutPortal(ctx, config.Portal{Name: "main", Address: "127.0.0.1:3260"}) },
		func() error { return b.PutTarget(ctx, config.Target{Name: iqn, Attributes: a.target}) },
		func() error {
			return b.PutGroup(ctx, iqn, config.Group{Name: "g", Initiators: []string{alice}, Attributes: a.group})
		},
		func() error { return b.PutLUN(ctx, iqn, "g", config.LUN{Device: "d0"}) },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// told are the attributes that are observed.
func (b *bench) told() attributes {
	b.Helper()
	s, err := b.Observe(b.Context())
	b.ok(err)
	var a attributes
	for _, d := range s.Devices {
		switch d.Name {
		case "d0":
			a.device = d.Attributes
		case "lto":
			a.tape = d.Attributes
		}
	}
	if len(s.Targets) > 0 {
		a.target = s.Targets[0].Attributes
		if len(s.Targets[0].Groups) > 0 {
			a.group = s.Targets[0].Groups[0].Attributes
		}
	}
	return a
}

// texts is what the attributes of the bench read.
func (b *bench) texts() string {
	b.Helper()
	var out strings.Builder
	for _, file := range []string{
		"devices/d0/threads_num", "devices/d0/threads_pool_type", "devices/3:0:0:0/threads_num",
		tgt + "/io_grouping_type", tgt + "/cpu_mask", tgt + "/RspTimeout", inGroup + "black_hole", inGroup + "cpu_mask",
	} {
		v, err := b.k.read(b.Context(), file)
		b.ok(err)
		fmt.Fprintf(&out, "%s=%s\n", file, v)
	}
	return out.String()
}

// TestAttributes sets them, sets them otherwise, and takes them back.
func TestAttributes(t *testing.T) {
	for name, o := range modes() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, machine(o))
			b.ok(withAttributes(b, attributes{}))
			before := b.texts()
			all := someAttributes()
			b.ok(withAttributes(b, all))
			for _, want := range []string{"d0/threads_num=16\n", "3:0:0:0/threads_num=4\n", "io_grouping_type=this_group_only\n", "test/cpu_mask=00000001\n", "g/black_hole=1\n", "g/cpu_mask=00000002\n"} {
				if !strings.Contains(b.texts(), want) {
					t.Errorf("no %q in\n%s", want, b.texts())
				}
			}
			b.kernel.Requests()
			words := dirText(t, b.opt.RunDir)
			b.start() // another daemon
			b.ok(withAttributes(b, all))
			if again := b.kernel.Requests(); len(again) > 0 {
				t.Errorf("put again: %q", again)
			}
			if diff := cmp.Diff(words, dirText(t, b.opt.RunDir)); diff != "" {
				t.Errorf("words changed: %s", diff)
			}
			if diff := cmp.Diff(all, b.told(), cmp.AllowUnexported(attributes{})); diff != "" {
				t.Errorf("(-declared +told):\n%s", diff)
			}
			delete(all.target, "cpu_mask")
			delete(all.device, "threads_num")
			b.ok(withAttributes(b, all))
			if !strings.Contains(b.texts(), "test/cpu_mask=00000003\n") || !strings.Contains(b.texts(), "d0/threads_num=1\n") {
				t.Errorf("not as SCST began:\n%s", b.texts())
			}
			b.ok(withAttributes(b, attributes{}))
			if diff := cmp.Diff(before, b.texts()); diff != "" {
				t.Errorf("taken out of the document, it is not as before:\n%s", diff)
			}
		})
	}
}

func TestAttributesThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		name string
		a    attributes
		want []string
	}{
		{"unknown at a device", attributes{device: map[string]string{"thread_num": "1"}}, []string{"device d0", "no attribute thread_num here; it has threads_num, "}},
		{"unknown at a target", attributes{target: map[string]string{"cpumask": "1"}}, []string{"target " + iqn, "it has cpu_mask, "}},
		{"unknown at a group", attributes{group: map[string]string{"blackhole": "1"}}, []string{"group g", "it has black_hole, "}},
		{"another object", attributes{target: map[string]string{"ini_groups/g/black_hole": "1"}}, []string{"no attribute ini_groups/g/black_hole"}},
		{"ESOS's own of a device", attributes{device: map[string]string{"nv_cache": "1", "usn": "x"}}, []string{"nv_cache is ESOS's own", "usn is said by identity, key serial"}},
		{"ESOS's own of a target", attributes{target: map[string]string{"rel_tgt_id": "1", "IncomingUser1": "x y", "allowed_portal": "1.2.3.4"}},
			[]string{"rel_tgt_id is said by relative_ids", "IncomingUser1 is said by auth", "allowed_portal is said by portals"}},
		{"a value that SCST refuses", attributes{device: map[string]string{"threads_pool_type": "x"}}, []string{`set attribute threads_pool_type to "x"`, "invalid argument", `it reads "per_initiator"`}},
		{"read-only", attributes{device: map[string]string{"tst": "0"}}, []string{"tst", "can only be read"}},
		{"of a group", attributes{group: map[string]string{"black_hole": "9"}}, []string{"group g", `black_hole to "9"`, `it reads "0"`, "the kernel says"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, machine(scstfake.Options{}))
			b.ok(withAttributes(b, attributes{}))
			before, told := b.texts(), b.told()
			b.refused(withAttributes(b, test.a), test.want...)
			if diff := cmp.Diff(before, b.texts()); diff != "" {
				t.Errorf("something stayed:\n%s", diff)
			}
			if diff := cmp.Diff(told, b.told(), cmp.AllowUnexported(attributes{})); diff != "" {
				t.Errorf("what was refused is told:\n%s", diff)
			}
			b.ok(b.PutPortal(t.Context(), config.Portal{Name: "more", Address: "127.0.0.2:3260"})) // what comes next goes on
			b.ok(withAttributes(b, attributes{}))
		})
	}
}

// TestAttributesCutOff has every request fail in turn: the next daemon mends it.
func TestAttributesCutOff(t *testing.T) {
	for _, back := range []bool{false, true} {
		for n := range 8 {
			t.Run(fmt.Sprint("taken back ", back, " after ", n), func(t *testing.T) {
				b := newBench(t, machine(scstfake.Options{}))
				from, to := attributes{}, someAttributes()
				if back {
					from, to = to, from
				}
				b.ok(withAttributes(b, to))
				want := b.texts()
				b.ok(withAttributes(b, from))
				b.kernel.FailAfter(n)
				if err := withAttributes(b, to); err == nil {
					t.Fatal("nothing failed")
				}
				b.kernel.FailAfter(-1)
				b.start()
				if cmp.Equal(to, b.told(), cmp.AllowUnexported(attributes{})) {
					t.Error("nobody notices that something is missing")
				}
				b.ok(withAttributes(b, to))
				if diff := cmp.Diff(want, b.texts()); diff != "" {
					t.Errorf("not mended (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestAttributesDrift: who changes one by hand is seen, and the next put
// reverts it.
func TestAttributesDrift(t *testing.T) {
	for file, want := range map[string]func(a attributes) string{
		"devices/d0/threads_num":      func(a attributes) string { return a.device["threads_num"] },
		"devices/3:0:0:0/threads_num": func(a attributes) string { return a.tape["threads_num"] },
		tgt + "/RspTimeout":           func(a attributes) string { return a.target["RspTimeout"] },
		inGroup + "black_hole":        func(a attributes) string { return a.group["black_hole"] },
	} {
		b := newBench(t, machine(scstfake.Options{}))
		b.ok(withAttributes(b, someAttributes()))
		b.ok(b.kernel.WriteFile(file, "3"))
		if got := want(b.told()); got != "3" {
			t.Errorf("%s: told %q, it is 3", file, got)
		}
		b.ok(withAttributes(b, someAttributes()))
		if diff := cmp.Diff(someAttributes(), b.told(), cmp.AllowUnexported(attributes{})); diff != "" {
			t.Errorf("%s: not reverted:\n%s", file, diff)
		}
	}
}

// TestEverythingThatESOSSetsIsItsOwn: what the engine has settings for is
// refused as an attribute.
func TestEverythingThatESOSSetsIsItsOwn(t *testing.T) {
	for _, s := range parameters(config.Target{}) {
		if ownOfTarget(config.DriverISCSI).Problem(s.file) == "" {
			t.Errorf("%s of targets is ESOS's, and not refused as an attribute", s.file)
		}
	}
	b := newBench(t, machine(scstfake.Options{}))
	everything(b)
	for _, h := range []config.Handler{config.FileIO, config.BlockIO, config.NullIO} {
		d := b.disk("x", h)
		d.Identity.T10ID = "x"
		for _, p := range b.createParameters(d) {
			if ownOfDevice(h).Problem(p.key) == "" {
				t.Errorf("%s of handler %s is ESOS's, and not refused as an attribute", p.key, h)
			}
		}
	}
	written := 0
	for _, r := range b.kernel.Requests() {
		file, isDevice := strings.CutPrefix(strings.Fields(r)[1], "devices/")
		if _, name, ok := strings.Cut(file, "/"); isDevice && ok {
			written++
			if ownOfDevice(config.FileIO).Problem(name) == "" {
				t.Errorf("%s is written by ESOS, and not refused as an attribute", r)
			}
		}
	}
	if written < 6 {
		t.Errorf("only %d attributes of devices were written", written)
	}
}

// TestUnknownAttributesBeforeAnythingIsTouched: a plan says them.
func TestUnknownAttributesBeforeAnythingIsTouched(t *testing.T) {
	b := newBench(t, machine(scstfake.Options{EAGAIN: true}))
	b.ok(withAttributes(b, attributes{}))
	x := map[string]string{"cpumask": "1"}
	d := &config.Document{
		Devices: []config.Device{b.disk("d0", config.FileIO), b.disk("new", config.FileIO), {Name: "lto", Handler: config.PassTape, Path: "3:0:0:0", Attributes: x}},
		Targets: []config.Target{{Name: iqn, Attributes: x, Groups: []config.Group{{Name: "g", Attributes: x}, {Name: "new", Attributes: x}}}},
	}
	d.Devices[0].Attributes, d.Devices[1].Attributes = x, x
	errs := b.Supports(d)
	if len(errs) != 4 {
		t.Errorf("supports: %v", errs)
	}
	for _, err := range errs[2:] {
		if !strings.Contains(err.Error(), "it has cpu_mask, ") {
			t.Error(err)
		}
	}
}

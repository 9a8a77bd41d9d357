package lio

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

const object = "core/fileio_0/d0"

// withAttributes serves one of each with attributes.
func withAttributes(b *bench, device, target, group map[string]string) error {
	d := b.disk("d0", config.FileIO)
	d.Attributes = device
	if err := b.PutDevice(b.Context(), d); err != nil {
		return err
	}
	if err := b.PutPortal(b.Context(), config.Portal{Name: "main", Address: "127.0.0.1:3260"}); err != nil {
		return err
	}
	if err := b.PutPortal(b.Context(), config.Portal{Name: "second", Address: "127.0.0.2:3260", Group: 2}); err != nil {
		return err
	}
	if err := b.PutTarget(b.Context(), config.Target{Name: iqn, Attributes: target}); err != nil {
		return err
	}
	return b.PutGroup(b.Context(), iqn, config.Group{Name: "g", Initiators: []string{alice, bob}, Attributes: group})
}

// TestAttributes sets them, sets them otherwise, and takes them back.
func TestAttributes(t *testing.T) {
	b := newBench(t, liofake.Options{})
	tpg2 := strings.Replace(tpg1, "tpgt_1", "tpgt_2", 1)
	b.ok(withAttributes(b, nil, nil, nil))
	before := b.kernel.Dump()
	device, target, group := map[string]string{"queue_depth": "0x20", "emulate_caw": "0"}, map[string]string{"login_timeout": "30", "MaxConnections": "4"}, map[string]string{"dataout_timeout": "9"}
	for range 2 {
		b.ok(withAttributes(b, device, target, group))
	}
	b.reads(object+"/attrib/queue_depth", "32")
	b.reads(object+"/attrib/emulate_caw", "0")
	for _, tpg := range []string{tpg1, tpg2} {
		b.reads(tpg+"/attrib/login_timeout", "30")
		b.reads(tpg+"/param/MaxConnections", "4")
		b.reads(tpg+"/acls/"+alice+"/attrib/dataout_timeout", "9")
		b.reads(tpg+"/acls/"+bob+"/attrib/dataout_timeout", "9")
	}
	b.kernel.Requests()
	b.start() // another daemon
	b.ok(withAttributes(b, device, target, group))
	if again := b.kernel.Requests(); len(again) > 0 {
		t.Errorf("put again: %q", again)
	}
	s, err := b.Observe(t.Context())
	b.ok(err)
	for what, pair := range map[string][2]map[string]string{
		"device": {device, s.Devices[0].Attributes}, "target": {target, s.Targets[0].Attributes}, "group": {group, s.Targets[0].Groups[0].Attributes},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s (-declared +observed):\n%s", what, diff)
		}
	}
	b.ok(withAttributes(b, map[string]string{"emulate_caw": "0"}, map[string]string{"login_timeout": "20"}, group))
	b.reads(object+"/attrib/queue_depth", "128")
	b.reads(tpg2+"/attrib/login_timeout", "20")
	b.reads(tpg2+"/param/MaxConnections", "1")
	b.ok(withAttributes(b, nil, nil, nil))
	if diff := cmp.Diff(before, b.kernel.Dump()); diff != "" {
		t.Errorf("taken out of the document, it is not as before:\n%s", diff)
	}
	// What is not declared any more is nobody's: it is left alone and not told.
	b.ok(b.kernel.WriteFile(object+"/attrib/queue_depth", "7"))
	b.ok(withAttributes(b, nil, nil, nil))
	b.reads(object+"/attrib/queue_depth", "7")
	if s, err := b.Observe(t.Context()); err != nil || len(s.Devices[0].Attributes) > 0 {
		t.Errorf("told: %+v, %v", s.Devices, err)
	}
}

// A new initiator and a new portal group have the attributes, too.
func TestAttributesOfWhatComesLater(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.ok(b.PutTarget(t.Context(), config.Target{Name: iqn, Attributes: map[string]string{"login_timeout": "30"}}))
	g := config.Group{Name: "g", Initiators: []string{alice}, Attributes: map[string]string{"dataout_timeout": "9"}}
	b.ok(b.PutGroup(t.Context(), iqn, g))
	b.ok(b.PutGroup(t.Context(), iqn, config.Group{Name: "other", Initiators: []string{bob}}))
	b.reads(tpg1+"/acls/"+bob+"/attrib/dataout_timeout", "3")
	b.ok(b.PutPortal(t.Context(), config.Portal{Name: "second", Address: "127.0.0.2:3260", Group: 2}))
	tpg2 := strings.Replace(tpg1, "tpgt_1", "tpgt_2", 1)
	b.reads(tpg2+"/attrib/login_timeout", "30")
	b.reads(tpg2+"/acls/"+alice+"/attrib/dataout_timeout", "9")
	b.reads(tpg2+"/acls/"+bob+"/attrib/dataout_timeout", "3")
	g.Initiators = []string{alice, bob}
	b.ok(b.PutGroup(t.Context(), iqn, g)) // moves over
	b.reads(tpg2+"/acls/"+bob+"/attrib/dataout_timeout", "9")
	g.Attributes = nil
	b.ok(b.PutGroup(t.Context(), iqn, g))
	b.reads(tpg2+"/acls/"+bob+"/attrib/dataout_timeout", "3")
}

func TestAttributesThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		name                  string
		device, target, group map[string]string
		want                  []string
	}{
		{name: "unknown at a device", device: map[string]string{"queue_dept": "1"}, want: []string{"device d0", "no attribute queue_dept here; it has queue_depth, "}},
		{name: "unknown at a target", target: map[string]string{"maxconnections1": "1"}, want: []string{"target " + iqn, "it has MaxConnections, "}},
		{name: "unknown at a group", group: map[string]string{"x": "1"}, want: []string{"group g", "initiator " + alice, "no attribute x here", "dataout_timeout"}},
		{name: "a path", device: map[string]string{"../wwn/vendor_id": "1"}, want: []string{"no attribute ../wwn/vendor_id"}},
		{name: "ESOS's own of a device", device: map[string]string{"block_size": "4096", "emulate_tpu": "1"}, want: []string{"block_size is said by block_size", "emulate_tpu is said by provisioning"}},
		{name: "ESOS's own of a target", target: map[string]string{"authentication": "0"}, want: []string{"said by auth"}},
		{name: "ESOS's own of a group", group: map[string]string{"nopin_timeout": "5"}, want: []string{"key nop_in_interval"}},
		{name: "a value that the kernel refuses", device: map[string]string{"emulate_tas": "7"}, want: []string{`set attribute emulate_tas to "7"`, "invalid argument", `it reads "1"`}},
		{name: "read-only", device: map[string]string{"hw_block_size": "4096"}, want: []string{"hw_block_size", "can only be read"}},
		{name: "of a group", group: map[string]string{"dataout_timeout": "99"}, want: []string{`dataout_timeout to "99"`, `it reads "3"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, liofake.Options{})
			b.ok(withAttributes(b, nil, nil, nil))
			before := b.kernel.Dump()
			b.refused(withAttributes(b, test.device, test.target, test.group), test.want...)
			b.ok(withAttributes(b, nil, nil, nil)) // what was there goes on
			if diff := cmp.Diff(before, b.kernel.Dump()); diff != "" {
				t.Errorf("something stayed:\n%s", diff)
			}
		})
	}
	t.Run("before anything is touched", func(t *testing.T) {
		b := newBench(t, liofake.Options{})
		b.ok(withAttributes(b, nil, nil, nil))
		x := map[string]string{"queue_dept": "1"}
		d := &config.Document{
			Devices: []config.Device{b.disk("d0", config.FileIO), b.disk("new", config.FileIO)},
			Targets: []config.Target{{Name: iqn, Attributes: x, Groups: []config.Group{{Name: "g", Initiators: []string{alice, bob}, Attributes: x}}}},
		}
		d.Devices[0].Attributes, d.Devices[1].Attributes = x, x
		if errs := b.Supports(d); len(errs) != 3 || !strings.Contains(errs[0].Error(), "it has queue_depth, ") {
			t.Errorf("supports: %v", errs)
		}
		x["queue_depth"] = "1"
		delete(x, "queue_dept")
		d.Targets = nil
		if errs := b.Supports(d); len(errs) > 0 {
			t.Errorf("supports: %v", errs)
		}
	})
	t.Run("of everybody", func(t *testing.T) {
		d := &config.Document{Targets: []config.Target{{Name: iqn, Groups: []config.Group{{Name: "g", Initiators: []string{"*"}, Attributes: map[string]string{"dataout_timeout": "9"}}}}}}
		if errs := Supports(d); len(errs) != 1 || !strings.Contains(errs[0].Error(), "attributes by initiator") {
			t.Errorf("supports: %v", errs)
		}
	})
}

// TestAttributesCutOff has every request fail in turn: the next daemon sees
// that something is missing, and mends it.
func TestAttributesCutOff(t *testing.T) {
	one := map[string]string{"queue_depth": "32", "emulate_caw": "0"}
	for _, test := range []struct{ name, from, to string }{{"set", "", "x"}, {"taken back", "x", ""}} {
		for n := range 3 {
			t.Run(fmt.Sprint(test.name, " after ", n), func(t *testing.T) {
				b := newBench(t, liofake.Options{})
				of := func(s string) (map[string]string, map[string]string, map[string]string) {
					if s == "" {
						return nil, nil, nil
					}
					return one, map[string]string{"login_timeout": "30"}, map[string]string{"dataout_timeout": "9"}
				}
				put := func(s string) error { d, tg, g := of(s); return withAttributes(b, d, tg, g) }
				b.ok(put(test.to))
				want, wanted := b.kernel.Dump(), b.observed()
				b.ok(put(test.from))
				b.kernel.FailAfter(n)
				if err := put(test.to); err == nil {
					t.Fatal("nothing failed")
				}
				b.kernel.FailAfter(-1)
				b.start()
				if cmp.Equal(wanted, b.observed()) {
					t.Error("nobody notices that something is missing")
				}
				b.ok(put(test.to))
				if diff := cmp.Diff(want, b.kernel.Dump()); diff != "" {
					t.Errorf("not mended (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(wanted, b.observed()); diff != "" {
					t.Errorf("told otherwise (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestAttributesDrift: who changes one by hand is seen, and the next put
// reverts it.
func TestAttributesDrift(t *testing.T) {
	device, target, group := map[string]string{"queue_depth": "32"}, map[string]string{"login_timeout": "30"}, map[string]string{"dataout_timeout": "9"}
	for file, want := range map[string]string{
		object + "/attrib/queue_depth": "d0 5", tpg1 + "/attrib/login_timeout": "target 5 (not everywhere)", tpg1 + "/acls/" + bob + "/attrib/dataout_timeout": "group 5 (not everywhere)",
	} {
		b := newBench(t, liofake.Options{})
		b.ok(withAttributes(b, device, target, group))
		before := b.observed()
		b.ok(b.kernel.WriteFile(file, "5"))
		s, err := b.Observe(t.Context())
		b.ok(err)
		got := map[string]string{
			"d0": s.Devices[0].Attributes["queue_depth"], "target": s.Targets[0].Attributes["login_timeout"], "group": s.Targets[0].Groups[0].Attributes["dataout_timeout"],
		}
		what, value, _ := strings.Cut(want, " ")
		if what == "group" && got[what] == "9 (not everywhere)" {
			value = got[what] // whichever is read first
		}
		if got[what] != value {
			t.Errorf("%s: told %v, want %s", file, got, want)
		}
		b.ok(withAttributes(b, device, target, group))
		if diff := cmp.Diff(before, b.observed()); diff != "" {
			t.Errorf("%s: not reverted:\n%s", file, diff)
		}
	}
}

// TestEverythingThatESOSSetsIsItsOwn: what the engine writes into attributes
// when documents use all that they have is refused as an attribute.
func TestEverythingThatESOSSetsIsItsOwn(t *testing.T) {
	b := newBench(t, liofake.Options{RTPI: true})
	yes := true
	fs := b.disk("d0", config.FileIO)
	fs.BlockSize, fs.Rotational, fs.Provisioning = 4096, false, config.Thin
	mem := b.disk("m", config.Memory)
	mem.WriteThrough = false
	target := config.Target{
		Name: iqn, Alias: "a", Auth: config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}}},
		Parameters: config.Parameters{HeaderDigest: []string{"None"}, DataDigest: []string{"None"}, MaxRecvDataSegmentLength: 512, MaxBurstLength: 512, FirstBurstLength: 512,
			MaxOutstandingR2T: 2, InitialR2T: new(!yes), ImmediateData: new(!yes), QueuedCommands: 3, NopInInterval: 5, NopInTimeout: 6},
	}
	ctx := t.Context()
	b.ok(b.PutDevice(ctx, fs))
	b.ok(b.PutDevice(ctx, mem))
	b.ok(b.PutPortal(ctx, config.Portal{Name: "main", Address: "127.0.0.1:3260"}))
	b.ok(b.PutTarget(ctx, target))
	b.group("g", []string{alice}, config.LUN{Device: "d0", ReadOnly: true})
	all := config.Target{Name: iqn + ":all"}
	b.ok(b.PutTarget(ctx, all))
	b.ok(b.PutLUN(ctx, all.Name, "", config.LUN{Device: "d0", ReadOnly: true}))
	own := map[string]attribute.Owned{"core": {}, "acls": ownOfACL(), "tpgt_1": ownOfTarget()}
	maps.Copy(own["core"], ownOfDevice(config.FileIO))
	seen := 0
	for _, r := range b.kernel.Requests() {
		words := strings.Fields(r)
		parts := strings.Split(words[1], "/")
		if words[0] != "write" || len(parts) < 3 || !slices.Contains([]string{"attrib", "param"}, parts[len(parts)-2]) {
			continue
		}
		seen++
		kind := "tpgt_1"
		if parts[0] == "core" {
			kind = "core"
		} else if slices.Contains(parts, "acls") {
			kind = "acls"
		}
		if own[kind].Problem(path.Base(words[1])) == "" {
			t.Errorf("%s is written by ESOS and not refused as an attribute", words[1])
		}
	}
	if seen < 18 {
		t.Errorf("only %d attributes were written", seen)
	}
}

package scsi

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMatchInitiator(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		name     string
		want     match
	}{
		{[]string{"iqn.a:x"}, "iqn.a:x", matchExact},
		{[]string{"IQN.A:X"}, "iqn.a:x", matchExact},
		{[]string{"iqn.a:x"}, "iqn.a:xy", matchNone},
		{[]string{"iqn.a:*"}, "iqn.a:xy", matchPattern},
		{[]string{"*"}, "", matchPattern},
		{[]string{"*b*d"}, "abcbcd", matchPattern},
		{[]string{"*b*d"}, "abcbcdx", matchNone},
		{[]string{"iqn.?:x"}, "iqn.a:x", matchPattern},
		{[]string{"iqn.?:x"}, "iqn.:x", matchNone},
		{[]string{"iqn.a:*", "!iqn.a:bad*"}, "iqn.a:bad1", matchNone},
		{[]string{"!iqn.a:bad*", "iqn.a:*"}, "iqn.a:good", matchPattern},
		{[]string{"!iqn.a:bad"}, "iqn.a:good", matchNone},
		{[]string{"iqn.a:x", "!*"}, "iqn.a:x", matchNone},
		{nil, "iqn.a:x", matchNone},
	} {
		if got := matchInitiator(newPatterns(c.patterns), c.name); got != c.want {
			t.Errorf("%q of %q: %d, want %d", c.name, c.patterns, got, c.want)
		}
		if MatchInitiator(c.patterns, c.name) != (c.want != matchNone) {
			t.Errorf("MatchInitiator(%q, %q)", c.patterns, c.name)
		}
	}
}

func TestTarget(t *testing.T) {
	u, v := NewUnit(Identity{Name: "u"}, &fakeDevice{}), NewUnit(Identity{Name: "v"}, &fakeDevice{})
	tg := NewTarget("iqn.2026-01.org.example:array")
	if err := errors.Join(
		tg.PutGroup("all", []string{"iqn.*"}),
		tg.PutGroup("one", []string{"iqn.a:one"}),
		tg.PutLUN("all", Mapping{LUN: 1, Unit: u}),
		tg.PutLUN("all", Mapping{LUN: 0, Unit: v, ReadOnly: true}),
		tg.PutLUN("one", Mapping{LUN: 0, Unit: u}),
		tg.PutLUN("", Mapping{LUN: 9, Unit: v}),
	); err != nil {
		t.Fatal(err)
	}
	for _, e := range []error{tg.PutGroup("", nil), tg.PutLUN("all", Mapping{LUN: MaxLUN + 1, Unit: u}), tg.PutLUN("all", Mapping{})} {
		if e == nil {
			t.Error("accepted what cannot be")
		}
	}
	if err := tg.PutLUN("none", Mapping{LUN: 0, Unit: u}); !errors.Is(err, ErrNoGroup) {
		t.Error(err)
	}
	for name, want := range map[string]string{"iqn.a:one": "one", "iqn.a:two": "all", "eui.0123456789abcdef": ""} {
		if got, _ := tg.Resolve(name); got != want {
			t.Errorf("%s falls into %q, want %q", name, got, want)
		}
	}
	_, luns := tg.Resolve("iqn.a:two")
	if diff := cmp.Diff([]LUN{0, 1}, []LUN{luns[0].LUN, luns[1].LUN}); diff != "" {
		t.Error(diff)
	}

	login := func(name string) *host {
		tr := &fakeTransport{}
		return &host{Nexus: tg.NewNexus(InitiatorID{Name: name}, &Port{ID: 1}, tr), t: t, tr: tr}
	}
	a, b := login("iqn.a:two"), login("iqn.a:one")
	a.calm()
	b.calm()
	if a.Group() != "all" || len(a.Paths()) != 2 {
		t.Fatalf("%s sees %d LUNs of %q", a.Initiator().Name, len(a.Paths()), a.Group())
	}
	a.want("7/2700", write10)
	if err := tg.PutLUN("all", Mapping{LUN: 2, Unit: u}); err != nil {
		t.Fatal(err)
	}
	a.want("6/3f0e", tur)
	b.want("good", tur)
	if err := tg.PutGroup("all", nil); err != nil { // it stays in its group
		t.Fatal(err)
	}
	if len(a.Paths()) != 3 {
		t.Error("a change of patterns took LUNs from a session")
	}
	a.Paths()[1].Count(Read, 4096, time.Millisecond, true)
	b.Paths()[0].Count(Write, 512, time.Millisecond, true)
	a.Close()
	again := &host{Nexus: tg.NewNexus(InitiatorID{Name: "iqn.a:two"}, &Port{ID: 1}, &fakeTransport{}), t: t}
	if again.Group() != "" {
		t.Errorf("fell into %q", again.Group())
	}
	sum := map[string]uint64{}
	for _, c := range tg.Counters() {
		sum[c.Group+"/"+c.Unit] += c.ReadBytes + c.WriteBytes
	}
	if diff := cmp.Diff(map[string]uint64{"all/u": 4096, "all/v": 0, "one/u": 512, "/v": 0}, sum); diff != "" {
		t.Error(diff)
	}
	tg.DeleteLUN("one", 0)
	tg.DeleteLUN("one", 0)
	if len(b.Paths()) != 0 || len(b.tr.aborted) != 1 {
		t.Errorf("%d LUNs left, aborted %v", len(b.Paths()), b.tr.aborted)
	}
	tg.DeleteGroup("all")
	tg.DeleteGroup("all")
	if len(u.snapshot()) != 0 {
		t.Errorf("%d paths left", len(u.snapshot()))
	}
	again.Close()
	if len(v.snapshot()) != 0 || len(tg.nexuses) != 1 {
		t.Errorf("%d paths, %d nexuses left", len(v.snapshot()), len(tg.nexuses))
	}
}

func TestCounters(t *testing.T) {
	p := &Path{}
	for _, d := range []time.Duration{-1, 0, 16*time.Microsecond - 1, 16 * time.Microsecond, 31 * time.Microsecond, 32 * time.Microsecond, 524 * time.Millisecond, time.Hour} {
		p.Count(Read, 10, d, true)
	}
	p.Count(Write, 20, time.Second, false)
	p.Count(Other, 99, time.Second, true)
	got := p.Counters()
	want := Counters{Reads: 8, Writes: 1, Other: 1, ReadBytes: 80, WriteBytes: 20, Errors: 1}
	want.ReadLatency.Buckets = [17]uint64{0: 3, 1: 2, 2: 1, 15: 1, 16: 1}
	want.ReadLatency.Sum = got.ReadLatency.Sum
	want.WriteLatency.Buckets[16], want.WriteLatency.Sum = 1, time.Second
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	sum := got
	sum.Add(got)
	if sum.Reads != 16 || sum.ReadLatency.Buckets[0] != 6 || sum.WriteLatency.Sum != 2*time.Second {
		t.Errorf("%+v", sum)
	}
}

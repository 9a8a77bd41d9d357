package upgrade

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/slot"
)

func TestUpgrade(t *testing.T) {
	good := bundle(t, "2", testKey(1), 600_000)
	for name, tt := range map[string]struct {
		stream bool
		memory int64
	}{"a file": {memory: 1 << 30}, "a stream": {true, 1 << 30}, "a stream that memory does not hold": {true, 1 << 20}} {
		t.Run(name, func(t *testing.T) {
			a := newAppliance(t)
			a.memory = func() (host.Memory, error) { return host.Memory{Total: 1 << 30, Available: tt.memory}, nil }
			if err := a.upgrade(t, good, tt.stream); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Boots{Default: slot.Primary, Trial: slot.Secondary, Left: Tries}, a.told(t)); diff != "" {
				t.Error(diff)
			}
			primary, secondary := a.slots(t)
			if primary.Version != "1" || !primary.Verified || !primary.Default || !primary.Running {
				t.Errorf("the slot that runs: %+v", primary)
			}
			if secondary.Version != "2" || !secondary.Verified || secondary.Left == nil || *secondary.Left != Tries {
				t.Errorf("the slot that was written: %+v", secondary)
			}
			r, err := ReadRecord(a.Record)
			if err != nil || r == nil || r.Version != "2" || r.From != "1" || r.Slot != slot.Secondary || r.Serving.Revision != 3 {
				t.Errorf("the record: %+v, %v", r, err)
			}
			if diff := cmp.Diff([]string{"before upgrade to 2"}, a.saves); diff != "" {
				t.Error(diff)
			}
			// Again, with another: what was there makes room, nothing stays.
			if err := a.upgrade(t, bundle(t, "3", testKey(1), 1<<20), false); err != nil {
				t.Fatal(err)
			}
			if _, secondary := a.slots(t); secondary.Version != "3" || !secondary.Verified {
				t.Errorf("the second upgrade: %+v", secondary)
			}
		})
	}
}

// TestRefused: nothing on the medium changes.
func TestRefused(t *testing.T) {
	good := bundle(t, "2", testKey(1), 600_000)
	damaged := bytes.Clone(good)
	damaged[len(damaged)/2] ^= 1
	for name, tt := range map[string]struct {
		data   []byte
		stream bool
		set    func(a *appliance)
		why    string
	}{
		"another's signature": {data: bundle(t, "2", testKey(2), 1<<20), why: "no trusted key signed it"},
		"something else":      {data: bytes.Repeat([]byte("#!/bin/sh\n"), 1000), why: "no upgrade of ESOS"},
		"nothing":             {data: nil, why: "no upgrade of ESOS"},
		"an end too early":    {data: good[:len(good)-1], why: "the file is not complete"},
		"half of it":          {data: good[:len(good)/2], why: "the file is not complete"},
		"half of a manifest":  {data: good[:600], why: "ends too early"},
		"a stream ends early": {data: good[:len(good)/2], stream: true, why: "ends after"},
		"more than one":       {data: append(bytes.Clone(good), good...), why: "more than one"},
		"a byte":              {data: damaged, why: "SHA-256"},
		"a byte of a stream":  {data: damaged, stream: true, why: "SHA-256"},
		"too little room":     {data: good, set: func(a *appliance) { a.space = func(string) (host.Space, error) { return host.Space{}, nil } }, why: "too little room"},
		"too little memory": {data: good, set: func(a *appliance) {
			a.memory = func() (host.Memory, error) { return host.Memory{Total: 200 << 20}, nil }
		}, why: "needs 224 MiB of memory to boot, and this machine has 200"},
		"the medium is gone":   {data: good, set: func(a *appliance) { a.fail = errors.New("it is gone") }, why: "it is gone"},
		"this one is on trial": {data: good, set: func(a *appliance) { a.Report.Slot = slot.Secondary }, why: "is on trial itself"},
		"the settings unsaved": {data: good, set: func(a *appliance) { a.save = nil }, why: "save the settings first"},
		"another one is at it": {data: good, set: func(a *appliance) { a.busy = true }, why: "another esos upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAppliance(t)
			if tt.why == "is on trial itself" {
				if err := WriteBoots(a.dir+"/ESOS_BOOT", Boots{Default: slot.Primary, Trial: slot.Secondary, Left: 1}); err != nil {
					t.Fatal(err)
				}
			}
			if tt.set != nil {
				tt.set(a)
			}
			if a.busy {
				lock, err := host.LockFile(a.lock)
				if err != nil {
					t.Fatal(err)
				}
				defer lock.Close()
			}
			if a.save == nil {
				a.save = func(context.Context, string) error { return errors.New("the disk is full") }
			}
			before := a.medium(t)
			err := a.upgrade(t, tt.data, tt.stream)
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("it says %v, want %q", err, tt.why)
			}
			if diff := cmp.Diff(before, a.medium(t)); diff != "" {
				t.Errorf("the medium changed: %.500s", diff)
			}
			if _, err := os.Stat(a.Record); err == nil {
				t.Error("a record is left")
			}
		})
	}
}

// TestStreamBreaks: a stream that is found damaged while it is written leaves
// no slot that anything would boot, and what runs as it was.
func TestStreamBreaks(t *testing.T) {
	good := bundle(t, "2", testKey(1), 600_000)
	damaged := bytes.Clone(good)
	damaged[len(damaged)-100_000] ^= 1
	for name, data := range map[string][]byte{"damaged": damaged, "ends": good[:len(good)-100_000]} {
		t.Run(name, func(t *testing.T) {
			a := newAppliance(t)
			a.memory = func() (host.Memory, error) { return host.Memory{Total: 1 << 30}, nil }
			err := a.upgrade(t, data, true)
			if err == nil || !strings.Contains(err.Error(), "the next boot is of slot PRIMARY as before") {
				t.Errorf("it says %v", err)
			}
			if diff := cmp.Diff(Boots{Default: slot.Primary}, a.told(t)); diff != "" {
				t.Error(diff)
			}
			primary, secondary := a.slots(t)
			if primary.Damage != "" || secondary.Damage == "" {
				t.Errorf("slots: %+v, %+v", primary, secondary)
			}
			if r, err := ReadRecord(a.Record); r != nil || err != nil {
				t.Errorf("a record is left: %+v, %v", r, err)
			}
			if err := a.upgrade(t, good, false); err != nil {
				t.Errorf("the next try: %v", err)
			}
		})
	}
}

func TestRollback(t *testing.T) {
	a := newAppliance(t)
	if _, err := a.Rollback(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Boots{Default: slot.Primary, Trial: slot.Secondary, Left: Tries, OwnSettings: true}, a.told(t)); diff != "" {
		t.Error(diff)
	}
	if err := a.Confirm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Boots{Default: slot.Primary}, a.told(t)); diff != "" {
		t.Error(diff)
	}
	for _, file := range []string{slot.KernelFile, slot.RootFile, slot.ManifestFile} {
		a := newAppliance(t)
		data, err := os.ReadFile(a.path(slot.Secondary, file))
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		a.put(t, a.path(slot.Secondary, file), data)
		before := a.medium(t)
		if _, err := a.Rollback(t.Context(), false, nil); err == nil || !strings.Contains(err.Error(), "could not be booted") {
			t.Errorf("a damaged %s: %v", file, err)
		}
		if diff := cmp.Diff(before, a.medium(t)); diff != "" {
			t.Errorf("a damaged %s: the medium changed", file)
		}
	}
}

// TestEndTrial: a daemon that starts again after the trial was over leaves what
// was prepared since.
func TestEndTrial(t *testing.T) {
	a := newAppliance(t)
	a.Report.Slot, a.Report.Options = slot.Secondary, boot.Options{Slot: slot.Secondary, Trial: true}
	a.left(t, 1)
	if err := a.EndTrial(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Boots{Default: slot.Secondary}, a.told(t)); diff != "" {
		t.Error(diff)
	}
	if _, err := a.Rollback(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	if err := a.EndTrial(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Boots{Default: slot.Secondary, Trial: slot.Primary, Left: Tries}, a.told(t)); diff != "" {
		t.Error(diff)
	}
	if r, err := ReadRecord(a.Record); r == nil || err != nil {
		t.Errorf("the record of what was prepared: %+v, %v", r, err)
	}
}

func TestFailed(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(t *testing.T, a *appliance)
		want string
	}{
		"it said why": {func(t *testing.T, a *appliance) {
			a.put(t, a.path(slot.Secondary, boot.TrialNoteFile), []byte(`{"why":"esos.service failed"}`))
		}, "esos.service failed"},
		"it did not":     {func(*testing.T, *appliance) {}, "was booted 2 times and did not get far enough"},
		"never tried":    {func(t *testing.T, a *appliance) { a.left(t, 2) }, "GRUB did not try it"},
		"not loaded":     {func(t *testing.T, a *appliance) { a.left(t, 1) }, "GRUB could not load it"},
		"kernel is gone": {func(t *testing.T, a *appliance) { _ = os.Remove(a.path(slot.Secondary, slot.KernelFile)) }, "vmlinuz"},
		"damaged on disk": {func(_ *testing.T, a *appliance) {
			a.Report.DamagedSlots = []boot.Damage{{Slot: slot.Secondary, Reason: "its SHA-256 is wrong"}}
		}, "its SHA-256 is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAppliance(t)
			a.Report.Options.FellBack = slot.Secondary
			a.left(t, 0)
			if err := WriteRecord(a.Record, Record{Slot: slot.Secondary, Version: "2", From: "1"}); err != nil {
				t.Fatal(err)
			}
			tt.set(t, a)
			a.fail = errors.New("the medium is away")
			if err := a.Failed(t.Context()); err == nil {
				t.Error("it is noted without a medium")
			}
			if r, err := ReadRecord(a.Record); err != nil || r.Failed == nil {
				t.Errorf("the alert waits for the medium: %+v, %v", r, err)
			}
			a.fail = nil
			if err := a.Failed(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, err := ReadRecord(a.Record)
			if err != nil || r.Failed == nil || !strings.Contains(r.Failed.Why, tt.want) || r.Version != "2" {
				t.Errorf("%+v, %v, want %q", r.Failed, err, tt.want)
			}
			if diff := cmp.Diff(Boots{Default: slot.Primary}, a.told(t)); diff != "" {
				t.Error(diff)
			}
			if len(a.saves) == 0 || !strings.Contains(a.saves[0], "SECONDARY failed its trial") {
				t.Errorf("saves: %q", a.saves)
			}
			// Seen, and the daemon starts again: it does not come back.
			if err := errors.Join(a.Forget(), a.Failed(t.Context())); err != nil {
				t.Error(err)
			}
			if r, err := ReadRecord(a.Record); r != nil || err != nil {
				t.Errorf("after it was dismissed: %+v, %v", r, err)
			}
		})
	}
	a := newAppliance(t)
	if err := a.Failed(t.Context()); err != nil || a.FellBack() != "" || len(a.saves) > 0 {
		t.Errorf("without a fall back: %v, %q", err, a.saves)
	}
}

func TestGiveUp(t *testing.T) {
	a := newAppliance(t)
	if err := a.GiveUp(t.Context(), "it was late"); err != nil {
		t.Fatal(err)
	}
	if n, err := boot.ReadTrialNote(a.path(slot.Primary, boot.TrialNoteFile)); err != nil || n.Why != "it was late" {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestNew(t *testing.T) {
	r := &Record{Version: "2", Serving: &Serving{Problems: []string{"device/a"}}}
	for _, tt := range []struct {
		record   *Record
		problems []string
		want     []string
	}{
		{r, nil, nil},
		{r, []string{"device/a: gone"}, nil},
		{r, []string{"device/a: gone", "device/b: gone"}, []string{"device/b: gone"}},
		{r, []string{"engine: dead"}, []string{"engine: dead"}},
		{nil, []string{"device/b: gone"}, nil},
		{nil, []string{"engine: dead"}, []string{"engine: dead"}},
		{&Record{Version: "3", Serving: &Serving{}}, []string{"device/b: gone"}, nil},
		{&Record{Version: "2"}, []string{"device/b: gone"}, nil},
	} {
		if diff := cmp.Diff(tt.want, tt.record.New("2", tt.problems)); diff != "" {
			t.Errorf("%q: %s", tt.problems, diff)
		}
	}
}

// TestMenu: GRUB gets the new version's configuration, unless somebody changed
// what is there.
func TestMenu(t *testing.T) {
	a := newAppliance(t)
	file := a.dir + "/ESOS_BOOT/grub/grub.cfg"
	menu := func() string {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := menu()
	for _, version := range []string{"2", "3"} { // the second replaces what the first brought
		if err := a.upgrade(t, bundle(t, version, testKey(1), 1000), false); err != nil {
			t.Fatal(err)
		}
		if got := menu(); !strings.HasPrefix(got, version+"grub.cfg") || got == first {
			t.Errorf("after version %s: %.20q", version, got)
		}
	}
	a.put(t, file, []byte("by hand"))
	if err := a.upgrade(t, bundle(t, "4", testKey(1), 1000), false); err != nil {
		t.Fatal(err)
	}
	if got := menu(); got != "by hand" {
		t.Errorf("what was changed by hand is %.20q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := a.upgrade(t, bundle(t, "5", testKey(1), 1000), false); err != nil {
		t.Fatal(err)
	}
	if got := menu(); !strings.HasPrefix(got, "5grub.cfg") {
		t.Errorf("a configuration that was missing is %.20q", got)
	}
}

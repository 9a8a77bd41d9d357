package raid_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/layer/raid"
)

func TestDue(t *testing.T) {
	last := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		check string
		after time.Duration
		want  bool
	}{
		{"never", 1000 * 24 * time.Hour, false},
		{"weekly", 7*24*time.Hour - time.Second, false}, {"weekly", 7 * 24 * time.Hour, true},
		{"monthly", 30 * 24 * time.Hour, false}, {"monthly", 32 * 24 * time.Hour, true}, {"", 32 * 24 * time.Hour, true},
	} {
		if got := raid.Due(last.Add(c.after), last, c.check); got != c.want {
			t.Errorf("check %q after %v: %v", c.check, c.after, got)
		}
	}
}

// inForce is a machine with a mirror of the document.
func inForce(t *testing.T, arrays ...config.Array) (*storagefake.Machine, *config.Document, raid.Checks) {
	t.Helper()
	m, doc := machine(), document(arrays...)
	carryOut(t, planned(t, m, nil, doc))
	m.Sync()
	return m, doc, raid.Checks{Machine: m, DataDir: "/data", Poll: time.Millisecond}
}

func last(t *testing.T, m *storagefake.Machine, doc *config.Document) (layer.RAIDCheck, bool) {
	t.Helper()
	checks, err := (raid.Checks{Machine: m, DataDir: "/data"}).Read()
	if err != nil {
		t.Fatal(err)
	}
	k, ok := checks[raid.UUID(doc, doc.Storage.Arrays[0])]
	return k, ok
}

// A check that is due is begun and waited for; what it found outlives the
// daemon, and is told.
func TestCheck(t *testing.T) {
	m, doc, checks := inForce(t, mirror())
	done := make(chan error)
	go func() { done <- checks.Run(t.Context(), doc, "m") }()
	for {
		k, ok := last(t, m, doc)
		if ok {
			if !k.Finished.IsZero() || k.Action != "check" {
				t.Fatalf("while it runs: %+v", k)
			}
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := checks.Start(t.Context(), doc, "m", "repair", time.Now()); !errors.Is(err, mdadm.ErrBusy) {
		t.Errorf("a second check: %v", err)
	}
	m.Mismatch("/dev/md/m", 128)
	m.Sync()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if k, _ := last(t, m, doc); k.Finished.IsZero() || k.Mismatches != 128 {
		t.Errorf("after it: %+v", k)
	}
	if text := planned(t, m, doc, doc).Text(nil); !strings.Contains(text, "found 128 sectors that differ: 'esos array check m --repair'") || !strings.Contains(text, "no changes") {
		t.Errorf("it is not told what the check found:\n%s", text)
	}
}

func TestCheckCutOff(t *testing.T) {
	a := mirror()
	a.Repair = true
	m, doc, checks := inForce(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- checks.Run(ctx, doc, "m") }()
	for {
		if _, ok := last(t, m, doc); ok {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
	if k, _ := last(t, m, doc); k.Action != "repair" || !k.Finished.IsZero() {
		t.Errorf("cut off: %+v", k)
	}
	// The daemon is started again: it waits for the same check, and begins none.
	calls := len(m.Calls())
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := checks.Run(ctx, doc, "m"); !errors.Is(err, context.DeadlineExceeded) || len(m.Calls()) != calls {
		t.Errorf("taken up again: %v, %q", err, m.Calls()[calls:])
	}
	if err := checks.Start(t.Context(), doc, "m", "idle", time.Now()); err != nil {
		t.Fatal(err)
	}
	if k, ok := last(t, m, doc); ok {
		t.Errorf("ended before it was done: %+v", k)
	}
	if err := checks.Start(t.Context(), doc, "m", "idle", time.Now()); err != nil {
		t.Errorf("ending none: %v", err)
	}
}

func TestCheckRefused(t *testing.T) {
	m, doc, checks := inForce(t, mirror(), config.Array{Name: "s", Level: "0", Disks: devs("c", "d")})
	if err := checks.Start(t.Context(), doc, "s", "check", time.Now()); !errors.Is(err, raid.ErrCannot) {
		t.Errorf("a RAID 0: %v", err)
	}
	if err := checks.Start(t.Context(), doc, "other", "check", time.Now()); !errors.Is(err, config.ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	m.Fault("vda") // no spare: degraded and idle
	m.StopArrays()
	if err := checks.Start(t.Context(), doc, "m", "check", time.Now()); err == nil {
		t.Error("an array that does not run is checked")
	}
	if err := m.Save("/data/raid-checks.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, ok := last(t, m, doc); ok {
		t.Errorf("of a damaged file: %+v", k)
	}
}

// A disk is taken for failed only where the array works without it.
func TestFail(t *testing.T) {
	m, doc, checks := inForce(t, mirror())
	if err := checks.Fail(t.Context(), doc, "m", "vdc"); !errors.Is(err, config.ErrNotFound) {
		t.Errorf("a disk of none: %v", err)
	}
	for range 2 { // once more is no error
		if err := checks.Fail(t.Context(), doc, "m", "vdb"); err != nil {
			t.Fatal(err)
		}
	}
	if err := checks.Fail(t.Context(), doc, "m", "vda"); !errors.Is(err, raid.ErrCannot) {
		t.Errorf("the last one: %v", err)
	}
	if text := planned(t, m, doc, doc).Text(nil); !strings.Contains(text, "virtio-b has failed") {
		t.Errorf("not told:\n%s", text)
	}
}

// What cannot be looked at is left alone, and is told; a change is refused.
func TestUnreadable(t *testing.T) {
	m, doc, _ := inForce(t, mirror())
	for _, same := range []bool{true, false} {
		declared := doc.Clone()
		if !same {
			declared.Storage.Arrays[0].Check = "weekly"
		}
		seen := &layer.Observed{InForce: doc}
		ls := layers(m)
		if err := (disk.Layer{Machine: m}).Observe(t.Context(), declared, seen); err != nil {
			t.Fatal(err)
		}
		seen.Storage.RAID.Err = errors.New("no mdadm")
		p := plannedFrom(t, ls, declared, seen)
		if len(p.Steps) != 0 || (len(p.Problems) == 0) != same || !strings.Contains(p.Text(nil), "could not be looked at: no mdadm") {
			t.Errorf("same %v:\n%s", same, p.Text(nil))
		}
	}
}

// What an array does is told.
func TestTold(t *testing.T) {
	for name, c := range map[string]struct {
		before config.Array
		tamper func(m *storagefake.Machine)
		edit   func(a *config.Array)
		want   []string
	}{
		"resync": {before: mirror(), want: []string{"it is being made consistent: 25 %"}},
		"recover, and a replacement waits": {before: six(), tamper: func(m *storagefake.Machine) { m.Sync(); m.Fault("vdb") },
			edit: func(a *config.Array) { a.Disks[2] = dev("f") }, want: []string{"a disk is being filled: 25 %", "Add virtio-f", "virtio-f takes the place of virtio-c when"}},
		"growth waits":  {before: mirror(), edit: func(a *config.Array) { a.Disks = append(a.Disks, dev("c")) }, want: []string{"Add virtio-c", "spread over 3 disks when it is whole"}},
		"bitmap waits":  {before: mirror(), edit: func(a *config.Array) { a.Bitmap = "none" }, want: []string{"its bitmap is changed when"}},
		"copy going on": {before: six(), tamper: copying, edit: func(a *config.Array) { a.Disks[1] = dev("f") }, want: []string{"a disk is being filled", "no changes"}},
		"last one gone": {before: mirror(), tamper: func(m *storagefake.Machine) { m.Sync(); m.Fault("vdb"); m.Pull("vda") }, want: []string{"vda is gone, and the array does not work without it", "virtio-a is missing"}},
		"journal":       {before: config.Array{Name: "m", Level: "5", Disks: devs("a", "b", "c"), Journal: dev("d")}, tamper: func(m *storagefake.Machine) { m.Fault("vdd") }, want: []string{"its journal /dev/disk/by-id/virtio-d has failed or is gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, doc := machine(), document(c.before)
			carryOut(t, planned(t, m, nil, doc))
			if c.tamper != nil {
				c.tamper(m)
			}
			declared := doc.Clone()
			if c.edit != nil {
				c.edit(&declared.Storage.Arrays[0])
			}
			text := planned(t, m, doc, declared).Text(nil)
			for _, w := range c.want {
				if !strings.Contains(text, w) {
					t.Errorf("%q is not told:\n%s", w, text)
				}
			}
		})
	}
}

// copying has disk f take the place of b, and not be done with it.
func copying(m *storagefake.Machine) {
	m.Sync()
	ctx := context.Background()
	if err := errors.Join(mdadm.Add(ctx, m, "md127", "/dev/vdf"), mdadm.Replace(ctx, m, "md127", "vdb", "vdf")); err != nil {
		panic(err)
	}
}

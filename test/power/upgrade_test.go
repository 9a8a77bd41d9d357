package power

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// variant makes another version of ESOS of the image, every part of which is
// another one: zeros at their end are nothing to those who read them. It
// returns the URL that an appliance finds it at.
func variant(t *testing.T, version string) string {
	t.Helper()
	file := shared.Version(t, version, shared.SigningKey(t), func(_ slot.Part, from, to string) (slot.Part, error) {
		return lengthen(from, to, 4096*len(version))
	})
	return stand.At(stand.Serve(t, file), file)
}

// lengthen copies a part with zeros at its end.
func lengthen(from, to string, zeros int) (p slot.Part, err error) {
	in, err := os.Open(from)
	if err != nil {
		return p, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return p, err
	}
	if _, err := out.Write(make([]byte, zeros)); err != nil {
		return p, err
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return p, err
	}
	return slot.Describe(out, filepath.Base(to))
}

// TestCutsInUpgrade writes two upgrades, the second one over the first, boots
// the last and waits until it is what boots from then on. At each moment of all
// that this wrote to the medium, GRUB's choice is a system that is complete:
// the old one, or a new one; the new one, once `esos upgrade` said so.
func TestCutsInUpgrade(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 5*stand.BootTimeout)
	s := newSession(ctx, t, true)
	s.Boot(ctx)
	s.settle(ctx)
	began := s.position()
	versions := []string{s.Report(ctx).Version, "9.8.1-power", "9.8.2-power-again"} // by state
	var promise Promise
	for state, version := range versions[1:] {
		url := variant(t, version)
		promise = append(promise, s.attempt(state+1, func() error {
			_, err := s.Remote.Run(ctx, "esos upgrade --yes "+url)
			return err
		}))
		t.Logf("upgrade to %s is done", version)
	}
	last := len(versions) - 1
	s.Console().Forget()
	_, _ = s.Remote.Run(ctx, "systemctl --no-block reboot") // the connection ends first
	s.trial(ctx, versions[last])
	s.settle(ctx)
	s.Off()

	log := s.writes()
	first, end := log.Before(began), len(log.Entries)
	seed := uint64(rand.Uint32())
	t.Logf("the upgrades wrote entries %d to %d of the log; seed %d", first, end, seed)
	r := newReplayer(t, log, first)
	moments := cuts(log, first, end, 40, seed)
	for i, a := range promise {
		// Where names change, and GRUB is told.
		done := log.Before(a.Done)
		moments = append(moments, cuts(log, max(first, done-80), done, 18, seed+uint64(i)+1)...)
	}
	moments = append(moments, cuts(log, log.Before(promise[last-1].Done), end, 18, seed+9)...)
	slices.SortStableFunc(moments, func(a, b Cut) int { return a.N - b.N })
	found := map[string]int{}
	for _, c := range moments {
		menu, a, err := r.boot(ctx, c, true)
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		if err := checkSlots(menu, a); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		found[a.Report.Version]++
		if err := checkVersion(promise, versions, log.Entries[c.N-1].End, a.Report.Version); err != nil {
			t.Errorf("%v: %v; GRUB's environment: %q", c, err, menu.Env)
		}
	}
	t.Logf("%d cuts booted: %v", r.boots, found)
	if r.boots != len(moments) || len(found) != len(versions) {
		t.Errorf("%d of %d cuts were booted, to %v; want every version", r.boots, len(moments), found)
	}
}

// checkSlots wants the slot that runs as it was signed, whatever happens to
// the other one, and what GRUB loads to belong to what esos-init then loads.
func checkSlots(menu Menu, a Answer) error {
	var errs []error
	for _, name := range slices.Compact([]slot.Name{slot.Primary, a.Report.Slot}) {
		s := a.Slots[name]
		if s.Err != "" {
			errs = append(errs, fmt.Errorf("slot %s is damaged: %s", name, s.Err))
			continue
		}
		errs = append(errs, menu.Check(name, s.Manifest))
	}
	return errors.Join(errs...)
}

// checkVersion compares what is booted with what was promised. While a slot
// is written over, the system that does that is what boots.
func checkVersion(p Promise, versions []string, position int64, found string) error {
	least, most := p.Bounds(position)
	allowed := []string{versions[least]}
	if most > least {
		allowed = append(allowed, versions[0], versions[most])
	}
	if !slices.Contains(allowed, found) {
		return fmt.Errorf("ESOS %s is booted, want one of %v", found, allowed)
	}
	return nil
}

// trial waits until a version runs, and is what boots from then on.
func (s session) trial(ctx context.Context, version string) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(ctx, stand.BootTimeout)
	defer cancel()
	if _, err := s.WaitKernel(ctx); err != nil {
		s.T.Fatal(err)
	}
	s.Served(ctx)
	if b := s.Report(ctx); b.Version != version {
		s.T.Fatalf("slot %s with ESOS %s runs, want version %s", b.Slot, b.Version, version)
	}
	for {
		var status struct {
			Default string `json:"default"`
			Trial   string `json:"trial"`
		}
		s.Into(ctx, &status, "esos upgrade status -o json")
		if status.Default == string(slot.Secondary) && status.Trial == "" {
			return
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			s.T.Fatalf("the upgrade is not the default yet: %+v", status)
		}
	}
}

// TestKillsInUpgrade kills the virtual machine while it writes an upgrade, and
// starts it again: it serves, with the old system or, if all of it was written,
// the new one.
func TestKillsInUpgrade(t *testing.T) {
	level.Require(t, level.Full)
	const kills = 2
	ctx := stand.Timeout(t, (kills+3)*stand.BootTimeout)
	seed := uint64(rand.Uint32())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const version = "9.8.3-power-killed"
	url := variant(t, version)
	s := newSession(ctx, t, true)
	s.Boot(ctx)
	old := s.Report(ctx).Version
	for kill := range kills {
		before := s.position()
		result := make(chan error, 1)
		go func(r *appliance.Remote) {
			_, err := r.Run(ctx, "esos upgrade --yes "+url)
			result <- err
		}(s.Remote)
		// Anywhere in what is written, which is as much as a version is; not so
		// late, but for the last, that it may be done already.
		most := int64(150)
		if kill == kills-1 {
			most = 220
		}
		at := before + (20+r.Int64N(most))<<20
		ended, done := false, false
		for s.position() < at && !ended {
			select {
			case err := <-result:
				if err != nil {
					t.Fatal(err) // nobody had cut the power
				}
				ended, done = true, true
			case <-time.After(20 * time.Millisecond):
			}
		}
		position := s.position()
		s.Off()
		if !ended {
			done = <-result == nil
		}
		s.Boot(ctx)
		b := s.Report(ctx)
		t.Logf("kill %d, when %d MiB were written: acknowledged %t; slot %s with ESOS %s runs", kill+1, (position-before)>>20, done, b.Slot, b.Version)
		if b.Version != old && b.Version != version || done && b.Version != version {
			t.Errorf("kill %d: ESOS %s runs; the upgrade was acknowledged: %t", kill+1, b.Version, done)
		}
		if b.Version == version {
			break // it is the new one that would be upgraded now
		}
		if out := s.Run(ctx, "esos slot list"); !strings.Contains(out, string(slot.Primary)) {
			t.Errorf("esos slot list says\n%s", out)
		}
	}
	// Whatever was left half done is no obstacle.
	if s.Report(ctx).Version == old {
		s.Run(ctx, "esos upgrade --yes "+url)
		s.Off()
		s.Boot(ctx)
	}
	if b := s.Report(ctx); b.Version != version {
		t.Errorf("after a whole upgrade slot %s with ESOS %s runs, want %s", b.Slot, b.Version, version)
	}
}

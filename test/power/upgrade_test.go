package power

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/upgrade"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
)

// variant makes another version of ESOS of the image, every part of which is
// another one: zeros at their end are nothing to those who read them. It
// returns the URL that an appliance finds it at.
func variant(t *testing.T, version string) string {
	t.Helper()
	l, _ := lab(t)
	from, to := filepath.Join(l.Out, "slot"), t.TempDir()
	key := signingKey(t)
	trusted := []slot.PublicKey{key.Public()}
	m, err := manifest(from, trusted)
	if err != nil {
		t.Fatal(err)
	}
	m.Version, m.Built = version, m.Built+1
	for i, p := range m.Parts {
		if m.Parts[i], err = lengthen(filepath.Join(from, p.Name), filepath.Join(to, p.Name), 4096*len(version)); err != nil {
			t.Fatal(err)
		}
	}
	data, sig, err := m.Sign(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{slot.ManifestFile: data, slot.SignatureFile: sig} {
		if err := os.WriteFile(filepath.Join(to, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), version+upgrade.Suffix)
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(upgrade.WriteBundle(out, to, trusted), out.Close(), os.RemoveAll(to)); err != nil {
		t.Fatal(err)
	}
	return serve(t, file)
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

// signingKey is the one that the image was signed with: that of this user.
func signingKey(t *testing.T) slot.PrivateKey {
	t.Helper()
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	key, err := slot.LoadKey(filepath.Join(dir, "esos", "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// serve serves a file on this host's loopback, which is 10.0.2.2 to the
// appliance.
func serve(t *testing.T, file string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return fmt.Sprintf("http://10.0.2.2:%d/%s", l.Addr().(*net.TCPAddr).Port, filepath.Base(file))
}

// TestCutsInUpgrade writes two upgrades, the second one over the first, boots
// the last and waits until it is what boots from then on. At each moment of all
// that this wrote to the medium, GRUB's choice is a system that is complete:
// the old one, or a new one; the new one, once `esos upgrade` said so.
func TestCutsInUpgrade(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(t.Context(), 5*bootTimeout)
	defer cancel()
	s := newSession(ctx, t, true)
	s.start(ctx)
	s.settle(ctx)
	began := s.position()
	versions := []string{s.booted(ctx).Version, "9.8.1-power", "9.8.2-power-again"} // by state
	var promise Promise
	for state, version := range versions[1:] {
		url := variant(t, version)
		promise = append(promise, s.attempt(state+1, func() error {
			_, err := s.r.Run(ctx, "esos upgrade --yes "+url)
			return err
		}))
		t.Logf("upgrade to %s is done", version)
	}
	last := len(versions) - 1
	s.m.Console().Forget()
	_, _ = s.r.Run(ctx, "systemctl --no-block reboot") // the connection ends first
	s.trial(ctx, versions[last])
	s.settle(ctx)
	s.cut()

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

// booted is what of its boot the appliance reports.
type booted struct {
	Slot    string `json:"slot"`
	Version string `json:"version"`
}

func (s *session) booted(ctx context.Context) (b booted) {
	s.t.Helper()
	text := s.run(ctx, "cat /run/esos/boot.json")
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		s.t.Fatalf("read how the appliance was booted: %v\n%s", err, text)
	}
	return b
}

// trial waits until a version runs, and is what boots from then on.
func (s *session) trial(ctx context.Context, version string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	_ = s.r.Close()
	if _, err := s.m.WaitKernel(ctx); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.m.WaitServed(ctx); err != nil {
		s.t.Fatal(err)
	}
	var err error
	if s.r, err = s.m.SSH(ctx); err != nil {
		s.t.Fatal(err)
	}
	if b := s.booted(ctx); b.Version != version {
		s.t.Fatalf("%+v runs, want version %s", b, version)
	}
	for {
		out := s.run(ctx, "esos upgrade status -o json")
		var status struct {
			Default string `json:"default"`
			Trial   string `json:"trial"`
		}
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			s.t.Fatalf("esos upgrade status: %v\n%s", err, out)
		}
		if status.Default == string(slot.Secondary) && status.Trial == "" {
			return
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			s.t.Fatalf("the upgrade is not the default yet: %s", out)
		}
	}
}

// TestKillsInUpgrade kills the virtual machine while it writes an upgrade, and
// starts it again: it serves, with the old system or, if all of it was written,
// the new one.
func TestKillsInUpgrade(t *testing.T) {
	level.Require(t, level.Full)
	const kills = 2
	ctx, cancel := context.WithTimeout(t.Context(), (kills+3)*bootTimeout)
	defer cancel()
	seed := uint64(rand.Uint32())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const version = "9.8.3-power-killed"
	url := variant(t, version)
	s := newSession(ctx, t, true)
	s.start(ctx)
	old := s.booted(ctx).Version
	for kill := range kills {
		before := s.position()
		result := make(chan error, 1)
		go func(r *appliance.Remote) {
			_, err := r.Run(ctx, "esos upgrade --yes "+url)
			result <- err
		}(s.r)
		// Anywhere in what is written, which is as much as a version is.
		at := before + (20+r.Int64N(220))<<20
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
		s.cut()
		if !ended {
			done = <-result == nil
		}
		s.start(ctx)
		b := s.booted(ctx)
		t.Logf("kill %d, when %d MiB were written: acknowledged %t; slot %s with ESOS %s runs", kill+1, (position-before)>>20, done, b.Slot, b.Version)
		if b.Version != old && b.Version != version || done && b.Version != version {
			t.Errorf("kill %d: ESOS %s runs; the upgrade was acknowledged: %t", kill+1, b.Version, done)
		}
		if b.Version == version {
			break // it is the new one that would be upgraded now
		}
		if out := s.run(ctx, "esos slot list"); !strings.Contains(out, string(slot.Primary)) {
			t.Errorf("esos slot list says\n%s", out)
		}
	}
	// Whatever was left half done is no obstacle.
	if s.booted(ctx).Version == old {
		s.run(ctx, "esos upgrade --yes "+url)
		s.cut()
		s.start(ctx)
	}
	if b := s.booted(ctx); b.Version != version {
		t.Errorf("after a whole upgrade %+v runs, want ESOS %s", b, version)
	}
}

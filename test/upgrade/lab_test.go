package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
)

// bootTimeout is far beyond what translated code on a busy machine takes.
const bootTimeout = 10 * time.Minute

// bench is what all tests share: the image, and a medium that nobody writes to.
type bench struct {
	once   sync.Once
	lab    *appliance.Lab
	medium string
	err    error
	dir    string
}

var shared bench

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

func lab(t *testing.T) (*appliance.Lab, string) {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
		defer cancel()
		if shared.dir, shared.err = os.MkdirTemp(level.Cache(t), "upgrade-"); shared.err != nil {
			return
		}
		if shared.lab, shared.err = appliance.Open(ctx, level.Root(t), shared.dir, t.Output()); shared.err != nil {
			return
		}
		shared.medium, shared.err = shared.lab.Medium(ctx, "medium")
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.lab, shared.medium
}

// stand is one appliance with a stick and a data disk of its own, through all
// of its boots.
type stand struct {
	*testing.T
	ctx    context.Context
	o      appliance.Options
	m      *appliance.Machine
	remote *appliance.Remote
}

// newStand makes one and boots it.
func newStand(t *testing.T, boots int, uefi bool) *stand {
	t.Helper()
	l, medium := lab(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(boots)*bootTimeout)
	t.Cleanup(cancel)
	unique := strings.ReplaceAll(t.Name(), "/", "-")
	overlay, err := l.Overlay(ctx, medium, "stick-"+unique, 8<<30)
	if err != nil {
		t.Fatal(err)
	}
	data, err := l.Blank("data-"+unique, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{T: t, ctx: ctx, o: appliance.Options{Dir: level.ShortDir(t), Data: data, UEFI: uefi,
		Boot: vm.Drive{File: overlay, Format: "qcow2", Bus: vm.USB}}}
	t.Cleanup(func() {
		if t.Failed() && s.m != nil {
			t.Logf("last lines on the console:\n%s", s.m.Console().Tail(80))
		}
		s.off()
	})
	s.on()
	s.served()
	return s
}

// on switches the machine on.
func (s *stand) on() {
	s.Helper()
	l, _ := lab(s.T)
	m, err := l.Start(context.WithoutCancel(s.ctx), s.o)
	if err != nil {
		s.Fatal(err)
	}
	s.m = m
}

// off pulls the plug.
func (s *stand) off() {
	s.Helper()
	if s.remote != nil {
		_ = s.remote.Close()
		s.remote = nil
	}
	if s.m == nil {
		return
	}
	if err := s.m.Close(); err != nil {
		s.Error(err)
	}
	s.m = nil
}

// cold shuts the machine down, switches it off, and on again.
func (s *stand) cold() {
	s.Helper()
	s.shutDown()
	s.on()
}

// shutDown ends in a machine that is off.
func (s *stand) shutDown() {
	s.Helper()
	_, _ = s.remote.Run(s.ctx, "systemctl --no-block poweroff")
	select {
	case <-s.m.Done():
	case <-time.After(5 * time.Minute):
		s.Error("the machine does not shut down within five minutes")
	}
	s.off()
}

// served waits until the LUN is served and somebody can log in.
func (s *stand) served() {
	s.Helper()
	s.servedWithin(bootTimeout)
}

func (s *stand) servedWithin(d time.Duration) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, d)
	defer cancel()
	began := time.Now()
	if _, err := s.m.WaitServed(ctx); err != nil {
		s.Fatal(err)
	}
	took := time.Since(began)
	r, err := s.m.SSH(ctx)
	if err != nil {
		s.Fatal(err)
	}
	s.remote = r
	s.Logf("served after %.0f s, logged in after %.0f s", took.Seconds(), time.Since(began).Seconds())
}

// run runs a command, which must succeed.
func (s *stand) run(command string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Minute)
	defer cancel()
	out, err := s.remote.Run(ctx, command)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// report is what the tests read of /run/esos/boot.json.
type report struct {
	Slot    string `json:"slot"`
	Version string `json:"version"`
	Options struct {
		Trial       bool   `json:"trial"`
		FellBack    string `json:"fell_back"`
		OwnSettings bool   `json:"own_settings"`
	} `json:"options"`
	Warnings []string `json:"warnings"`
}

func (s *stand) report() report {
	s.Helper()
	var r report
	s.decode("cat /run/esos/boot.json", &r)
	s.Logf("booted: %+v", r)
	return r
}

func (s *stand) decode(command string, into any) {
	s.Helper()
	text := s.run(command)
	if err := json.Unmarshal([]byte(text), into); err != nil {
		s.Fatalf("%s: %v\n%s", command, err, text)
	}
}

// state is what the tests read of `esos upgrade status`.
type state struct {
	Running   string   `json:"running"`
	Default   string   `json:"default"`
	Trial     string   `json:"trial"`
	BootsLeft *int     `json:"boots_left"`
	OnTrial   bool     `json:"on_trial"`
	Waits     []string `json:"waits"`
	Last      *struct {
		Version string `json:"version"`
		Failed  *struct {
			Why string `json:"why"`
		} `json:"failed"`
	} `json:"last"`
}

func (s *stand) state() state {
	s.Helper()
	var st state
	s.decode("esos upgrade status -o json", &st)
	return st
}

// confirmed waits until the slot that runs is the default and nothing is on
// trial.
func (s *stand) confirmed(slot string) {
	s.Helper()
	began := time.Now()
	for {
		st := s.state()
		if st.Default == slot && st.Trial == "" {
			s.Logf("slot %s is the default %.0f s later", slot, time.Since(began).Seconds())
			return
		}
		if time.Since(began) > 5*time.Minute {
			s.Fatalf("slot %s is not the default: %+v\n%s", slot, st, s.run("journalctl -u esos.service --no-pager | tail -30; systemctl --failed; systemctl list-jobs"))
		}
		s.pause(3 * time.Second)
	}
}

// alert is what the tests read of `esos alert list`.
type alert struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

// fellBack wants the old system to run, to say why, and not to try again.
func (s *stand) fellBack(failed, why string) {
	s.Helper()
	r := s.report()
	if r.Options.Trial || r.Slot == failed {
		s.Fatalf("slot %s runs, on trial: %t", r.Slot, r.Options.Trial)
	}
	began := time.Now()
	for {
		var all []alert
		s.decode("esos alert list -o json", &all)
		for _, a := range all {
			if a.ID == "upgrade.failed" && strings.Contains(a.Message, why) {
				s.Logf("alert: %s", a.Message)
				s.confirmed(r.Slot)
				return
			}
		}
		if time.Since(began) > 2*time.Minute {
			s.Fatalf("no alert upgrade.failed that says %q: %+v", why, all)
		}
		s.pause(2 * time.Second)
	}
}

func (s *stand) pause(d time.Duration) {
	s.Helper()
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
		s.Fatal(s.ctx.Err())
	}
}

// medium is a digest of each of the medium's partitions that boot, read in the
// appliance from the drive; bytes that no file has count, too. What a mount
// changes of itself does not: it is left out by looking at files.
func (s *stand) medium() string {
	s.Helper()
	return s.run(`set -e
for label in ESOS_BOOT esos_root; do
	mkdir -p /run/look
	mount -o ro "/dev/disk/by-partlabel/$label" /run/look
	(cd /run/look; find . -type f -printf '%p %s %T@ ' -exec sha256sum {} \; | sort)
	umount /run/look
done`)
}

func name(t *testing.T, what string) string {
	return filepath.Join(t.TempDir(), fmt.Sprintf("esos-%s.upgrade", what))
}

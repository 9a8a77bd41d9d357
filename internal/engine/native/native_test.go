package native

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/engine/enginetest/initiator"

	// The tests run esos-target, so they change when what it is made of does.
	_ "github.com/esos-project/esos/internal/engine/native/process"
	_ "github.com/esos-project/esos/internal/engine/native/sandbox"
)

// targetBinary is the esos-target that TestMain built.
var targetBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "native")
	if err != nil {
		panic(err)
	}
	targetBinary = filepath.Join(dir, "esos-target")
	build := exec.Command("go", "build", "-o", targetBinary, "github.com/esos-project/esos/cmd/esos-target")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build esos-target: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// testLog shows the engine's log in the test's.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p[:len(p)-1])
	return len(p), nil
}

func options(t testing.TB) Options {
	dir := t.TempDir()
	return Options{
		TargetBinary: targetBinary,
		RunDir:       filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: filepath.Join(dir, "data"),
		Log: slog.New(slog.NewTextHandler(testLog{t}, nil)),
	}
}

// begin starts an engine that the test ends with its process.
func begin(t testing.TB, opt Options) *Engine {
	t.Helper()
	e, err := Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return e
}

func address(t testing.TB, e *Engine, portal string) string {
	t.Helper()
	all, err := e.Addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all[portal]
}

func TestSuite(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) enginetest.Subject {
		opt := options(t)
		e := begin(t, opt)
		return enginetest.Subject{
			Engine: e, DataDir: opt.DataDir, Portal: "127.0.0.1:0",
			Address: func(t *testing.T, portal string) string { return address(t, e, portal) },
		}
	})
}

const (
	iqn   = "iqn.2026-11.org.esos-project:native"
	alice = "iqn.1993-08.org.debian:01:alice"
)

// ok ends the test if err is one.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve puts a thin file disk of 4 MiB as LUN 0 of a target for alice, and a
// portal. The portal gets the same port after a restart.
func serve(t testing.TB, e *Engine, opt Options) string {
	t.Helper()
	ctx := t.Context()
	ok(t, os.WriteFile(filepath.Join(opt.DataDir, "d.img"), nil, 0o600))
	ok(t, os.Truncate(filepath.Join(opt.DataDir, "d.img"), 4<<20))
	d := config.Device{Name: "d", Handler: config.FileIO, Path: "d.img", Identity: config.Identity{NAA: "3000000000000001", Serial: "1"}}
	ok(t, e.PutDevice(ctx, d))
	ok(t, e.PutTarget(ctx, config.Target{Name: iqn, RelativeIDs: map[int]int{1: 1}}))
	ok(t, e.PutGroup(ctx, iqn, config.Group{Name: "g", Initiators: []string{alice}}))
	ok(t, e.PutLUN(ctx, iqn, "g", config.LUN{LUN: 0, Device: "d"}))
	ok(t, e.PutPortal(ctx, config.Portal{Name: "p", Address: "127.0.0.1:0"}))
	at := address(t, e, "p")
	ok(t, e.PutPortal(ctx, config.Portal{Name: "p", Address: at}))
	return at
}

func login(t testing.TB, at string) *initiator.Session {
	t.Helper()
	s, err := initiator.Login(t.Context(), initiator.Options{Address: at, Target: iqn, Initiator: alice, ISID: 1})
	ok(t, err)
	t.Cleanup(func() { _ = s.Abandon() })
	_, err = s.Attentions(0)
	ok(t, err)
	return s
}

// TestDaemonMayComeAndGo: an engine that lets go, or is gone without a word,
// leaves the process serving; the next one finds everything as it was.
func TestDaemonMayComeAndGo(t *testing.T) {
	opt := options(t)
	first, err := Start(t.Context(), opt)
	ok(t, err)
	at := serve(t, first, opt)
	s := login(t, at)
	before, err := first.Observe(t.Context())
	ok(t, err)
	pid := first.PID()

	if _, err := Start(t.Context(), opt); err == nil {
		t.Fatal("two engines on one run directory")
	}
	ok(t, first.Close())
	_, err = s.Read(0, 0, 1, 512)
	ok(t, err)

	second := begin(t, opt)
	if second.PID() != pid {
		t.Errorf("process %d took the place of %d", second.PID(), pid)
	}
	after, err := second.Observe(t.Context())
	ok(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("state (-before +after):\n%s", diff)
	}
	_, err = s.Read(0, 0, 1, 512)
	ok(t, err)

	// What the second engine took up it also brings back.
	ok(t, syscall.Kill(pid, syscall.SIGKILL))
	s = relogin(t, at)
	again, err := second.Observe(t.Context())
	ok(t, err)
	if diff := cmp.Diff(before, again); diff != "" {
		t.Errorf("state after a restart (-before +after):\n%s", diff)
	}
	_, err = s.Read(0, 0, 1, 512)
	ok(t, err)
}

// relogin logs in as soon as the target is there again.
func relogin(t testing.TB, at string) *initiator.Session {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := initiator.Login(t.Context(), initiator.Options{Address: at, Target: iqn, Initiator: alice, ISID: 1})
		if err == nil {
			t.Cleanup(func() { _ = s.Abandon() })
			_, err = s.Attentions(0)
			ok(t, err)
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("no login within 10 s: %v", err)
		}
	}
}

// TestProcessIsBroughtBack kills the process: an initiator finds its LUN again
// at once, with what it wrote.
func TestProcessIsBroughtBack(t *testing.T) {
	opt := options(t)
	e := begin(t, opt)
	at := serve(t, e, opt)
	events, err := e.Events(t.Context())
	ok(t, err)
	s := login(t, at)
	ok(t, s.Write(0, 7, []byte(fmt.Sprintf("%-512s", "written before")), 512, true))
	ok(t, s.Register(0, 0xabc, true))
	before, err := e.Observe(t.Context())
	ok(t, err)
	pid := e.PID()

	killed := time.Now()
	ok(t, syscall.Kill(pid, syscall.SIGKILL))
	s = relogin(t, at)
	if took := time.Since(killed); took > 2*time.Second {
		t.Errorf("LUNs were back after %v, want 2 s at most", took)
	}
	got, err := s.Read(0, 7, 1, 512)
	ok(t, err)
	if string(got[:14]) != "written before" {
		t.Errorf("read %q", got[:14])
	}
	keys, err := s.Keys(0)
	ok(t, err)
	if diff := cmp.Diff([]uint64{0xabc}, keys); diff != "" {
		t.Errorf("registrations with APTPL (-want +got):\n%s", diff)
	}
	after, err := e.Observe(t.Context())
	ok(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("state (-before +after):\n%s", diff)
	}
	for {
		select {
		case ev := <-events:
			if ev.Kind == "target.restarted" {
				if ev.Detail["old_pid"] != itoa(pid) || ev.Detail["why"] == "" {
					t.Errorf("event: %+v", ev)
				}
				return
			}
		case <-time.After(5 * time.Second):
			t.Fatal("no event target.restarted")
		}
	}
}

// TestReplayLeavesOutWhatIsGone: one lost disk does not keep the others away.
func TestReplayLeavesOutWhatIsGone(t *testing.T) {
	opt := options(t)
	e := begin(t, opt)
	at := serve(t, e, opt)
	ok(t, os.WriteFile(filepath.Join(opt.DataDir, "lost.img"), make([]byte, 1<<20), 0o600))
	ok(t, e.PutDevice(t.Context(), config.Device{Name: "a-lost", Handler: config.FileIO, Path: "lost.img"}))
	ok(t, e.PutLUN(t.Context(), iqn, "g", config.LUN{LUN: 1, Device: "a-lost"}))
	events, err := e.Events(t.Context())
	ok(t, err)
	ok(t, os.Remove(filepath.Join(opt.DataDir, "lost.img")))
	ok(t, syscall.Kill(e.PID(), syscall.SIGKILL))
	s := relogin(t, at)
	luns, err := s.LUNs()
	ok(t, err)
	if diff := cmp.Diff([]uint16{0}, luns); diff != "" {
		t.Errorf("LUNs (-want +got):\n%s", diff)
	}
	failed := map[string]bool{}
	for len(failed) < 2 {
		select {
		case ev := <-events:
			switch ev.Kind {
			case "device.failed", "lun.failed":
				failed[ev.Kind+" "+ev.Object] = true
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("events of failures: %v", failed)
		}
	}
	// The state says what is served, not what was wanted.
	st, err := e.Observe(t.Context())
	ok(t, err)
	if len(st.Devices) != 1 || st.Devices[0].Name != "d" {
		t.Errorf("devices: %+v", st.Devices)
	}
	// Once it is there again it can be put as if it were new.
	ok(t, os.WriteFile(filepath.Join(opt.DataDir, "lost.img"), make([]byte, 1<<20), 0o600))
	ok(t, e.PutDevice(t.Context(), config.Device{Name: "a-lost", Handler: config.FileIO, Path: "lost.img"}))
	ok(t, e.PutLUN(t.Context(), iqn, "g", config.LUN{LUN: 1, Device: "a-lost"}))
	_, err = s.Attentions(0)
	ok(t, err)
	if luns, err = s.LUNs(); err != nil || len(luns) != 2 {
		t.Errorf("LUNs %v (%v), want two", luns, err)
	}
}

// TestSilentProcessIsToldOf stops the process for a while: it is not killed
// for that, and its session goes on after.
func TestSilentProcessIsToldOf(t *testing.T) {
	opt := options(t)
	opt.pulse = 50 * time.Millisecond
	e := begin(t, opt)
	s := login(t, serve(t, e, opt))
	events, err := e.Events(t.Context())
	ok(t, err)
	await := func(kind string) {
		t.Helper()
		for timeout := time.After(10 * time.Second); ; {
			select {
			case ev := <-events:
				if ev.Kind == kind {
					return
				}
			case <-timeout:
				t.Fatalf("no event %s", kind)
			}
		}
	}
	pid := e.PID()
	ok(t, syscall.Kill(pid, syscall.SIGSTOP))
	await("target.unresponsive")
	if _, err := e.Sessions(t.Context()); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("sessions of a process that hangs: %v", err)
	}
	if _, err := e.Statistics(t.Context()); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("statistics of a process that hangs: %v", err)
	}
	ok(t, syscall.Kill(pid, syscall.SIGCONT))
	await("target.responsive")
	if e.PID() != pid {
		t.Errorf("process %d took the place of %d", e.PID(), pid)
	}
	_, err = s.Read(0, 0, 1, 512)
	ok(t, err)
}

func TestStopIsQuickAndFinal(t *testing.T) {
	opt := options(t)
	e, err := Start(t.Context(), opt)
	ok(t, err)
	at := serve(t, e, opt)
	s := login(t, at)
	ok(t, s.Write(0, 0, make([]byte, 64<<10), 512, false))
	pid := e.PID()
	begun := time.Now()
	ok(t, e.Stop(t.Context()))
	if took := time.Since(begun); took > 1500*time.Millisecond {
		t.Errorf("Stop took %v", took)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the process lives")
	}
	if _, err := s.Read(0, 0, 1, 512); err == nil {
		t.Error("the session lives")
	}
	if err := e.DeleteTarget(t.Context(), iqn); err == nil {
		t.Error("a stopped engine takes changes")
	}
	for _, f := range []string{"esos-target.sock", "esos-target.pid"} {
		if _, err := os.Stat(filepath.Join(opt.RunDir, f)); err == nil {
			t.Errorf("%s is left", f)
		}
	}
}

func TestStartTellsWhatIsWrong(t *testing.T) {
	opt := options(t)
	opt.TargetBinary = filepath.Join(t.TempDir(), "missing")
	if _, err := Start(t.Context(), opt); err == nil {
		t.Error("started a missing program")
	} else {
		t.Log(err)
	}
	opt.TargetBinary = "/bin/false"
	if _, err := Start(t.Context(), opt); err == nil {
		t.Error("started a program that ends at once")
	} else {
		t.Log(err)
	}
}

// TestProcessWithoutDaemonIsUnprivileged looks at what the kernel says of the process.
func TestProcessIsConfined(t *testing.T) {
	opt := options(t)
	e := begin(t, opt)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.PID()))
	ok(t, err)
	var uid, nnp string
	for line := range lines(status) {
		var a, b string
		if n, _ := fmt.Sscanf(line, "Uid: %s %s", &a, &b); n == 2 {
			uid = a
		}
		if n, _ := fmt.Sscanf(line, "NoNewPrivs: %s", &a); n == 1 {
			nnp = a
		}
	}
	if nnp != "1" {
		t.Errorf("NoNewPrivs is %q", nnp)
	}
	if uid == "0" {
		t.Errorf("the process runs as root")
	}
	if got, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", e.PID())); err == nil && os.Geteuid() != 0 {
		t.Errorf("a process that cannot be dumped shows its program: %s", got)
	}
}

func TestSupports(t *testing.T) {
	e := &Engine{}
	errs := e.Supports(&config.Document{
		Devices: []config.Device{{Name: "a", Handler: config.FileIO}, {Name: "t", Handler: config.PassTape}, {Name: "r", Handler: config.PassRAID}},
		ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "p"}, {Name: "q", ISER: true}}},
		Targets: []config.Target{{Name: "i"}, {Name: "f", Driver: config.DriverFC}, {Name: "s", Driver: config.DriverSRP}},
	})
	want := []string{
		"device t: ", "engine: lio or scst", "device r: ", "engine: scst", "portal q: ", "engine: lio or scst",
		"target f: ", "Fibre Channel", "target s: ", "SRP",
	}
	if len(errs) != len(want)/2 {
		t.Fatalf("got %v, want %d", errs, len(want)/2)
	}
	for i, err := range errs {
		if text := err.Error(); !strings.HasPrefix(text, want[2*i]) || !strings.Contains(text, want[2*i+1]) {
			t.Errorf("%q does not begin with %q and say %q", text, want[2*i], want[2*i+1])
		}
	}
}

var _ engine.Engine = (*Engine)(nil)

// lines are the lines of a text.
func lines(text []byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, l := range strings.Split(string(text), "\n") {
			if !yield(l) {
				return
			}
		}
	}
}

package durability

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
	"github.com/esos-project/esos/internal/engine/native"
	"github.com/esos-project/esos/test/level"

	// The tests run esos-target, so they change when what it is made of does.
	_ "github.com/esos-project/esos/internal/engine/native/process"
	_ "github.com/esos-project/esos/internal/engine/native/sandbox"
)

var rounds = flag.Int("rounds", 0, "how often the process is killed; 0: 3 as a unit test, 10 at level smoke, 50 at level full")

// daemonVariable makes the test binary a daemon: it holds native.Options.
const daemonVariable = "ESOS_DURABILITY_DAEMON"

var targetBinary string

func TestMain(m *testing.M) {
	if text := os.Getenv(daemonVariable); text != "" {
		daemon(text)
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "durability")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	targetBinary = filepath.Join(dir, "esos-target")
	build := exec.Command("go", "build", "-o", targetBinary, "github.com/esos-project/esos/cmd/esos-target")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build esos-target: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// daemon is the daemon that is killed: it takes up the process or starts it,
// says so, and waits.
func daemon(text string) {
	var opt native.Options
	if err := json.Unmarshal([]byte(text), &opt); err != nil {
		panic(err)
	}
	e, err := native.Start(context.Background(), opt)
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("serving", e.PID())
	select {}
}

func killings(t *testing.T) int {
	if *rounds > 0 {
		return *rounds
	}
	l, err := level.Of()
	ok(t, err)
	switch l {
	case level.Full:
		return 50
	case level.Smoke:
		return 10
	}
	return 3
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	iqn     = "iqn.2026-11.org.esos-project:durability"
	writers = 4
)

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

func options(t *testing.T) native.Options {
	dir := t.TempDir()
	return native.Options{
		TargetBinary: targetBinary,
		RunDir:       filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: filepath.Join(dir, "data"),
	}
}

// put serves device d as LUN 0 and returns the portal's address, which stays
// the same however often the process is restarted.
func put(t *testing.T, e *native.Engine, opt native.Options, d config.Device) string {
	t.Helper()
	ctx := t.Context()
	d.Name, d.Handler, d.Path = "disk", config.FileIO, "disk.img"
	d.Identity = config.Identity{NAA: "3000000000000d0d", Serial: "d"}
	path := filepath.Join(opt.DataDir, d.Path)
	ok(t, os.WriteFile(path, nil, 0o600))
	ok(t, os.Truncate(path, 16<<20))
	ok(t, e.PutDevice(ctx, d))
	ok(t, e.PutTarget(ctx, config.Target{Name: iqn, RelativeIDs: map[int]int{1: 1}}))
	ok(t, e.PutLUN(ctx, iqn, "", config.LUN{LUN: 0, Device: d.Name}))
	ok(t, e.PutPortal(ctx, config.Portal{Name: "p", Address: "127.0.0.1:0"}))
	at, err := e.Addresses(ctx)
	ok(t, err)
	ok(t, e.PutPortal(ctx, config.Portal{Name: "p", Address: at["p"]}))
	return at["p"]
}

// crew logs the writers in and has them registered; the first one holds a
// reservation that lets registrants alone write.
func crew(t *testing.T, address string, through bool) []*writer {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	all := make([]*writer, writers)
	for i := range all {
		w := &writer{id: i, through: through, random: rand.New(rand.NewPCG(seed, uint64(i)))}
		// Keys and versions of writers differ, so that nobody finds another's.
		w.version = uint64(i+1) << 32
		w.options = initiator.Options{
			Address: address, Target: iqn, Initiator: fmt.Sprintf("iqn.2026-11.com.example:writer%d", i), ISID: uint32(i + 1),
			Timeout: 10 * time.Second,
		}
		ok(t, w.login(t.Context()))
		w.version++
		w.key, w.keySent = w.version, w.version
		ok(t, w.session.Register(0, w.key, true))
		all[i] = w
	}
	const writeExclusiveRegistrantsOnly = 5
	ok(t, all[0].session.Reserve(0, all[0].key, writeExclusiveRegistrantsOnly))
	t.Cleanup(func() {
		for _, w := range all {
			_ = w.session.Abandon()
		}
	})
	return all
}

// each runs f for every writer at once.
func each(t *testing.T, all []*writer, f func(*writer) error) {
	t.Helper()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, w := range all {
		wg.Go(func() { errs[i] = f(w) })
	}
	wg.Wait()
	ok(t, errors.Join(errs...))
}

// TestWriterNoticesLoss: the other tests are worth what check is.
func TestWriterNoticesLoss(t *testing.T) {
	w := &writer{id: 1}
	w.stable[3], w.issued[3] = 5, 7
	at := func(slot int, version uint64, s int) []byte { return w.slot(slot, version)[s*sector:][:sector] }
	damaged := at(3, 6, 0)
	damaged[100] ^= 1
	for name, c := range map[string]struct {
		sector []byte
		fine   bool
	}{
		"stable":        {at(3, 5, 0), true},
		"newer":         {at(3, 6, 0), true},
		"newest":        {at(3, 7, 0), true},
		"lost":          {at(3, 4, 0), false},
		"never sent":    {at(3, 8, 0), false},
		"nothing there": {make([]byte, sector), false},
		"another slot":  {at(4, 6, 0), false},
		"another place": {at(3, 6, 1), false},
		"damaged":       {damaged, false},
	} {
		if err := w.check(c.sector, 3, 0); (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKilledTarget kills esos-target under writers. Whatever was acknowledged
// after FUA or SYNCHRONIZE CACHE is there again, and so are registrations and
// the reservation (APTPL).
func TestKilledTarget(t *testing.T) {
	n := killings(t)
	for _, c := range []struct {
		name   string
		device config.Device
		rounds int
	}{
		{"write-back", config.Device{}, n},
		{"write-through", config.Device{WriteThrough: true}, max(2, n/10)},
		{"thick-4k-direct", config.Device{Provisioning: config.Thick, ODirect: true}, max(2, n/10)},
	} {
		t.Run(c.name, func(t *testing.T) { killTarget(t, c.device, c.rounds) })
	}
}

func killTarget(t *testing.T, d config.Device, n int) {
	opt := options(t)
	e, err := native.Start(t.Context(), opt)
	ok(t, err)
	defer func() {
		if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}()
	all := crew(t, put(t, e, opt, d), d.WriteThrough)
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	var slowest time.Duration
	for round := range n {
		pid := e.PID()
		killed := make(chan time.Time, 1)
		killer := time.AfterFunc(time.Duration(10+random.IntN(150))*time.Millisecond, func() {
			killed <- time.Now()
			_ = syscall.Kill(pid, syscall.SIGKILL)
		})
		each(t, all, func(w *writer) error {
			var status *initiator.StatusError
			if err := w.run(t.Context()); errors.As(err, &status) {
				return fmt.Errorf("writer %d, round %d: %w", w.id, round, err)
			}
			return nil
		})
		if killer.Stop() {
			t.Fatalf("round %d: the writers ended before the process was killed", round)
		}
		each(t, all, func(w *writer) error {
			_ = w.session.Abandon()
			if err := w.login(t.Context()); err != nil {
				return err
			}
			return w.verify()
		})
		slowest = max(slowest, time.Since(<-killed))
		holds(t, all)
	}
	var acknowledged, synced, verified int
	for _, w := range all {
		acknowledged, synced, verified = acknowledged+w.acknowledged, synced+w.synced, verified+w.verified
	}
	t.Logf("killed %d times; %d writes and %d flushes acknowledged; %d slots read back, none lost; verified again %v after the kill at most",
		n, acknowledged, synced, verified, slowest.Round(time.Millisecond))
	if acknowledged < n*writers {
		t.Errorf("only %d writes: the test did not test much", acknowledged)
	}
}

// holds reports a reservation that does not keep strangers out any more.
func holds(t *testing.T, all []*writer) {
	t.Helper()
	key, kind, held, err := all[0].session.Holder(0)
	ok(t, err)
	if !held || kind != 5 || key != all[0].key && key != all[0].keySent {
		t.Errorf("reservation after a restart: held %v, type %d, key %d; want type 5, key %d", held, kind, key, all[0].key)
	}
	o := all[0].options
	o.Initiator, o.ISID = "iqn.2026-11.com.example:stranger", 99
	s, err := initiator.Login(t.Context(), o)
	ok(t, err)
	defer s.Close()
	_, err = s.Attentions(0)
	ok(t, err)
	var status *initiator.StatusError
	err = s.Write(0, 0, make([]byte, sector), sector, false)
	if !errors.As(err, &status) || status.Status != initiator.StatusReservationConflict {
		t.Errorf("a stranger's write: %v, want a reservation conflict", err)
	}
}

// TestKilledDaemon kills the daemon under load: no session drops, no command
// fails, and each next daemon takes the process up again.
func TestKilledDaemon(t *testing.T) {
	n := killings(t)
	opt := options(t)
	first, err := native.Start(t.Context(), opt)
	ok(t, err)
	address := put(t, first, opt, config.Device{})
	pid := first.PID()
	ok(t, first.Close())

	stop := startDaemon(t, opt, pid)
	all := crew(t, address, false)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, len(all))
	var wg sync.WaitGroup
	for _, w := range all {
		wg.Go(func() {
			if err := w.run(ctx); err != nil {
				failed <- fmt.Errorf("writer %d: %w", w.id, err)
			}
		})
	}
	for range n {
		time.Sleep(30 * time.Millisecond)
		stop()
		time.Sleep(30 * time.Millisecond) // nobody watches over the process
		stop = startDaemon(t, opt, pid)
	}
	stop()
	cancel()
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Errorf("while the daemon was killed: %v", err)
	}
	last, err := native.Start(t.Context(), native.Options{
		TargetBinary: opt.TargetBinary, RunDir: opt.RunDir, StateDir: opt.StateDir, DataDir: opt.DataDir,
		Log: slog.New(slog.NewTextHandler(testLog{t}, nil)),
	})
	ok(t, err)
	defer func() { ok(t, last.Stop(context.WithoutCancel(t.Context()))) }()
	if last.PID() != pid {
		t.Errorf("process %d serves instead of %d", last.PID(), pid)
	}
	sessions, err := last.Sessions(t.Context())
	ok(t, err)
	if len(sessions) != writers {
		t.Errorf("%d sessions, want the same %d", len(sessions), writers)
	}
	each(t, all, (*writer).verify)
	var acknowledged int
	for _, w := range all {
		acknowledged += w.acknowledged
	}
	t.Logf("daemon killed %d times under %d writes of %d sessions; none dropped", n+1, acknowledged, writers)
}

// startDaemon starts a daemon that must find process pid serving, and returns
// what kills it.
func startDaemon(t *testing.T, opt native.Options, pid int) (kill func()) {
	t.Helper()
	opt.Log = nil
	text, err := json.Marshal(opt)
	ok(t, err)
	self, err := os.Executable()
	ok(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), daemonVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := fmt.Sprintf("serving %d\n", pid); err != nil || line != want {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("the daemon said %q (%v), want %q", line, err, want)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

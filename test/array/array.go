// Package array runs `esos serve` for end-to-end tests, as a user would: the
// real binaries, a document, and the esos command for every change.
package array

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/test/level"
)

// startTimeout is how long the array may take until it has applied its
// document; the machines that run the tests are busy.
const startTimeout = 60 * time.Second

// Options say how an array starts.
type Options struct {
	Document string // esos.yaml; without one the daemon makes its own first document
	DataDir  string // default: data in a temporary directory
}

// Array is a running `esos serve` with its esos-target.
type Array struct {
	DataDir string
	RunDir  string

	dir     string
	bin     string
	cmd     *exec.Cmd
	done    chan struct{}
	targets []int // pids of esos-target after the start
}

var build struct {
	once sync.Once
	dir  string
	err  error
}

// Binaries returns the directory with esos and esos-target, built from this
// tree as `make build` does. ESOS_BIN names a directory with ready ones.
func Binaries(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("ESOS_BIN"); dir != "" {
		return dir
	}
	root := level.Root(t)
	build.once.Do(func() {
		build.dir = filepath.Join(level.Cache(t), "bin")
		cmd := exec.Command("go", "build", "-trimpath", "-o", build.dir+"/", "./cmd/esos", "./cmd/esos-target")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("build esos: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.dir
}

// FreeAddress returns a loopback address that nobody listens on just now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Start starts an array and returns when it has made its document so. The
// test's end stops it, and shows its log if the test failed.
func Start(t testing.TB, o Options) *Array {
	t.Helper()
	a := &Array{dir: level.ShortDir(t), bin: Binaries(t), DataDir: o.DataDir}
	a.RunDir = filepath.Join(a.dir, "run")
	if a.DataDir == "" {
		a.DataDir = filepath.Join(a.dir, "data")
	}
	args := []string{}
	if o.Document != "" {
		name := filepath.Join(a.dir, "esos.yaml")
		if err := os.WriteFile(name, []byte(o.Document), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", name)
	}
	t.Cleanup(func() {
		a.stop(t)
		if t.Failed() {
			t.Logf("log of esos serve, the end:\n%s", a.log())
		}
	})
	a.start(t, args)
	return a
}

func (a *Array) start(t testing.TB, args []string) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(a.dir, "serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	a.cmd = exec.Command(filepath.Join(a.bin, "esos"), append([]string{"serve", "--data-dir", a.DataDir, "--run-dir", a.RunDir}, args...)...)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.cmd.Dir = a.dir
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(a.cmd, a.done)
	a.waitReady(t, args)
	a.targets = targetsOf(a.cmd.Process.Pid)
}

// waitReady polls until the daemon answers and, when args name a document,
// has made it so.
func (a *Array) waitReady(t testing.TB, args []string) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	probe := []string{"status"}
	if len(args) == 2 {
		probe = []string{"plan", "--exit-code", "-f", args[1]}
	}
	for {
		out, err := a.try(t.Context(), probe...)
		if err == nil {
			return
		}
		select {
		case <-a.done:
			t.Fatalf("esos serve ended at once:\n%s", a.log())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("esos serve is not ready after %s: %v\n%s\nits log:\n%s", startTimeout, err, out, a.log())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (a *Array) try(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(a.bin, "esos"), args...)
	cmd.Env = append(os.Environ(), "ESOS_SOCKET="+filepath.Join(a.RunDir, "api.sock"))
	cmd.Dir = a.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Run runs the esos command and returns what it printed.
func (a *Array) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := a.try(t.Context(), args...)
	if err != nil {
		t.Fatalf("esos %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Try runs the esos command, which may fail.
func (a *Array) Try(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return a.try(t.Context(), args...)
}

// Apply makes the array what a document says, without questions.
func (a *Array) Apply(t testing.TB, document string) string {
	t.Helper()
	name := filepath.Join(a.dir, "apply.yaml")
	if err := os.WriteFile(name, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return a.Run(t, "apply", "--yes", "-f", name)
}

// CheckProcesses fails the test if the daemon ended or esos-target is another
// process than at the start: it crashed and was started again.
func (a *Array) CheckProcesses(t testing.TB) {
	t.Helper()
	select {
	case <-a.done:
		t.Errorf("esos serve ended:\n%s", a.log())
		return
	default:
	}
	now := targetsOf(a.cmd.Process.Pid)
	if len(now) != 1 || len(a.targets) != 1 || now[0] != a.targets[0] {
		t.Errorf("esos-target was process %v and is %v now: it crashed", a.targets, now)
	}
}

// PID returns the daemon's process id, TargetPID esos-target's.
func (a *Array) PID() int { return a.cmd.Process.Pid }

// TargetPID returns the process id that esos-target had after the start.
func (a *Array) TargetPID(t testing.TB) int {
	t.Helper()
	if len(a.targets) != 1 {
		t.Fatalf("%d processes of esos-target, want 1", len(a.targets))
	}
	return a.targets[0]
}

// Stop ends the array as Ctrl-C does and returns how long that took.
func (a *Array) Stop(t testing.TB) time.Duration {
	t.Helper()
	start := time.Now()
	a.stop(t)
	return time.Since(start)
}

// Restart starts the array again, with the document that it kept.
func (a *Array) Restart(t testing.TB) {
	t.Helper()
	a.start(t, nil)
}

func (a *Array) stop(t testing.TB) {
	if a.cmd == nil || a.cmd.Process == nil {
		return
	}
	select {
	case <-a.done:
	default:
		if err := a.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("stop esos serve: %v", err)
		}
		select {
		case <-a.done:
		case <-time.After(20 * time.Second):
			t.Errorf("esos serve is still there 20 s after SIGINT")
			_ = a.cmd.Process.Kill()
			<-a.done
		}
	}
	for _, pid := range a.targets {
		if processName(pid) == targetName {
			t.Errorf("esos-target (process %d) outlived its daemon's SIGINT", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (a *Array) log() string {
	const most = 4 << 10
	b, err := os.ReadFile(filepath.Join(a.dir, "serve.log"))
	if err != nil {
		return err.Error()
	}
	if len(b) > most {
		b = b[len(b)-most:]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return string(b)
}

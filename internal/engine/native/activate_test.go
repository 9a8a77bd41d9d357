package native

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host"
)

// unit does what systemd does of a socket unit: it keeps the listening socket
// and starts the process each time that somebody connects and there is none.
func unit(t *testing.T, opt *Options) (starts *atomic.Int32) {
	t.Helper()
	ok(t, os.MkdirAll(opt.RunDir, 0o700))
	ok(t, os.MkdirAll(opt.StateDir, 0o700))
	opt.Socket = filepath.Join(opt.RunDir, "unit.sock")
	listener, err := host.ListenUnix(opt.Socket)
	ok(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	starts = &atomic.Int32{}
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(listener.Fd()), Events: unix.POLLIN}}, 20)
			if n < 1 || err != nil {
				continue
			}
			cmd := exec.CommandContext(ctx, opt.TargetBinary, "-state", opt.StateDir)
			cmd.ExtraFiles = []*os.File{listener}
			cmd.Stderr = os.Stderr
			starts.Add(1)
			_ = cmd.Run() // however it ends, the next connection starts another
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		_ = listener.Close()
	})
	return starts
}

// TestActivatedProcess goes through what befalls a process that systemd
// starts: daemons come and go, it dies, it is ended for good.
func TestActivatedProcess(t *testing.T) {
	opt := options(t)
	starts := unit(t, &opt)

	first, err := Start(t.Context(), opt)
	ok(t, err)
	if first.TookUp() {
		t.Error("a process that serves nothing yet is said to have served before")
	}
	at := serve(t, first, opt)
	s := login(t, at)
	data := make([]byte, 512)
	data[0] = 42
	ok(t, s.Write(0, 1, data, 512, true))
	pid := first.PID()
	ok(t, first.Close())

	e, err := Start(t.Context(), opt)
	ok(t, err)
	if !e.TookUp() || e.PID() != pid || starts.Load() != 1 {
		t.Errorf("took up %v, process %d after %d, %d starts", e.TookUp(), e.PID(), pid, starts.Load())
	}
	if _, err := s.Read(0, 1, 1, 512); err != nil { // the session never noticed
		t.Error(err)
	}

	ok(t, syscall.Kill(pid, syscall.SIGKILL))
	s = relogin(t, at)
	if _, err := s.Attentions(0); err != nil {
		t.Error(err)
	}
	got, err := s.Read(0, 1, 1, 512)
	ok(t, err)
	if got[0] != 42 || e.PID() == pid || starts.Load() != 2 {
		t.Errorf("read % x..., process %d after %d, %d starts", got[:4], e.PID(), pid, starts.Load())
	}

	pid = e.PID()
	ok(t, e.Stop(context.WithoutCancel(t.Context())))
	if host.Runs(pid, opt.TargetBinary) {
		t.Error("the process lives after Stop")
	}
	if _, err := os.Stat(opt.Socket); err != nil {
		t.Errorf("Stop removed the unit's socket: %v", err)
	}
	if _, err := os.Stat(filepath.Join(opt.RunDir, "esos-target.sock")); err == nil {
		t.Error("a socket of its own was made as well")
	}
	again := begin(t, opt)
	if again.TookUp() || again.PID() == pid {
		t.Errorf("after Stop: took up %v, process %d", again.TookUp(), again.PID())
	}
}

// TestNobodyActivates tells what to look at.
func TestNobodyActivates(t *testing.T) {
	opt := options(t)
	opt.Socket = filepath.Join(t.TempDir(), "none.sock")
	began := time.Now()
	_, err := Start(t.Context(), opt)
	if err == nil || !strings.Contains(err.Error(), "esos-target.socket") {
		t.Errorf("Start: %v", err)
	}
	if time.Since(began) > activateWait/2 {
		t.Errorf("it took %v to say so", time.Since(began))
	}
}

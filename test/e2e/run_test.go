package e2e

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/test/level"
)

const firstPortal = "127.0.0.1:3260"

// TestMakeRun is bar 1: a fresh copy of the tree serves with `make run` alone,
// ends with Ctrl-C, and has its data when it starts again.
func TestMakeRun(t *testing.T) {
	level.Require(t, level.Smoke)
	if l, err := net.Listen("tcp", firstPortal); err != nil {
		t.Fatalf("the test needs %s, which somebody uses: %v", firstPortal, err)
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := filepath.Join(t.TempDir(), "fresh")
	copyTree(t, level.Root(t), dir)

	// Compiling takes what the machine and its caches give; it is told, not judged.
	start := time.Now()
	build := exec.CommandContext(ctx, "make", "build")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	t.Logf("built in %.1f s", time.Since(start).Seconds())

	lun := serveOnce(ctx, t, dir, func(lun string) {
		qemuIO(ctx, t, lun, "write -P 0x5a 1M 64k", "flush")
	})
	again := serveOnce(ctx, t, dir, func(lun string) {
		qemuIO(ctx, t, lun, "read -P 0x5a 1M 64k", "read -P 0 2M 64k")
	})
	if lun != again {
		t.Errorf("the LUN was %s and is %s after the second start", lun, again)
	}
}

// serveOnce runs `make run`, calls use with the LUN that iscsi-ls finds, and
// ends it as Ctrl-C in a terminal does: SIGINT to the process group.
func serveOnce(ctx context.Context, t *testing.T, dir string, use func(lun string)) string {
	t.Helper()
	var log lockedBuffer
	cmd := exec.CommandContext(ctx, "make", "run")
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var endedWith error
	go func() {
		endedWith = cmd.Wait()
		close(ended)
	}()
	interrupt := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	t.Cleanup(func() {
		interrupt()
		if t.Failed() {
			t.Logf("make run said:\n%s", log.String())
		}
	})

	var listing string
	for {
		out, err := exec.CommandContext(ctx, "iscsi-ls", "-s", "iscsi://"+firstPortal).CombinedOutput()
		if listing = string(out); err == nil && strings.Contains(listing, "DIRECT_ACCESS") {
			break
		}
		select {
		case <-ended:
			t.Fatalf("make run ended: %v\n%s", endedWith, log.String())
		case <-ctx.Done():
			t.Fatalf("no LUN: %v\n%s\n%s", ctx.Err(), listing, log.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("served after %.1f s, want less than 10", took.Seconds())
	} else {
		t.Logf("served after %.1f s", took.Seconds())
	}
	name := regexp.MustCompile(`Target:(\S+)`).FindStringSubmatch(listing)
	if name == nil || !strings.Contains(listing, "Lun:0 ") {
		t.Fatalf("iscsi-ls shows no target with a LUN 0:\n%s", listing)
	}
	lun := "iscsi://" + firstPortal + "/" + name[1] + "/0"
	use(lun)

	start = time.Now()
	interrupt()
	select {
	case <-ended: // make itself reports the interrupt as a failure
	case <-time.After(15 * time.Second):
		t.Fatal("make run is still there 15 s after Ctrl-C")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("ended %.1f s after Ctrl-C, want less than 2", took.Seconds())
	} else {
		t.Logf("ended %.1f s after Ctrl-C", took.Seconds())
	}
	if conn, err := net.Dial("tcp", firstPortal); err == nil {
		_ = conn.Close()
		t.Errorf("somebody still listens on %s after Ctrl-C", firstPortal)
	}
	return lun
}

func qemuIO(ctx context.Context, t *testing.T, lun string, commands ...string) {
	t.Helper()
	args := []string{"-f", "raw"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	out, err := exec.CommandContext(ctx, "qemu-io", append(args, lun)...).CombinedOutput()
	// qemu-io ends with 0 also when a pattern does not fit.
	if err != nil || bytes.Contains(out, []byte("failed")) || bytes.Contains(out, []byte("error")) {
		t.Errorf("qemu-io %v: %v\n%s", commands, err, out)
	}
}

// copyTree copies the tree without what a clone would not have.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	skip := map[string]bool{".git": true, ".cache": true, "bin": true, "var": true}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // somebody else's temporary file
			}
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skip[rel] {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer is a buffer that a process writes to while a test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

package daemon_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// targetPID is the process that serves for the daemon on dir.
func targetPID(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "run", "esos-target.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestStopWithHungTarget stops esos-target in the middle of a change; Ctrl-C
// must not wait for the change to be undone step by step.
func TestStopWithHungTarget(t *testing.T) {
	dir := t.TempDir()
	file, _ := document(t)
	r := start(t, dir, "--config", file)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	doc, err := r.client.Document(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	var more strings.Builder
	more.WriteString("devices:\n")
	for i := range 3000 {
		more.WriteString("  - {name: null" + strconv.Itoa(i) + ", handler: vdisk_nullio, size: 1MiB}\n")
	}
	many := filepath.Join(t.TempDir(), "many.yaml")
	text := strings.Replace(string(doc.Text), "devices:\n", more.String(), 1)
	if err := os.WriteFile(many, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	apply := exec.CommandContext(ctx, filepath.Join(binaries, "esos"), "--socket", filepath.Join(dir, "run", "api.sock"), "apply", "--yes", "-f", many)
	if err := apply.Start(); err != nil {
		t.Fatal(err)
	}
	pid := targetPID(t, dir)
	// So many steps are to be undone that their requests would fill the socket.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		ops, err := r.client.Operations(ctx)
		if err == nil && slices.ContainsFunc(ops, func(op v1.Operation) bool { return op.State == v1.Running && op.Done > 300 }) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the change does not come so far: %+v, %v", ops, err)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	took := r.end(os.Interrupt)
	cancel()
	_ = apply.Wait() // it was told that the array is gone
	if took > 2*time.Second {
		t.Errorf("Ctrl-C took %v", took)
	}
	if left := arguments(t, dir); left != "" {
		t.Errorf("still there after Ctrl-C: %s", left)
	}
}

// TestInterruptedStart gives a daemon up that waits for a target process which
// does not answer.
func TestInterruptedStart(t *testing.T) {
	dir := t.TempDir()
	file, portal := document(t)
	start(t, dir, "--config", file).end(syscall.SIGTERM)
	pid := targetPID(t, dir)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	next := exec.Command(filepath.Join(binaries, "esos"), "serve", "--data-dir", dir)
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	began := time.Now()
	if err := next.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = next.Wait() // it says that it was interrupted
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("Ctrl-C took %v", took)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Errorf("the target process was ended: %v", err)
	}
	if !connects(portal) {
		t.Error("nobody serves any more")
	}
	start(t, dir).end(os.Interrupt)
}

// TestFaultyStartSparesTarget damages the documents while no daemon runs: the
// next one cannot start, and what is served must go on being served.
func TestFaultyStartSparesTarget(t *testing.T) {
	dir := t.TempDir()
	file, portal := document(t)
	start(t, dir, "--config", file).end(syscall.SIGTERM)
	revision := filepath.Join(dir, "revisions", "000001.yaml")
	good, err := os.ReadFile(revision)
	if err == nil {
		err = os.WriteFile(revision, good[:len(good)/2], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(binaries, "esos"), "serve", "--data-dir", dir).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "000001") && !strings.Contains(string(out), "revision") {
		t.Errorf("with a damaged document: %v\n%s", err, out)
	}
	if !connects(portal) {
		t.Error("the daemon that could not start ended what was served")
	}
	if err := os.WriteFile(revision, good, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir).end(os.Interrupt)
}

// TestOneTargetADataDirectory starts a second daemon on the same data directory
// with a run directory of its own: not for a moment may a second esos-target
// work with the reservations and journals of the first.
func TestOneTargetADataDirectory(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	file, _ := document(t)
	r := start(t, dir, "--config", file)
	out, err := exec.Command(filepath.Join(binaries, "esos"), "serve", "--data-dir", dir, "--run-dir", other).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another process has it") || strings.Contains(string(out), "started esos-target") {
		t.Errorf("a second daemon with another run directory: %v\n%s", err, out)
	}
	if s, err := r.client.Status(t.Context()); err != nil || s.State != "ok" {
		t.Errorf("the first daemon: %+v, %v", s, err)
	}
	r.end(os.Interrupt)
}

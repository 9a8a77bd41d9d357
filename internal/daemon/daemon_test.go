package daemon_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/daemon"
)

// binaries holds bin/esos and bin/esos-target, built once.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "esos-daemon-")
	if err == nil {
		build := exec.Command("go", "build", "-o", dir+"/", "./cmd/esos", "./cmd/esos-target")
		build.Dir, build.Stderr = "../..", os.Stderr
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		os.Exit(1)
	}
	binaries = dir
	// The process that an unprivileged esos-target becomes must reach it.
	_ = os.Chmod(dir, 0o755)
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// running is an `esos serve`.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	client *client.Client
	out    string // until it serves
	err    *os.File
	exited chan error
}

// start runs `esos serve` in dir and waits until it serves.
func start(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	errs, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, err: errs, exited: make(chan error, 1)}
	r.cmd = exec.Command(filepath.Join(binaries, "esos"), append([]string{"serve", "--data-dir", dir}, args...)...)
	r.cmd.Stderr = errs
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		r.out += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, out)
		r.exited <- r.cmd.Wait()
	}()
	if !strings.Contains(r.out, "Ctrl-C") {
		t.Fatalf("it does not serve: %v\n%s%s", <-r.exited, r.out, r.log())
	}
	r.client, err = client.New(client.Options{Socket: filepath.Join(dir, "run", daemon.SocketName)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *running) log() string {
	text, err := os.ReadFile(r.err.Name())
	if err != nil {
		r.t.Error(err)
	}
	return string(text)
}

// end sends a signal and returns how long it took to end.
func (r *running) end(s os.Signal) time.Duration {
	r.t.Helper()
	r.client.Close()
	began := time.Now()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
	select {
	case err := <-r.exited:
		if err != nil {
			r.t.Errorf("it ended with %v:\n%s", err, r.log())
		}
	case <-time.After(20 * time.Second):
		_ = r.cmd.Process.Kill()
		r.t.Fatalf("it does not end:\n%s", r.log())
	}
	return time.Since(began)
}

// document is one disk on a free port.
func document(t *testing.T) (file, portal string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	portal = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "esos.yaml")
	err = os.WriteFile(file, []byte(`version: 1
name: test
devices:
  - {name: disk01, handler: vdisk_fileio, size: 64MiB}
iscsi:
  portals:
    - {name: local, address: "`+portal+`"}
targets:
  - name: iqn.2026-11.com.example:test
    auth:
      users:
        - {name: host, secret: very-secret-one}
    luns:
      - {lun: 0, device: disk01}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return file, portal
}

// connects tells whether somebody listens.
func connects(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// TestSignals ends the daemon in its two ways: SIGTERM leaves what is served,
// connections and all, to the next daemon; SIGINT ends everything.
func TestSignals(t *testing.T) {
	dir := t.TempDir()
	file, portal := document(t)
	ctx := context.Background()
	r := start(t, dir, "--config", file)
	for _, want := range []string{"iqn.2026-11.com.example:test", portal, "iscsi-ls -s iscsi://" + portal, "status", "device create"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("the welcome lacks %q:\n%s", want, r.out)
		}
	}
	s, err := r.client.Status(ctx)
	if err != nil || s.State != "ok" || s.LUNs != 1 || s.Engine != "native" {
		t.Errorf("status %+v, %v", s, err)
	}
	held, err := net.Dial("tcp", portal) // an initiator
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()

	// A second daemon on the same directory is told off.
	second := exec.Command(filepath.Join(binaries, "esos"), "serve", "--data-dir", dir)
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "another daemon") {
		t.Errorf("a second daemon: %v %s", err, out)
	}
	if secrets := arguments(t, dir); strings.Contains(secrets, "very-secret") || !strings.Contains(secrets, "esos-target") {
		t.Errorf("the command lines hold a secret, or esos-target is none of them: %s", secrets)
	}

	r.end(syscall.SIGTERM)
	if !connects(portal) {
		t.Error("SIGTERM ended esos-target too")
	}
	if err := held.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := held.Read(make([]byte, 1)); err == nil || !os.IsTimeout(err) {
		t.Errorf("SIGTERM dropped a connection: %v", err)
	}
	if strings.Contains(r.log(), "very-secret") {
		t.Error("a secret is in the log")
	}

	r = start(t, dir) // without --config: what was saved
	if s, err := r.client.Status(ctx); err != nil || s.State != "ok" || s.Revision.Number != 1 {
		t.Errorf("the next daemon: %+v, %v", s, err)
	}
	if err := held.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := held.Read(make([]byte, 1)); err == nil || !os.IsTimeout(err) {
		t.Errorf("the next daemon dropped a connection: %v", err)
	}
	took := r.end(os.Interrupt)
	t.Logf("Ctrl-C took %v", took)
	if took > 2*time.Second {
		t.Errorf("Ctrl-C took %v", took)
	}
	if connects(portal) {
		t.Error("somebody serves after Ctrl-C")
	}
	if left := arguments(t, dir); left != "" {
		t.Errorf("still there after Ctrl-C: %s", left)
	}
	if info, err := os.Stat(filepath.Join(dir, "devices", "disk01.img")); err != nil || info.Size() != 64<<20 {
		t.Errorf("the disk's file: %v", err)
	}
}

// arguments are the command lines that name dir, of processes other than this.
func arguments(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(text), dir) {
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return strings.Join(found, "\n")
}

// TestFirstDocuments checks what an array begins with.
func TestFirstDocuments(t *testing.T) {
	for name, doc := range map[string]*config.Document{"demonstration": daemon.Demonstration(), "empty": daemon.Empty()} {
		if err := config.Complete(doc, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if problems := doc.Validate(); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
	host, _, err := net.SplitHostPort(daemon.Demonstration().ISCSI.Portals[0].Address)
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("the demonstration listens on %s: everybody may use it", host)
	}
}

// TestCannotServe wants the reason, and nothing left behind.
func TestCannotServe(t *testing.T) {
	dir := t.TempDir()
	file, portal := document(t)
	l, err := net.Listen("tcp", portal)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	out, err := exec.Command(filepath.Join(binaries, "esos"), "serve", "--data-dir", dir, "--config", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), portal) {
		t.Errorf("the portal is taken: %v\n%s", err, out)
	}
	if left := arguments(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

package daemon_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/daemon"
	"github.com/esos-project/esos/test/mail"
)

// TestDaemonMails has a daemon whose alert is there from the start mail it, once
// over a restart, and its start, which a medium's report says was a boot.
func TestDaemonMails(t *testing.T) {
	t.Parallel() // it waits for the most part
	dir := t.TempDir()
	c, err := mail.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	file, _ := document(t)
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(f, "mail: {to: [admin@example.com], server: 127.0.0.1, port: %d, security: none}\n", c.Port()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// The medium of this boot is nowhere on this machine.
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	report := `{"mode":"memory","slot":"PRIMARY","version":"1.2.3","kernel":"6.12","options":{"fell_back":"SECONDARY"},
		"medium":{"device":"/dev/none","model":"Stick","partitions":{"esos_conf":{"device":"/dev/none4","uuid":"0a1b-none"}}},"warnings":["one of the boot"]}`
	if err := os.WriteFile(filepath.Join(run, "boot.json"), []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, "--config", file)
	wait := func(match func(mail.Mail) bool) mail.Mail {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		m, err := c.Wait(ctx, match)
		if err != nil {
			t.Fatalf("%v\n%s", err, r.log())
		}
		return m
	}
	lost := mail.Says("critical: medium.lost", "Put the medium back")
	wait(lost)
	r.end(syscall.SIGTERM)
	r = start(t, dir)
	m := wait(mail.Says("System Startup - "))
	for _, want := range []string{"1.2.3", "slot PRIMARY", "from memory", "/dev/none Stick", "Alerts: 1", "critical: medium.lost", "slot SECONDARY was tried", "one of the boot",
		"Crash dumps: 0", "iqn.2026-11.com.example:test: 1 LUNs", "disk01: vdisk_fileio"} {
		if !strings.Contains(m.Body, want) {
			t.Errorf("the mail of the start does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(m.Body)
	}
	if all := c.Mails(); len(all) != 2 {
		t.Errorf("%d mails, want the alert and the start: %+v", len(all), all)
	}
	r.end(os.Interrupt)
	if strings.Contains(r.log(), "level=WARN msg=mail") {
		t.Error(r.log())
	}
}

// TestDaemonKeepsMail: what cannot be sent is sent by the next daemon.
func TestDaemonKeepsMail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, _ := document(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	declare := func(port int) {
		t.Helper()
		whole := string(text) + "mail: {to: [admin@example.com], server: 127.0.0.1, security: none, port: " + strconv.Itoa(port) + "}\n"
		if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	declare(nobody)
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, "boot.json"), []byte(`{"mode":"memory","medium":{"partitions":{"esos_conf":{"device":"/dev/none4","uuid":"0a1b-none"}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, "--config", file)
	outbox := filepath.Join(dir, "mail")
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if files, _ := filepath.Glob(filepath.Join(outbox, "0*.json")); len(files) > 0 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("nothing waits in %s\n%s", outbox, r.log())
		}
	}
	r.end(syscall.SIGTERM)
	c, err := mail.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	r = start(t, dir)
	// Other settings: all that waits is tried at once.
	declare(c.Port())
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, dir, string(whole))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.Wait(ctx, mail.Says("critical: medium.lost")); err != nil {
		t.Errorf("%v\n%s", err, r.log())
	}
	r.end(os.Interrupt)
	if info, err := os.Stat(outbox); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("who can read the mails: %v, %v", info.Mode(), err)
	}
}

// apply applies a document.
func apply(t *testing.T, dir, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "new.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binaries, "esos"), "apply", "--yes", "-f", file)
	cmd.Env = append(os.Environ(), "ESOS_SOCKET="+filepath.Join(dir, "run", daemon.SocketName))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
}

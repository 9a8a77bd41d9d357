package cli_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/daemon"
)

// TestOutage: the daemon is killed and started again under an open console, while
// a form is filled in, and while its plan is shown. The console says so and comes
// back by itself; every letter is kept, and what was begun can be carried out.
func TestOutage(t *testing.T) {
	t.Parallel()
	s := serve(t)
	term := shown(t, s.socket(), "TERM=xterm", "LANG=C.UTF-8")
	term.See("Nobody is logged in")
	term.Type("d")
	term.See("Add Device")
	term.Type(down + down + "\r")
	term.See("─ Add Device ─")
	term.Type("before")
	term.See("before")

	s.kill()
	term.See(banner)
	term.See("What was typed is kept.") // all of it, on 80 columns
	term.See("─ Add Device ─")          // nothing was put over it
	term.Type("-during" + strings.Repeat(tab, 3) + "64")
	term.See("before-during")
	term.See("no whole number of blocks of 512 bytes") // checked as ever
	term.Type("M" + strings.Repeat(backtab, 5) + "\r")
	term.See("Plan: that failed")
	term.See("Nothing was changed. What was typed is kept")
	term.Type("\r")
	term.Gone("that failed")

	s.start()
	term.See("The array answers again.")
	term.Gone(banner)
	term.Type(strings.Repeat(tab, 2) + "-after")
	term.See("before-during-after")
	term.Type(strings.Repeat(tab, 3) + "iB" + strings.Repeat(backtab, 5) + "\r")
	term.See("Press c to carry this out")

	s.kill()
	term.See(banner)
	term.Type("c")
	term.See("Carry this out?")
	term.Type(left + "\r")
	term.See("Carry it out: that failed")
	term.Type("\r")
	s.start()
	term.Gone(banner)
	term.See("Press c to carry this out")
	if doc := s.document(); strings.Contains(doc, "before") {
		t.Errorf("it was carried out by a daemon that was not there:\n%s", doc)
	}
	term.Type("c")
	term.See("Carry this out?")
	term.Type(left + "\r")
	term.See("Done: revision 2.")
	term.Gone("─ Add Device ─")

	if doc := s.document(); !strings.Contains(doc, "name: before-during-after") || !strings.Contains(doc, "size: 64MiB") {
		t.Errorf("the document is\n%s", doc)
	}
	image, err := os.Stat(filepath.Join(s.dir, "data", "devices", "before-during-after.img"))
	if err != nil || image.Size() != 64<<20 {
		t.Errorf("its image file: %v, %+v", err, image)
	}
	if st, err := s.client.Status(t.Context()); err != nil || st.State != "ok" || st.Devices != 2 {
		t.Errorf("status %+v: %v", st, err)
	}
	term.Type("i\r")
	if code := term.Ends(); code != 0 {
		t.Errorf("the console's exit code is %d", code)
	}
}

const (
	banner                   = "The array's daemon does not answer since"
	tab, backtab, left, down = "\t", "\x1b[Z", "\x1b[D", "\x1b[B"
)

// served is an `esos serve` of its own that can be killed.
type served struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
	client *client.Client
}

// serve starts one with ESOS's own engine, which serves a disk.
func serve(t *testing.T) *served {
	t.Helper()
	dir, err := os.MkdirTemp("", "esos-") // short enough for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, dir: dir}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	portal := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "esos.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `version: 1
name: vault
devices: [{name: old, handler: vdisk_nullio, size: 1GiB}]
iscsi: {portals: [{name: local, address: %q}]}
targets: [{name: "iqn.2026-11.com.example:mail", luns: [{lun: 0, device: old}]}]
`, portal), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.client, err = client.New(client.Options{Socket: s.socket()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.start("--config", file)
	t.Cleanup(s.end)
	return s
}

func (s *served) socket() string { return filepath.Join(s.dir, "data", "run", daemon.SocketName) }

// start starts it, and returns at once: it is the console that waits.
func (s *served) start(args ...string) {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(program, append([]string{"serve", "--data-dir", filepath.Join(s.dir, "data")}, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func(c *exec.Cmd, exited chan struct{}) {
		_ = c.Wait() // it was killed, or its log says why
		close(exited)
	}(s.cmd, s.exited)
}

// kill kills the daemon, and nothing else: esos-target goes on.
func (s *served) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.exited
}

// document is the array's, as the API has it.
func (s *served) document() string {
	s.t.Helper()
	doc, err := s.client.Document(s.t.Context(), false)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(doc.Text)
}

// end ends daemon and esos-target, as Ctrl-C does.
func (s *served) end() {
	select {
	case <-s.exited: // the next one takes what serves over
		s.start()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if _, err := s.client.Status(context.Background()); err == nil {
				break
			}
		}
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		s.t.Error("esos serve does not end")
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	if s.t.Failed() {
		s.t.Logf("esos serve: %s", log)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Error(err)
	}
}

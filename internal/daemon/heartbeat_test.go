package daemon_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHeartbeat: systemd hears that the daemon is ready and then, again and
// again, that it is well; not while it hangs.
func TestHeartbeat(t *testing.T) {
	dir, err := os.MkdirTemp("", "esos-hb-") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/notify", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	t.Setenv("NOTIFY_SOCKET", dir+"/notify")
	t.Setenv("WATCHDOG_USEC", "900000")
	t.Setenv("WATCHDOG_PID", "")
	hear := func(want string, within time.Duration) {
		t.Helper()
		if err := l.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 200)
		for {
			n, err := l.Read(b)
			if err != nil {
				t.Fatalf("systemd does not hear %q: %v", want, err)
			}
			if strings.Contains(string(b[:n]), want) {
				return
			}
		}
	}
	r := start(t, dir, "--empty")
	hear("READY=1", 10*time.Second)
	hear("WATCHDOG=1", 10*time.Second)
	hear("WATCHDOG=1", 10*time.Second)
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := l.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 200); ; { // what was under way
		if _, err := l.Read(b); err != nil {
			break
		}
	}
	if err := l.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Read(make([]byte, 200)); err == nil {
		t.Errorf("a daemon that hangs told systemd something (%d bytes)", n)
	}
	if err := r.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	hear("WATCHDOG=1", 10*time.Second)
	r.end(os.Interrupt)
	hear("STOPPING=1", 10*time.Second)
}

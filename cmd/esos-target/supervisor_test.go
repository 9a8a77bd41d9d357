package main

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listen is systemd's end.
func listen(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return l
}

func heard(t *testing.T, l *net.UnixConn, within time.Duration) string {
	t.Helper()
	if err := l.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := l.Read(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// TestSignsOfLife: they come while the process is well, and stop when it hangs.
func TestSignsOfLife(t *testing.T) {
	l := listen(t)
	t.Setenv("WATCHDOG_USEC", strconv.Itoa(int((30 * time.Millisecond).Microseconds())))
	t.Setenv("WATCHDOG_PID", "")
	s, err := findSupervisor()
	if err != nil {
		t.Fatal(err)
	}
	defer s.conn.Close()
	s.tell("READY=1")
	if got := heard(t, l, 5*time.Second); got != "READY=1" {
		t.Fatalf("heard %q", got)
	}
	hang := make(chan struct{})
	calls := 0
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(ended)
		s.feed(ctx, func() {
			if calls++; calls > 3 {
				<-hang
			}
		})
	}()
	for i := range 3 {
		if got := heard(t, l, 5*time.Second); got != "WATCHDOG=1" {
			t.Fatalf("sign %d: heard %q", i, got)
		}
	}
	if got := heard(t, l, 200*time.Millisecond); got != "" {
		t.Errorf("heard %q of a process that hangs", got)
	}
	close(hang)
	cancel()
	<-ended
}

func TestSupervisorIsOptional(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	s, err := findSupervisor()
	if err != nil || s.conn != nil {
		t.Fatalf("%+v, %v", s, err)
	}
	s.tell("READY=1")
	s.feed(t.Context(), func() { t.Error("nobody wants signs of life") })

	l := listen(t)
	t.Setenv("WATCHDOG_USEC", "1000000")
	t.Setenv("WATCHDOG_PID", "1") // somebody else's watchdog
	if s, err = findSupervisor(); err != nil || s.every != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	s.tell("STOPPING=1")
	if got := heard(t, l, 5*time.Second); got != "STOPPING=1" {
		t.Errorf("heard %q", got)
	}
	_ = s.conn.Close()
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := findSupervisor(); err == nil || !strings.Contains(err.Error(), "WATCHDOG_USEC") {
		t.Errorf("a watchdog time of \"soon\": %v", err)
	}
}

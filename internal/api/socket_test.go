package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
)

// connectAs connects to a socket as another user: the kernel notes who connects
// by the credentials of the thread that does (unix(7), SO_PEERCRED).
func connectAs(ctx context.Context, uid int, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its credentials
		const keep = ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
			done <- result{err: errno}
			return
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// TestSocketRoles asks over a real socket as several users.
func TestSocketRoles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can connect as somebody else")
	}
	daemon, err := user.Lookup("daemon")
	if err != nil {
		t.Skip("this machine has no user daemon")
	}
	uid, err := strconv.Atoi(daemon.Uid)
	if err != nil {
		t.Fatal(err)
	}
	a := newArray(t)
	address := fmt.Sprintf("@esos-test-%d", os.Getpid())
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.ServeUnix(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	ask := func(uid int, method, path, body string) int {
		t.Helper()
		c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return connectAs(ctx, uid, address)
		}}}
		req, err := http.NewRequestWithContext(ctx, method, "http://esos/api/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("If-Match", "*")
		w, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Body.Close()
		return w.StatusCode
	}
	const device = `{"name":"x","handler":"vdisk_nullio","size":1048576}`
	for _, c := range []struct {
		name                string
		user                *config.Account
		see, create, reveal int // what comes of looking, of making a device, of reading secrets
	}{
		{"not declared", nil, 403, 403, 403},
		{"viewer", &config.Account{Role: "viewer"}, 200, 403, 403},
		{"operator", &config.Account{Role: "operator"}, 200, 202, 403},
		{"admin", &config.Account{Role: "admin"}, 200, 202, 200},
		{"locked", &config.Account{Role: "admin", Locked: true}, 403, 403, 403},
		{"number of another", &config.Account{Role: "admin", Name: "somebody"}, 403, 403, 403},
	} {
		users := []config.Account{}
		if c.user != nil {
			u := *c.user
			if u.UID = uid; u.Name == "" {
				u.Name = "daemon"
			}
			users = append(users, u)
		}
		a.accounts.Store(&users)
		if got := ask(uid, "GET", "/config", ""); got != c.see {
			t.Errorf("%s: looking is %d, want %d", c.name, got, c.see)
		}
		if got := ask(uid, "GET", "/config?reveal=true", ""); got != c.reveal {
			t.Errorf("%s: secrets are %d, want %d", c.name, got, c.reveal)
		}
		if got := ask(uid, "POST", "/devices", device); got != c.create {
			t.Errorf("%s: making a device is %d, want %d", c.name, got, c.create)
		}
		if c.create == 202 {
			if got := ask(0, "DELETE", "/devices/x", ""); got != 202 {
				t.Errorf("root deletes the device: %d", got)
			}
		}
	}
	if got := ask(0, "GET", "/config?reveal=true", ""); got != 200 {
		t.Errorf("root sees secrets: %d", got)
	}
}

package home_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/home"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const document = `
version: 1
name: vault
devices:
- {name: db01, handler: vdisk_nullio, size: 20GiB}
- {name: db02, handler: vdisk_nullio, size: 20GiB}
iscsi:
  portals:
  - {name: front, address: "[2001:db8::1]:3260"}
targets:
- name: iqn.2026-11.org.esos-project:mail
  groups:
  - name: hosts
    initiators: [iqn.2026-11.com.example:mail1]
    luns: [{lun: 0, device: db01}, {lun: 1, device: db02}]
- name: iqn.2026-11.org.esos-project:old
  disabled: true
users:
- {name: ann, role: admin, ssh_keys: []}
`

const saved = `{"slot":"PRIMARY","version":"1.0","last":{"when":"2026-11-28T08:00:00Z","generation":7}}`

// sessions are two: reads doubles the counters from call to call.
func sessions(n uint64) []engine.Session {
	s := engine.Session{ID: "1", Target: "iqn.2026-11.org.esos-project:mail", Group: "hosts", Initiator: "iqn.2026-11.com.example:mail1",
		Address: "[2001:db8::7]:40112", Portal: "front", LUNs: 2, Active: 3}
	s.Counters = engine.Counters{Reads: 1000 * n, Writes: 500 * n, ReadBytes: 8_000_000 * n, WriteBytes: 4_000_000 * n}
	s.Counters.ReadLatency.Sum = time.Duration(n) * 1500 * time.Millisecond
	idle := engine.Session{ID: "2", Target: "iqn.2026-11.org.esos-project:mail", Initiator: "iqn.2026-11.com.example:backup", LUNs: 1}
	return []engine.Session{s, idle}
}

func start(t *testing.T, a *apitest.Array, o tuitest.Options) *tuitest.Console {
	t.Helper()
	o.Client, o.Menus = a.Client, tui.Menus
	o.First = func(d *frame.Desk) frame.Screen { return home.New(d, tui.Menus()) }
	if o.Command == nil {
		o.Command = func(_ context.Context, _ []string, _ io.Reader, out io.Writer) int {
			_, _ = io.WriteString(out, saved)
			return 0
		}
	}
	return tuitest.New(t, o)
}

func TestPanels(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 3, Document: document})
	a.Engine.SetSessions(sessions(1)...)
	c := start(t, a, tuitest.Options{Width: 160, Height: 50})
	t.Run("T0.6 targets", func(t *testing.T) {
		c.Wait("Targets (2)")
		c.Shows("iqn.2026-11.org.esos-project:mail")
		c.Shows("Disabled")
		c.Shows("Enabled")
		c.Shows("N/A")
	})
	t.Run("T0.7 sessions", func(t *testing.T) {
		c.Wait("Sessions (2)")
		c.Shows("iqn.2026-11.com.example:backup")
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := uint64(2); ; n++ {
				a.Engine.SetSessions(sessions(n)...)
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}()
		c.Wait("1.0ms") // 1.5 s of latency over 1,500 commands, whatever the interval
		c.Wait("IOPS")
		c.Wait("#") // the graph
		close(stop)
		<-done
	})
	t.Run("T0.9 status", func(t *testing.T) {
		c.Shows("ESOS test   vault: ok")
		c.Shows("user root")
	})
	c.Wait("3 disks")
	c.Shows("3 free")
	c.Wait("PRIMARY 1.0")
	c.Shows("Cluster not configured")
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 3, Document: document})
	c := start(t, a, tuitest.Options{})
	c.Wait("3 disks")
	c.Wait("MB/s")
	c.Golden("home", "2026-11-28 08:00:00", "2026-11-28 hh:mm:ss")
	c.Escape()
	c.Wait("Leave the console?")
	c.Golden("leave", "2026-11-28 08:00:00", "2026-11-28 hh:mm:ss")
}

func TestWarning(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	a.Alerts.Raise(alert.Alert{ID: "medium.lost", Severity: alert.Critical, Object: "medium", Message: "the stick is gone"})
	c := start(t, a, tuitest.Options{})
	t.Run("T0.5 warning box", func(t *testing.T) {
		c.Wait("critical: medium: the stick is gone")
		c.Shows(" Warning ")
		c.Shows("1 alert")
		a.Stop()
		c.Wait("The array's daemon does not answer. What is served is served on")
		c.Wait("does not answer since")
		c.Type("i")
		c.Shows("Exit to Shell") // menus work all the same
		c.Escape()
		a.Start()
		c.Wait("answers again")
		c.Gone("What is served is served on")
	})
}

// TestNoDaemon: there is none when the console starts; it comes later.
func TestNoDaemon(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Document: document})
	a.Stop()
	c := start(t, a, tuitest.Options{Command: func(_ context.Context, _ []string, _ io.Reader, out io.Writer) int {
		_, _ = io.WriteString(out, "esos: this machine is no ESOS appliance")
		return 8
	}})
	c.Wait("does not answer")
	a.Start()
	c.Wait("Targets (2)")
	c.Wait("no appliance")
}

func TestMenus(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := start(t, a, tuitest.Options{})
	t.Run("T0.8 menus and hot keys", func(t *testing.T) {
		menus := tui.Menus()
		keys := ""
		for i, m := range menus {
			keys += string(m.Key)
			if !strings.ContainsRune(strings.ToLower(m.Title), m.Key) {
				t.Errorf("the menu %s has no %c", m.Title, m.Key)
			}
			if m.Bottom != (i >= 5) {
				t.Errorf("the menu %s is at the wrong edge", m.Title)
			}
			c.Type(string(m.Key))
			c.Shows(" " + m.Title + " ")
			c.Press(tcell.KeyRight) // the neighbour
			next := menus[(i+1)%len(menus)]
			c.Shows(" " + next.Title + " ")
			c.Press(tcell.KeyLeft)
			c.Escape()
		}
		if keys != "saolfhdtui" {
			t.Errorf("hot keys %s, want saolfhdtui", keys)
		}
		c.Type("I")
		c.Shows("Exit to Shell")
		c.Escape()
		c.Click("Interface")
		c.Shows("Exit to Shell")
		c.Click("About")
		c.Wait("Apache License")
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1, Document: document})
	c := start(t, a, tuitest.Options{})
	c.Type("/")
	c.Wait(" Search ")
	c.Golden("search")
	c.Type("db0")
	c.Golden("search-typed")
	c.Escape()
	c.Escape()
	for _, x := range []struct{ typed, object, shows string }{
		{"device/db0", "device/db01", "vdisk_nullio"},
		{"target/iqn.2026-11.org.esos-project:old", "target/iqn", "disabled: true"},
		{"group/", "group/iqn.2026-11.org.esos-project:mail/hosts", "initiators:"},
		{"initiator/", "initiator/iqn.2026-11.com.example:mail1", "mail1"},
		{"lun/iqn", "lun/iqn", "device: db01"},
		{"portal/", "portal/front", "2001:db8::1"},
		{"disk/", "disk/virtio-d1", "size"},
		{"user/", "user/ann", "role: admin"},
	} {
		c.Type("/")
		c.Wait(" Search ")
		c.Type(x.typed)
		c.Shows(x.object)
		c.Enter()
		c.Wait(x.shows)
		if x.object == "portal/front" {
			c.Golden("object")
			c.Press(tcell.KeyF1)
			c.Golden("object-help")
			c.Escape()
		}
		c.Escape()
	}
	c.Type("/")
	c.Type("exit to")
	c.Shows("Exit to Shell")
	c.Escape()
	c.Escape()
	// A search of its own is not put over the search.
	c.Type("/")
	c.Press(tcell.KeyCtrlF)
	c.Escape()
	c.Wait("Targets (2)")
}

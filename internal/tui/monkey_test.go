package tui_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"go.uber.org/goleak"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/tui"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/home"
)

var seed = flag.Uint64("seed", 1, "of the monkey's keys")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

const full = `
version: 1
name: vault
storage:
  arrays: [{name: r1, level: 1, disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2]}]
  filesystems: [{name: images, type: xfs, device: /dev/disk/by-id/virtio-d3}]
devices:
- {name: db01, handler: vdisk_nullio, size: 20GiB}
- {name: db02, handler: vdisk_nullio, size: 20GiB}
iscsi:
  portals: [{name: front, address: "127.0.0.1:3260"}]
targets:
- name: iqn.2026-11.org.esos-project:mail
  groups:
  - {name: hosts, initiators: ["iqn.2026-11.com.example:*"], luns: [{lun: 0, device: db01}]}
device_groups:
- {name: pool, devices: [db01], target_groups: [{name: local, id: 1, state: active, targets: [{name: "iqn.2026-11.org.esos-project:mail"}]}]}
`

// guard watches what is done, and that it was confirmed.
type guard struct {
	mu        sync.Mutex
	confirmed int // answers that let something be done
	used      int // of them, when something was last done
	at        time.Time
	last      string
	faults    []string
	done      int
}

func (g *guard) confirm(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.confirmed++
	g.last = what
}

// burst is how long one confirmation counts: what was confirmed once may take
// several requests.
const burst = 5 * time.Second

// act notes that something was done.
func (g *guard) act(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done++
	switch {
	case g.confirmed > g.used:
		g.used, g.at = g.confirmed, time.Now()
	case g.confirmed == 0 || time.Since(g.at) > burst:
		g.faults = append(g.faults, fmt.Sprintf("%s, which nobody confirmed (the last that was: %q)", what, g.last))
	}
}

// harmless are requests that change nothing that anybody needs to be asked for.
func harmless(method, path string) bool {
	return method == http.MethodGet || method == http.MethodHead || strings.HasSuffix(path, "/plan") || strings.HasSuffix(path, "/locate") ||
		strings.Contains(path, "/drift/plan")
}

// between serves the array's API at another socket, and watches what goes by.
func (g *guard) between(t *testing.T, socket string) *client.Client {
	t.Helper()
	p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "array"})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	p.Transport, p.FlushInterval = transport, -1
	p.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	dir := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !harmless(r.Method, r.URL.Path) {
			g.act(r.Method + " " + r.URL.Path)
		}
		p.ServeHTTP(w, r)
	})}
	go func() { _ = s.Serve(l) }()
	c, err := client.New(client.Options{Socket: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		_ = s.Close()
		transport.CloseIdleConnections()
	})
	return c
}

// command stands for the commands of esos: those that only read are free.
func (g *guard) command(_ context.Context, args []string, _ io.Reader, out io.Writer) int {
	line := strings.Join(args, " ")
	reads := line == "sync" || strings.HasPrefix(line, "sync ") // it saves what is in force
	for _, word := range []string{"list", "show", "status", "--last", "history", "generations", "diff", "schema", "version", "search", "log", "print", "export", "info", "--dry-run", "algorithms"} {
		for _, a := range args {
			reads = reads || a == word
		}
	}
	if !reads {
		g.act("esos " + line)
	}
	_, _ = fmt.Fprintf(out, "ran: %s\n", line)
	return 0
}

// key is one key of the monkey's: what is pressed most leads on, and back.
func key(r *rand.Rand) *tcell.EventKey {
	special := []tcell.Key{tcell.KeyEnter, tcell.KeyEnter, tcell.KeyEnter, tcell.KeyEnter, tcell.KeyEnter, tcell.KeyEnter, tcell.KeyEscape, tcell.KeyEscape, tcell.KeyUp, tcell.KeyDown, tcell.KeyDown, tcell.KeyDown,
		tcell.KeyLeft, tcell.KeyRight, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyBacktab, tcell.KeyPgUp, tcell.KeyPgDn, tcell.KeyHome, tcell.KeyEnd,
		tcell.KeyBackspace2, tcell.KeyDelete, tcell.KeyCtrlU, tcell.KeyCtrlF, tcell.KeyCtrlL, tcell.KeyCtrlC, tcell.KeyF1, tcell.KeyF5}
	switch n := r.IntN(10); {
	case n < 6:
		return tcell.NewEventKey(special[r.IntN(len(special))], 0, tcell.ModNone)
	case n < 7:
		const menus = "saolfhdtuisaolfhdtui/? "
		return tcell.NewEventKey(tcell.KeyRune, rune(menus[r.IntN(len(menus))]), tcell.ModNone)
	case n < 9:
		return tcell.NewEventKey(tcell.KeyRune, rune('a'+r.IntN(26)), tcell.ModNone)
	}
	odd := []rune("0123456789.-_/:ABCÄ日\u0301\u202e")
	return tcell.NewEventKey(tcell.KeyRune, odd[r.IntN(len(odd))], tcell.ModNone)
}

// deed are keys that get something done, where there is something: a menu's
// entry or an object of its list, fields filled in, the end of a form, the
// confirmation of a plan.
func deed(r *rand.Rand) (keys []*tcell.EventKey) {
	press := func(all ...tcell.Key) {
		for _, k := range all {
			keys = append(keys, tcell.NewEventKey(k, 0, tcell.ModNone))
		}
	}
	typed := func(text string) {
		for _, c := range text {
			keys = append(keys, tcell.NewEventKey(tcell.KeyRune, c, tcell.ModNone))
		}
	}
	for range 8 {
		press(tcell.KeyEscape)
	}
	typed(string("saolfhdtu"[r.IntN(9)]))
	for range r.IntN(24) {
		press(tcell.KeyDown)
	}
	press(tcell.KeyEnter)
	for range r.IntN(3) {
		press(tcell.KeyDown)
	}
	if r.IntN(2) == 0 {
		typed(string("adelrsgictmnwu"[r.IntN(14)]))
	} else {
		press(tcell.KeyEnter)
	}
	words := []string{"vault9", "10GiB", "7", "iqn.2026-11.com.example:x", "192.0.2.7", "on", ""}
	for range r.IntN(6) {
		switch r.IntN(3) {
		case 0:
			press(tcell.KeyCtrlU)
			typed(words[r.IntN(len(words))])
		case 1: // chooses the first that can be
			typed(" ")
			press(tcell.KeyDown, tcell.KeyEnter)
		}
		press(tcell.KeyTab)
	}
	for range 14 {
		press(tcell.KeyDown) // to the buttons; farther it begins anew
		if r.IntN(9) == 0 {
			break
		}
	}
	press(tcell.KeyBacktab, tcell.KeyEnter)
	typed("c")
	press(tcell.KeyLeft, tcell.KeyEnter)
	return keys
}

// monkey is a console that is restarted when it was left.
type monkey struct {
	t      *testing.T
	setup  frame.Setup
	desk   *frame.Desk
	screen tcell.SimulationScreen
	ended  chan error
	cancel context.CancelFunc
}

func (m *monkey) start() {
	m.screen = tcell.NewSimulationScreen("UTF-8")
	if err := m.screen.Init(); err != nil {
		m.t.Fatal(err)
	}
	s := m.setup
	s.Screen = m.screen
	m.desk = frame.New(s)
	m.desk.SetEntries(tui.Menus)
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.ended = cancel, make(chan error, 1)
	d, ended := m.desk, m.ended
	go func() { ended <- d.Run(ctx, home.New(d, tui.Menus())) }()
}

// alive waits until the console has done what it was told so far.
func (m *monkey) alive(did []string) bool {
	done := make(chan struct{})
	go m.desk.Update(func() { close(done) })
	select {
	case <-done:
		return true
	case err := <-m.ended:
		if err != nil {
			m.t.Fatalf("the console ended: %v", err)
		}
		m.ended <- nil // whoever asks next is told, too
		return false
	case <-time.After(time.Minute):
		buf := make([]byte, 1<<20)
		m.t.Fatalf("the console hangs after %s\n%s", strings.Join(did, " "), buf[:runtime.Stack(buf, true)])
	}
	return false
}

// rest waits until nothing is under way, but not for ever: some screens follow
// what does not end.
func (m *monkey) rest() {
	for range 30 {
		idle := make(chan bool, 1)
		go m.desk.Update(func() { idle <- m.desk.Idle() })
		select {
		case err := <-m.ended:
			m.ended <- err // for alive
			return
		case is := <-idle:
			if is {
				return
			}
		case <-time.After(time.Minute):
			m.t.Fatal("the console hangs")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// TestMonkey: random keys and sizes. Nothing panics or hangs, and nothing is
// changed that was not confirmed. -args -seed repeats a run.
func TestMonkey(t *testing.T) {
	keys := 2000
	if os.Getenv("ESOS_TEST") == "full" {
		keys = 100_000
	}
	a := apitest.New(t, apitest.Options{Disks: 6, Document: full})
	g := &guard{}
	m := &monkey{t: t, setup: frame.Setup{Client: g.between(t, a.Socket), Theme: frame.Themes()[0], Command: g.command, Confirmed: g.confirm,
		Interval: 50 * time.Millisecond, User: "monkey", Version: "test"}}
	r := rand.New(rand.NewPCG(*seed, 0))
	before := a.Revisions()
	var did []string
	m.start()
	starts := 1
	for i := 0; i < keys; i++ {
		if r.IntN(150) == 0 { // what a person would press to get something done
			_ = m.screen.PostEvent(tcell.NewEventPaste(false))
			for _, k := range deed(r) {
				i++
				_ = m.screen.PostEvent(k)
				m.rest()
			}
		}
		var ev tcell.Event = key(r)
		switch n := r.IntN(200); {
		case n == 0:
			w, h := 1+r.IntN(220), 1+r.IntN(70)
			if r.IntN(2) == 0 {
				w, h = 80, 24
			}
			m.desk.Update(func() { m.screen.SetSize(w, h) })
			continue
		case n == 1:
			_ = m.screen.PostEvent(tcell.NewEventPaste(true))
			_ = m.screen.PostEvent(key(r))
			ev = tcell.NewEventPaste(r.IntN(100) > 0)
		case n < 6:
			ev = tcell.NewEventMouse(r.IntN(100), r.IntN(30), []tcell.ButtonMask{tcell.Button1, tcell.ButtonNone, tcell.WheelDown, tcell.WheelUp}[r.IntN(4)], tcell.ModNone)
		}
		if k, ok := ev.(*tcell.EventKey); ok {
			did = append(did, k.Name())
			did = did[max(0, len(did)-60):]
		}
		for m.screen.PostEvent(ev) != nil {
			time.Sleep(time.Millisecond)
			if !m.alive(did) {
				break
			}
		}
		if i%4 != 0 && i != keys-1 { // mostly, the next key does not wait
			continue
		}
		if !m.alive(did) { // it was left, as keys can
			m.cancel()
			m.start()
			starts++
		}
	}
	m.cancel()
	select {
	case err := <-m.ended:
		if err != nil {
			t.Errorf("the console: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the console does not end")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.faults {
		t.Errorf("it did %s", f)
	}
	if made := a.Revisions() - before; made > g.confirmed {
		t.Errorf("%d revisions were made with %d confirmations", made, g.confirmed)
	}
	if a.Revisions() == before && keys > 10_000 {
		t.Error("nothing was changed: it proves nothing")
	}
	t.Logf("%d keys (seed %d): started %d times, %d confirmations, %d things done, %d revisions", keys, *seed, starts, g.confirmed, g.done, a.Revisions()-before)
}

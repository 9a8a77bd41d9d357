package network

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
)

// bootTimeout is for machines without hardware virtualization that share two
// processors.
const bootTimeout = 8 * time.Minute

// array is an appliance of a test, with the names of its cards on the cables.
type array struct {
	t    *testing.T
	lab  *appliance.Lab
	o    appliance.Options
	m    *appliance.Machine
	r    *appliance.Remote // over the user network, which no document names
	nics []string
}

// newArray makes an appliance with a card at one end of each cable. It is not
// started yet.
func newArray(ctx context.Context, t *testing.T, name string, end int, cables ...string) *array {
	t.Helper()
	lab, err := appliance.Open(ctx, level.Root(t), t.TempDir(), testWriter{t})
	if err != nil {
		t.Fatal(err)
	}
	medium, err := lab.Medium(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := lab.Blank(name+"-data", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	a := &array{t: t, lab: lab, o: appliance.Options{Dir: level.ShortDir(t), Boot: vm.Drive{File: medium, Bus: vm.USB}, Data: data, Memory: 1536}}
	for i, c := range cables {
		a.o.Cards = append(a.o.Cards, vm.Card{MAC: mac(end, i), Cable: c, End: end})
	}
	return a
}

func mac(end, card int) string { return fmt.Sprintf("52:54:00:e5:%02x:%02x", end, card) }

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// start switches the machine on and logs in.
func (a *array) start(ctx context.Context) {
	a.t.Helper()
	m, err := a.lab.Start(context.WithoutCancel(ctx), a.o)
	if err != nil {
		a.t.Fatal(err)
	}
	a.m = m
	a.t.Cleanup(func() {
		_ = m.Close() // it may be off already
		if a.t.Failed() {
			a.t.Logf("last lines on the console:\n%s", m.Console().Tail(40))
		}
	})
}

// login waits until the machine serves its API and finds its cards.
func (a *array) login(ctx context.Context) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	r, err := a.m.SSH(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = r.Close() })
	a.r = r
	a.until(ctx, "the daemon answers", "esos status >/dev/null")
	var links []struct{ Name, MAC string }
	if err := json.Unmarshal([]byte(a.run(ctx, "esos network list -o json")), &links); err != nil {
		a.t.Fatal(err)
	}
	a.nics = nil
	for _, c := range a.o.Cards {
		for _, l := range links {
			// A bond has the address of a port of its.
			if l.MAC == c.MAC && !strings.HasPrefix(l.Name, "bond") && !strings.Contains(l.Name, ".") {
				a.nics = append(a.nics, l.Name)
				break
			}
		}
	}
}

// run runs a command, which must succeed.
func (a *array) run(ctx context.Context, command string) string {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	out, err := a.r.Run(ctx, command)
	if err != nil {
		a.t.Fatalf("%v\n%s", err, a.state())
	}
	return out
}

// state is what helps to see why something failed.
func (a *array) state() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, _ := a.r.Run(ctx, "ip -br addr; ip route; networkctl --no-pager; esos network list; esos network status; journalctl -b -n 60 --no-pager -u systemd-networkd -u esos")
	return out
}

// try runs a command that may fail.
func (a *array) try(ctx context.Context, command string) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	out, err := a.r.Run(ctx, command)
	return out, err == nil
}

// until waits until a command succeeds, and returns how long that took.
func (a *array) until(ctx context.Context, what, command string) time.Duration {
	a.t.Helper()
	began := time.Now()
	for {
		out, ok := a.try(ctx, command)
		if ok {
			return time.Since(began)
		}
		if ctx.Err() != nil || time.Since(began) > 4*time.Minute {
			a.t.Fatalf("wait until %s: %s\n%s", what, out, a.state())
		}
		time.Sleep(time.Second)
	}
}

// timeout is a context that ends with the test, or before it.
func timeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

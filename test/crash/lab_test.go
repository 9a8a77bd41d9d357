package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
)

// bootTimeout is far beyond what translated code on a busy machine takes.
const bootTimeout = 10 * time.Minute

// bench is what all tests share: the image, and a medium that nobody writes to.
type bench struct {
	once   sync.Once
	lab    *appliance.Lab
	medium string
	err    error
	dir    string
}

var shared bench

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// machine is an appliance and a login to it.
type machine struct {
	*appliance.Machine
	t *testing.T
	r *appliance.Remote
}

// start starts an appliance from a medium of its own, and waits until it
// serves.
func start(ctx context.Context, t *testing.T, memory int) *machine {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp(level.Cache(t), "crash-"); shared.err != nil {
			return
		}
		if shared.lab, shared.err = appliance.Open(ctx, level.Root(t), shared.dir, t.Output()); shared.err == nil {
			shared.medium, shared.err = shared.lab.Medium(ctx, "medium")
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	stamp := time.Now().UnixNano()
	medium, err := shared.lab.Overlay(ctx, shared.medium, fmt.Sprintf("medium-%d", stamp), 8<<30)
	if err != nil {
		t.Fatal(err)
	}
	data, err := shared.lab.Blank(fmt.Sprintf("data-%d", stamp), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	m, err := shared.lab.Start(context.WithoutCancel(ctx), appliance.Options{
		Dir: level.ShortDir(t), Boot: vm.Drive{File: medium, Format: "qcow2", Bus: vm.USB}, Data: data, Memory: memory,
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &machine{Machine: m, t: t}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("last lines on the console:\n%s", m.Console().Tail(100))
		}
		for _, file := range []string{medium, data} {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	})
	a.served(ctx)
	return a
}

// served waits until the LUN is served, and logs in.
func (m *machine) served(ctx context.Context) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	if _, err := m.WaitServed(ctx); err != nil {
		m.t.Fatal(err)
	}
	r, err := m.SSH(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = r.Close() })
	m.r = r
}

// run runs a command, which must succeed.
func (m *machine) run(ctx context.Context, command string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := m.r.Run(ctx, command)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// into runs a command and reads the JSON that it prints.
func (m *machine) into(ctx context.Context, v any, command string) {
	m.t.Helper()
	text := m.run(ctx, command)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		m.t.Fatalf("%s: %v\n%s", command, err, text)
	}
}

// until runs a command until it prints a text.
func (m *machine) until(ctx context.Context, command, want string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		out, err := m.r.Run(ctx, command)
		if err == nil && strings.Contains(out, want) {
			return out
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			m.t.Fatalf("%s: no %q: %v\n%s", command, want, err, out)
		}
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

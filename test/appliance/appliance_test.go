package appliance

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
	"github.com/esos-project/esos/test/level"
)

// bootTimeout is far beyond what translated code on a busy machine takes.
const bootTimeout = 10 * time.Minute

// bench is what all tests share: the image, and a medium that nobody writes to.
type bench struct {
	once   sync.Once
	lab    *Lab
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

// lab returns the lab and its medium, made on first use.
func lab(t *testing.T) (*Lab, string) {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
		defer cancel()
		if shared.dir, shared.err = os.MkdirTemp(level.Cache(t), "appliance-"); shared.err != nil {
			return
		}
		if shared.lab, shared.err = Open(ctx, level.Root(t), shared.dir, t.Output()); shared.err != nil {
			return
		}
		shared.medium, shared.err = shared.lab.Medium(ctx, "medium")
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.lab, shared.medium
}

// withTimeout bounds a test.
func withTimeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// start starts an appliance with a data disk of its own; the test's end ends
// it.
func start(ctx context.Context, t *testing.T, o Options) *Machine {
	t.Helper()
	l, _ := lab(t)
	if o.Dir == "" {
		o.Dir = level.ShortDir(t)
	}
	if o.Data == "" {
		o.Data = blank(t, 1<<30)
	}
	m, err := l.Start(context.WithoutCancel(ctx), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("last lines on the console:\n%s", m.Console().Tail(60))
		}
	})
	return m
}

func blank(t *testing.T, size int64) string {
	t.Helper()
	l, _ := lab(t)
	file, err := l.Blank(fmt.Sprintf("blank-%s-%d", t.Name(), time.Now().UnixNano()), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(file) })
	return file
}

// overlay is a stick that begins as the shared medium and keeps what is
// written to it.
func overlay(ctx context.Context, t *testing.T, size int64) vm.Drive {
	t.Helper()
	l, medium := lab(t)
	file, err := l.Overlay(ctx, medium, fmt.Sprintf("overlay-%d", time.Now().UnixNano()), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(file) })
	return vm.Drive{File: file, Format: "qcow2", Bus: vm.USB}
}

// served waits until the LUN is served and tells how long that took.
func served(ctx context.Context, t *testing.T, m *Machine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	powered := time.Now()
	kernel, err := m.WaitKernel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	listing, err := m.WaitServed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("firmware and GRUB %.1f s; from the kernel's start to a served LUN %.1f s\n%s",
		kernel.Sub(powered).Seconds(), time.Since(kernel).Seconds(), strings.TrimSpace(listing))
}

func login(ctx context.Context, t *testing.T, m *Machine) *Remote {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	r, err := m.SSH(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// run runs a command in the appliance, which must succeed.
func run(ctx context.Context, t *testing.T, r *Remote, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := r.Run(ctx, command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// report is what the tests read of /run/esos/boot.json.
type report struct {
	Slot     string   `json:"slot"`
	Version  string   `json:"version"`
	Warnings []string `json:"warnings"`
	Restored struct {
		From string `json:"from"`
	} `json:"restored"`
	Stages []struct {
		Name string  `json:"name"`
		Took float64 `json:"took"`
	} `json:"stages"`
	HandedOver float64 `json:"handed_over"`
}

func bootReport(ctx context.Context, t *testing.T, r *Remote) report {
	t.Helper()
	text := run(ctx, t, r, "cat /run/esos/boot.json")
	var b report
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatalf("read /run/esos/boot.json: %v\n%s", err, text)
	}
	var stages strings.Builder
	for _, s := range b.Stages {
		if s.Took >= 0.1 {
			fmt.Fprintf(&stages, "; %s %.1f s", s.Name, s.Took)
		}
	}
	t.Logf("slot %s of %s, settings from %s; warnings %q; handed over after %.1f s%s",
		b.Slot, b.Version, b.Restored.From, b.Warnings, b.HandedOver, stages.String())
	return b
}

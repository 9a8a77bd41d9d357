package settings

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
)

// bootTimeout is far beyond what translated code on a busy machine takes.
const bootTimeout = 10 * time.Minute

// stickSize is that of all sticks here.
const stickSize = 8 << 30

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

func lab(t *testing.T) *appliance.Lab {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
		defer cancel()
		if shared.dir, shared.err = os.MkdirTemp(level.Cache(t), "settings-"); shared.err != nil {
			return
		}
		if shared.lab, shared.err = appliance.Open(ctx, level.Root(t), shared.dir, t.Output()); shared.err == nil {
			shared.medium, shared.err = shared.lab.Medium(ctx, "medium")
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.lab
}

// array is an appliance that is started again and again from one stick.
type array struct {
	*appliance.Machine
	t     *testing.T
	stick vm.Drive
	o     appliance.Options
	r     *appliance.Remote
}

// newArray is an array that is off, with a stick and a data disk of its own.
func newArray(ctx context.Context, t *testing.T) *array {
	t.Helper()
	l := lab(t)
	name := strings.ReplaceAll(t.Name(), "/", "-")
	file, err := l.Overlay(ctx, shared.medium, "stick-"+name, stickSize)
	if err != nil {
		t.Fatal(err)
	}
	a := &array{t: t, stick: vm.Drive{File: file, Format: "qcow2", Bus: vm.USB}}
	a.o = appliance.Options{Dir: level.ShortDir(t)}
	if a.o.Data, err = l.Blank("data-"+name, 1<<30); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.pullPlug()
		for _, file := range []string{file, a.o.Data} {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	})
	return a
}

// start starts it from its stick.
func (a *array) start(ctx context.Context) {
	a.t.Helper()
	a.o.Boot = a.stick
	m, err := lab(a.t).Start(context.WithoutCancel(ctx), a.o)
	if err != nil {
		a.t.Fatal(err)
	}
	a.Machine = m
}

// boot starts it, waits until it serves, and logs in.
func (a *array) boot(ctx context.Context) {
	a.t.Helper()
	a.start(ctx)
	a.serves(ctx)
}

// serves waits until it serves, and logs in.
func (a *array) serves(ctx context.Context) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	if _, err := a.WaitServed(ctx); err != nil {
		a.t.Fatal(err)
	}
	r, err := a.SSH(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = r.Close() })
	a.r = r
}

// pullPlug ends it as a power cut does.
func (a *array) pullPlug() {
	a.t.Helper()
	if a.Machine == nil {
		return
	}
	if err := a.Close(); err != nil {
		a.t.Error(err)
	}
	if a.t.Failed() {
		a.t.Logf("last lines on the console:\n%s", a.Console().Tail(60))
	}
	a.Machine = nil
}

// reboot has it shut down in good order and waits until it serves again.
func (a *array) reboot(ctx context.Context) {
	a.t.Helper()
	a.Console().Forget()
	_, _ = a.r.Run(ctx, "systemctl reboot") // the connection ends before the command does
	if err := a.WaitFor(ctx, appliance.KernelMarker); err != nil {
		a.t.Fatal(err)
	}
	a.serves(ctx)
}

// run runs a command, which must succeed.
func (a *array) run(ctx context.Context, command string) string {
	a.t.Helper()
	return a.pipe(ctx, command, "")
}

func (a *array) pipe(ctx context.Context, command, input string) string {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := a.r.Pipe(ctx, command, input)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// into runs a command and reads the JSON that it prints.
func (a *array) into(ctx context.Context, v any, command string) {
	a.t.Helper()
	text := a.run(ctx, command)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		a.t.Fatalf("%s: %v\n%s", command, err, text)
	}
}

// report is what the first process of the boot left.
func (a *array) report(ctx context.Context) (r boot.Report) {
	a.t.Helper()
	a.into(ctx, &r, "cat "+boot.ReportFile)
	return r
}

// newest is the generation that the next boot would take.
func (a *array) newest(ctx context.Context) persist.Generation {
	a.t.Helper()
	var list []persist.Listed
	a.into(ctx, &list, "esos config generations -o json")
	n := persist.Newest(list)
	if n == nil {
		a.t.Fatalf("no generation is in force: %+v", list)
	}
	return n.Generation
}

// alert is what the tests read of `esos alert list -o json`.
type alert struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

// alert returns the alert of an ID, if it stands.
func (a *array) alert(ctx context.Context, id string) (alert, bool) {
	a.t.Helper()
	var all []alert
	a.into(ctx, &all, "esos alert list -o json")
	return find(all, id)
}

func find(all []alert, id string) (alert, bool) {
	for _, al := range all {
		if al.ID == id {
			return al, true
		}
	}
	return alert{}, false
}

// waitAlert waits until an alert stands, or does not any more, and says how
// long that took.
func (a *array) waitAlert(ctx context.Context, id string, stands bool) {
	a.t.Helper()
	began := time.Now()
	for {
		if _, there := a.alert(ctx, id); there == stands {
			a.t.Logf("alert %s: %v after %.0f s", id, stands, time.Since(began).Seconds())
			return
		}
		if time.Since(began) > 2*time.Minute {
			a.t.Fatalf("alert %s after two minutes: %v, want %v", id, !stands, stands)
		}
		pause(ctx, a.t, time.Second)
	}
}

func pause(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// onHost runs a program on this machine.
func onHost(ctx context.Context, t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

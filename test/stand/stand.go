// Package stand is an appliance of a test, through all of its boots: it is
// switched on and off, its commands are run, and what fails ends the test with
// the last lines of its console.
package stand

import (
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/test/appliance"
)

// BootTimeout is far beyond what translated code on a busy machine takes.
const BootTimeout = 10 * time.Minute

// Stand is an appliance with a stick and a data disk, which stay when its power
// is cut.
type Stand struct {
	// Machine is what runs; nil while it is off.
	*appliance.Machine
	// Remote is the login of the boot.
	Remote *appliance.Remote
	// Options are those of the next start.
	Options appliance.Options
	T       *testing.T

	lab *appliance.Lab
}

// On switches it on, and returns at once.
func (s *Stand) On(ctx context.Context) {
	s.T.Helper()
	m, err := s.lab.Start(context.WithoutCancel(ctx), s.Options)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Machine = m
}

// Off pulls its plug, if it is on.
func (s *Stand) Off() {
	s.T.Helper()
	if s.Machine == nil {
		return
	}
	s.logout()
	if s.T.Failed() {
		s.T.Logf("last lines on the console:\n%s", s.Console().Tail(80))
	}
	if err := s.Close(); err != nil {
		s.T.Error(err)
	}
	s.Machine = nil
}

// Boot switches it on and waits until it serves.
func (s *Stand) Boot(ctx context.Context) {
	s.T.Helper()
	s.On(ctx)
	s.Served(ctx)
}

// Served waits until a LUN is served, and logs in.
func (s *Stand) Served(ctx context.Context) {
	s.T.Helper()
	s.ServedWithin(ctx, BootTimeout)
}

// ServedWithin is Served for boots that may take longer than BootTimeout.
func (s *Stand) ServedWithin(ctx context.Context, d time.Duration) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	s.logout()
	began := time.Now()
	if _, err := s.WaitServed(ctx); err != nil {
		s.T.Fatal(err)
	}
	took := time.Since(began)
	r, err := s.SSH(ctx)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Remote = r
	s.T.Logf("served after %.0f s, logged in after %.0f s", took.Seconds(), time.Since(began).Seconds())
	// esos-target serves what it served before without the daemon.
	s.Until(ctx, "esos status >/dev/null 2>&1 && echo it answers", "it answers")
}

func (s *Stand) logout() {
	if s.Remote != nil {
		_ = s.Remote.Close() // the machine may be gone
		s.Remote = nil
	}
}

// Reboot has it shut down in good order, and waits until it serves again.
func (s *Stand) Reboot(ctx context.Context) {
	s.T.Helper()
	s.Console().Forget()
	_, _ = s.Remote.Run(ctx, "systemctl --no-block reboot") // the connection may end before the command does
	if err := s.WaitFor(ctx, appliance.KernelMarker); err != nil {
		s.T.Fatal(err)
	}
	s.Served(ctx)
}

// ShutDown ends in an appliance that is off.
func (s *Stand) ShutDown(ctx context.Context) {
	s.T.Helper()
	_, _ = s.Remote.Run(ctx, "systemctl --no-block poweroff")
	select {
	case <-s.Done():
	case <-time.After(5 * time.Minute):
		s.T.Error("the machine does not shut down within five minutes")
	case <-ctx.Done():
		s.T.Error(ctx.Err())
	}
	s.Off()
}

// commandTimeout is that of one command.
const commandTimeout = 10 * time.Minute

// Run runs a command, which must succeed.
func (s *Stand) Run(ctx context.Context, command string) string {
	s.T.Helper()
	return s.Pipe(ctx, command, "")
}

// Pipe is Run with an input.
func (s *Stand) Pipe(ctx context.Context, command, input string) string {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out, err := s.Remote.Pipe(ctx, command, input)
	if err != nil {
		s.T.Fatal(err)
	}
	return out
}

// Into runs a command and reads the JSON that it prints.
func (s *Stand) Into(ctx context.Context, v any, command string) {
	s.T.Helper()
	text := s.Run(ctx, command)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		s.T.Fatalf("%s: %v\n%s", command, err, text)
	}
}

// Until runs a command until it succeeds and prints a text.
func (s *Stand) Until(ctx context.Context, command, want string) string {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	for {
		out, err := s.Remote.Run(ctx, command)
		if err == nil && strings.Contains(out, want) {
			return out
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			s.T.Fatalf("%s: no %q: %v\n%s", command, want, err, out)
		}
	}
}

// Report is what the first process of the boot left.
func (s *Stand) Report(ctx context.Context) (r boot.Report) {
	s.T.Helper()
	s.Into(ctx, &r, "cat "+boot.ReportFile)
	return r
}

// Alert is what is read of `esos alert list -o json`.
type Alert struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

// Find returns the alert of an ID.
func Find(all []Alert, id string) (Alert, bool) {
	for _, a := range all {
		if a.ID == id {
			return a, true
		}
	}
	return Alert{}, false
}

// Alert returns the alert of an ID, if it stands.
func (s *Stand) Alert(ctx context.Context, id string) (Alert, bool) {
	s.T.Helper()
	var all []Alert
	s.Into(ctx, &all, "esos alert list -o json")
	return Find(all, id)
}

// WaitAlert waits until an alert that says a text stands.
func (s *Stand) WaitAlert(ctx context.Context, id, says string) Alert {
	s.T.Helper()
	return s.waitAlert(ctx, id, says, true)
}

// WaitNoAlert waits until an alert does not stand any more.
func (s *Stand) WaitNoAlert(ctx context.Context, id string) {
	s.T.Helper()
	s.waitAlert(ctx, id, "", false)
}

func (s *Stand) waitAlert(ctx context.Context, id, says string, stands bool) Alert {
	s.T.Helper()
	began := time.Now()
	for {
		a, there := s.Alert(ctx, id)
		if (there && strings.Contains(a.Message, says)) == stands {
			s.T.Logf("alert %s: %t after %.0f s: %s", id, stands, time.Since(began).Seconds(), a.Message)
			return a
		}
		if time.Since(began) > 3*time.Minute {
			s.T.Fatalf("alert %s, says %q, after three minutes: %t, want %t; it says %q", id, says, !stands, stands, a.Message)
		}
		Pause(ctx, s.T, time.Second)
	}
}

// Pause waits, as long as the test may.
func Pause(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

// Timeout is a context that ends with the test, or before it.
func Timeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// OnHost runs a program on this machine.
func OnHost(ctx context.Context, t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

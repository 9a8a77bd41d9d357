package scstd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// process makes one in an imitated /proc.
func process(t *testing.T, proc, pid, name string, line ...string) {
	t.Helper()
	dir := filepath.Join(proc, pid)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"comm": name + "\n", "cmdline": strings.Join(line, "\x00") + "\x00"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPort(t *testing.T) {
	for line, want := range map[string]int{
		"iscsi-scstd": 3260, "iscsi-scstd -p 3261": 3261, "iscsi-scstd -f --port=99": 99, "iscsi-scstd -a 10.0.0.1 -p77 -d 1": 77,
		"iscsi-scstd -c /p/x --port 5": 5, "iscsi-scstd -p x": -1,
	} {
		d := Daemon{Proc: t.TempDir()}
		process(t, d.Proc, "1", "systemd", "init")
		if port, err := d.Port(t.Context()); port != 0 || err != nil {
			t.Errorf("without it: %d, %v", port, err)
		}
		process(t, d.Proc, "77", "iscsi-scstd", strings.Fields(line)...)
		port, err := d.Port(t.Context())
		if want < 0 {
			if err == nil {
				t.Errorf("%q: port %d", line, port)
			}
		} else if err != nil || port != want {
			t.Errorf("%q: port %d, %v; want %d", line, port, err, want)
		}
	}
}

// Under systemd the daemon must not end with whoever started it.
func TestStart(t *testing.T) {
	for _, systemd := range []bool{false, true} {
		d := Daemon{Proc: t.TempDir(), Systemd: filepath.Join(t.TempDir(), "no")}
		want := "iscsi-scstd -p 3261"
		if systemd {
			d.Systemd = t.TempDir()
			want = "systemd-run --quiet --collect --unit=esos-iscsi-scstd --property=Type=forking --description=iSCSI for SCST, started by ESOS iscsi-scstd -p 3261"
		}
		d.Run = func(_ context.Context, _, name string, args ...string) error {
			if got := name + " " + strings.Join(args, " "); got != want {
				t.Errorf("ran %q, want %q", got, want)
			}
			process(t, d.Proc, "5", "iscsi-scstd", "iscsi-scstd", "-p", "3261")
			return nil
		}
		if err := d.Start(t.Context(), 3261); err != nil {
			t.Error(err)
		}
	}
	d := Daemon{Proc: t.TempDir(), Systemd: "/none", Run: func(context.Context, string, string, ...string) error { return errors.New("no such program") }}
	if err := d.Start(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "in this image") {
		t.Errorf("without the program: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.Run = func(context.Context, string, string, ...string) error { return nil }
	if err := d.Start(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("one that is never there: %v", err)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Errorf("stop of none: %v", err)
	}
}

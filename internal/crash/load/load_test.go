package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/medium/attach"
)

func TestCmdline(t *testing.T) {
	const usual = "irqpoll nr_cpus=1 maxcpus=1 reset_devices cgroup_disable=memory numa=off mce=off hest_disable acpi_no_memhotplug transparent_hugepage=never rootfstype=ramfs panic=10 esos_crash"
	for running, want := range map[string]string{
		"BOOT_IMAGE=/PRIMARY/vmlinuz slot=PRIMARY esos_medium=ab console=tty0 console=ttyS0,115200 panic=10 loglevel=6 systemd.show_status=auto crashkernel=896M-2G:128M,2G-:256M\n": "slot=PRIMARY esos_medium=ab console=tty0 console=ttyS0,115200 loglevel=6 " + usual,
		"slub_debug=FZPU kfence.sample_interval=100 page_poison=1 scst.dyndbg=+p log_buf_len=4M ignore_loglevel":                                                                     "ignore_loglevel " + usual,
		"esos_trial esos_settings=slot esos_persist esos_wait=90 mpt3sas.max_queue_depth=32 -- rest":                                                                                 "esos_wait=90 mpt3sas.max_queue_depth=32 " + usual,
		"": usual,
	} {
		if got := Cmdline(running); got != want {
			t.Errorf("of %q\ngot  %q\nwant %q", running, got, want)
		}
	}
	if got := Cmdline("first=1 " + strings.Repeat("word=x ", 500)); len(got) > maxCmdline || !strings.HasPrefix(got, "first=1 word=x") || !strings.HasSuffix(got, usual) {
		t.Errorf("%d bytes", len(got))
	}
}

// bench is a machine in a directory.
func bench(t *testing.T, reserved string) (Loader, *[]string) {
	t.Helper()
	root := t.TempDir()
	write(t, root, "sys/kernel/kexec_crash_size", reserved)
	write(t, root, "sys/kernel/kexec_crash_loaded", "0\n")
	write(t, root, "proc/cmdline", "slot=PRIMARY quiet crashkernel=128M\n")
	write(t, root, "proc/meminfo", "MemTotal: 2000000 kB\n")
	write(t, root, "run/esos/boot.json", `{"options": {"slot": "SECONDARY"}, "slot": "PRIMARY"}`)
	var calls []string
	return Loader{
		root: root,
		open: func(_ context.Context, label string) (string, func() error, error) {
			calls = append(calls, "open "+label)
			return "/boot", func() error { calls = append(calls, "close"); return nil }, nil
		},
		load: func(kernel, initrd, cmdline string) error {
			calls = append(calls, fmt.Sprintf("load %s %s: %s", kernel, initrd, strings.Fields(cmdline)[0]))
			write(t, root, "sys/kernel/kexec_crash_loaded", "1\n")
			return nil
		},
	}, &calls
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	l, calls := bench(t, "134217728\n")
	s, err := l.Load(t.Context())
	if err != nil || !s.Loaded || s.Slot != "SECONDARY" || s.Reserved != 128<<20 || s.Error != "" {
		t.Errorf("loaded %+v: %v", s, err)
	}
	if got := strings.Join(*calls, "; "); got != "open ESOS_BOOT; load /boot/SECONDARY/vmlinuz /boot/SECONDARY/initrd.img: slot=PRIMARY; close" {
		t.Errorf("calls: %s", got)
	}
	if got, err := ReadState(filepath.Join(l.root, StatePath)); err != nil || got.Reserved != s.Reserved || !got.When.Equal(s.When) {
		t.Errorf("state: %+v, %v", got, err)
	}
}

func TestLoadFails(t *testing.T) {
	for name, tt := range map[string]struct {
		reserved string
		setUp    func(l *Loader)
		want     string // "" if it is no failure
		small    bool
	}{
		"nothing reserved": {"0\n", func(*Loader) {}, "no memory is reserved", false},
		"a small machine":  {"0\n", func(l *Loader) { write(t, l.root, "proc/meminfo", "MemTotal: 600000 kB\n") }, "", true},
		"no medium": {"1\n", func(l *Loader) {
			l.open = func(context.Context, string) (string, func() error, error) {
				return "", nil, &attach.GoneError{Label: "ESOS_BOOT", Err: errors.New("pulled")}
			}
		}, "pulled", false},
		"the kernel refuses": {"1\n", func(l *Loader) {
			l.load = func(string, string, string) error { return errors.New("no room") }
		}, "no room", false},
		"not loaded after all": {"1\n", func(l *Loader) { l.load = func(string, string, string) error { return nil } }, "no crash kernel is loaded", false},
		"no appliance":         {"1\n", func(l *Loader) { _ = os.Remove(filepath.Join(l.root, "run/esos/boot.json")) }, "not started from a medium", false},
		"a strange report":     {"1\n", func(l *Loader) { write(t, l.root, "run/esos/boot.json", "{}") }, "it names no slot", false},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := bench(t, tt.reserved)
			tt.setUp(&l)
			s, err := l.Load(t.Context())
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) || s.Small != tt.small || s.Loaded {
				t.Fatalf("loaded %+v: %v", s, err)
			}
			got, err := ReadState(filepath.Join(l.root, StatePath))
			if err != nil || !strings.Contains(got.Error, tt.want) || (got.Error == "") != (tt.want == "") {
				t.Errorf("state: %+v, %v", got, err)
			}
		})
	}
	if _, err := ReadState(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no state: %v", err)
	}
}

package attach

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/host"
)

// bench is a machine in a directory; what is asked of its kernel is in calls.
type bench struct {
	*Attacher
	uuids map[string]string
	ro    map[string]string // by device: where it is mounted read-only
	calls []string
	fail  map[string]error
}

func newBench(t *testing.T, mode boot.Mode) *bench {
	t.Helper()
	b := &bench{uuids: map[string]string{}, ro: map[string]string{}, fail: map[string]error{}}
	b.Attacher = &Attacher{run: t.TempDir(), sys: t.TempDir(), kernel: b}
	text, err := json.Marshal(boot.Report{Mode: mode, Medium: boot.Medium{Partitions: map[string]boot.Partition{
		"esos_root": {Device: "/dev/sda3", UUID: "root"}, "esos_logs": {Device: "/dev/sda5", UUID: "logs"}, "ESOS_BOOT": {Device: "/dev/sda2", UUID: "ABCD-0123"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.run, filepath.Base(boot.ReportFile)), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(b.sys, "class/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

// plug makes a partition appear; one without a label is an array.
func (b *bench) plug(t *testing.T, name, label, uuid string, held bool) {
	t.Helper()
	dir := filepath.Join(b.sys, "class/block", name, "holders")
	if held {
		dir = filepath.Join(dir, "md127")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := "DEVNAME=" + name + "\n"
	if label != "" {
		text += "PARTNAME=" + label + "\n"
	}
	if err := os.WriteFile(filepath.Join(b.sys, "class/block", name, "uevent"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b.uuids["/dev/"+name] = uuid
}

func (b *bench) call(words ...string) error {
	call := strings.ReplaceAll(strings.Join(words, " "), b.run, "RUN")
	b.calls = append(b.calls, call)
	return b.fail[call]
}

func (b *bench) mount(device, where string, fat bool) error {
	kind := "ext4"
	if fat {
		kind = "vfat"
	}
	if err := b.call("mount", kind, device, where); err != nil {
		return err
	}
	if b.ro[device] != "" {
		return unix.EBUSY
	}
	return nil
}

func (b *bench) mountRead(device, where string, _ bool) error {
	return b.call("read", device, where)
}

func (b *bench) unmount(where string) error             { return b.call("unmount", where) }
func (b *bench) sync(where string) error                { return b.call("sync", where) }
func (b *bench) readOnly(device string) (string, error) { return b.ro[device], nil }

func (b *bench) remount(where string, writable bool) error {
	if writable {
		clear(b.ro)
		return b.call("remount", where, "rw")
	}
	return b.call("remount", where, "ro")
}

func (b *bench) uuid(device string, fat bool) (string, error) {
	if u := b.uuids[device]; u != "" {
		return u, nil
	}
	return "", errors.New("cannot be read")
}

func TestFind(t *testing.T) {
	for name, tt := range map[string]struct {
		plug  func(t *testing.T, b *bench)
		label string
		want  string
		why   string
	}{
		"where it was": {label: "esos_logs", plug: func(t *testing.T, b *bench) {
			b.plug(t, "sda5", "esos_logs", "LOGS", false)
			b.plug(t, "sdb5", "esos_logs", "other", false)
			b.plug(t, "sda3", "esos_root", "root", false)
		}, want: "/dev/sda5"},
		"FAT": {label: "ESOS_BOOT", plug: func(t *testing.T, b *bench) {
			b.plug(t, "sda2", "ESOS_BOOT", "ffff-ffff", false)
			b.plug(t, "sdb2", "ESOS_BOOT", "abcd-0123", false)
		}, want: "/dev/sdb2"},
		"under another name": {label: "esos_logs", plug: func(t *testing.T, b *bench) {
			b.plug(t, "sda5", "esos_logs", "other", false)
			b.plug(t, "sdc5", "esos_logs", "logs", false)
		}, want: "/dev/sdc5"},
		"a mirror": {label: "esos_logs", plug: func(t *testing.T, b *bench) {
			b.plug(t, "sdc5", "esos_logs", "logs", true)
			b.plug(t, "sdb5", "esos_logs", "logs", true)
			b.plug(t, "md127p5", "esos_logs", "logs", false)
		}, want: "/dev/md127p5"},
		"a mirror of this partition": {label: "esos_logs", plug: func(t *testing.T, b *bench) {
			b.plug(t, "sdb5", "esos_logs", "logs", true)
			b.plug(t, "sda5", "", "logs", false) // by the name that it had at boot
		}, want: "/dev/sda5"},
		"not known at boot": {label: "esos_data", plug: func(t *testing.T, b *bench) { b.plug(t, "sda6", "esos_data", "any", false) }, want: "/dev/sda6"},
		"cannot be read":    {label: "esos_logs", plug: func(t *testing.T, b *bench) { b.plug(t, "sda5", "esos_logs", "", false) }, want: "/dev/sda5"},
		"twins": {label: "esos_logs", plug: func(t *testing.T, b *bench) {
			b.plug(t, "sdb5", "esos_logs", "logs", false)
			b.plug(t, "sdc5", "esos_logs", "logs", false)
		}, why: "several media"},
		"another's": {label: "esos_logs", plug: func(t *testing.T, b *bench) { b.plug(t, "sda5", "esos_logs", "other", false) }, why: "/dev/sda5 is on another one"},
		"gone":      {label: "esos_logs", plug: func(t *testing.T, b *bench) { b.plug(t, "sda3", "esos_root", "root", false) }, why: "is gone: there is no partition esos_logs"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, boot.ModeMemory)
			tt.plug(t, b)
			m, err := b.Open(t.Context(), tt.label)
			if tt.why != "" {
				var gone *GoneError
				if !errors.As(err, &gone) || gone.Label != tt.label || !strings.Contains(err.Error(), tt.why) {
					t.Errorf("opened %v: %v", m, err)
				}
				return
			}
			if err != nil || m.Device != tt.want {
				t.Fatalf("opened %+v: %v, want %s", m, err, tt.want)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	b := newBench(t, boot.ModeMemory)
	b.plug(t, "sda5", "esos_logs", "logs", false)
	b.plug(t, "sda2", "ESOS_BOOT", "ABCD-0123", false)
	logs, err := b.Open(t.Context(), "esos_logs")
	if err != nil {
		t.Fatal(err)
	}
	boots, err := b.Open(t.Context(), "ESOS_BOOT") // another partition does not wait
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if m, err := b.Open(ctx, "esos_logs"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("opened while another has it: %v, %v", m, err)
	}
	b.fail["sync RUN/mnt/logs"] = unix.EIO
	if err := logs.Close(); !errors.Is(err, unix.EIO) {
		t.Errorf("closed although nothing is durable: %v", err)
	}
	if err := errors.Join(logs.Close(), boots.Close()); err != nil {
		t.Error(err)
	}
	b.fail["mount ext4 /dev/sda5 RUN/mnt/logs"] = unix.EIO
	var gone *GoneError
	if _, err := b.Open(t.Context(), "esos_logs"); !errors.As(err, &gone) || !errors.Is(err, unix.EIO) {
		t.Errorf("a device that fails: %v", err)
	}
	clear(b.fail)
	m, err := b.Open(t.Context(), "esos_logs") // the failure left no lock behind
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	want := "mount ext4 /dev/sda5 RUN/mnt/logs;mount vfat /dev/sda2 RUN/mnt/boot;sync RUN/mnt/logs;unmount RUN/mnt/logs;sync RUN/mnt/boot;unmount RUN/mnt/boot;" +
		"mount ext4 /dev/sda5 RUN/mnt/logs;mount ext4 /dev/sda5 RUN/mnt/logs;sync RUN/mnt/logs;unmount RUN/mnt/logs"
	if got := strings.Join(b.calls, ";"); got != want {
		t.Errorf("calls: %s", got)
	}
}

// TestPersist: a system that runs from its medium has esos_root mounted, to be
// read only, and it is so again afterwards.
func TestPersist(t *testing.T) {
	b := newBench(t, boot.ModePersist)
	b.plug(t, "sda3", "esos_root", "root", false)
	b.ro["/dev/sda3"] = "/run/esos/medium/root"
	m, err := b.Open(t.Context(), "esos_root")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	want := "mount ext4 /dev/sda3 RUN/mnt/root;remount /run/esos/medium/root rw;mount ext4 /dev/sda3 RUN/mnt/root;sync RUN/mnt/root;unmount RUN/mnt/root;remount /run/esos/medium/root ro"
	if got := strings.Join(b.calls, ";"); got != want {
		t.Errorf("calls: %s", got)
	}
	// Who only reads changes nothing of that, unless it is writable already.
	b.calls = nil
	b.fail["read /dev/sda5 RUN/mnt/logs"] = unix.EBUSY
	b.plug(t, "sda5", "esos_logs", "logs", false)
	for _, label := range []string{"esos_root", "esos_logs"} {
		if m, err = b.open(t.Context(), label, true); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	want = "read /dev/sda3 RUN/mnt/root;sync RUN/mnt/root;unmount RUN/mnt/root;read /dev/sda5 RUN/mnt/logs;mount ext4 /dev/sda5 RUN/mnt/logs;sync RUN/mnt/logs;unmount RUN/mnt/logs"
	if got := strings.Join(b.calls, ";"); got != want {
		t.Errorf("calls: %s", got)
	}
	b.ro["/dev/sda3"] = "/run/esos/medium/root"
	b.fail["mount ext4 /dev/sda3 RUN/mnt/root"] = unix.EBUSY
	var gone *GoneError
	if _, err := b.Open(t.Context(), "esos_root"); !errors.As(err, &gone) || !errors.Is(err, unix.EBUSY) {
		t.Errorf("in use by another: %v", err)
	}
}

func TestNoMedium(t *testing.T) {
	for _, mode := range []boot.Mode{boot.ModeLive, boot.ModeInstall} {
		if _, err := newBench(t, mode).Open(t.Context(), "esos_logs"); !errors.Is(err, ErrNoMedium) {
			t.Errorf("%s: %v", mode, err)
		}
	}
	b := newBench(t, boot.ModeMemory)
	if err := os.Remove(filepath.Join(b.run, "boot.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(t.Context(), "esos_logs"); !errors.Is(err, ErrNoMedium) {
		t.Errorf("no appliance: %v", err)
	}
}

// TestDevice does it with file systems and the kernel's own mounts.
func TestDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes loop devices and mounts")
	}
	for _, tt := range []struct{ label, mkfs string }{{"esos_root", "mkfs.ext4 -q -F"}, {"ESOS_BOOT", "mkfs.vfat -F 32"}} {
		t.Run(tt.label, func(t *testing.T) {
			b := newBench(t, boot.ModeMemory)
			image := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(image, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(image, 64<<20); err != nil {
				t.Fatal(err)
			}
			run := func(words ...string) string {
				t.Helper()
				path, err := exec.LookPath(words[0])
				if err != nil {
					t.Skipf("needs %s: %v", words[0], err)
				}
				out, err := exec.CommandContext(t.Context(), path, words[1:]...).CombinedOutput()
				if err != nil {
					t.Skipf("needs loop devices: %q: %v: %s", words, err, out)
				}
				return strings.TrimSpace(string(out))
			}
			run(append(strings.Fields(tt.mkfs), image)...)
			device := run("losetup", "-f", "--show", image)
			t.Cleanup(func() { _ = exec.Command("losetup", "-d", device).Run() })
			b.plug(t, filepath.Base(device), tt.label, "", false)
			b.kernel = linux{}
			uuid, err := b.kernel.uuid(device, tt.label == labelBoot)
			if err != nil || uuid != run("blkid", "-p", "-s", "UUID", "-o", "value", device) {
				t.Fatalf("UUID %q, %v", uuid, err)
			}
			text, err := json.Marshal(boot.Report{Mode: boot.ModePersist, Medium: boot.Medium{Partitions: map[string]boot.Partition{tt.label: {Device: device, UUID: uuid}}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(b.run, "boot.json"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			persist := t.TempDir()
			fstype := map[bool]string{true: "vfat", false: "ext4"}[tt.label == labelBoot]
			if err := unix.Mount(device, persist, fstype, unix.MS_RDONLY, ""); err != nil {
				t.Skipf("needs mounts: %v", err)
			}
			defer func() { _ = unix.Unmount(persist, unix.MNT_DETACH) }()
			m, err := b.Open(t.Context(), tt.label)
			if err != nil {
				t.Fatal(err)
			}
			if m.ReadOnly != persist {
				t.Errorf("mounted read-only at %q, found at %q", persist, m.ReadOnly)
			}
			if err := os.WriteFile(filepath.Join(m.Dir, "here"), []byte("x"), 0o600); err != nil {
				t.Error(err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(persist, "here")); err != nil {
				t.Errorf("what was written is not on the medium: %v", err)
			}
			if where, err := host.ReadOnlyMount(device); err != nil || where != persist {
				t.Errorf("read-only afterwards: %q, %v", where, err)
			}
			if err := unix.Unmount(persist, 0); err != nil {
				t.Fatal(err)
			}
			if m, err = b.Open(t.Context(), tt.label); err != nil || m.ReadOnly != "" {
				t.Fatalf("opened %+v: %v", m, err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if err := unix.Unmount(m.Dir, 0); !errors.Is(err, unix.EINVAL) {
				t.Errorf("left mounted: %v", err)
			}
		})
	}
}

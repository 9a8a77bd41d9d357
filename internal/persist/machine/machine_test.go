package machine

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
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

// bench is a machine in a directory: its "devices" are directories, and
// mounting is a symbolic link.
type bench struct {
	*Machine
	dir      string
	uuids    map[string]string
	attached int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{dir: dir, uuids: map[string]string{}}
	b.Machine = &Machine{
		boot: booted{Slot: "PRIMARY", Version: "1.0", Conf: "/dev/sda4", UUID: "aaaa"},
		sys:  filepath.Join(dir, "sys"), label: Label, upper: filepath.Join(dir, "upper"), mount: filepath.Join(dir, "mount"),
		lock: filepath.Join(dir, "lock"), state: filepath.Join(dir, "saved.json"), hold: filepath.Join(dir, "held"), id: filepath.Join(dir, "machine-id"),
		attach: func(device, where string) error {
			b.attached++
			return os.Symlink(filepath.Join(dir, device), where)
		},
		detach: func(where string) error { b.attached--; return os.Remove(where) },
		uuid: func(device string) (string, error) {
			if u, ok := b.uuids[device]; ok {
				return u, nil
			}
			return "", errors.New("cannot be read")
		},
	}
	b.hosts(t, "first")
	if err := os.MkdirAll(filepath.Join(dir, "sys/class/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) hosts(t *testing.T, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(b.upper, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.upper, "etc/hosts"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// plug makes a partition appear.
func (b *bench) plug(t *testing.T, name, label, uuid string, held bool) {
	t.Helper()
	dir := filepath.Join(b.sys, "class/block", name)
	holders := filepath.Join(dir, "holders")
	if held {
		holders = filepath.Join(holders, "md127")
	}
	for _, d := range []string{holders, filepath.Join(b.dir, "dev", name)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "uevent"), []byte("DEVNAME="+name+"\nPARTNAME="+label+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.uuids["/dev/"+name] = uuid
}

func (b *bench) pull(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(b.sys, "class/block", name)); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	for name, tt := range map[string]struct {
		plug func(t *testing.T, b *bench)
		want string
		why  string
	}{
		"where it was": {plug: func(t *testing.T, b *bench) {
			b.plug(t, "sda4", Label, "AAAA", false)
			b.plug(t, "sdb4", Label, "aaaa", false)
			b.plug(t, "sda5", "esos_logs", "aaaa", false)
		}, want: "/dev/sda4"},
		"under another name": {plug: func(t *testing.T, b *bench) {
			b.plug(t, "sda4", Label, "other", false)
			b.plug(t, "sdc4", Label, "aaaa", false)
		}, want: "/dev/sdc4"},
		"a mirror": {plug: func(t *testing.T, b *bench) {
			b.plug(t, "sda4", Label, "aaaa", true)
			b.plug(t, "sdb4", Label, "aaaa", true)
			b.plug(t, "md127p4", Label, "aaaa", false)
		}, want: "/dev/md127p4"},
		"twins": {plug: func(t *testing.T, b *bench) {
			b.plug(t, "sdb4", Label, "aaaa", false)
			b.plug(t, "sdc4", Label, "aaaa", false)
		}, why: "several media"},
		"another's": {plug: func(t *testing.T, b *bench) { b.plug(t, "sda4", Label, "other", false) }, why: "/dev/sda4 is on another one"},
		"gone":      {plug: func(t *testing.T, b *bench) { b.plug(t, "sda5", "esos_logs", "aaaa", false) }, why: "is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			tt.plug(t, b)
			got, err := b.find()
			if got != tt.want || (err != nil) != (tt.why != "") || err != nil && !strings.Contains(err.Error(), tt.why) {
				t.Errorf("found %q, %v; want %q, %q", got, err, tt.want, tt.why)
			}
		})
	}
}

// TestSave goes through a stick's life: saved to, unchanged, pulled, put back
// under another name; each time there is word of how it went.
func TestSave(t *testing.T) {
	b := newBench(t)
	last := func() Last {
		t.Helper()
		l, err := b.Last()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := last(); l != (Last{}) {
		t.Errorf("before the first save: %+v", l)
	}
	b.plug(t, "sda4", Label, "aaaa", false)
	s, err := b.Save(t.Context(), "test")
	if err != nil || s.Generation.Number != 1 || s.Generation.Slot != "PRIMARY" || s.Generation.Version != "1.0" || s.Generation.Reason != "test" {
		t.Fatalf("first save: %+v, %v", s, err)
	}
	if l := last(); l.Generation != 1 || l.Error != "" || l.Reason != "test" || time.Since(l.When) > time.Minute {
		t.Errorf("word of the first save: %+v", l)
	}
	if s, err := b.Save(t.Context(), "again"); err != nil || !s.Unchanged || !last().Unchanged {
		t.Errorf("unchanged: %+v, %v, %+v", s, err, last())
	}
	b.pull(t, "sda4")
	b.hosts(t, "second")
	var medium *MediumError
	if _, err := b.Save(t.Context(), "pulled"); !errors.As(err, &medium) || !strings.Contains(err.Error(), "put the medium back") {
		t.Errorf("pulled: %v", err)
	}
	if l := last(); l.Generation != 0 || !strings.Contains(l.Error, "gone") {
		t.Errorf("word of a failed save: %+v", l)
	}
	b.plug(t, "sdx4", Label, "aaaa", false)
	if err := os.Remove(filepath.Join(b.dir, "dev/sdx4")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(b.dir, "dev/sda4"), filepath.Join(b.dir, "dev/sdx4")); err != nil {
		t.Fatal(err)
	}
	if s, err := b.Save(t.Context(), "back"); err != nil || s.Generation.Number != 2 || last().Generation != 2 || last().Error != "" {
		t.Errorf("put back: %+v, %v, %+v", s, err, last())
	}
	// A medium that fails is told from settings that are too large.
	if err := os.Truncate(filepath.Join(b.upper, "etc/hosts"), 1<<40); err != nil {
		t.Fatal(err)
	}
	var large *persist.TooLargeError
	if _, err := b.Save(t.Context(), "large"); errors.As(err, &medium) || !errors.As(err, &large) {
		t.Errorf("too large: %v", err)
	}
	b.hosts(t, "third")
	broken := b.attach
	b.attach = func(string, string) error { return unix.EIO }
	b.attached++ // nothing is attached, and nothing is detached
	if _, err := b.Save(t.Context(), "broken"); !errors.As(err, &medium) || !errors.Is(err, unix.EIO) {
		t.Errorf("a mount that fails: %v", err)
	}
	b.attach = broken
	b.attached--
	if b.attached != 0 {
		t.Errorf("the partition is left mounted %d times", b.attached)
	}
}

// TestOneAtATime: a save waits for another, and not for ever.
func TestOneAtATime(t *testing.T) {
	b := newBench(t)
	b.plug(t, "sda4", Label, "aaaa", false)
	lock, err := host.LockFile(b.lock)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := b.Save(ctx, "test"); !errors.Is(err, context.DeadlineExceeded) || b.attached != 0 {
		t.Errorf("a save while another works: %v", err)
	}
	time.AfterFunc(200*time.Millisecond, func() { lock.Close() })
	if s, err := b.Save(t.Context(), "test"); err != nil || s.Generation.Number != 1 {
		t.Errorf("a save after another: %+v, %v", s, err)
	}
}

func TestReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boot.json")
	if _, err := readReport(path); !errors.Is(err, ErrNoAppliance) {
		t.Errorf("without a report: %v", err)
	}
	for mode, want := range map[boot.Mode]error{boot.ModeMemory: nil, boot.ModePersist: nil, boot.ModeLive: ErrLive, boot.ModeInstall: ErrLive} {
		text, err := json.Marshal(boot.Report{Mode: mode, Slot: slot.Secondary, Version: "2.1", Medium: boot.Medium{UUID: "of esos_root", Partitions: map[string]boot.Partition{
			"esos_root": {Device: "/dev/sda3", UUID: "of esos_root"}, Label: {Device: "/dev/sda4", UUID: "of esos_conf"}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readReport(path)
		if !errors.Is(err, want) || err == nil && got != (booted{"SECONDARY", "2.1", "/dev/sda4", "of esos_conf"}) {
			t.Errorf("%s: %+v, %v", mode, got, err)
		}
	}
	if boot.ReportFile != ReportPath || boot.UpperDir != upperPath {
		t.Errorf("the boot leaves its report at %s and its upper directory at %s", boot.ReportFile, boot.UpperDir)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readReport(path); err == nil || errors.Is(err, ErrNoAppliance) {
		t.Errorf("a report that cannot be read: %v", err)
	}
}

// TestStick does it with an ext4 and the kernel's own mounts: saved, pulled,
// and put back as another device. Only the partition table is made up.
func TestStick(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes loop devices and mounts")
	}
	run := func(name string, args ...string) string {
		t.Helper()
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("needs %s: %v", name, err)
		}
		out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
		if err != nil {
			t.Skipf("needs loop devices: %s %q: %v: %s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	b := newBench(t)
	image := filepath.Join(b.dir, "stick.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		t.Fatal(err)
	}
	run("mkfs.ext4", "-q", "-F", "-L", Label, image)
	plug := func() string {
		t.Helper()
		loop := run("losetup", "-f", "--show", image)
		t.Cleanup(func() { _ = exec.Command("losetup", "-d", loop).Run() }) // unless it is gone already
		b.plug(t, filepath.Base(loop), Label, "", false)
		return loop
	}
	pull := func(loop string) {
		t.Helper()
		run("losetup", "-d", loop)
		b.pull(t, filepath.Base(loop))
	}
	first := plug()
	uuid, err := host.ExtUUID(first)
	if err != nil || uuid != run("blkid", "-p", "-s", "UUID", "-o", "value", first) {
		t.Fatalf("UUID %q, %v", uuid, err)
	}
	m := b.Machine
	m.attach, m.detach, m.uuid = host.MountExt4, host.Unmount, host.ExtUUID
	m.boot.Conf, m.boot.UUID = first, uuid
	if s, err := m.Save(t.Context(), "test"); err != nil || s.Generation.Number != 1 {
		t.Fatalf("save: %+v, %v", s, err)
	}
	// Somebody was killed and left it mounted.
	if err := host.MountExt4(first, m.mount); err != nil {
		t.Fatal(err)
	}
	if s, err := m.Save(t.Context(), "test"); err != nil || !s.Unchanged {
		t.Fatalf("save: %+v, %v", s, err)
	}
	if err := unix.Unmount(m.mount, 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("the partition is left mounted: %v", err)
	}
	pull(first)
	b.hosts(t, "second")
	if _, err := m.Save(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("save to a stick that was pulled: %v", err)
	}
	other := run("losetup", "-f", "--show", image) // takes the first one's name
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", other).Run() })
	second := plug()
	s, err := m.Save(t.Context(), "test")
	if err != nil || s.Generation.Number != 2 || second == first {
		t.Fatalf("save to %s after %s went: %+v, %v", second, first, s, err)
	}
	t.Logf("saved to %s in %v", second, s.Took)
	if err := host.MountExt4(second, m.mount); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(b.dir, "back")
	r, err := persist.Restore(t.Context(), m.mount, back, persist.Prefer{})
	if err := host.Unmount(m.mount); err != nil {
		t.Error(err)
	}
	if text, readErr := os.ReadFile(filepath.Join(back, "etc/hosts")); err != nil || readErr != nil || string(text) != "second" || r.Generation.Number != 2 {
		t.Errorf("restored %q: %+v, %v, %v", text, r, err, readErr)
	}
}

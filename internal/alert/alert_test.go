package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder keeps the events of a board.
type recorder struct {
	mu     sync.Mutex
	events []string
}

func (r *recorder) event(kind, object, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf("%s %s: %s", kind, object, message))
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.events...)
}

func TestBoard(t *testing.T) {
	var r recorder
	b := NewBoard(r.event)
	now := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	b.now = func() time.Time { now = now.Add(time.Second); return now }
	b.Raise(Alert{ID: "fan.slow", Severity: Warning, Object: "fan 1", Message: "slow"})
	b.Raise(Alert{ID: "medium.lost", Severity: Critical, Object: "medium", Message: "gone"})
	b.Raise(Alert{ID: "fan.slow", Severity: Warning, Object: "fan 1", Message: "slower"}) // the same alert
	b.Clear("disk.lost", "disk.back", "never was away")
	got := b.Active()
	if len(got) != 2 || got[0].ID != "medium.lost" || got[1].Message != "slower" || !got[1].Since.Before(got[0].Since) {
		t.Errorf("active: %+v", got)
	}
	b.Clear("medium.lost", "medium.back", "back")
	b.Clear("medium.lost", "medium.back", "back")
	b.Raise(Alert{ID: "medium.lost", Severity: Critical, Object: "medium", Message: "gone again"})
	want := "fan.slow fan 1: slow\nmedium.lost medium: gone\nmedium.back medium: back\nmedium.lost medium: gone again"
	if got := strings.Join(r.all(), "\n"); got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
}

// sysfs makes a tree like /sys with disks and their partitions: uevent files
// of partitions by DISK/PARTITION.
func sysfs(t *testing.T, partitions map[string]string) string {
	t.Helper()
	sys := t.TempDir()
	class := filepath.Join(sys, "class/block")
	must(t, os.MkdirAll(class, 0o755))
	for name, text := range partitions {
		disk, part := filepath.Split(name)
		dir := filepath.Join(sys, "devices", disk, part)
		must(t, os.MkdirAll(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "uevent"), []byte(text), 0o644))
		must(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "uevent"), []byte("DEVTYPE=disk\n"), 0o644))
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if err := os.Symlink(d, filepath.Join(class, filepath.Base(d))); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
	}
	return sys
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	uuid  = "0a1b2c3d-0000-4000-8000-000000000004"
	other = "0a1b2c3d-0000-4000-8000-00000000ffff"
)

func partition(name, uuid string) string {
	text := "MAJOR=8\nMINOR=4\nDEVNAME=sda4\nDEVTYPE=partition\nPARTN=4\nPARTNAME=" + name + "\n"
	if uuid != "" {
		text += "PARTUUID=" + uuid + "\n"
	}
	return text
}

func TestMedium(t *testing.T) {
	for _, c := range []struct {
		name       string
		partitions map[string]string
		want       string
	}{
		{"where it was", map[string]string{"sda/sda4": partition("esos_conf", uuid), "sdb/sdb1": partition("data", other)}, "/dev/sda"},
		{"under another name", map[string]string{"nvme0n1/nvme0n1p4": partition("esos_conf", strings.ToUpper(uuid))}, "/dev/nvme0n1"},
		{"a kernel that tells no UUIDs", map[string]string{"sdc/sdc4": partition("esos_conf", "")}, "/dev/sdc"},
		{"another array's", map[string]string{"sda/sda4": partition("esos_conf", other)}, ""},
		{"none", map[string]string{"sdb/sdb1": partition("data", other)}, ""},
		{"no disks at all", nil, ""},
	} {
		m := Medium{Label: "esos_conf", UUID: uuid, Device: "/dev/sda", Sys: sysfs(t, c.partitions)}
		if got, err := m.find(); err != nil || got != c.want {
			t.Errorf("%s: found %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	sys := sysfs(t, map[string]string{"sda/sda4": partition("esos_conf", uuid)})
	for device, want := range map[string]string{"/dev/sda4": uuid, "/dev/sdz4": ""} {
		if m, err := NewMedium("esos_conf", device, sys); err != nil || m.UUID != want || m.Label != "esos_conf" {
			t.Errorf("NewMedium(%s) = %+v, %v; want UUID %q", device, m, err, want)
		}
	}
	m := Medium{Label: "esos_conf", Sys: t.TempDir()}
	if err := m.Check(t.Context(), NewBoard(nil)); err == nil {
		t.Error("without a sysfs the medium is said to be gone")
	}
}

// TestMediumPulled pulls the stick, and puts it back.
func TestMediumPulled(t *testing.T) {
	sys := sysfs(t, map[string]string{"sda/sda4": partition("esos_conf", uuid)})
	link := filepath.Join(sys, "class/block/sda4")
	var r recorder
	b := NewBoard(r.event)
	changed := make(chan struct{})
	w := Watcher{Board: b, Log: slog.New(slog.DiscardHandler), Changed: changed, Every: time.Hour,
		Rules: []Rule{Medium{Label: "esos_conf", UUID: uuid, Device: "/dev/sda", Sys: sys}}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	defer running.Wait()
	defer cancel()
	tell := func() { changed <- struct{}{}; changed <- struct{}{} } // the second is taken once the first was seen to

	tell()
	if got := b.Active(); len(got) != 0 {
		t.Fatalf("alerts with the medium in place: %+v", got)
	}
	real, err := os.Readlink(link)
	must(t, err)
	must(t, os.Remove(link))
	tell()
	tell()
	got := b.Active()
	if len(got) != 1 || got[0].ID != MediumLost || got[0].Severity != Critical || !strings.Contains(got[0].Message, "/dev/sda") {
		t.Fatalf("alerts with the medium gone: %+v", got)
	}
	must(t, os.Symlink(real, link))
	tell()
	if got := b.Active(); len(got) != 0 {
		t.Errorf("alerts with the medium back: %+v", got)
	}
	events := r.all()
	if len(events) != 2 || !strings.HasPrefix(events[0], "medium.lost medium: ") || !strings.HasPrefix(events[1], "medium.back medium: ") {
		t.Errorf("events: %q", events)
	}
	close(changed) // the kernel is not heard any more: time still tells
}

// ruleFunc is a rule made of a function.
type ruleFunc func() error

func (f ruleFunc) Check(context.Context, *Board) error { return f() }

// TestWatcherRunsByTime, too, and says once what it cannot watch.
func TestWatcherRunsByTime(t *testing.T) {
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	rule := ruleFunc(func() error {
		if n++; n == 5 {
			cancel()
		}
		return errors.New("no sysfs")
	})
	Watcher{Board: NewBoard(nil), Log: slog.New(slog.NewTextHandler(&log, nil)), Every: time.Millisecond, Rules: []Rule{rule}}.Run(ctx)
	if n != 5 || strings.Count(log.String(), "no sysfs") != 1 {
		t.Errorf("%d rounds, log %q", n, log.String())
	}
}

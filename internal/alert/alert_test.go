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
	"testing/synctest"
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

// machine is a tree with sys/, like sysfs, and udev/, like what udev keeps.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{t, t.TempDir()}
	for _, d := range []string{"sys/class/block", "udev"} {
		must(t, os.MkdirAll(filepath.Join(m.dir, d), 0o755))
	}
	return m
}

// plug puts in a disk, DISK/PARTITION, with a partition's name. Udev has looked
// at it if uuid is not "".
func (m machine) plug(name, label, uuid string) {
	m.t.Helper()
	disk, part := filepath.Split(name)
	minor := 0 // any number that differs
	for _, c := range name {
		minor = minor*31%251 + int(c)
	}
	dir := filepath.Join(m.dir, "sys/devices", disk, part)
	must(m.t, os.MkdirAll(dir, 0o755))
	must(m.t, os.WriteFile(filepath.Join(filepath.Dir(dir), "uevent"), []byte("DEVTYPE=disk\n"), 0o644))
	must(m.t, os.WriteFile(filepath.Join(dir, "uevent"), fmt.Appendf(nil, "MAJOR=8\nMINOR=%d\nDEVNAME=%s\nDEVTYPE=partition\nPARTN=4\nPARTNAME=%s\n", minor, part, label), 0o644))
	for _, d := range []string{dir, filepath.Dir(dir)} {
		must(m.t, os.Symlink(d, filepath.Join(m.dir, "sys/class/block", filepath.Base(d))))
	}
	if uuid != "" {
		must(m.t, os.WriteFile(filepath.Join(m.dir, "udev", fmt.Sprintf("b8:%d", minor)), []byte("S:disk/by-label/"+label+"\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID="+uuid+"\nG:systemd\n"), 0o644))
	}
}

// pull takes a disk out.
func (m machine) pull(name string) {
	m.t.Helper()
	disk, part := filepath.Split(name)
	for _, d := range []string{part, filepath.Clean(disk)} {
		must(m.t, os.Remove(filepath.Join(m.dir, "sys/class/block", d)))
	}
	must(m.t, os.RemoveAll(filepath.Join(m.dir, "sys/devices", disk)))
	must(m.t, os.RemoveAll(filepath.Join(m.dir, "udev")))
	must(m.t, os.Mkdir(filepath.Join(m.dir, "udev"), 0o755))
}

func (m machine) medium() Medium {
	return Medium{Label: "esos_conf", UUID: uuid, Device: "/dev/sda", Sys: filepath.Join(m.dir, "sys"), Udev: filepath.Join(m.dir, "udev")}
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

func TestMedium(t *testing.T) {
	type disk struct{ name, label, uuid string }
	for _, c := range []struct {
		name  string
		disks []disk
		want  string
		sure  bool
	}{
		{"where it was", []disk{{"sda/sda4", "esos_conf", uuid}, {"sdb/sdb1", "data", other}}, "/dev/sda", true},
		{"under another name", []disk{{"nvme0n1/nvme0n1p4", "esos_conf", strings.ToUpper(uuid)}}, "/dev/nvme0n1", true},
		{"before udev has looked", []disk{{"sdc/sdc4", "esos_conf", ""}}, "/dev/sdc", false},
		{"another array's", []disk{{"sda/sda4", "esos_conf", other}}, "", false},
		{"beside another array's", []disk{{"sda/sda4", "esos_conf", other}, {"sdaa/sdaa4", "esos_conf", uuid}}, "/dev/sdaa", true},
		{"none", []disk{{"sdb/sdb1", "data", uuid}}, "", false},
		{"no disks at all", nil, "", false},
	} {
		m := newMachine(t)
		for _, d := range c.disks {
			m.plug(d.name, d.label, d.uuid)
		}
		if got, sure, err := m.medium().find(); err != nil || got != c.want || sure != c.sure {
			t.Errorf("%s: found %q, %t, %v; want %q, %t", c.name, got, sure, err, c.want, c.sure)
		}
	}
	m := newMachine(t)
	m.plug("sda/sda4", "esos_conf", "")
	nameless := m.medium()
	nameless.UUID = ""
	if got, sure, err := nameless.find(); err != nil || got != "/dev/sda" || !sure {
		t.Errorf("a medium known by its label only: %q, %t, %v", got, sure, err)
	}
	if err := (Medium{Label: "esos_conf", Sys: t.TempDir()}).Check(t.Context(), NewBoard(nil)); err == nil {
		t.Error("without a sysfs the medium is said to be gone")
	}
}

// TestMediumPulled pulls the stick, puts another array's in, and its own back.
func TestMediumPulled(t *testing.T) {
	m := newMachine(t)
	m.plug("sda/sda4", "esos_conf", uuid)
	var r recorder
	b := NewBoard(r.event)
	changed := make(chan struct{})
	w := Watcher{Board: b, Log: slog.New(slog.DiscardHandler), Changed: changed, Every: time.Hour, Rules: []Rule{m.medium()}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	defer running.Wait()
	defer cancel()
	lost := func(what string, want bool) {
		t.Helper()
		for range 2 { // the second is taken once the first was seen to
			changed <- struct{}{}
		}
		got := b.Active()
		if (len(got) > 0) != want {
			t.Fatalf("%s: alerts %+v", what, got)
		}
		if want && (got[0].ID != MediumLost || got[0].Severity != Critical || !strings.Contains(got[0].Message, "/dev/sda")) {
			t.Fatalf("%s: alert %+v", what, got[0])
		}
	}
	lost("in place", false)
	m.pull("sda/sda4")
	lost("pulled", true)
	m.plug("sda/sda4", "esos_conf", "")
	lost("something was put in", true)
	m.pull("sda/sda4")
	m.plug("sda/sda4", "esos_conf", other)
	lost("it was another array's", true)
	m.pull("sda/sda4")
	m.plug("sda/sda4", "esos_conf", uuid)
	lost("its own is back", false)
	events := r.all()
	if len(events) != 2 || !strings.HasPrefix(events[0], "medium.lost medium: ") || !strings.HasPrefix(events[1], "medium.back medium: ") {
		t.Errorf("events: %q", events)
	}
	close(changed) // the kernel is not heard any more: time still tells
}

// TestMediumReadAgain: partitions that go and come back at once, as when their
// table is read again, are no lost medium; ones that stay away are.
func TestMediumReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		rule := m.medium()
		rule.Settle = 2 * time.Second
		var r recorder
		b := NewBoard(r.event)
		time.AfterFunc(time.Second, func() { m.plug("sda/sda4", "esos_conf", uuid) })
		if err := rule.Check(t.Context(), b); err != nil || len(b.Active()) != 0 {
			t.Errorf("back after a second: alerts %+v, error %v", b.Active(), err)
		}
		m.pull("sda/sda4")
		began := time.Now()
		if err := rule.Check(t.Context(), b); err != nil || len(b.Active()) != 1 {
			t.Errorf("away for good: alerts %+v, error %v", b.Active(), err)
		}
		if took := time.Since(began); took != rule.Settle {
			t.Errorf("told after %v, want %v", took, rule.Settle)
		}
	})
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

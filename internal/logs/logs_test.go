package logs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium/attach"
	"github.com/esos-project/esos/internal/shelf"
)

// bench is a machine in a directory, with a log partition of a given size.
type bench struct {
	Keeper
	t       *testing.T
	shelf   shelf.Shelf
	total   int64
	gone    bool
	clock   time.Time
	up      time.Duration
	entries int // of the journal
}

const mib = 1 << 20

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, total: 1024 * mib, clock: time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC), up: time.Hour}
	b.shelf = shelf.Shelf{Dir: filepath.Join(dir, "shelf"), Space: b.space}
	for _, d := range []string{"log", "shelf"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.Keeper = Keeper{
		dir: filepath.Join(dir, "log"), state: filepath.Join(dir, "state"), cursor: filepath.Join(dir, "cursor"), limit: 3 * mib, age: 48 * time.Hour,
		now: func() time.Time { return b.clock }, uptime: func() (time.Duration, error) { return b.up, nil },
		open: func(context.Context) (shelf.Shelf, func() error, error) {
			if b.gone {
				return shelf.Shelf{}, nil, &attach.GoneError{Label: "esos_logs", Err: errors.New("it was pulled")}
			}
			return b.shelf, func() error { return nil }, nil
		},
		journal: func(_ context.Context, w io.Writer, cursor string) error {
			from := 0
			if text, err := os.ReadFile(cursor); err == nil {
				if _, err := fmt.Sscan(string(text), &from); err != nil {
					return err
				}
			}
			for n := from; n < b.entries; n++ {
				if _, err := fmt.Fprintf(w, "entry %d\n", n); err != nil {
					return err
				}
			}
			return os.WriteFile(cursor, fmt.Append(nil, b.entries), 0o600)
		},
	}
	return b
}

func (b *bench) space(dir string) (host.Space, error) {
	var used int64
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err == nil {
			used += st.Size()
		}
		return err
	})
	return host.Space{Total: b.total, Free: max(b.total-used, 0)}, err
}

func (b *bench) log(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		b.t.Fatal(err)
	}
}

// logs lists what is in memory.
func (b *bench) logs() string {
	b.t.Helper()
	var list []string
	err := filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		list = append(list, fmt.Sprintf("%s:%d", strings.TrimPrefix(path, b.dir+"/"), st.Size()))
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(list, " ")
}

func (b *bench) archived(name string) map[string]string {
	b.t.Helper()
	f, err := os.Open(filepath.Join(b.shelf.Archives(), name))
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		b.t.Fatal(err)
	}
	defer z.Close()
	t := tar.NewReader(z)
	files := map[string]string{}
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			b.t.Fatal(err)
		}
		text, err := io.ReadAll(t)
		if err != nil {
			b.t.Fatal(err)
		}
		files[h.Name] = string(text)
	}
}

func TestArchive(t *testing.T) {
	b := newBench(t)
	long := strings.Repeat("a line of a log\n", 10_000)
	b.log("syslog", long)
	b.log("kern.log", "short\n")
	b.log("syslog.1", "older\n")
	b.log("samba/log.smbd.2.gz", "packed")
	b.log("wtmp", long)
	b.log("lastlog", long)
	b.log("journal/x/system.journal", "binary")
	b.entries = 2
	a, err := b.Archive(t.Context(), "test")
	if err != nil || a.Name != "logs-20261101T080000Z.tar.zst" || a.Size == 0 {
		t.Fatalf("archived %+v: %v", a, err)
	}
	got := b.archived(a.Name)
	want := map[string]string{"var/log/syslog": long, "var/log/kern.log": "short\n", "var/log/syslog.1": "older\n", "var/log/samba/log.smbd.2.gz": "packed",
		"var/log/wtmp": long, "journal.txt": "entry 0\nentry 1\n"}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s has %d bytes in the archive, want %d", name, len(got[name]), len(text))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files in the archive, want %d", len(got), len(want))
	}
	if got := b.logs(); got != "journal/x/system.journal:6 kern.log:6 lastlog:160000 syslog:0 wtmp:160000" {
		t.Errorf("left in memory: %s", got)
	}
	// The next one, within the same second, begins where this ended.
	b.entries = 3
	if a, err = b.Archive(t.Context(), "test"); err != nil || a.Name != "logs-20261101T080001Z.tar.zst" {
		t.Fatalf("archived %+v: %v", a, err)
	}
	if got := b.archived(a.Name)["journal.txt"]; got != "entry 2\n" {
		t.Errorf("the journal in the next archive: %q", got)
	}
	if all, err := List(b.shelf); err != nil || len(all) != 2 || all[1].Name != a.Name {
		t.Errorf("listed %+v, %v", all, err)
	}
}

// TestWrittenMeanwhile: what is logged while the archive is made stays.
func TestWrittenMeanwhile(t *testing.T) {
	b := newBench(t)
	long := strings.Repeat("a line of a log\n", 10_000)
	b.log("syslog", long)
	journal := b.journal
	b.journal = func(ctx context.Context, w io.Writer, cursor string) error {
		f, err := os.OpenFile(filepath.Join(b.dir, "syslog"), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = f.WriteString("meanwhile\n")
		}
		return errors.Join(err, f.Close(), journal(ctx, w, cursor))
	}
	a, err := b.Archive(t.Context(), "test")
	if err != nil || b.archived(a.Name)["var/log/syslog"] != long {
		t.Fatalf("archived %+v: %v", a, err)
	}
	if text, err := os.ReadFile(filepath.Join(b.dir, "syslog")); err != nil || string(text) != "meanwhile\n" {
		t.Errorf("in memory: %q, %v", text, err)
	}
}

// TestRoom: the oldest archives go so that a crash dump fits; crash dumps stay.
func TestRoom(t *testing.T) {
	b := newBench(t)
	b.total = 64 * mib // of which a quarter is for a crash
	old := func(path string, size int64) {
		t.Helper()
		path = filepath.Join(b.shelf.Dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
	old("crash/dump-20260101T000000Z-6/vmcore", 10*mib)
	for day := 1; day <= 5; day++ {
		old(fmt.Sprintf("logs/logs-2026010%dT000000Z.tar.zst", day), 10*mib)
	}
	old("logs/logs-20260106T000000Z.tar.zst.part", mib) // the power was cut
	b.log("syslog", strings.Repeat("x", 1000))
	if _, err := b.Archive(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	names, err := b.shelf.ArchiveNames()
	if err != nil || strings.Join(names, " ") != "logs-20260102T000000Z.tar.zst logs-20260103T000000Z.tar.zst logs-20260104T000000Z.tar.zst logs-20260105T000000Z.tar.zst logs-20261101T080000Z.tar.zst" {
		t.Errorf("archives: %q, %v", names, err)
	}
	if _, err := os.Stat(filepath.Join(b.shelf.Dumps(), "dump-20260101T000000Z-6/vmcore")); err != nil {
		t.Errorf("the crash dump: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(b.shelf.Archives(), "*"+shelf.Partial)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestFull is a partition that really is full.
func TestFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a tmpfs")
	}
	b := newBench(t)
	if err := unix.Mount("tmpfs", b.shelf.Dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("needs mounts: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(b.shelf.Dir, unix.MNT_DETACH) })
	b.shelf.Space = host.SpaceAt
	fill := func(name string, size int) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(b.shelf.Dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.shelf.Dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Dumps leave no room but that of an archive: it goes, and it is enough.
	fill("crash/dump-20260101T000000Z-6/vmcore", 7*mib)
	fill("logs/logs-20260101T000000Z.tar.zst", 900<<10)
	text := make([]byte, 500<<10)
	if _, err := rand.NewChaCha8([32]byte{}).Read(text); err != nil { // does not compress
		t.Fatal(err)
	}
	b.log("syslog", string(text))
	if a, err := b.Archive(t.Context(), "test"); err != nil || b.archived(a.Name)["var/log/syslog"] != string(text) {
		t.Fatalf("archived %+v: %v", a, err)
	}
	// Now nothing is left to drop.
	if err := os.RemoveAll(b.shelf.Archives()); err != nil {
		t.Fatal(err)
	}
	fill("crash/dump-20260101T000000Z-6/more", 900<<10)
	b.log("syslog", string(text))
	if _, err := b.Archive(t.Context(), "test"); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "esos crash delete") {
		t.Errorf("archived on a full partition: %v", err)
	}
	if got := b.logs(); got != "syslog:512000" {
		t.Errorf("in memory: %s", got)
	}
}

// TestGone: without a medium the logs stay in memory, and do not fill it.
func TestGone(t *testing.T) {
	b := newBench(t)
	b.gone = true
	b.log("syslog", strings.Repeat("x", 4*mib)+"last words")
	b.log("syslog.1", strings.Repeat("x", mib))
	b.log("syslog.2.gz", strings.Repeat("x", mib))
	for name, age := range map[string]time.Duration{"syslog.1": time.Hour, "syslog.2.gz": 2 * time.Hour} {
		if err := os.Chtimes(filepath.Join(b.dir, name), time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	var gone *attach.GoneError
	if _, err := b.Archive(t.Context(), "test"); !errors.As(err, &gone) {
		t.Fatalf("archived: %v", err)
	}
	if got := b.logs(); got != fmt.Sprintf("syslog:%d", mib) {
		t.Errorf("in memory: %s", got)
	}
	if text, err := os.ReadFile(filepath.Join(b.dir, "syslog")); err != nil || !strings.HasSuffix(string(text), "last words") {
		t.Errorf("the newest is not there: %v", err)
	}
	first, err := ReadState(b.state)
	if err != nil || !strings.Contains(first.Error, "it was pulled") || len(first.Dropped) != 3 || !first.Since.Equal(b.clock) {
		t.Errorf("state: %+v, %v", first, err)
	}
	b.clock = b.clock.Add(time.Hour)
	if _, err := b.Archive(t.Context(), "test"); err == nil {
		t.Fatal("archived without a medium")
	}
	if s, err := ReadState(b.state); err != nil || !s.Since.Equal(first.Since) {
		t.Errorf("state: %+v, %v", s, err)
	}
	b.gone = false
	if needed, _, err := b.Needed(); err != nil || !needed {
		t.Errorf("after a failure it is not tried again: %v", err)
	}
	if _, err := b.Archive(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadState(b.state); err != nil || s.Error != "" || !s.Since.IsZero() {
		t.Errorf("state: %+v, %v", s, err)
	}
}

func TestNeeded(t *testing.T) {
	b := newBench(t)
	needed := func() bool {
		t.Helper()
		n, _, err := b.Needed()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	b.log("syslog", "x")
	if needed() {
		t.Error("archived though small and new")
	}
	b.up = 49 * time.Hour
	if !needed() {
		t.Error("not archived though old")
	}
	if _, err := b.Archive(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	if needed() {
		t.Error("archived though it was just now")
	}
	b.log("syslog", strings.Repeat("x", 3*mib+1))
	if !needed() {
		t.Error("not archived though large")
	}
}

func TestTurnedOver(t *testing.T) {
	for name, want := range map[string]bool{
		"syslog": false, "syslog.1": true, "syslog.2.gz": true, "x-20260101": true, "x-20260101.xz": true, "log.smbd": false, "kern.log": false, "corosync.log.old": false,
	} {
		if got := turnedOver.MatchString(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

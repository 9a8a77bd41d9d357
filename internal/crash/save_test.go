package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/shelf"
)

// bench is a log partition of a given size, and a makedumpfile that writes a
// core of a given size into it.
type bench struct {
	t     *testing.T
	total int64
	core  int64
	fail  error
	said  []string
	mu    sync.Mutex
	dir   string
}

const mib = 1 << 20

const panicText = "[    0.000000] Linux version 6.12\n[   61.234567] sysrq: Trigger a crash\n[   61.234570] Kernel panic - not syncing: sysrq triggered crash\n"

func (b *bench) space(dir string) (host.Space, error) {
	var used int64
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // dropped meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		if st, err := d.Info(); err == nil {
			used += st.Size()
		}
		return nil
	})
	return host.Space{Total: b.total, Free: max(b.total-used, 0)}, err
}

func (b *bench) run(ctx context.Context, name string, args ...string) (string, int, error) {
	out := args[len(args)-1]
	if name != "makedumpfile" || !strings.HasSuffix(out, shelf.Partial) {
		b.t.Errorf("run %s %q", name, args)
	}
	if args[1] == "--dump-dmesg" {
		return "", 0, os.WriteFile(out, []byte(panicText), 0o600)
	}
	if b.fail != nil {
		return "", 0, b.fail
	}
	f, err := os.Create(out)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	for at := int64(0); at < b.core; at += mib {
		if ctx.Err() != nil {
			return "", 0, ctx.Err()
		}
		if s, err := b.space(b.dir); err != nil || s.Free < mib {
			return "Can't write the dump file(vmcore.part).\n No space left on device\n", 1, err
		}
		if err := f.Truncate(at + mib); err != nil {
			return "", 0, err
		}
		time.Sleep(200 * time.Microsecond)
	}
	return "", 0, nil
}

func (b *bench) saver() Saver {
	return Saver{
		Shelf: shelf.Shelf{Dir: b.dir, Space: b.space}, Core: Core, Run: b.run, watch: time.Millisecond,
		About: Dump{Kernel: "6.12.0 test", Slot: "PRIMARY", Version: "1.0"}, Now: time.Now,
		Say: func(format string, a ...any) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.said = append(b.said, fmt.Sprintf(format, a...))
		},
	}
}

// old puts a dump of a size there, as it was saved once.
func (b *bench) old(name string, size int64) {
	b.t.Helper()
	dir := filepath.Join(b.dir, "crash", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	sparse(b.t, filepath.Join(dir, shelf.CoreFile), size)
	if err := os.WriteFile(filepath.Join(dir, MessagesFile), []byte("old\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := (Dump{Name: name, When: time.Unix(0, 0), Complete: true, Size: size}).write(dir); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) archive(name string, size int64) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Join(b.dir, "logs"), 0o700); err != nil {
		b.t.Fatal(err)
	}
	sparse(b.t, filepath.Join(b.dir, "logs", name), size)
}

func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	err := os.WriteFile(path, nil, 0o600)
	if err == nil {
		err = os.Truncate(path, size)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSave(t *testing.T) {
	const first, second, logs = "dump-20260101T000000Z-6.12", "dump-20260201T000000Z-6.12", "logs-20260101T000000Z.tar.zst"
	for _, tt := range []struct {
		name    string
		total   int64
		core    int64
		setUp   func(b *bench)
		whole   bool
		why     string // of a dump that is not
		dropped []string
	}{
		{"room enough", 512 * mib, 30 * mib, nil, true, "", nil},
		{"the older dumps stay", 512 * mib, 30 * mib, func(b *bench) { b.old(first, 100*mib) }, true, "", nil},
		{"the oldest dump makes room", 256 * mib, 100 * mib, func(b *bench) { b.old(first, 100*mib); b.old(second, 100*mib) }, true, "", []string{first}},
		{"all dumps make room, then logs", 256 * mib, 170 * mib, func(b *bench) { b.old(first, 80*mib); b.old(second, 80*mib); b.archive(logs, 90*mib) }, true, "", []string{first, second, logs}},
		{"full to the last byte", 256 * mib, 100 * mib, func(b *bench) { b.old(first, 256*mib-4096) }, true, "", []string{first}},
		{"too large", 64 * mib, 100 * mib, func(b *bench) { b.old(first, 30*mib) }, false, "does not fit on the log partition, which has 64 MiB", []string{first}},
		{"cannot be read", 256 * mib, 100 * mib, func(b *bench) { b.fail = errors.New("bad core") }, false, "bad core", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &bench{t: t, total: tt.total, core: tt.core, dir: t.TempDir()}
			if tt.setUp != nil {
				tt.setUp(b)
			}
			d, err := b.saver().Save(t.Context())
			if (err == nil) != tt.whole || err != nil && !strings.Contains(err.Error(), tt.why) {
				t.Fatalf("saved: %v, want %q", err, tt.why)
			}
			s := shelf.Shelf{Dir: b.dir, Space: b.space}
			got, err := Find(s, Latest)
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != d.Name || !validName.MatchString(got.Name) || got.Slot != "PRIMARY" || got.Reason != "sysrq triggered crash" ||
				got.Messages != int64(len(panicText)) || got.Complete != tt.whole || !strings.Contains(got.Error, tt.why) {
				t.Errorf("on the medium: %+v", got)
			}
			if tt.whole && (got.Size != tt.core || len(got.SHA256) != 64) {
				t.Errorf("size %d and digest %q of a core of %d bytes", got.Size, got.SHA256, tt.core)
			}
			text, err := os.ReadFile(filepath.Join(s.Dumps(), got.Name, MessagesFile))
			if err != nil || string(text) != panicText {
				t.Errorf("messages: %q, %v", text, err)
			}
			left, err := filepath.Glob(filepath.Join(s.Dumps(), "*", "*"+shelf.Partial))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
			var dropped []string
			for _, line := range b.said {
				if what, ok := strings.CutPrefix(line, "the log partition is full: dropped "); ok {
					dropped = append(dropped, what)
				}
			}
			if strings.Join(dropped, " ") != strings.Join(tt.dropped, " ") {
				t.Errorf("dropped %q, want %q", dropped, tt.dropped)
			}
			for _, name := range tt.dropped {
				if !strings.HasPrefix(name, shelf.DumpPrefix) {
					continue
				}
				if d, err := Find(s, name); err != nil || !d.Dropped || d.Complete || d.Messages == 0 {
					t.Errorf("a dump that made room keeps its messages: %+v, %v", d, err)
				}
			}
		})
	}
}

// TestSaveTooSlow: the time is over in the middle of it; the messages are
// there, and why the memory is not.
func TestSaveTooSlow(t *testing.T) {
	b := &bench{t: t, total: 4096 * mib, core: 2048 * mib, dir: t.TempDir()}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("it took longer than 5m0s"))
	defer cancel()
	if _, err := b.saver().Save(ctx); err == nil || !strings.Contains(err.Error(), "did not end in time: it took longer than 5m0s") {
		t.Errorf("saved: %v", err)
	}
	d, err := Find(shelf.Shelf{Dir: b.dir, Space: b.space}, Latest)
	if err != nil || d.Complete || d.Messages == 0 || !strings.Contains(d.Error, "it took longer") {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestCutShort: what a power cut leaves is listed as what it is.
func TestCutShort(t *testing.T) {
	b := &bench{t: t, total: 256 * mib, dir: t.TempDir()}
	s := shelf.Shelf{Dir: b.dir, Space: b.space}
	for name, info := range map[string]string{
		"dump-20260101T000000Z-a": "", "dump-20260102T000000Z-b": "{", "dump-20260103T000000Z-c": `{"complete": true, "size": 7}`,
		"dump-20260104T000000Z-d": `{"complete": true, "size": 8, "name": "../../etc"}`, "dump-nothing": "", "other": "",
	} {
		dir := filepath.Join(s.Dumps(), name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if info != "" {
			if err := os.WriteFile(filepath.Join(dir, InfoFile), []byte(info), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sparse(t, filepath.Join(dir, shelf.CoreFile), 8)
	}
	list, err := List(s)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range list {
		got = append(got, fmt.Sprintf("%s %t %s", d.Name, d.Complete, strings.SplitN(d.Error, ":", 2)[0]))
	}
	want := []string{
		"dump-20260101T000000Z-a false saving it was cut short", "dump-20260102T000000Z-b false its description cannot be read",
		"dump-20260103T000000Z-c false the memory image has 8 bytes, and 7 were saved", "dump-20260104T000000Z-d true ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("listed:\n%s", strings.Join(got, "\n"))
	}
	if err := Delete(s, "../other"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted what is no dump: %v", err)
	}
	if err := Delete(s, "dump-20260101T000000Z-a"); err != nil {
		t.Error(err)
	}
	if _, err := Find(s, "dump-20260101T000000Z-a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted, and still there: %v", err)
	}
}

func TestReason(t *testing.T) {
	for text, want := range map[string]string{
		panicText: "sysrq triggered crash",
		"[1.0] BUG: kernel NULL pointer dereference, address: 0\n[1.1] Oops: 0002 [#1]\n[1.2] Kernel panic - not syncing: Fatal exception\n": "BUG: kernel NULL pointer dereference, address: 0 (Fatal exception)",
		"[1.0][ T12] kernel BUG at mm/slub.c:1!\n": "kernel BUG at mm/slub.c:1!",
		"nothing\n": "",
	} {
		path := filepath.Join(t.TempDir(), "dmesg")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := reason(path); got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	}
}

func TestSee(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lib", "crashes.json")
	there := []Dump{{Name: "a"}, {Name: "b"}}
	for _, names := range [][]string{{"b"}, {"b", "a"}, {"gone"}} {
		if err := See(path, names, there); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ReadSeen(path); err != nil || strings.Join(got, " ") != "a b" {
		t.Errorf("seen %q, %v", got, err)
	}
	if err := See(path, nil, there[1:]); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSeen(path); err != nil || strings.Join(got, " ") != "b" {
		t.Errorf("seen %q, %v", got, err)
	}
}

package persist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func write1(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsKept(t *testing.T) {
	upper, dir, back := t.TempDir(), t.TempDir(), t.TempDir()
	stays := []string{"etc/hosts", "var/lib/esos/revisions/000001.yaml", "var/lib/systemd/random-seed", "var/lib/esos/events.jsonl", "opt/a", "root/.bashrc", "etc/machine-id"}
	goes := []string{"usr/bin/x", "var/log/messages", "home/a/b", "mnt/vdisks/a/disk.img", "tmp/x", "var/libx/y", "etcetera/z",
		"var/lib/dpkg/status", "var/lib/apt/lists/x", "etc/ld.so.cache", "var/lib/corosync/fdata-2026", "var/lib/esos/devices/db01.img", "var/lib/esos/revisions/.new-123", "root/.cache/x"}
	files := map[string]string{}
	for _, p := range slices.Concat(stays, goes) {
		files[p] = "x"
	}
	fill(t, upper, files)
	mustSave(t, dir, upper, Options{})
	mustRestore(t, dir, back)
	for _, p := range stays {
		if _, err := os.Stat(filepath.Join(back, p)); err != nil {
			t.Errorf("%s is lost: %v", p, err)
		}
	}
	for _, p := range goes {
		if _, err := os.Lstat(filepath.Join(back, p)); err == nil {
			t.Errorf("%s was kept", p)
		}
	}
	for _, r := range slices.Concat(excluded(), volatile()) {
		if ok, err := filepath.Match(r.path, r.path); err != nil || !ok && !strings.Contains(r.path, "[") || !kept(r.path) || r.why == "" {
			t.Errorf("rule %+v is not about anything that is kept: %v", r, err)
		}
	}
}

func TestUnchanged(t *testing.T) {
	upper, dir := t.TempDir(), t.TempDir()
	fill(t, upper, map[string]string{"etc/hosts": "a", "etc/other": "b"})
	first := mustSave(t, dir, upper, Options{Reason: "first"})
	if again := mustSave(t, dir, upper, Options{Reason: "again"}); !again.Unchanged || again.Generation.Number != 1 || again.Generation.Reason != "first" {
		t.Errorf("nothing changed, and Save did %+v", again)
	}
	for what, change := range map[string]func(string) error{
		"contents": func(p string) error { return os.WriteFile(p, []byte("A"), 0) },
		"mode":     func(p string) error { return os.Chmod(p, 0o600) },
		"time":     func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(5, 0)) },
		"name":     func(p string) error { return os.Link(p, p+what(t)) },
		"deletion": func(p string) error { return os.Remove(filepath.Join(filepath.Dir(p), "other")) },
	} {
		if err := change(filepath.Join(upper, "etc/hosts")); err != nil {
			t.Fatal(err)
		}
		s := mustSave(t, dir, upper, Options{})
		if s.Unchanged || s.Generation.Number <= first.Generation.Number {
			t.Errorf("a change of %s is not saved: %+v", what, s)
		}
		first = s
	}
	// A damaged archive is no reason to leave it at that.
	g := first.Generation
	if err := os.Truncate(shelf{dir: dir}.path(g.Number, archiveSuffix), g.Archive-1); err != nil {
		t.Fatal(err)
	}
	if s := mustSave(t, dir, upper, Options{}); s.Unchanged || s.Generation.Contents != g.Contents || s.Generation.Number != g.Number+1 {
		t.Errorf("the settings are not saved again after their generation was damaged: %+v", s)
	}
}

func what(t *testing.T) string { return strings.ReplaceAll(t.Name(), "/", "") }

func TestKeep(t *testing.T) {
	upper, dir := t.TempDir(), t.TempDir()
	fill(t, upper, map[string]string{"etc/hosts": "a", "var/lib/systemd/random-seed": "0"})
	step := func(settings bool, i int) Saved {
		t.Helper()
		name := "var/lib/systemd/random-seed"
		if settings {
			name = "etc/hosts"
		}
		write1(t, filepath.Join(upper, name), fmt.Sprint(i))
		s := mustSave(t, dir, upper, Options{Keep: 4})
		if s.Unchanged {
			t.Fatalf("step %d made no generation", i)
		}
		return s
	}
	numbers := func() (ns []int) {
		t.Helper()
		list, broken, err := List(dir)
		if err != nil || len(broken) > 0 {
			t.Fatalf("list: %v, %v", broken, err)
		}
		for _, g := range list {
			ns = append(ns, g.Number)
		}
		return ns
	}
	for i := range 6 {
		step(true, i)
	}
	if got := numbers(); !slices.Equal(got, []int{6, 5, 4, 3}) {
		t.Errorf("of six with Keep 4 stay %v", got)
	}
	// Seeds that change at every boot do not push settings out.
	for i := range 20 {
		step(false, i)
	}
	if got := numbers(); !slices.Equal(got, []int{26, 6, 5, 4, 3}) {
		t.Errorf("after 20 saves of the same settings stay %v", got)
	}
	files, err := filepath.Glob(filepath.Join(dir, generationsDir, "*"))
	if err != nil || len(files) != 10 {
		t.Errorf("files: %v, %v", files, err)
	}
	// Each change comes with a later save of what changes by itself: as many
	// changes can be gone back to as without.
	for i := range 5 {
		step(true, 100+i)
		step(false, 100+i)
	}
	if got := numbers(); !slices.Equal(got, []int{36, 35, 34, 33, 32, 31, 30, 29}) {
		t.Errorf("of five changes with Keep 4 stay %v", got)
	}
}

// TestModestMemory: whatever the settings hold, saving them, backing them up
// and bringing them back takes little memory.
func TestModestMemory(t *testing.T) {
	upper, dir, other, back := t.TempDir(), inMemory(t), inMemory(t), inMemory(t)
	const size = 70 << 20
	fill(t, upper, map[string]string{"etc/hosts": "a", "opt/": ""})
	f, err := os.Create(filepath.Join(upper, "opt/firmware"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{1}), size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	before := allocated()
	step := func(what string, limit uint64) {
		t.Helper()
		took := allocated() - before
		t.Logf("%s allocated %d KiB", what, took>>10)
		if took > limit { // all of it, whether it is garbage by now or not
			t.Errorf("%s of %d MiB allocated %d MiB, want at most %d MiB", what, size>>20, took>>20, limit>>20)
		}
		before = allocated()
	}
	mustSave(t, dir, upper, Options{})
	step("save", 64<<20)
	backup := filepath.Join(t.TempDir(), "backup")
	b, err := os.Create(backup)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(dir, b); err != nil {
		t.Fatal(err)
	}
	step("backup", 4<<20)
	if _, err := b.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(other, b, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	step("import", 4<<20)
	mustRestore(t, other, back)
	step("restore", 32<<20)
	for _, name := range []string{"opt/firmware", "etc/hosts"} {
		want, err := os.ReadFile(filepath.Join(upper, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(back, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what it was: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestLargeFileShrinks: the archive gets as many bytes of a large file as its
// header says, though the file becomes shorter meanwhile.
func TestLargeFileShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write1(t, path, strings.Repeat("x", 2*largeRead))
	f, err := openFile(path, 4*largeRead)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, largeRead); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, f.size)
	if _, err := io.ReadFull(f, got); err != nil || len(got) != 2*largeRead || got[largeRead-1] != 'x' || got[largeRead] != 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestTooLarge(t *testing.T) {
	upper, dir := t.TempDir(), t.TempDir()
	fill(t, upper, map[string]string{"etc/small": "x", "root/dump": "", "opt/blob": strings.Repeat("b", 1<<20)})
	if err := os.Truncate(filepath.Join(upper, "root/dump"), 1<<40); err != nil { // takes no space, and would never be read to its end
		t.Fatal(err)
	}
	_, err := Save(t.Context(), dir, upper, Options{})
	var large *TooLargeError
	if !errors.As(err, &large) || !strings.HasPrefix(large.Largest[0], "/root/dump (") || !strings.HasPrefix(large.Largest[1], "/opt/blob (1 MiB)") {
		t.Fatalf("a TiB is saved: %v", err)
	}
	if !strings.Contains(err.Error(), "96 MiB") || !strings.Contains(err.Error(), "/root/dump") {
		t.Errorf("the message does not help: %v", err)
	}
	if err := os.Truncate(filepath.Join(upper, "root/dump"), largeFile); err != nil {
		t.Fatal(err)
	}
	if s := mustSave(t, dir, upper, Options{}); len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "/root/dump") {
		t.Errorf("warnings about a large file: %q", s.Warnings)
	}
	if _, err := Save(t.Context(), dir, upper, Options{Limit: 1 << 20}); !errors.As(err, &large) {
		t.Errorf("more than the limit is saved: %v", err)
	}
}

// TestNotWhole: what is not in the upper directory cannot be saved from it.
func TestNotWhole(t *testing.T) {
	root(t)
	for _, name := range []string{"redirect", "metacopy"} {
		upper := t.TempDir()
		fill(t, upper, map[string]string{"etc/dir/": ""})
		if err := unix.Lsetxattr(filepath.Join(upper, "etc/dir"), overlayXattr+name, []byte("/etc/old"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Save(t.Context(), t.TempDir(), upper, Options{}); err == nil || !strings.Contains(err.Error(), "/etc/dir") || !strings.Contains(err.Error(), OverlayOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRestless saves while files are written, replaced, made and removed: what
// is written by rename is always whole, and what never rests is told.
func TestRestless(t *testing.T) {
	upper, dir := t.TempDir(), t.TempDir()
	text := func(i int) string { return strings.Repeat(fmt.Sprintf("%08d\n", i), 20000) }
	fill(t, upper, map[string]string{"etc/document": text(0), "etc/log": "", "etc/dir/": ""})
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- func() error {
			log, err := os.OpenFile(filepath.Join(upper, "etc/log"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer log.Close()
			for i := 1; ; i++ {
				select {
				case <-end:
					return nil
				default:
				}
				temp := filepath.Join(upper, "etc/document.new")
				passing := filepath.Join(upper, fmt.Sprintf("etc/dir/%d", i%7))
				for _, err := range []error{
					os.WriteFile(temp, []byte(text(i)), 0o600), os.Rename(temp, filepath.Join(upper, "etc/document")),
					os.WriteFile(passing, nil, 0o600), os.Remove(passing), second(log.WriteString("line\n")),
				} {
					if err != nil {
						return err
					}
				}
			}
		}()
	}()
	// On a busy machine the writer may rest for the whole of a save: then there
	// is nothing to warn of.
	warned := 0
	for i := 0; i < 5 || warned == 0 && i < 100; i++ {
		s := mustSave(t, dir, upper, Options{})
		restless := func(w string) bool { return strings.Contains(w, "etc/document") || strings.Contains(w, "etc/log") }
		if warned += len(s.Warnings); len(s.Warnings) > 1 || len(s.Warnings) == 1 && !restless(s.Warnings[0]) {
			t.Errorf("warnings: %q", s.Warnings)
		}
		back := t.TempDir()
		mustRestore(t, dir, back)
		got, err := os.ReadFile(filepath.Join(back, "etc/document"))
		if err != nil || len(got) != len(text(0)) || string(got) != strings.Repeat(string(got[:9]), 20000) {
			t.Errorf("a document that is written by rename is torn: %d bytes, %v", len(got), err)
		}
	}
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if warned == 0 {
		t.Error("no save told of a file that is replaced all the time")
	}
	if s := mustSave(t, dir, upper, Options{}); len(s.Warnings) > 0 {
		t.Errorf("the tree rests, and Save warns: %q", s.Warnings)
	}
}

func TestCancelled(t *testing.T) {
	upper, dir := t.TempDir(), t.TempDir()
	fill(t, upper, map[string]string{"etc/hosts": "a"})
	mustSave(t, dir, upper, Options{})
	ctx, cancel := withCancelled(t)
	defer cancel()
	write1(t, filepath.Join(upper, "etc/hosts"), "b")
	if _, err := Save(ctx, dir, upper, Options{}); !errors.Is(err, ctx.Err()) {
		t.Errorf("Save of a cancelled context: %v", err)
	}
	back := t.TempDir()
	if r, err := Restore(ctx, dir, back, Prefer{}); !errors.Is(err, ctx.Err()) || len(look(t, back)) > 0 {
		t.Errorf("Restore of a cancelled context: %+v, %v", r, err)
	}
}

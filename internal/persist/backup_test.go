package persist

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestBackupAndImport(t *testing.T) {
	dir := t.TempDir()
	if _, err := Backup(dir, &bytes.Buffer{}); err == nil {
		t.Error("nothing was backed up, without a word")
	}
	saveAs(t, dir, "PRIMARY", "old", 0)
	saveAs(t, dir, "PRIMARY", "new", 0)
	if err := os.Truncate(shelf{dir: dir}.path(2, archiveSuffix), 3); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if g, err := Backup(dir, &b); err != nil || g.Number != 1 {
		t.Fatalf("backed up %+v, %v: want the newest good one", g, err)
	}
	other := t.TempDir()
	saveAs(t, other, "PRIMARY", "other machine", 0)
	g, err := Import(other, bytes.NewReader(b.Bytes()), Options{Reason: "import"})
	if err != nil || g.Number != 2 || g.Reason != "import" {
		t.Fatalf("imported %+v, %v", g, err)
	}
	if got, r := restoredAs(t, other, ""); got != "old" || len(r.Skipped) > 0 {
		t.Errorf("%q came back: %+v", got, r)
	}
}

// TestImportRefuses: every byte of a backup counts, and a refusal changes
// nothing.
func TestImportRefuses(t *testing.T) {
	dir := t.TempDir()
	saveAs(t, dir, "PRIMARY", "kept", 0)
	from := t.TempDir()
	saveAs(t, from, "PRIMARY", "imported", 0)
	var b bytes.Buffer
	if _, err := Backup(from, &b); err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	refused := 0
	for i := 0; i < len(good); i += 7 {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		g, err := Import(dir, bytes.NewReader(bad), Options{})
		if err == nil { // a time in a tar header, or what fills a block: the settings are those of the backup
			if got, _ := restoredAs(t, dir, ""); got != "imported" {
				t.Fatalf("byte %d flipped: %q came back", i, got)
			}
			if _, err := Bring(dir, 1, Options{}); err != nil {
				t.Fatalf("after generation %d: %v", g.Number, err)
			}
			continue
		}
		refused++
	}
	for _, n := range []int{0, 100, 512, 1024, len(good) / 2} {
		if _, err := Import(dir, bytes.NewReader(good[:n]), Options{}); err == nil {
			t.Errorf("a backup cut to %d bytes was taken", n)
		}
	}
	if refused < 20 {
		t.Errorf("only %d flipped bytes were noticed", refused)
	}
	if got, _ := restoredAs(t, dir, ""); got != "kept" {
		t.Errorf("%q came back after refusals", got)
	}
	if _, err := Import(dir, bytes.NewReader([]byte("no backup")), Options{}); !errors.Is(err, errNoBackup) {
		t.Errorf("something else: %v", err)
	}
}

func TestReset(t *testing.T) {
	dir, upper := t.TempDir(), t.TempDir()
	saveAs(t, dir, "PRIMARY", "mine", 0)
	if _, err := Reset(t.Context(), dir, Options{Reason: "reset"}); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(t.Context(), dir, upper, Prefer{})
	if err != nil || r.Generation == nil || r.Generation.Number != 2 || len(r.Skipped) > 0 {
		t.Fatalf("restored %+v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(upper, "etc")); err == nil {
		t.Error("something of the old settings came back")
	}
	if _, err := Bring(dir, 1, Options{}); err != nil {
		t.Errorf("what was before is lost: %v", err)
	}
	if got, _ := restoredAs(t, dir, ""); got != "mine" {
		t.Errorf("%q came back", got)
	}
	// What the medium was made with is of the factory, too.
	fill(t, dir, map[string]string{"seed/etc/hosts": "seed"})
	if _, err := Reset(t.Context(), dir, Options{Reason: "reset"}); err != nil {
		t.Fatal(err)
	}
	got, r := restoredAs(t, dir, "")
	if got != "seed" || r.From != FromSeed || r.Generation == nil || !r.Generation.Factory || len(r.Skipped) > 0 {
		t.Errorf("%q came back: %+v", got, r)
	}
	// What is saved then is settings like any other.
	saveAs(t, dir, "PRIMARY", "afterwards", 0)
	if got, r := restoredAs(t, dir, ""); got != "afterwards" || r.From != FromGeneration || r.Generation.Factory {
		t.Errorf("%q came back: %+v", got, r)
	}
}

func FuzzImport(f *testing.F) {
	dir := f.TempDir()
	upper := filepath.Join(dir, "upper")
	if err := os.MkdirAll(filepath.Join(upper, "etc"), 0o755); err != nil {
		f.Fatal(err)
	}
	if _, err := Save(f.Context(), filepath.Join(dir), upper, Options{}); err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := Backup(dir, &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Import(t.TempDir(), bytes.NewReader(data), Options{})
		if err == nil && g.Number != 1 {
			t.Errorf("imported as %+v", g)
		}
	})
}

// TestImportPrunesNothingInVain: on a full medium older generations make room
// for a backup, but not for one that is not whole.
func TestImportPrunesNothingInVain(t *testing.T) {
	dir, from := t.TempDir(), t.TempDir()
	for _, text := range []string{"1", "2", "3"} {
		saveAs(t, dir, "PRIMARY", text, 0)
	}
	saveAs(t, from, "PRIMARY", "imported", 0)
	var b bytes.Buffer
	if _, err := Backup(from, &b); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(b.Bytes())
	// The archive follows its header, which is behind the record and its own.
	at := bytes.LastIndex(bad, []byte(backupArchive)) + 512
	bad[at+20] ^= 1
	full := func() *flaky { return &flaky{free: []int64{0, 0, 1 << 40}} }
	if _, err := importBackup(full(), dir, bytes.NewReader(bad), Options{}); err == nil {
		t.Error("a damaged backup was taken")
	}
	if list, err := Inspect(dir); err != nil || len(list) != 3 {
		t.Errorf("after a damaged backup: %+v, %v", list, err)
	}
	if _, err := importBackup(full(), dir, bytes.NewReader(b.Bytes()), Options{}); err != nil {
		t.Fatal(err)
	}
	if got, _ := restoredAs(t, dir, ""); got != "imported" {
		t.Errorf("%q came back", got)
	}
	if list, err := Inspect(dir); err != nil || len(list) != 2 {
		t.Errorf("after a good one: %+v, %v", list, err)
	}
}

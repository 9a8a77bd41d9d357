package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A clone is the file as it was, with its attributes; or, where blocks cannot be
// shared, nothing, and the error says so. Run it with TMPDIR on xfs for the first.
func TestClone(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a.img"), filepath.Join(dir, ".snapshots/a.img.x")
	if err := os.WriteFile(from, []byte(strings.Repeat("old", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Files{}.Clone(t.Context(), from, to, map[string]string{"esos.of": "db", "esos.name": "x"})
	kind, kerr := Files{}.FileSystem(dir)
	if kerr != nil {
		t.Fatal(kerr)
	}
	if kind != "xfs" && kind != "btrfs" {
		if err == nil || !strings.Contains(err.Error(), "no files that share blocks") {
			t.Errorf("on %s: %v", kind, err)
		}
		if names, _ := (Files{}).Names(filepath.Dir(to)); len(names) > 0 {
			t.Errorf("left: %v", names)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(from, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(to); err != nil || string(got) != strings.Repeat("old", 10000) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	a, err := Files{}.Attributes(to)
	if err != nil || a["esos.of"] != "db" || a["esos.name"] != "x" || len(a) != 2 {
		t.Errorf("attributes %v, %v", a, err)
	}
	if names, err := (Files{}).Names(filepath.Dir(to)); err != nil || len(names) != 1 || names[0] != "a.img.x" {
		t.Errorf("names %v, %v", names, err)
	}
	if err := (Files{}).Clone(t.Context(), from, to, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if err := (Files{}).Clone(t.Context(), from, filepath.Join(dir, "../b"), nil); err == nil {
		t.Error("cloned to elsewhere")
	}
}

func TestNamesOfNoDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"gone", "link"} {
		if names, err := (Files{}).Names(filepath.Join(dir, d)); len(names) > 0 || err != nil {
			t.Errorf("%s: %v %v", d, names, err)
		}
	}
	if mounted, err := (Files{}).Mounted(dir); mounted || err != nil {
		t.Errorf("%s is mounted: %v %v", dir, mounted, err)
	}
	if mounted, err := (Files{}).Mounted("/proc"); !mounted || err != nil {
		t.Errorf("/proc is not mounted: %v %v", mounted, err)
	}
}

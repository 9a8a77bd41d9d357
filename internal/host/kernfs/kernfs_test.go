package kernfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// An ordinary directory answers as the kernel's does, as far as this goes.
func TestTree(t *testing.T) {
	tree := Tree{Root: t.TempDir()}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(tree.Mkdir("a"))
	ok(tree.Mkdir("a/b"))
	ok(tree.Mkdir("c"))
	ok(os.WriteFile(filepath.Join(tree.Root, "a/set"), nil, 0o600))
	ok(tree.WriteFile("a/set", "no newline"))
	if got, err := tree.ReadFile("a/set"); err != nil || got != "no newline" {
		t.Errorf("read %q, %v", got, err)
	}
	ok(tree.Chmod("a/set", 0o640))
	if fi, err := os.Stat(filepath.Join(tree.Root, "a/set")); err != nil || fi.Mode() != 0o640 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if err := tree.WriteFile("a/unset", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a setting that is not there: %v", err)
	}
	ok(tree.Symlink("c", "a/link"))
	if got, err := tree.Readlink("a/link"); err != nil || got != "c" {
		t.Errorf("link %q, %v", got, err)
	}
	ok(tree.Remove("a/link"))
	ok(os.Symlink("../../c", filepath.Join(tree.Root, "a/b/up"))) // as configfs gives them
	if got, err := tree.Readlink("a/b/up"); err != nil || got != "c" {
		t.Errorf("relative link %q, %v", got, err)
	}
	if err := tree.Rmdir("a/b"); !errors.Is(err, unix.ENOTEMPTY) {
		t.Errorf("rmdir of what is not empty: %v", err)
	}
	names, err := tree.ReadDir("a")
	if err != nil || len(names) != 2 || names[0] != "b" {
		t.Errorf("names %q, %v", names, err)
	}
	ok(tree.Load(t.Context(), "no_such_module")) // the tree is there
}

func TestSameRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: the root of process 1; looking at it takes root")
	}
	if err := SameRoot(); err != nil {
		t.Log("this machine runs its tests apart from process 1:", err)
	}
}

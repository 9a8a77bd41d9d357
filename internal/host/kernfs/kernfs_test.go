package kernfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	ok(os.WriteFile(filepath.Join(tree.Root, "a/set"), []byte("7\n"), 0o600))
	if got, err := Read(tree, "a/set"); err != nil || got != "7" {
		t.Errorf("read without its newline: %q, %v", got, err)
	}
	for p, want := range map[string]bool{"a": true, "none": false} {
		if got, err := Exists(tree, p); err != nil || got != want {
			t.Errorf("%s is there: %t, %v", p, got, err)
		}
		if got, err := List(tree, p); err != nil || (len(got) > 0) != want {
			t.Errorf("%s has %q, %v", p, got, err)
		}
	}
	if _, err := Exists(tree, "a/set"); err == nil {
		t.Error("a setting passes for an object")
	}
}

// TestSameRoot compares us with a process that has mounts of its own, and with
// one that has not.
func TestSameRoot(t *testing.T) {
	const self = "/proc/self/mountinfo"
	if err := sameMounts(self, self); err != nil {
		t.Error(err)
	}
	if err := sameMounts(self, filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "process 1") {
		t.Errorf("mounts that cannot be read: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a process with mounts of its own; making one takes root")
	}
	for name, c := range map[string]struct {
		command []string
		same    bool
	}{
		"same":   {[]string{"sh", "-c", "echo; exec sleep 60"}, true},
		"mounts": {[]string{"unshare", "--mount", "sh", "-c", "echo; exec sleep 60"}, false},
	} {
		cmd := exec.Command(c.command[0], c.command[1:]...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Errorf("%s: it did not start: %v", name, err)
		}
		err = sameMounts(self, fmt.Sprintf("/proc/%d/mountinfo", cmd.Process.Pid))
		if (err == nil) != c.same {
			t.Errorf("%s: same %t, want %t: %v", name, err == nil, c.same, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

package image

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStripTree(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{
		"usr/share/doc/bash/copyright", "usr/share/doc/bash/README", "usr/share/doc/bash/examples/a",
		"usr/share/doc/empty/changelog.gz", "usr/lib/python3/x.py", "usr/lib/python3/__pycache__/x.pyc",
		"etc/ssh/ssh_host_rsa_key", "etc/ssh/sshd_config", "etc/passwd", "etc/passwd-",
		"var/cache/a/b", "var/log/one/x", "var/log/two/y", "boot/vmlinuz-1",
	} {
		if err := writeFile(filepath.Join(root, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("boot/vmlinuz-1", filepath.Join(root, "vmlinuz")); err != nil {
		t.Fatal(err)
	}
	err := stripTree(root,
		[]string{"usr/share/doc/*", "**/__pycache__", "etc/ssh/ssh_host_*", "etc/*-", "var/cache/*", "var/log/*", "boot/*", "vmlinuz"},
		[]string{"usr/share/doc/*/copyright", "var/log/one"})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(root, path); rel != "." {
			left = append(left, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"boot", "etc", "etc/passwd", "etc/ssh", "etc/ssh/sshd_config",
		"usr", "usr/lib", "usr/lib/python3", "usr/lib/python3/x.py",
		"usr/share", "usr/share/doc", "usr/share/doc/bash", "usr/share/doc/bash/copyright",
		"var", "var/cache", "var/log", "var/log/one",
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Error(diff)
	}
}

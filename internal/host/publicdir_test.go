package host

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPublicDir(t *testing.T) {
	top := t.TempDir()
	private := filepath.Join(top, "private")
	ok(t, os.Mkdir(private, 0o700))
	defer unix.Umask(unix.Umask(0o077))
	for _, dir := range []string{filepath.Join(top, "a", "b"), filepath.Join(top, "a", "b"), private, filepath.Join(private, "c")} {
		ok(t, PublicDir(dir))
	}
	for dir, want := range map[string]os.FileMode{"a": 0o755, "a/b": 0o755, "private": 0o700, "private/c": 0o755} {
		st, err := os.Stat(filepath.Join(top, dir))
		ok(t, err)
		if st.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", dir, st.Mode().Perm(), want)
		}
	}
	file := filepath.Join(top, "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	if err := PublicDir(filepath.Join(file, "d")); err == nil {
		t.Error("a directory was made in a file")
	}
}

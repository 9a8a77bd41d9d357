package upgrade

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/slot"
)

// variant makes another version of ESOS out of the image: the same parts but
// those that are replaced, signed by the same key. It returns the file for
// `esos upgrade`.
func variant(t *testing.T, version string, replaced map[string]string) string {
	t.Helper()
	return signed(t, version, replaced, shared.SigningKey(t))
}

func signed(t *testing.T, version string, replaced map[string]string, key slot.PrivateKey) string {
	t.Helper()
	return shared.Version(t, version, key, func(p slot.Part, from, to string) (slot.Part, error) {
		other := replaced[p.Name]
		if other == "" {
			return p, os.Symlink(from, to)
		}
		f, err := os.Open(other)
		if err != nil {
			return p, err
		}
		p, err = slot.Describe(f, p.Name)
		return p, errors.Join(err, f.Close(), os.Symlink(other, to))
	})
}

// garbage is a file of zeros but for its beginning, which nothing boots.
func garbage(t *testing.T, size int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(file, append([]byte("no kernel"), bytes.Repeat([]byte{0}, size)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// sickRoot is the image's root with a daemon that cannot start. Compressing it
// takes a minute or two.
func sickRoot(t *testing.T) string {
	t.Helper()
	l := shared.Lab(t)
	tree, err := filepath.EvalSymlinks(filepath.Join(filepath.Dir(l.Out), "tree"))
	if err != nil {
		t.Fatal(err)
	}
	return squash(t, tree, 50<<20,
		"-p", "usr/lib/systemd/system/esos.service.d d 755 0 0",
		"-p", "usr/lib/systemd/system/esos.service.d/99-sick.conf f 644 0 0 printf '[Service]\\nExecStartPre=/bin/false\\nRestart=no\\n'")
}

// squash makes a root of a directory, of so many bytes at least.
func squash(t *testing.T, dir string, least int64, args ...string) string {
	t.Helper()
	l := shared.Lab(t)
	tools, err := l.Tools()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(shared.Dir(t), "variant.squashfs")
	t.Cleanup(func() { _ = os.Remove(file) })
	began := time.Now()
	cmd := tools.Command(t.Context(), "mksquashfs", append([]string{dir, file, "-noappend", "-no-progress", "-quiet",
		"-comp", "zstd", "-Xcompression-level", "1", "-b", "256K"}, args...)...)
	// The shell that it makes files with is this machine's.
	cmd.Env = append(cmd.Env, "PATH=/usr/bin:/bin")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v\n%s", err, out)
	}
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() < least {
		t.Fatalf("the root has %d bytes only", st.Size())
	}
	t.Logf("a root of %d MiB, made in %.0f s", st.Size()>>20, time.Since(began).Seconds())
	return file
}

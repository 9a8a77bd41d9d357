package upgrade

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/upgrade"
)

// variant makes another version of ESOS out of the image: the same parts but
// those that are replaced, signed by the same key. It returns the file for
// `esos upgrade`.
func variant(t *testing.T, version string, replaced map[string]string) string {
	t.Helper()
	return signed(t, version, replaced, signingKey(t))
}

func signed(t *testing.T, version string, replaced map[string]string, key slot.PrivateKey) string {
	t.Helper()
	l, _ := lab(t)
	from, to := filepath.Join(l.Out, "slot"), t.TempDir()
	data, err := os.ReadFile(filepath.Join(from, slot.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := os.ReadFile(filepath.Join(from, slot.SignatureFile))
	if err != nil {
		t.Fatal(err)
	}
	m, err := slot.Open(data, sig, []slot.PublicKey{signingKey(t).Public()})
	if err != nil {
		t.Fatal(err)
	}
	m.Version, m.Built = version, m.Built+1
	for i, p := range m.Parts {
		source := filepath.Join(from, p.Name)
		if other := replaced[p.Name]; other != "" {
			source = other
			f, err := os.Open(source)
			if err != nil {
				t.Fatal(err)
			}
			m.Parts[i], err = slot.Describe(f, p.Name)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(source, filepath.Join(to, p.Name)); err != nil {
			t.Fatal(err)
		}
	}
	if data, sig, err = m.Sign(key.Key); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{slot.ManifestFile: data, slot.SignatureFile: sig} {
		if err := os.WriteFile(filepath.Join(to, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := os.Create(name(t, version))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(upgrade.WriteBundle(out, to, []slot.PublicKey{key.Public()}), out.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// signingKey is the one that the image was signed with: that of this user.
func signingKey(t *testing.T) slot.PrivateKey {
	t.Helper()
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	key, err := slot.LoadKey(filepath.Join(dir, "esos", "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, _ := lab(t)
	trusted, err := slot.LoadKeys(os.DirFS(filepath.Join(l.Out, "keys")))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range trusted {
		if k.Key.Equal(key.Public().Key) {
			return key
		}
	}
	t.Fatal("the image was signed with a key that is not this user's")
	return key
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
	l, _ := lab(t)
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
	l, _ := lab(t)
	tools, err := l.Tools()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(shared.dir, "variant.squashfs")
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

// serve serves files to the appliance and returns the URL that it finds them
// below.
func serve(t *testing.T, files ...string) string {
	t.Helper()
	mux := http.NewServeMux()
	for _, f := range files {
		mux.HandleFunc("/"+filepath.Base(f), func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, f) })
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	// 10.0.2.2 is this host's loopback, as QEMU's network has it.
	return "http://10.0.2.2:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port) + "/"
}

// at is the URL of a file that serve serves.
func at(base, file string) string { return strings.TrimSuffix(base, "/") + "/" + filepath.Base(file) }

package stand

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/upgrade"
)

// SigningKey is the one that the image was signed with: that of this user.
func (s *Shared) SigningKey(t *testing.T) slot.PrivateKey {
	t.Helper()
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	key, err := slot.LoadKey(filepath.Join(dir, "esos", "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := slot.LoadKeys(os.DirFS(filepath.Join(s.Lab(t).Out, "keys")))
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

// Version makes another version of ESOS out of the image, signed with a key,
// and returns the file for `esos upgrade`. make puts a part of the image, from,
// into the other version as the file to, and describes it.
func (s *Shared) Version(t *testing.T, version string, key slot.PrivateKey, make func(p slot.Part, from, to string) (slot.Part, error)) string {
	t.Helper()
	from, to := filepath.Join(s.Lab(t).Out, "slot"), t.TempDir()
	m, err := manifest(from, []slot.PublicKey{s.SigningKey(t).Public()})
	if err != nil {
		t.Fatal(err)
	}
	m.Version, m.Built = version, m.Built+1
	for i, p := range m.Parts {
		if m.Parts[i], err = make(p, filepath.Join(from, p.Name), filepath.Join(to, p.Name)); err != nil {
			t.Fatal(err)
		}
	}
	data, sig, err := m.Sign(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{slot.ManifestFile: data, slot.SignatureFile: sig} {
		if err := os.WriteFile(filepath.Join(to, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "esos-"+version+upgrade.Suffix))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(upgrade.WriteBundle(out, to, []slot.PublicKey{key.Public()}), out.Close(), os.RemoveAll(to)); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// Manifest is that of the image.
func (s *Shared) Manifest(t *testing.T) slot.Manifest {
	t.Helper()
	m, err := manifest(filepath.Join(s.Lab(t).Out, "slot"), []slot.PublicKey{s.SigningKey(t).Public()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func manifest(dir string, keys []slot.PublicKey) (slot.Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, slot.ManifestFile))
	if err != nil {
		return slot.Manifest{}, err
	}
	sig, err := os.ReadFile(filepath.Join(dir, slot.SignatureFile))
	if err != nil {
		return slot.Manifest{}, err
	}
	return slot.Open(text, sig, keys)
}

// Serve serves files on this host's loopback, which is 10.0.2.2 to an
// appliance (QEMU's user network), and returns the URL that it finds them
// below.
func Serve(t *testing.T, files ...string) string {
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
	return fmt.Sprintf("http://10.0.2.2:%d/", l.Addr().(*net.TCPAddr).Port)
}

// At is the URL of a file that Serve serves.
func At(base, file string) string { return strings.TrimSuffix(base, "/") + "/" + filepath.Base(file) }

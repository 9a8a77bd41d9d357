package slot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestKeys(t *testing.T) {
	k, err := GenerateKey("builder of tests")
	if err != nil {
		t.Fatal(err)
	}
	private, err := ParsePrivateKey(MarshalPrivateKey(k))
	if err != nil || !private.Key.Equal(k.Key) || private.Comment != k.Comment {
		t.Errorf("private key: %v, %v", private, err)
	}
	line := MarshalPublicKey(k.Public())
	public, err := ParsePublicKey(line)
	if err != nil || !public.Key.Equal(k.Public().Key) || public.Comment != k.Comment {
		t.Errorf("public key: %v, %v", public, err)
	}
	if !strings.HasPrefix(string(line), "esos-ed25519 ") || !strings.HasSuffix(string(line), " builder of tests\n") {
		t.Errorf("public key's line is %q", line)
	}
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k)} {
		if strings.Contains(s, fmt.Sprint(k.Key[0], " ", k.Key[1])) || !strings.Contains(s, "builder") {
			t.Errorf("printed as %q", s)
		}
	}
	for name, line := range map[string]string{
		"empty":       "",
		"private":     string(MarshalPrivateKey(k)),
		"no key":      "esos-ed25519",
		"no base64":   "esos-ed25519 !!!! x",
		"short":       "esos-ed25519 AAAA x",
		"two lines":   string(line) + string(line),
		"escape code": strings.TrimSpace(string(line)) + "\x1b[2J",
		"too long":    "esos-ed25519 " + strings.Repeat("A", maxKeyFile),
	} {
		if _, err := ParsePublicKey([]byte(line)); err == nil {
			t.Errorf("%s: was taken as a public key", name)
		}
	}
}

func TestLoadKeys(t *testing.T) {
	a, b := testKey(t, 1).Public(), testKey(t, 2).Public()
	dir := fstest.MapFS{
		"a.pub":  {Data: MarshalPublicKey(a)},
		"b.pub":  {Data: MarshalPublicKey(b)},
		"README": {Data: []byte("keys")},
	}
	keys, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]PublicKey{a, b}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	dir["c.pub"] = &fstest.MapFile{Data: []byte("nonsense")}
	if _, err := LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "c.pub") {
		t.Errorf("a file that is no key: %v", err)
	}
	if _, err := LoadKeys(fstest.MapFS{}); err == nil {
		t.Error("no keys at all is no error")
	}
}

func TestLoadOrMakeKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "esos.key")
	k, made, err := LoadOrMakeKey(path, "first")
	if err != nil || !made {
		t.Fatalf("made %v: %v", made, err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v of the private key, %v", st.Mode(), err)
	}
	again, made, err := LoadOrMakeKey(path, "second")
	if err != nil || made || !again.Key.Equal(k.Key) || again.Comment != "first" {
		t.Errorf("the second time: made %v, %v, %v", made, again, err)
	}
	keys, err := LoadKeys(os.DirFS(filepath.Dir(path)))
	if err != nil || len(keys) != 1 || !keys[0].Key.Equal(k.Public().Key) {
		t.Errorf("public keys beside it: %v, %v", keys, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadOrMakeKey(path, ""); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a private key that others can read: %v", err)
	}
	if _, _, err := LoadOrMakeKey(filepath.Join(t.TempDir(), "x.pub"), ""); err == nil {
		t.Error("a private key was written over the public one")
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(MarshalPublicKey(testKey(f, 1).Public()))
	f.Fuzz(func(t *testing.T, line []byte) {
		k, err := ParsePublicKey(line)
		if err != nil {
			return
		}
		again, err := ParsePublicKey(MarshalPublicKey(k))
		if err != nil || !again.Key.Equal(k.Key) || again.Comment != k.Comment {
			t.Errorf("%q: read again as %v, %v", line, again, err)
		}
	})
}

package upgrade

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

func TestBundle(t *testing.T) {
	first, second := bundle(t, "2", testKey(1), 300_000), bundle(t, "2", testKey(1), 300_000)
	if !bytes.Equal(first, second) {
		t.Error("the same slot gives other bytes")
	}
	b, err := Open(bytes.NewReader(first), []slot.PublicKey{testKey(2).Public(), testKey(1).Public()})
	if err != nil {
		t.Fatal(err)
	}
	if b.Total() != int64(len(first)) {
		t.Errorf("it has %d bytes, and says %d", len(first), b.Total())
	}
	if err := b.verify(t.Context(), func(int64) {}); err != nil {
		t.Error(err)
	}
	// Signed with what nobody trusts any more, it is not even made.
	if err := WriteBundle(io.Discard, version(t, "2", testKey(2), 1), []slot.PublicKey{testKey(1).Public()}); err == nil {
		t.Error("a bundle was made whose signature nobody trusts")
	}
}

// TestBundleBytes: there is no byte of the parts or of the manifest that can be
// another one, and none that can be missing.
func TestBundleBytes(t *testing.T) {
	good := bundle(t, "2", testKey(1), 1000)
	read := func(data []byte) error {
		b, err := Open(bytes.NewReader(data), []slot.PublicKey{testKey(1).Public()})
		if err != nil {
			return err
		}
		return b.verify(t.Context(), func(int64) {})
	}
	if err := read(good); err != nil {
		t.Fatal(err)
	}
	content := func(at int) bool { // not the padding, and of heads their names
		for _, name := range []string{slot.ManifestFile, slot.SignatureFile, slot.RootFile, slot.KernelFile, slot.InitrdFile} {
			if i := bytes.Index(good, []byte(name+"\x00")); at >= i && at < i+len(name) {
				return true
			}
		}
		return at >= 512 && at < 700 || at > 20_000 && at < 20_100
	}
	for at := range good {
		if !content(at) {
			continue
		}
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if read(bad) == nil {
			t.Fatalf("byte %d of %d may be another one", at, len(good))
		}
	}
	for end := 0; end < len(good)-1024-512; end += 997 { // all but the end mark and a padding
		if read(good[:end]) == nil {
			t.Fatalf("it may end after %d of %d bytes", end, len(good))
		}
	}
}

func FuzzBundle(f *testing.F) {
	good := bundle(f, "2", testKey(1), 70_000)
	f.Add(good)
	f.Add(good[:2000])
	f.Add([]byte(strings.Repeat("x", 2000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Open(bytes.NewReader(data), []slot.PublicKey{testKey(1).Public()})
		if err != nil {
			return
		}
		if b.verify(t.Context(), func(int64) {}) == nil && b.Manifest.Version != "2" {
			t.Error("another version was taken than was ever signed")
		}
	})
}

func TestBoots(t *testing.T) {
	for _, b := range []Boots{
		{Default: slot.Primary}, {Default: slot.Secondary},
		{Default: slot.Primary, Trial: slot.Secondary, Left: 2},
		{Default: slot.Secondary, Trial: slot.Primary, Left: 0, OwnSettings: true},
	} {
		a := newAppliance(t)
		dir := a.dir + "/ESOS_BOOT"
		if err := WriteBoots(dir, b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, a.told(t)); diff != "" {
			t.Error(diff)
		}
	}
	for name, tt := range map[string]struct {
		env  grub.Env
		want Boots
	}{
		"nothing":      {grub.Env{}, Boots{Default: slot.Primary}},
		"debug":        {grub.Env{grub.EnvDefault: "SECONDARY-DEBUG"}, Boots{Default: slot.Secondary}},
		"nonsense":     {grub.Env{grub.EnvDefault: "x", grub.EnvNext: "y", grub.EnvTries: "2"}, Boots{Default: slot.Primary}},
		"no count":     {grub.Env{grub.EnvNext: "SECONDARY"}, Boots{Default: slot.Primary, Trial: slot.Secondary}},
		"a long count": {grub.Env{grub.EnvNext: "SECONDARY", grub.EnvTries: "99"}, Boots{Default: slot.Primary, Trial: slot.Secondary}},
	} {
		if diff := cmp.Diff(tt.want, bootsOf(tt.env)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// What an administrator made the default stays: the Debug entry.
	a := newAppliance(t)
	env, err := grub.Env{grub.EnvDefault: "PRIMARY-DEBUG", "other": "kept"}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	a.put(t, a.dir+"/ESOS_BOOT/grub/grubenv", env)
	a.left(t, 2)
	got, err := readEnv(a.dir + "/ESOS_BOOT")
	if err != nil || got[grub.EnvDefault] != "PRIMARY-DEBUG" || got["other"] != "kept" || got[grub.EnvNext] != "SECONDARY" {
		t.Errorf("%v, %v", got, err)
	}
}

package slot

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKey is a key that is the same in every run.
func testKey(t testing.TB, n byte) PrivateKey {
	t.Helper()
	return PrivateKey{Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize)), Comment: fmt.Sprintf("key-%d", n)}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// testPart describes data in chunks of 64 KiB.
func testPart(t testing.TB, name string, data []byte) Part {
	t.Helper()
	p, err := describe(bytes.NewReader(data), name, minChunkSize)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testManifest(t testing.TB) Manifest {
	t.Helper()
	return Manifest{Version: "1.2.3", Built: 1764200000, Kernel: "6.12.118+deb13-amd64", Parts: []Part{
		testPart(t, RootFile, randomBytes(200_000)), testPart(t, KernelFile, []byte("kernel")), testPart(t, "empty", nil),
	}}
}

func TestParseName(t *testing.T) {
	for in, want := range map[string]Name{"PRIMARY": Primary, "SECONDARY": Secondary, "primary": "", "": "", "../PRIMARY": ""} {
		got, err := ParseName(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseName(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if Primary.Other() != Secondary || Secondary.Other() != Primary {
		t.Error("the other slot of the other slot is not the slot")
	}
}

func TestSignAndOpen(t *testing.T) {
	key := testKey(t, 1)
	m := testManifest(t)
	data, sig, err := m.Sign(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	again, sigAgain, err := testManifest(t).Sign(key.Key)
	if err != nil || !bytes.Equal(data, again) || !bytes.Equal(sig, sigAgain) {
		t.Error("the same manifest gave other bytes the second time")
	}
	got, err := Open(data, sig, []PublicKey{testKey(t, 2).Public(), key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	want := testManifest(t)
	want.Format = Format
	want.Parts = []Part{want.Parts[2], want.Parts[0], want.Parts[1]} // by name
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
	if m.Parts[0].Name != RootFile {
		t.Error("Sign changed the order in its caller's slice")
	}
	if _, err := got.Part("nothing"); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a part that is not there: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	key := testKey(t, 1)
	trusted := []PublicKey{key.Public()}
	data, sig, err := testManifest(t).Sign(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct {
		data, sig []byte
		trusted   []PublicKey
	}{
		"a flipped bit":      {flipped, sig, trusted},
		"a cut manifest":     {data[:len(data)-2], sig, trusted},
		"something appended": {append(bytes.Clone(data), '\n'), sig, trusted},
		"another key":        {data, sig, []PublicKey{testKey(t, 2).Public()}},
		"no key":             {data, sig, nil},
		"a short signature":  {data, sig[:63], trusted},
		"no signature":       {data, nil, trusted},
	} {
		if m, err := Open(c.data, c.sig, c.trusted); !errors.Is(err, ErrSignature) || len(m.Parts) != 0 {
			t.Errorf("%s: manifest %+v, error %v; want %v", name, m, err, ErrSignature)
		}
	}
	huge := bytes.Repeat([]byte{' '}, MaxManifest+1)
	if _, err := Open(huge, ed25519.Sign(key.Key, huge), trusted); err == nil {
		t.Error("a manifest above the limit was taken")
	}
}

// TestOpenRefusesSignedNonsense has what a wrong or future builder could sign.
func TestOpenRefusesSignedNonsense(t *testing.T) {
	key := testKey(t, 1)
	good := func() Manifest {
		m := testManifest(t)
		m.Format = Format
		m.Parts = m.Parts[:1]
		return m
	}
	edit := func(f func(m *Manifest)) []byte {
		m := good()
		f(&m)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	open := func(data []byte) error {
		_, err := Open(data, ed25519.Sign(key.Key, data), []PublicKey{key.Public()})
		return err
	}
	if err := open(edit(func(*Manifest) {})); err != nil {
		t.Fatalf("the manifest that the others are made of: %v", err)
	}
	if err := open([]byte(`{"format":2,"new":true}`)); !errors.Is(err, ErrFormat) {
		t.Errorf("format 2: %v, want %v", err, ErrFormat)
	}
	for name, data := range map[string][]byte{
		"no JSON":         []byte("hello"),
		"unknown field":   []byte(strings.Replace(string(edit(func(*Manifest) {})), `"built"`, `"build"`, 1)),
		"no parts":        edit(func(m *Manifest) { m.Parts = nil }),
		"too many parts":  edit(func(m *Manifest) { m.Parts = make([]Part, MaxParts+1) }),
		"part twice":      edit(func(m *Manifest) { m.Parts = append(m.Parts, m.Parts[0]) }),
		"path as a name":  edit(func(m *Manifest) { m.Parts[0].Name = "../../etc/passwd" }),
		"hidden name":     edit(func(m *Manifest) { m.Parts[0].Name = ".." }),
		"long name":       edit(func(m *Manifest) { m.Parts[0].Name = strings.Repeat("n", maxText+1) }),
		"negative size":   edit(func(m *Manifest) { m.Parts[0].Size = -1; m.Parts[0].Chunks = nil }),
		"huge size":       edit(func(m *Manifest) { m.Parts[0].Size = 1 << 62 }),
		"zero chunk size": edit(func(m *Manifest) { m.Parts[0].ChunkSize = 0 }),
		"tiny chunks":     edit(func(m *Manifest) { m.Parts[0].ChunkSize = 1 }),
		"odd chunk size":  edit(func(m *Manifest) { m.Parts[0].ChunkSize = minChunkSize + 1 }),
		"huge chunks":     edit(func(m *Manifest) { m.Parts[0].ChunkSize = 1 << 40 }),
		"chunk missing":   edit(func(m *Manifest) { m.Parts[0].Chunks = m.Parts[0].Chunks[1:] }),
		"chunk too many":  edit(func(m *Manifest) { m.Parts[0].Chunks = append(m.Parts[0].Chunks, m.Parts[0].SHA256) }),
		"odd digest":      edit(func(m *Manifest) { m.Parts[0].Chunks[0] = strings.Repeat("g", 64) }),
		"short digest":    edit(func(m *Manifest) { m.Parts[0].SHA256 = "00" }),
		"no version":      edit(func(m *Manifest) { m.Version = "" }),
		"escape codes":    edit(func(m *Manifest) { m.Kernel = "\x1b[2J" }),
	} {
		if err := open(data); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	m := testManifest(t)
	m.Version = "1 2"
	if _, _, err := m.Sign(testKey(t, 1).Key); err == nil {
		t.Error("a version with a space was signed")
	}
	if _, _, err := testManifest(t).Sign(nil); err == nil {
		t.Error("signed without a key")
	}
	m = testManifest(t)
	m.Parts = append(m.Parts, m.Parts[0])
	if _, _, err := m.Sign(testKey(t, 1).Key); err == nil {
		t.Error("a part that comes twice was signed")
	}
}

func TestDescribe(t *testing.T) {
	p, err := Describe(strings.NewReader("abc"), "abc.txt")
	if err != nil {
		t.Fatal(err)
	}
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, B.1
	if diff := cmp.Diff(Part{Name: "abc.txt", Size: 3, SHA256: sum, ChunkSize: DefaultChunkSize, Chunks: []string{sum}}, p); diff != "" {
		t.Errorf("described (-want +got):\n%s", diff)
	}
	if _, err := Describe(strings.NewReader(""), "a/b"); err == nil {
		t.Error("a path was taken as a name")
	}
	broken := errors.New("broken")
	if _, err := Describe(io.MultiReader(strings.NewReader("abc"), errReader{broken}), "x"); !errors.Is(err, broken) {
		t.Errorf("a read error: %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func (r errReader) ReadAt([]byte, int64) (int, error) { return 0, r.err }

func FuzzDecode(f *testing.F) {
	data, _, err := testManifest(f).Sign(testKey(f, 1).Key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":1,"version":"1","kernel":"1","parts":[{"name":"a","size":9223372036854775807,"chunk_size":65536}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil {
			return
		}
		again, _, err := m.Sign(testKey(t, 1).Key)
		if err != nil {
			t.Fatalf("what was decoded cannot be signed: %v", err)
		}
		m2, err := decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, m2); diff != "" {
			t.Errorf("decoded twice (-first +second):\n%s", diff)
		}
		for _, p := range m.Parts {
			var end int64
			for i := range p.Chunks {
				c := p.chunk(i)
				if c.offset != end || c.size <= 0 {
					t.Fatalf("chunk %d of %d bytes at %d, want it at %d", i, c.size, c.offset, end)
				}
				end += int64(c.size)
			}
			if end != p.Size {
				t.Fatalf("chunks end at %d of %d bytes", end, p.Size)
			}
		}
	})
}

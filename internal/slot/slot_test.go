package slot

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

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

func TestCopy(t *testing.T) {
	for _, size := range []int{0, 1, 4095, minChunkSize - 1, minChunkSize, minChunkSize + 1, 10*minChunkSize + 77} {
		for _, workers := range []int{0, 1, 3, 100} {
			data := randomBytes(size)
			p := testPart(t, "data", data)
			dst, err := os.Create(filepath.Join(t.TempDir(), "copy"))
			if err != nil {
				t.Fatal(err)
			}
			last := int64(-1)
			err = p.Copy(t.Context(), dst, bytes.NewReader(data), workers, func(done int64) {
				if done <= last {
					t.Errorf("progress went from %d to %d", last, done)
				}
				last = done
			})
			if err != nil {
				t.Fatalf("size %d, %d workers: %v", size, workers, err)
			}
			if size > 0 && last != int64(size) {
				t.Errorf("size %d: progress ended at %d", size, last)
			}
			mem := alignedBuffer(int(p.LoadSize()))
			if err := p.Load(t.Context(), mem, bytes.NewReader(data), workers, nil); err != nil {
				t.Errorf("size %d, %d workers: load: %v", size, workers, err)
			}
			if !bytes.Equal(mem[:size], data) {
				t.Errorf("size %d, %d workers: what was loaded differs", size, workers)
			}
			got, err := os.ReadFile(dst.Name())
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("size %d, %d workers: the copy differs (%v)", size, workers, err)
			}
			_ = dst.Close()
		}
	}
}

// TestCopyOfALongerFile: what follows the part is not part of it.
func TestCopyOfALongerFile(t *testing.T) {
	data := randomBytes(minChunkSize + 5)
	p := testPart(t, "data", data)
	dst := &memory{}
	if err := p.Copy(t.Context(), dst, bytes.NewReader(append(bytes.Clone(data), "more"...)), 1, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dst.b, data) {
		t.Errorf("%d bytes were copied, want %d", len(dst.b), len(data))
	}
}

type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[off:], p), nil
}

func TestCopyFindsDamage(t *testing.T) {
	const size = 5*minChunkSize + 100
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		offset int64
	}{
		"first byte":      {func(b []byte) []byte { b[0] ^= 1; return b }, 0},
		"third chunk":     {func(b []byte) []byte { b[2*minChunkSize+17] ^= 0x80; return b }, 2 * minChunkSize},
		"last byte":       {func(b []byte) []byte { b[size-1] ^= 1; return b }, 5 * minChunkSize},
		"one byte short":  {func(b []byte) []byte { return b[:size-1] }, 5 * minChunkSize},
		"a chunk short":   {func(b []byte) []byte { return b[:5*minChunkSize] }, 5 * minChunkSize},
		"nothing there":   {func([]byte) []byte { return nil }, 0},
		"chunks exchange": {func(b []byte) []byte { return append(bytes.Clone(b[minChunkSize:2*minChunkSize]), b[minChunkSize:]...) }, 0},
	} {
		data := randomBytes(size)
		p := testPart(t, "data", data)
		bad := c.damage(bytes.Clone(data))
		dst := &memory{}
		var damage *DamageError
		if err := p.Copy(t.Context(), dst, bytes.NewReader(bad), 1, nil); !errors.As(err, &damage) {
			t.Errorf("%s: %v, want a DamageError", name, err)
			continue
		}
		if damage.Offset != c.offset || damage.Part != "data" {
			t.Errorf("%s: damage told at %d of %s, want %d", name, damage.Offset, damage.Part, c.offset)
		}
		if !bytes.Equal(dst.b, data[:len(dst.b)]) {
			t.Errorf("%s: bytes that were not checked were written", name)
		}
		if err := p.Verify(t.Context(), bytes.NewReader(bad), 4, nil); !errors.As(err, &damage) {
			t.Errorf("%s: Verify says %v", name, err)
		}
		if err := p.Load(t.Context(), make([]byte, p.LoadSize()), bytes.NewReader(bad), 4, nil); !errors.As(err, &damage) {
			t.Errorf("%s: Load says %v", name, err)
		}
	}
}

func TestCopyTellsErrors(t *testing.T) {
	data := randomBytes(3 * minChunkSize)
	p := testPart(t, "data", data)
	var damage *DamageError
	if err := p.Verify(t.Context(), errReader{errors.New("I/O error")}, 2, nil); !errors.As(err, &damage) || !strings.Contains(err.Error(), "I/O error") {
		t.Errorf("a medium that cannot be read: %v", err)
	}
	full := errors.New("no space left")
	if err := p.Copy(t.Context(), failingWriter{full}, bytes.NewReader(data), 2, nil); !errors.Is(err, full) || errors.As(err, &damage) {
		t.Errorf("no room for the copy: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Verify(ctx, bytes.NewReader(data), 2, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := p.Load(t.Context(), make([]byte, p.LoadSize()-1), bytes.NewReader(data), 2, nil); err == nil {
		t.Error("loaded into too little memory")
	}
	p.Chunks = p.Chunks[1:]
	if err := p.Verify(t.Context(), bytes.NewReader(data), 2, nil); err == nil {
		t.Error("a part without a digest for each chunk was verified")
	}
}

type failingWriter struct{ err error }

func (w failingWriter) WriteAt([]byte, int64) (int, error) { return 0, w.err }

// aligned refuses what O_DIRECT does.
type aligned struct {
	r     io.ReaderAt
	wrong atomic.Int64
}

func (a *aligned) ReadAt(p []byte, off int64) (int, error) {
	if len(p)%alignment != 0 || off%alignment != 0 || !isAligned(p) {
		a.wrong.Add(1)
	}
	return a.r.ReadAt(p, off)
}

func TestReadsAreAligned(t *testing.T) {
	data := randomBytes(7*minChunkSize + 13)
	src := &aligned{r: bytes.NewReader(data)}
	p := testPart(t, "data", data)
	if err := errors.Join(p.Verify(t.Context(), src, 3, nil), p.Load(t.Context(), alignedBuffer(int(p.LoadSize())), src, 3, nil)); err != nil {
		t.Fatal(err)
	}
	if n := src.wrong.Load(); n != 0 {
		t.Errorf("%d reads were not aligned to %d bytes", n, alignment)
	}
}

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

package persist

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// pressed makes an archive, and the record that fits it, of tar headers.
func pressed(t testing.TB, headers ...tar.Header) ([]byte, Generation) {
	t.Helper()
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, h := range headers {
		data := []byte("data of " + h.Name)
		if h.Typeflag != tar.TypeReg {
			data = nil
		}
		h.Size, h.Mode, h.Uid, h.Gid = int64(len(data)), 0o644, os.Getuid(), os.Getgid()
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(&packed, zstd.WithWindowSize(window))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes(), Generation{Number: 1, Size: int64(plain.Len()), Archive: int64(packed.Len()), SHA256: digestOf(packed.Bytes()), Contents: digestOf(plain.Bytes())}
}

// TestWayOut: an archive with the right digest, and a mind of its own.
func TestWayOut(t *testing.T) {
	dir := func(n string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: n} }
	file := func(n string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: n} }
	link := func(n, to string) tar.Header { return tar.Header{Typeflag: tar.TypeSymlink, Name: n, Linkname: to} }
	hard := func(n, to string) tar.Header { return tar.Header{Typeflag: tar.TypeLink, Name: n, Linkname: to} }
	for name, tt := range map[string]struct {
		headers []tar.Header
		why     string // "" if it is fine
	}{
		"good":                      {headers: []tar.Header{dir("etc/"), file("etc/a"), hard("etc/b", "etc/a"), link("etc/c", "/usr/x"), link("etc/d", "../../..")}},
		"up":                        {headers: []tar.Header{file("../evil")}, why: "no path within"},
		"up from below":             {headers: []tar.Header{dir("etc"), file("etc/../../evil")}, why: "no path within"},
		"up within":                 {headers: []tar.Header{dir("etc"), file("etc/../etc/evil")}, why: "no path within"},
		"absolute":                  {headers: []tar.Header{file("/etc/evil")}, why: "no path within"},
		"the tree itself":           {headers: []tar.Header{dir("./")}, why: "no path within"},
		"no name":                   {headers: []tar.Header{file("")}, why: "no path within"},
		"not kept":                  {headers: []tar.Header{dir("usr/"), file("usr/evil")}, why: "not below"},
		"not kept, near":            {headers: []tar.Header{dir("etcetera/")}, why: "not below"},
		"through a link":            {headers: []tar.Header{dir("etc/"), link("etc/way", "/tmp"), file("etc/way/evil")}, why: "etc/way is no directory"},
		"through a replaced link":   {headers: []tar.Header{dir("etc/"), dir("etc/way/"), link("etc/way", "/tmp"), file("etc/way/evil")}, why: "etc/way is no directory"},
		"below a replaced parent":   {headers: []tar.Header{dir("etc/"), dir("etc/way/"), dir("etc/way/deep/"), link("etc/way", "/tmp"), file("etc/way/deep/evil")}, why: "is no directory"},
		"root is a link":            {headers: []tar.Header{link("etc", "/tmp"), file("etc/evil")}, why: "etc is no directory"},
		"below a file":              {headers: []tar.Header{dir("etc/"), file("etc/a"), file("etc/a/evil")}, why: "is no directory"},
		"no parent":                 {headers: []tar.Header{file("etc/evil")}, why: "etc is no directory"},
		"hard link out":             {headers: []tar.Header{dir("etc/"), hard("etc/evil", "../../canary")}, why: "hard link"},
		"hard link out, absolute":   {headers: []tar.Header{dir("etc/"), hard("etc/evil", "/etc/passwd")}, why: "hard link"},
		"hard link to a link":       {headers: []tar.Header{dir("etc/"), link("etc/way", "/etc/passwd"), hard("etc/evil", "etc/way")}, why: "hard link"},
		"hard link to what is gone": {headers: []tar.Header{dir("etc/"), file("etc/a"), link("etc/a", "/etc/passwd"), hard("etc/evil", "etc/a")}, why: "hard link"},
		"an unknown type":           {headers: []tar.Header{dir("etc/"), {Typeflag: tar.TypeCont, Name: "etc/evil"}}, why: "type"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			upper := filepath.Join(base, "a/b/upper")
			fill(t, base, map[string]string{"canary": "alive", "a/b/upper/": ""})
			before := look(t, base)
			archive, g := pressed(t, tt.headers...)
			files, lost, err := unpack(t.Context(), bytes.NewReader(archive), g, upper)
			if tt.why == "" {
				if err != nil || files != len(tt.headers) || len(lost) > 0 {
					t.Fatalf("%d files, lost %v, %v", files, lost, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("error %v, want one about %q", err, tt.why)
			}
			after := look(t, base)
			if len(after) != len(before) || after["canary"] != before["canary"] {
				t.Errorf("something is left of a refused archive: %v", after)
			}
		})
	}
}

// TestOtherBytes: the medium gives other bytes at the second reading than at
// the first, when its digest was right.
func TestOtherBytes(t *testing.T) {
	archive, _ := pressed(t, tar.Header{Typeflag: tar.TypeDir, Name: "etc/"}, tar.Header{Typeflag: tar.TypeReg, Name: "etc/a"})
	_, g := pressed(t, tar.Header{Typeflag: tar.TypeDir, Name: "etc/"}, tar.Header{Typeflag: tar.TypeReg, Name: "etc/b"})
	upper := t.TempDir()
	if _, _, err := unpack(t.Context(), bytes.NewReader(archive), g, upper); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("other bytes are brought back: %v", err)
	}
	if left := look(t, upper); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	// And more than the record says, which could fill the memory.
	_, g = pressed(t, tar.Header{Typeflag: tar.TypeDir, Name: "etc/"})
	g.Size = 600
	if _, _, err := unpack(t.Context(), bytes.NewReader(archive), g, upper); err == nil {
		t.Error("more is unpacked than the record says")
	}
}

func FuzzUnpack(f *testing.F) {
	whole, _ := pressed(f, tar.Header{Typeflag: tar.TypeDir, Name: "etc/"}, tar.Header{Typeflag: tar.TypeReg, Name: "etc/a"},
		tar.Header{Typeflag: tar.TypeLink, Name: "etc/b", Linkname: "etc/a"}, tar.Header{Typeflag: tar.TypeSymlink, Name: "etc/c", Linkname: "../../canary"})
	z, err := zstd.NewReader(bytes.NewReader(whole))
	if err != nil {
		f.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(z); err != nil {
		f.Fatal(err)
	}
	f.Add(whole, false)
	f.Add(plain.Bytes(), true)
	f.Fuzz(func(t *testing.T, data []byte, isPlain bool) {
		base := t.TempDir()
		upper := filepath.Join(base, "deep/upper")
		if err := os.MkdirAll(upper, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, "canary"), []byte("alive"), 0o600); err != nil {
			t.Fatal(err)
		}
		if isPlain { // past the compression, where a fuzzer does not come
			tree := newTree(upper)
			if err := unpackTar(t.Context(), tar.NewReader(bytes.NewReader(data)), int64(len(data)), tree); err == nil {
				_ = tree.finish()
			}
		} else if _, _, err := unpack(t.Context(), bytes.NewReader(data), Generation{Size: 1 << 20}, upper); err == nil {
			t.Error("an archive without its digest was taken")
		}
		entries, err := os.ReadDir(base)
		if err != nil || len(entries) != 2 {
			t.Errorf("something was put outside of the tree: %v, %v", entries, err)
		}
		st, err := os.Lstat(filepath.Join(base, "canary"))
		text, err2 := os.ReadFile(filepath.Join(base, "canary"))
		if err != nil || err2 != nil || string(text) != "alive" || st.Mode() != 0o600 {
			t.Errorf("what is outside of the tree was changed: %q %v", text, st)
		}
		if entries, err := os.ReadDir(filepath.Join(base, "deep")); err != nil || len(entries) != 1 {
			t.Errorf("something was put beside the tree: %v, %v", entries, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	text, err := seal(Generation{Number: 7, Reason: "apply"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"content":{"number":7},"sha256":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := decodeRecord(text, 7)
		if err != nil {
			return
		}
		again, err := seal(g)
		if err != nil {
			return // a time that JSON cannot say
		}
		if h, err := decodeRecord(again, 7); err != nil || h != g {
			t.Errorf("a record read and written is another: %+v, %+v, %v", g, h, err)
		}
	})
}

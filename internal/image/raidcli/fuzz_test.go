package raidcli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/esos-project/esos/internal/image/debtest"
)

// FuzzAr: whatever the bytes are, the reader ends, and gives no file more
// bytes than it says.
func FuzzAr(f *testing.F) {
	deb, err := debtest.Package{Name: "a", Version: "1", Files: []debtest.File{{Path: "/a", Data: []byte("abc")}}}.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(deb)
	f.Add([]byte(arMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := newArReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		for {
			_, size, err := a.Next()
			if err != nil {
				return
			}
			n, err := io.Copy(io.Discard, a)
			if n > size || err == nil && n != size {
				t.Fatalf("%d bytes of a file of %d, error %v", n, size, err)
			}
		}
	})
}

// FuzzRPM: whatever the bytes are, the readers of the headers and of the
// payload end, and give no file more bytes than it says.
func FuzzRPM(f *testing.F) {
	t := &testing.T{}
	f.Add(makeRPM(t, plain, file{name: "./a", data: []byte("abc")}, file{name: "./b", link: "a"}))
	f.Add(makeRPM(t, plain)[:rpmLead+20])
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		if skipToPayload(r) != nil {
			return
		}
		for c := (&cpioReader{r: r}); ; {
			e, err := c.Next()
			if err != nil {
				return
			}
			if n, err := io.Copy(io.Discard, c); n > e.Size || err == nil && n != e.Size {
				t.Fatalf("%d bytes of a file of %d, error %v", n, e.Size, err)
			}
		}
	})
}

// FuzzUnpack: whatever the bytes are, only numbered files are made, in the
// unpacker's own directory.
func FuzzUnpack(f *testing.F) {
	t := &testing.T{}
	program := file{name: "a/storcli64", data: makeELF(dynamic())}
	f.Add(makeZip(t, program))
	f.Add(makeTar(t, program, file{name: "b", link: "a"}))
	f.Add(makeRPM(t, gz, program))
	f.Add(makeDeb(t, file{name: "/storcli64", data: program.data}))
	f.Fuzz(func(t *testing.T, data []byte) {
		// The xz program is not what is tested here, and starting it is slow.
		if bytes.Contains(data, []byte("\xfd7zXZ")) || bytes.Contains(data, []byte{0x5d, 0, 0}) {
			t.Skip()
		}
		top := t.TempDir()
		dir := filepath.Join(top, "a", "b")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		in, err := os.Create(filepath.Join(top, "in"))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if _, err := in.Write(data); err != nil {
			t.Fatal(err)
		}
		u := newUnpacker(dir, []string{"storcli64"})
		u.left = 16 << 20
		defer u.close()
		if err := u.open(context.Background(), "in", "in", in, 0); err == nil {
			_, _ = choose(Known()[0], u.trees) // it must not panic
		}
		for sub, want := range map[string]int{top: 2, filepath.Join(top, "a"): 1} {
			if entries, err := os.ReadDir(sub); err != nil || len(entries) != want {
				t.Fatalf("in %s: %v, %v", sub, entries, err)
			}
		}
	})
}

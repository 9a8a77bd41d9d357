package ext4

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// small is a file system of 20 MiB that mke2fs 1.47.2 made: three groups of
// blocks of 1 KiB, an indexed directory, a file with holes.
func small(t testing.TB) []byte {
	t.Helper()
	f, err := os.Open("testdata/small.ext4.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, b []byte, at int64) *FS {
	t.Helper()
	f, err := Open(bytes.NewReader(b), at, int64(len(b))-at)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOpen(t *testing.T) {
	b := append(make([]byte, 3<<20), small(t)...)
	f := open(t, b, 3<<20)
	if f.Label() != "small" || f.Size() != 20<<20 || fmt.Sprintf("%x", f.UUID()) != "12345678123456789234123456789abc" {
		t.Errorf("it is %s, %d bytes, %x", f.Label(), f.Size(), f.UUID())
	}
	for path, want := range map[string]string{
		"dir/below/hello":           "hello\n",
		"/dir/below/hello":          "hello\n",
		"empty":                     "",
		"long":                      strings.Repeat("x", 5000),
		"many/file-with-a-name-137": "137\n",
		"many/file-with-a-name-200": "200\n",
		"holes":                     strings.Repeat("\x00", 1<<20) + "end",
	} {
		file, err := f.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := io.ReadAll(file)
		if err != nil || string(got) != want {
			t.Errorf("%s holds %d bytes (%v), want %d", path, len(got), err, len(want))
		}
		// From the middle, as those who read in pieces do.
		if n := int64(len(want)); n > 2 {
			part := make([]byte, 2)
			if _, err := file.ReadAt(part, n-2); err != nil || string(part) != want[n-2:] {
				t.Errorf("%s ends with %q (%v)", path, part, err)
			}
		}
	}
	for _, path := range []string{"none", "dir/none", "many/file-with-a-name-201", "long/below"} {
		if _, err := f.Open(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open %s: %v", path, err)
		}
	}
	for _, path := range []string{"dir", "link", ""} {
		if _, err := f.Open(path); err == nil {
			t.Errorf("%q was opened as a file", path)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(bytes.NewReader(make([]byte, 4096)), 0, 4096); !errors.Is(err, ErrNone) {
		t.Errorf("nothing there: %v", err)
	}
	if _, err := Open(bytes.NewReader(small(t)), 0, 10<<20); err == nil {
		t.Error("a file system larger than its partition was opened")
	}
	b := small(t)
	b[superOffset+sbInodesCount]++
	if _, err := Open(bytes.NewReader(b), 0, int64(len(b))); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a damaged superblock: %v", err)
	}
}

// TestUsed: what is not used may hold anything; what is used is all that files
// are made of.
func TestUsed(t *testing.T) {
	b := small(t)
	used, err := open(t, b, 0).Used()
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Repeat([]byte{0xa5}, len(b))
	var n, last int64
	for _, e := range used {
		if e.At < last {
			t.Errorf("run at %d after one that ends at %d", e.At, last)
		}
		copy(other[e.At:e.At+e.Size], b[e.At:e.At+e.Size])
		n += e.Size
		last = e.At + e.Size
	}
	// dumpe2fs: 20480 blocks, 18771 of them free. Block 0, before the first one
	// that it counts, is ours.
	if want := int64(20480-18771) << 10; n != want {
		t.Errorf("%d bytes are used, want %d", n, want)
	}
	f := open(t, other, 0)
	for _, path := range []string{"dir/below/hello", "long", "many/file-with-a-name-137", "holes"} {
		file, err := f.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := io.ReadAll(file); err != nil || bytes.Contains(got, []byte{0xa5}) {
			t.Errorf("%s is in blocks that are not used (%v)", path, err)
		}
	}
}

func TestWithUUID(t *testing.T) {
	b := small(t)
	id := [16]byte{1, 2, 3}
	patches, err := open(t, b, 0).WithUUID(id)
	if err != nil {
		t.Fatal(err)
	}
	var at []int64
	for _, p := range patches {
		copy(b[p.At:], p.Bytes)
		at = append(at, p.At)
	}
	// The superblock, and the copy of group 1 at block 8193.
	if fmt.Sprint(at) != fmt.Sprint([]int64{1024, 8193 << 10}) {
		t.Errorf("patches at %v", at)
	}
	f := open(t, b, 0) // checks the checksum
	if f.UUID() != id {
		t.Errorf("the UUID is %x", f.UUID())
	}
}

// FuzzOpen: bytes from a stick that anybody may have written to end in an
// error, never in a panic or without end.
func FuzzOpen(f *testing.F) {
	b := small(f)
	f.Add(b[:64<<10], uint32(100), byte(0))
	f.Fuzz(func(t *testing.T, head []byte, at uint32, value byte) {
		image := bytes.Clone(b[:1<<20])
		copy(image, head)
		image[int(at)%len(image)] ^= value
		// The checksum would stop most of it.
		if len(image) > superOffset+superSize {
			sum := superChecksum(image[superOffset : superOffset+superSize])
			for i := range 4 {
				image[superOffset+sbChecksum+i] = byte(sum >> (8 * i))
			}
		}
		fs, err := Open(bytes.NewReader(image), 0, 20<<20)
		if err != nil {
			return
		}
		_, _ = fs.Used()
		_, _ = fs.WithUUID([16]byte{})
		if file, err := fs.Open("dir/below/hello"); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(file, 1<<20))
		}
	})
}

package host

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestMemory(t *testing.T) {
	m, err := ReadMemory()
	if err != nil || m.Total < 64<<20 || m.Available <= 0 || m.Available > m.Total {
		t.Errorf("%+v, %v", m, err)
	}
	f, err := MemoryFile("test")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("kept"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOpenFromDrive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "part")
	want := bytes.Repeat([]byte("drive"), 10_000)
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFromDrive(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block, err := unix.Mmap(-1, 0, 64<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // aligned
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(block) }()
	n, err := f.ReadAt(block, 0)
	if err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(block[:n], want) {
		t.Errorf("read %d bytes: %v", n, err)
	}
	if _, err := OpenFromDrive(file + "x"); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestFirstColumn(t *testing.T) {
	got := firstColumn("a.service loaded failed failed A\n\n  b.mount not-found\n")
	if diff := cmp.Diff([]string{"a.service", "b.mount"}, got); diff != "" {
		t.Error(diff)
	}
}

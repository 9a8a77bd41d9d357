package backing

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDirectReadsAnyPart reads through O_DIRECT what is no multiple of its
// alignment: an initiator may ask for 200 bytes of a block.
func TestDirectReadsAnyPart(t *testing.T) {
	const size = 2*bounceSize + 4096
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	name := filepath.Join(t.TempDir(), "direct")
	if err := os.WriteFile(name, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		t.Fatalf("the temporary directory's file system takes no O_DIRECT: %v", err)
	}
	s, err := NewFile(f, FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, r := range []struct{ off, n int }{
		{0, 200}, {512, 200}, {4096, 1}, {4095, 2}, {1, bounceSize}, {100, 2 * bounceSize}, {size - 1, 1}, {size - 4097, 4097}, {0, size},
	} {
		got := make([]byte, r.n+1)
		n, err := s.ReadAt(got[1:], int64(r.off)) // an odd address
		if err != nil || n != r.n || !bytes.Equal(got[1:], want[r.off:r.off+r.n]) {
			t.Errorf("read of %d bytes at %d: %d bytes, %v", r.n, r.off, n, err)
		}
	}
}

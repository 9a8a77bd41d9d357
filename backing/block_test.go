package backing_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/backing"
)

// TestBlockDevice runs on a loop device, which only root can make.
func TestBlockDevice(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: a block device is made with losetup")
	}
	img := filepath.Join(t.TempDir(), "loop.img")
	if err := os.WriteFile(img, make([]byte, 4*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", img).CombinedOutput()
	if err != nil {
		t.Skipf("no loop device to be had on this machine: %v: %s", err, out)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v: %s", dev, err, out)
		}
	})
	f, err := os.OpenFile(dev, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := backing.NewFile(f, backing.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if s.Size() != 4*mib {
		t.Fatalf("size %d", s.Size())
	}
	want := bytes.Repeat([]byte{0xa5}, 64<<10)
	if _, err := s.WriteAt(want, mib); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := s.ReadAt(got, mib); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("reads back differently (%v)", err)
	}
	for _, deallocate := range []bool{true, false} {
		if err := s.Zero(mib, 32<<10, deallocate); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ReadAt(got, mib); err != nil || !bytes.Equal(got[:32<<10], make([]byte, 32<<10)) || got[32<<10] != 0xa5 {
		t.Fatalf("zeroed range reads back wrong (%v)", err)
	}
}

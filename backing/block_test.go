package backing_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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

// TestSmallBlocksOfLargeSectors serves 512 byte blocks from a device whose
// sectors are larger: through the page cache, or not at all.
func TestSmallBlocksOfLargeSectors(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: a block device is made with losetup")
	}
	img := filepath.Join(t.TempDir(), "loop.img")
	if err := os.WriteFile(img, make([]byte, 4*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", "--sector-size", "4096", img).CombinedOutput()
	if err != nil {
		t.Skipf("no loop device of large sectors to be had on this machine: %v: %s", err, out)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v: %s", dev, err, out)
		}
	})
	for _, c := range []struct{ blocks, align int }{{512, 0}, {4096, 4096}, {0, 4096}} {
		f, err := os.OpenFile(dev, os.O_RDWR|unix.O_DIRECT, 0)
		if err != nil {
			t.Fatal(err)
		}
		s, err := backing.NewFile(f, backing.FileOptions{CacheUnless: c.blocks})
		if err != nil {
			t.Fatal(err)
		}
		if s.Alignment() != c.align {
			t.Errorf("blocks of %d: alignment %d, want %d", c.blocks, s.Alignment(), c.align)
		}
		if c.blocks == 512 {
			if _, err := s.WriteAt(bytes.Repeat([]byte{7}, 512), 512); err != nil {
				t.Error(err)
			}
			got := make([]byte, 512)
			if _, err := s.ReadAt(got, 512); err != nil || got[0] != 7 {
				t.Errorf("reads % x, %v", got[:4], err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

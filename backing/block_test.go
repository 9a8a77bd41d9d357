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

// loopDevice is a block device of 4 MiB of zeroes, which only root can make.
func loopDevice(t *testing.T, args ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: block devices; making a loop device takes root")
	}
	img := filepath.Join(t.TempDir(), "loop.img")
	if err := os.WriteFile(img, make([]byte, 4*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", append(args, "--find", "--show", img)...).CombinedOutput()
	if err != nil {
		t.Skipf("NOT TESTED: block devices; this machine makes no loop device (losetup %s): %v: %s", strings.Join(args, " "), err, out)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v: %s", dev, err, out)
		}
	})
	return dev
}

func TestBlockDevice(t *testing.T) {
	dev := loopDevice(t)
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
	dev := loopDevice(t, "--sector-size", "4096")
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

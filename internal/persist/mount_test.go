package persist

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mount mounts for the duration of a test, which is skipped where that is not
// allowed (in a container, say).
func mount(t *testing.T, source, kind, where, options string) {
	t.Helper()
	if err := unix.Mount(source, where, kind, 0, options); err != nil {
		t.Skipf("needs to mount a file system (%s): %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(where, 0); err != nil {
			t.Errorf("unmount %s: %v", where, err)
		}
	})
}

// mountImage makes an ext4 in a file and mounts it through a loop device.
func mountImage(t *testing.T, image, where string) error {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		return err
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		return err
	}
	if out, err := exec.CommandContext(t.Context(), mkfs, "-q", "-F", "-L", "esos_conf", image).CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop,nosuid,nodev,noexec,noatime", image, where).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount -o loop: %w: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", where).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", where, err, out)
		}
	})
	return nil
}

// listen leaves a socket at path.
func listen(t *testing.T, path string) {
	t.Helper()
	// The name of a socket must be short.
	short := filepath.Join(os.TempDir(), fmt.Sprintf("esos-%d.sock", os.Getpid()))
	l, err := net.Listen("unix", short)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if err := os.Rename(short, path); err != nil {
		os.Remove(short)
		t.Skipf("a socket cannot be moved to %s: %v", path, err)
	}
}

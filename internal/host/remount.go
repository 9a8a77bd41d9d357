package host

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadOnlyMount finds where a device's file system is mounted to be read only,
// file system and all; "" if it is not. Such a file system cannot be mounted a
// second time to be written to (mount(2), EBUSY).
func ReadOnlyMount(device string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return "", fmt.Errorf("look where %s is mounted: %w", device, err)
	}
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("look where %s is mounted: %w", device, err)
	}
	return readOnlyAt(info, fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))), nil
}

// readOnlyAt is ReadOnlyMount in the text of /proc/self/mountinfo. Behind the
// " - " there are the type, the source and the options of the file system
// itself (proc(5)).
func readOnlyAt(mountinfo []byte, number string) string {
	lines := bufio.NewScanner(bytes.NewReader(mountinfo))
	for lines.Scan() {
		mount, fs, ok := strings.Cut(lines.Text(), " - ")
		f, super := strings.Fields(mount), strings.Fields(fs)
		if ok && len(f) > 4 && f[2] == number && len(super) > 2 && slices.Contains(strings.Split(super[2], ","), "ro") {
			return mountedAt([]byte(lines.Text()), number)
		}
	}
	return ""
}

// Remount makes a mounted file system writable, or one that can only be read.
func Remount(where string, writable bool) error {
	flags, what := uintptr(unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC), "writable"
	if !writable {
		flags, what = flags|unix.MS_RDONLY, "read-only"
	}
	if err := unix.Mount("", where, "", flags, ""); err != nil {
		return fmt.Errorf("make %s %s: %w", where, what, err)
	}
	return nil
}

// SyncFS makes everything durable that was written to the file system at a
// directory; an error of an earlier write is reported here.
func SyncFS(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the file system at %s: %w", dir, errorOf(err))
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("sync the file system at %s: %w", dir, err)
	}
	return nil
}

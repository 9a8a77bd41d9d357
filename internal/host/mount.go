package host

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MountExt4 mounts an ext4 file system for data: nothing on it is run, no
// device node or set-user-ID bit on it counts. What an earlier process left
// mounted there is unmounted first.
func MountExt4(device, where string) error {
	if err := os.MkdirAll(where, 0o700); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	if err := Unmount(where); err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME
	if err := unix.Mount(device, where, "ext4", flags, "errors=remount-ro"); err != nil {
		return fmt.Errorf("mount %s at %s: %w", device, where, err)
	}
	return nil
}

// Unmount takes a file system away. One that is in use, or whose device is
// gone, vanishes as soon as nobody uses it; where nothing is mounted, nothing
// is done.
func Unmount(where string) error {
	err := unix.Unmount(where, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(where, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // no mount point
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", where, err)
	}
	return nil
}

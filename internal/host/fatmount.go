package host

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MountFAT mounts a FAT file system for root's data, as MountExt4 does.
func MountFAT(device, where string) error {
	return mountData(device, where, "vfat", 0, "umask=0022,errors=remount-ro")
}

// MountToRead mounts a file system to be read only, as MountExt4 does.
func MountToRead(device, where, fstype, options string) error {
	return mountData(device, where, fstype, unix.MS_RDONLY, options)
}

func mountData(device, where, fstype string, flags uintptr, options string) error {
	if err := os.MkdirAll(where, 0o700); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	if err := Unmount(where); err != nil {
		return err
	}
	flags |= unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME
	if err := unix.Mount(device, where, fstype, flags, options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", device, where, err)
	}
	return nil
}

// FATUUID reads the serial number of a FAT32 file system off its device, as
// blkid writes it.
func FATUUID(device string) (string, error) {
	f, err := os.Open(device)
	if err != nil {
		return "", fmt.Errorf("read the boot sector of %s: %w", device, errorOf(err))
	}
	defer f.Close()
	// FAT32's fields: the serial number at 67, the type's name at 82 (Microsoft,
	// FAT32 File System Specification 1.03, "BPB Structure").
	sector := make([]byte, 512)
	if _, err := f.ReadAt(sector, 0); err != nil {
		return "", fmt.Errorf("read the boot sector of %s: %w", device, errorOf(err))
	}
	if sector[510] != 0x55 || sector[511] != 0xaa || string(sector[82:87]) != "FAT32" {
		return "", fmt.Errorf("read the boot sector of %s: it holds no FAT32 file system", device)
	}
	id := binary.LittleEndian.Uint32(sector[67:])
	return fmt.Sprintf("%04X-%04X", id>>16, id&0xffff), nil
}

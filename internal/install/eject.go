package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
)

// MountISO makes sure that the ISO is mounted at dir.
func MountISO(m disk.Machine, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, medium.RecipeFile)); err == nil {
		return nil
	}
	device := filepath.Join(m.Dev, "disk/by-label", medium.LabelISO)
	real, err := filepath.EvalSymlinks(device)
	if err != nil {
		return fmt.Errorf("find the ISO: %w: was this system booted from one?", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(real, dir, "iso9660", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount the ISO %s at %s: %w", real, dir, err)
	}
	return nil
}

// cdromEject is CDROMEJECT of linux/cdrom.h.
const cdromEject = 0x5309

// EjectISO unmounts the ISO and opens the drive if it is in one, so that the
// machine starts from the disk. On a stick it is for a person to pull: an
// error says so.
func EjectISO(m disk.Machine, dir string) error {
	name, err := m.MountedFrom(dir)
	if err != nil {
		return err
	}
	if err := unix.Unmount(dir, 0); err != nil {
		return fmt.Errorf("unmount the ISO: %w", err)
	}
	if !strings.HasPrefix(name, "sr") {
		return errors.New("the ISO is not in a CD drive")
	}
	f, err := os.OpenFile(filepath.Join(m.Dev, name), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("eject the ISO: %w", err)
	}
	defer f.Close()
	if _, err := unix.IoctlRetInt(int(f.Fd()), cdromEject); err != nil {
		return fmt.Errorf("eject the ISO: %w", err)
	}
	return nil
}

package boot

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// SwitchRoot implements Linux, as switch_root(8) does: the kernel's first file
// system cannot be unmounted, so its files are deleted to give their memory
// back, and the new root is mounted over it.
func (*Kernel) SwitchRoot(newRoot string, argv, env []string) error {
	if err := empty("/"); err != nil {
		return fmt.Errorf("switch to the system's root: %w", err)
	}
	if err := os.Chdir(newRoot); err != nil {
		return fmt.Errorf("switch to the system's root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("switch to the system's root: move it to /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("switch to the system's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("switch to the system's root: %w", err)
	}
	return fmt.Errorf("start %s: %w", argv[0], unix.Exec(argv[0], argv, env))
}

// empty deletes what is in an initramfs, and nothing that is mounted in it. It
// refuses any other file system: a mistake here would empty a disk.
func empty(root string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		return fmt.Errorf("look at %s: %w", root, err)
	}
	if st.Type != unix.RAMFS_MAGIC && st.Type != unix.TMPFS_MAGIC {
		return fmt.Errorf("%s is no initramfs: its file system's type is %#x", root, st.Type)
	}
	var dir unix.Stat_t
	if err := unix.Lstat(root, &dir); err != nil {
		return fmt.Errorf("look at %s: %w", root, err)
	}
	removeBelow(root, dir.Dev)
	return nil
}

// removeBelow deletes what is in dir and on the same file system. What cannot
// be deleted stays: it costs memory, not the boot.
func removeBelow(dir string, dev uint64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.Type()&fs.ModeDir != 0 {
			var st unix.Stat_t
			if unix.Lstat(path, &st) != nil || st.Dev != dev {
				continue
			}
			removeBelow(path, dev)
		}
		_ = os.Remove(path)
	}
}

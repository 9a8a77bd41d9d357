package host

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Volatile says what keeps the files in a directory only until the machine is
// switched off: "tmpfs", say; "" if their file system outlives that. A
// directory that is yet to be made is on the file system of the nearest one
// above it.
//
// An overlay counts as volatile: the appliance's root is one, on top of memory.
func (Files) Volatile(dir string) (string, error) {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if parent := filepath.Dir(dir); errors.Is(err, unix.ENOENT) && parent != dir {
			dir = parent
			continue
		}
		if err != nil {
			return "", fmt.Errorf("ask for the file system of %s: %w", dir, err)
		}
		return volatileType(st.Type), nil
	}
}

func volatileType(magic int64) string {
	switch magic {
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.RAMFS_MAGIC:
		return "ramfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	}
	return ""
}

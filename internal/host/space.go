package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Space is the room of a file system, in bytes.
type Space struct{ Total, Free int64 }

// SpaceAt tells how much room the file system at a directory has.
func SpaceAt(dir string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Space{}, fmt.Errorf("ask for the room at %s: %w", dir, err)
	}
	return Space{Total: int64(st.Blocks) * st.Frsize, Free: int64(st.Bavail) * st.Frsize}, nil
}

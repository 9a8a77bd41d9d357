package host

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// usedAs says in words what the block device with number rdev is used for; ""
// if nothing is known of it.
func usedAs(rdev uint64) string {
	number := fmt.Sprintf("%d:%d", unix.Major(rdev), unix.Minor(rdev))
	if info, err := os.ReadFile("/proc/self/mountinfo"); err == nil {
		if where := mountedAt(info, number); where != "" {
			return "mounted at " + where
		}
	}
	sys := "/sys/dev/block/" + number
	if holders, err := filepath.Glob(sys + "/holders/*"); err == nil && len(holders) > 0 {
		return "held by " + filepath.Base(holders[0])
	}
	if swaps, err := os.ReadFile("/proc/swaps"); err == nil {
		if name, err := filepath.EvalSymlinks(sys); err == nil && swapsOn(swaps, filepath.Base(name)) {
			return "swap space"
		}
	}
	return ""
}

// mountedAt finds the mount point of device number "major:minor" in the text
// of /proc/self/mountinfo (proc(5)).
func mountedAt(mountinfo []byte, number string) string {
	lines := bufio.NewScanner(bytes.NewReader(mountinfo))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 4 && f[2] == number {
			return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(f[4])
		}
	}
	return ""
}

// swapsOn finds a kernel device name in the text of /proc/swaps.
func swapsOn(swaps []byte, name string) bool {
	lines := bufio.NewScanner(bytes.NewReader(swaps))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 1 && f[0] == "/dev/"+name {
			return true
		}
	}
	return false
}

// Mounted says whether a file system is mounted at a directory; one that is a
// symbolic link, or missing, is none.
func (Files) Mounted(dir string) (bool, error) {
	var here, above unix.Stat_t
	err := errors.Join(unix.Lstat(dir, &here), unix.Lstat(filepath.Dir(dir), &above))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether %s is mounted: %w", dir, err)
	}
	return here.Mode&unix.S_IFMT == unix.S_IFDIR && here.Dev != above.Dev, nil
}

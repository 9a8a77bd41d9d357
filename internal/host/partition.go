package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Partition is a partition that the kernel knows.
type Partition struct {
	Device string // its node, like /dev/sdb4
	Label  string // its name in the partition table
	Held   bool   // it belongs to an array or a volume
}

// Partitions lists the partitions with a label, in the order of their names.
// It asks the kernel (sysfs, the root of which is sys: /sys), not udev: a
// device that was pulled a moment ago is not among them.
func Partitions(sys, label string) ([]Partition, error) {
	dir := filepath.Join(sys, "class/block")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the partitions: %w", err)
	}
	var found []Partition
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name(), "uevent"))
		if err != nil {
			continue // it went away meanwhile
		}
		if l, ok := uevent(text, "PARTNAME"); !ok || l != label {
			continue
		}
		name, ok := uevent(text, "DEVNAME")
		if !ok {
			name = e.Name()
		}
		holders, err := os.ReadDir(filepath.Join(dir, e.Name(), "holders"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			continue
		}
		found = append(found, Partition{Device: "/dev/" + name, Label: label, Held: len(holders) > 0})
	}
	return found, nil
}

// uevent finds a value in the text of a uevent file: lines of NAME=value.
func uevent(text []byte, name string) (string, bool) {
	for line := range bytes.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// ExtUUID reads the UUID of an ext2, ext3 or ext4 file system off its device.
func ExtUUID(device string) (string, error) {
	f, err := os.Open(device)
	if err != nil {
		return "", fmt.Errorf("read the superblock of %s: %w", device, errorOf(err))
	}
	defer f.Close()
	// The superblock is at 1024; in it the magic at 56, the UUID at 104
	// (Documentation/filesystems/ext4/globals.rst).
	sb := make([]byte, 120)
	if _, err := f.ReadAt(sb, 1024); err != nil {
		return "", fmt.Errorf("read the superblock of %s: %w", device, errorOf(err))
	}
	if sb[56] != 0x53 || sb[57] != 0xef {
		return "", fmt.Errorf("read the superblock of %s: it holds no ext4 file system", device)
	}
	u := sb[104:]
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16]), nil
}

package filesystem

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Slack is how much smaller than its device a file system may be without being
// grown: none of them takes a last piece that is too small to be of use (64
// blocks of an xfs, a few MiB of an ext4).
const Slack = 16 << 20

// Span is how much of its device a mounted file system spans, in bytes. What
// statfs(2) tells is less, by what the file system needs itself.
func Span(ctx context.Context, m Machine, mount Mount) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	var c host.Call
	var parse func([]byte) (int64, bool)
	switch mount.Type {
	case XFS:
		// -n changes nothing and prints what the kernel says (xfs_growfs(8)):
		// the superblock on the disk may be behind.
		c, parse = host.Call{Name: "xfs_growfs", Args: []string{"-n", mount.Target}}, parseXFS
	case Ext4:
		c, parse = host.Call{Name: "dumpe2fs", Args: []string{"-h", mount.Source}}, parseExt4
	case Btrfs:
		c, parse = host.Call{Name: "btrfs", Args: []string{"filesystem", "show", "--raw", mount.Target}}, parseBtrfs
	default:
		return 0, fmt.Errorf("ask for the size of the file system at %s: it is %s", mount.Target, mount.Type)
	}
	out, err := m.Output(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("ask for the size of the file system at %s: %w", mount.Target, err)
	}
	size, ok := parse(out)
	if !ok {
		return 0, fmt.Errorf("ask for the size of the file system at %s: %s says nothing of it", mount.Target, c.Name)
	}
	return size, nil
}

// xfsData is the line of the data section.
var xfsData = regexp.MustCompile(`(?m)^data\s*=\s*bsize=(\d+)\s+blocks=(\d+)`)

func parseXFS(text []byte) (int64, bool) {
	found := xfsData.FindSubmatch(text)
	if found == nil {
		return 0, false
	}
	return product(string(found[1]), string(found[2]))
}

func parseExt4(text []byte) (int64, bool) {
	var count, size string
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		switch name {
		case "Block count":
			count = strings.TrimSpace(value)
		case "Block size":
			size = strings.TrimSpace(value)
		}
	}
	return product(count, size)
}

// btrfsDevice is the line of a device.
var btrfsDevice = regexp.MustCompile(`(?m)^\s*devid\s+\d+\s+size\s+(\d+)\s`)

// parseBtrfs reads the size on the only device; one of several is none of ours.
func parseBtrfs(text []byte) (int64, bool) {
	found := btrfsDevice.FindAllSubmatch(text, -1)
	if len(found) != 1 {
		return 0, false
	}
	return product(string(found[0][1]), "1")
}

func product(a, b string) (int64, bool) {
	x, err := strconv.ParseInt(a, 10, 64)
	if err != nil || x <= 0 {
		return 0, false
	}
	y, err := strconv.ParseInt(b, 10, 64)
	if err != nil || y <= 0 || x > (1<<62)/y {
		return 0, false
	}
	return x * y, true
}

// Grow makes a mounted file system as large as its device.
func Grow(ctx context.Context, m Machine, mount Mount) error {
	var c host.Call
	switch mount.Type {
	case XFS:
		c = host.Call{Name: "xfs_growfs", Args: []string{"-d", mount.Target}}
	case Ext4:
		c = host.Call{Name: "resize2fs", Args: []string{mount.Source}}
	case Btrfs:
		c = host.Call{Name: "btrfs", Args: []string{"filesystem", "resize", "max", mount.Target}}
	default:
		return fmt.Errorf("grow the file system at %s: it is %s", mount.Target, mount.Type)
	}
	if _, err := m.Output(ctx, c); err != nil {
		return fmt.Errorf("grow the file system at %s: %w", mount.Target, err)
	}
	return nil
}

// Package filesystem makes, checks, mounts and grows the file systems that
// image files lie on, with the programs that Linux has for that.
package filesystem

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/block"
)

// Machine runs programs (host.Linux).
type Machine interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// Types of file systems, as mount(8) and blkid(8) call them.
const (
	XFS   = "xfs"
	Ext4  = "ext4"
	Btrfs = "btrfs"
)

// ErrHolds is wrapped when something is on a device, which is not overwritten.
var ErrHolds = errors.New("holds something, and is not overwritten")

// lookTime is how long a look at a file system may take: a disk that does not
// answer must not keep everything else from being looked at.
const lookTime = 30 * time.Second

// MaxLabel is how long a label is at most, of any of the types: xfs has room
// for 12 characters (mkfs.xfs(8), -L), ext4 for 16 and btrfs for 255.
const MaxLabel = 12

// Label is the label of a file system of that name.
func Label(name string) string { return name[:min(len(name), MaxLabel)] }

// Smallest is how large a device has to be at least for a type: xfsprogs makes
// no xfs below 300 MiB since 5.19 (mkfs.xfs(8), -d size), and btrfs needs room
// for two copies of its metadata (mkfs.btrfs(8), 114294784 bytes).
func Smallest(kind string) int64 {
	return map[string]int64{XFS: 300 << 20, Btrfs: 114294784, Ext4: 8 << 20}[kind]
}

// Make makes a file system on a device that has nothing on it. It is asked for
// without any flag that forces it: mkfs.xfs and mkfs.btrfs refuse a device with
// something on it. mkfs.ext4 asks only people at a terminal and else goes on
// (mke2fs.c, "isatty"), and none of them knows data without a signature; so
// the device is looked at here, right before.
func Make(ctx context.Context, m block.Prober, kind, device, uuid, label string) error {
	found, err := block.Contents(ctx, m, device)
	if err != nil {
		return fmt.Errorf("make a %s file system: %w", kind, err)
	}
	if len(found) > 0 {
		return fmt.Errorf("make a %s file system: %s %w: %s", kind, device, ErrHolds, found[0])
	}
	var c host.Call
	switch kind {
	case XFS:
		// Shared extents are what copies and snapshots of image files are made with.
		c = host.Call{Name: "mkfs.xfs", Args: []string{"-q", "-m", "uuid=" + uuid + ",reflink=1", "-L", label, device}}
	case Ext4:
		c = host.Call{Name: "mkfs.ext4", Args: []string{"-q", "-U", uuid, "-L", label, device}}
	case Btrfs:
		c = host.Call{Name: "mkfs.btrfs", Args: []string{"-q", "-U", uuid, "-L", label, device}}
	default:
		return fmt.Errorf("make a file system on %s: there is no type %q", device, kind)
	}
	if _, err := m.Output(ctx, c); err != nil {
		return fmt.Errorf("make a %s file system on %s: %w", kind, device, err)
	}
	return block.Settle(ctx, m)
}

// Options are what a file system is mounted with: nothing on it is a program
// or a device, reading changes nothing, and what was declared besides.
func Options(kind string, more []string) []string {
	options := []string{"nosuid", "nodev", "noexec", "noatime"}
	if kind == Ext4 && !slices.ContainsFunc(more, func(o string) bool { return strings.HasPrefix(o, "errors=") }) {
		// The default of Debian's is to go on (mke2fs.conf(5), "errors"), which
		// makes small damage large.
		options = append(options, "errors=remount-ro")
	}
	return append(options, more...)
}

// Check looks over a file system before it is mounted, as far as that is done
// at every boot. The log of an xfs is replayed by its mount, and btrfs needs
// nothing (fsck.xfs(8), fsck.btrfs(8)).
func Check(ctx context.Context, m Machine, kind, device string) error {
	if kind != Ext4 {
		return nil
	}
	_, err := m.Output(ctx, host.Call{Name: "e2fsck", Args: []string{"-p", device}})
	switch code := exitCode(err); {
	case err == nil, code == 1, code == 2, code == 3:
		// e2fsck(8): 1 errors were corrected; 2 so that the machine should be
		// rebooted, which is for a root that is mounted meanwhile.
		return nil
	case code >= 4 && code < 8:
		return fmt.Errorf("check %s: it has damage that is not repaired without somebody who decides; keep a copy of the device, then run 'e2fsck %s' at the console: %w", device, device, err)
	default:
		return fmt.Errorf("check %s: %w", device, err)
	}
}

// TryMount mounts a file system. Where an xfs cannot be mounted, its error says
// what a look for damage found.
func TryMount(ctx context.Context, m Machine, kind, device, where string, options []string) error {
	_, err := m.Output(ctx, host.Call{Name: "mount", Args: []string{"-t", kind, "-o", strings.Join(options, ","), device, where}})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("mount %s at %s: %w", device, where, err)
	if kind != XFS {
		return err
	}
	if _, why := m.Output(ctx, host.Call{Name: "xfs_repair", Args: []string{"-n", device}}); exitCode(why) == 1 {
		// xfs_repair(8): with -n, 1 is damage.
		return fmt.Errorf("%w; 'xfs_repair -n %s' finds damage: keep a copy of the device, then run 'xfs_repair %s' at the console", err, device, device)
	}
	return err
}

// Remount changes the options of a mounted file system. Both the device and
// the directory are named, so that nothing is added from elsewhere (mount(8),
// "remount").
func Remount(ctx context.Context, m Machine, device, where string, options []string) error {
	if _, err := m.Output(ctx, host.Call{Name: "mount", Args: []string{"-o", "remount," + strings.Join(options, ","), device, where}}); err != nil {
		return fmt.Errorf("change the options of the file system at %s: %w", where, err)
	}
	return nil
}

// Unmount takes a file system away; where none is mounted nothing is done. One
// that is in use stays.
func Unmount(ctx context.Context, m Machine, where string) error {
	mounts, err := Mounts(ctx, m)
	if err != nil {
		return fmt.Errorf("unmount %s: %w", where, err)
	}
	if _, there := At(mounts, where); !there {
		return nil
	}
	if _, err := m.Output(ctx, host.Call{Name: "umount", Args: []string{where}}); err != nil {
		return fmt.Errorf("unmount %s: %w; 'fuser -vm %s' shows who uses it", where, err, where)
	}
	return nil
}

// Trim tells the disks what of a file system is unused, and how much that was.
func Trim(ctx context.Context, m Machine, where string) (string, error) {
	out, err := m.Output(ctx, host.Call{Name: "fstrim", Args: []string{"--verbose", "--quiet-unsupported", where}})
	if err != nil {
		return "", fmt.Errorf("trim the file system at %s: %w", where, err)
	}
	if said := strings.TrimSpace(string(out)); said != "" {
		return said, nil
	}
	return where + ": its device does not want to know", nil
}

// exitCode is the code that a program ended with, -1 if it did not run.
func exitCode(err error) int {
	var e *host.ExitError
	if errors.As(err, &e) {
		return e.Code
	}
	return -1
}

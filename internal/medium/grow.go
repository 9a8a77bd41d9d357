package medium

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/ext4"
)

// Grow gives the medium all of its drive: the backup of the partition table
// goes to the end, esos_logs grows, and a large drive gets esos_data. It can
// be ended anywhere and run again, and does nothing where nothing is to do. It
// returns in words what it did. Of a file only the partition table grows: its
// partitions are no devices.
//
// The order is what makes it safe: the table's backup is whole before its
// primary copy changes, the kernel hears of the change when the table says it,
// and file systems grow into what both know.
func Grow(ctx context.Context, tools Tools, m disk.Machine, path string) ([]string, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("grow the medium: %w", err)
	}
	defer f.Close()
	did, parts, err := growTable(f)
	if err != nil {
		return did, fmt.Errorf("grow the medium %s: %w", path, err)
	}
	st, err := f.Stat()
	if err != nil {
		return did, fmt.Errorf("grow the medium: %w", err)
	}
	for _, label := range []string{LabelLogs, LabelData} {
		p, ok := Labelled(parts, label)
		if !ok || st.Mode().IsRegular() {
			continue
		}
		if err := tellKernel(f, m, p); err != nil {
			return did, fmt.Errorf("grow the medium %s: %w", path, err)
		}
		done, err := growFileSystem(ctx, tools, m, PartitionPath(path, p.Number), p)
		if err != nil {
			return did, fmt.Errorf("grow the medium %s: %w", path, err)
		}
		did = append(did, done...)
	}
	return did, nil
}

// PartitionPath is the device of a disk's partition: sda3, nvme0n1p3.
func PartitionPath(disk string, number int) string {
	if last := disk[len(disk)-1]; last >= '0' && last <= '9' {
		disk += "p"
	}
	return disk + strconv.Itoa(number)
}

// growTable brings the partition table up to the drive's size.
func growTable(f *os.File) ([]string, []Partition, error) {
	size, err := deviceSize(f)
	if err != nil {
		return nil, nil, err
	}
	t, err := readTable(f)
	if err != nil {
		return nil, nil, err
	}
	parts := partitions(t)
	grown, err := growPlan(parts, size)
	if err != nil {
		return nil, nil, err
	}
	var did []string
	if int64(t.TotalSize()) != size || t.Verify(f, uint64(size)) != nil {
		did = append(did, "moved the backup of the partition table to the end of the drive")
	}
	for _, p := range grown {
		old, had := Labelled(parts, p.Label)
		switch {
		case !had:
			// Whatever is there must not be taken for a file system: it was
			// never this partition's.
			if err := claim(f, p); err != nil {
				return nil, nil, err
			}
			t.Partitions = append(t.Partitions, entry(p, Identity(t.GUID)))
			did = append(did, fmt.Sprintf("made partition %s of %s", p.Label, disk.HumanSize(p.Size)))
		case old.Size != p.Size:
			for _, e := range t.Partitions {
				if e.Index == p.Number {
					e.End, e.Size = uint64(p.End()/SectorSize)-1, uint64(p.Size)
				}
			}
			did = append(did, fmt.Sprintf("grew partition %s from %s to %s", p.Label, disk.HumanSize(old.Size), disk.HumanSize(p.Size)))
		}
	}
	if len(did) == 0 {
		return nil, grown, nil
	}
	t.Resize(uint64(size))
	return did, grown, replaceTable(f, t, size)
}

// claim clears what is in the place of a new partition, and leaves the mark
// that says so.
func claim(f *os.File, p Partition) error {
	zero := make([]byte, mib)
	for _, at := range []int64{p.Start, p.End() - mib} {
		if _, err := f.WriteAt(zero, at); err != nil {
			return fmt.Errorf("clear partition %s: %w", p.Label, err)
		}
	}
	if _, err := f.WriteAt([]byte(mark), p.End()-markFromEnd); err != nil {
		return fmt.Errorf("clear partition %s: %w", p.Label, err)
	}
	return f.Sync()
}

// mark says that a partition was made here and its file system not yet. It is
// where mke2fs does not write, so that it outlives one that is interrupted.
const (
	mark        = "ESOS: this partition waits for its file system\n"
	markFromEnd = 512 << 10
)

// blkpg is the argument of BLKPG, and the partition that it points to
// (include/uapi/linux/blkpg.h).
type blkpg struct {
	op, flags, length int32
	_                 int32
	data              unsafe.Pointer
}

type blkpgPartition struct {
	start, length int64 // bytes
	number        int32
	_             [64 + 64]byte // names that nobody reads
	_             int32
}

const (
	blkpgAdd    = 1
	blkpgResize = 3
)

// tellKernel makes the kernel's partition what the table says, also while it
// is mounted.
func tellKernel(f *os.File, m disk.Machine, p Partition) error {
	name := filepath.Base(PartitionPath(f.Name(), p.Number))
	op := int32(blkpgAdd)
	if have, err := os.ReadFile(filepath.Join(m.Sys, "class/block", name, "size")); err == nil {
		sectors, err := strconv.ParseInt(strings.TrimSpace(string(have)), 10, 64)
		if err == nil && sectors*512 == p.Size {
			return nil
		}
		op = blkpgResize
	}
	part := blkpgPartition{start: p.Start, length: p.Size, number: int32(p.Number)}
	arg := blkpg{op: op, length: int32(unsafe.Sizeof(part)), data: unsafe.Pointer(&part)}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("tell the kernel of partition %s: %w; it takes effect at the next boot", p.Label, errno)
	}
	return nil
}

// growFileSystem makes a partition's file system as large as the partition, or
// makes that of a new esos_data.
func growFileSystem(ctx context.Context, tools Tools, m disk.Machine, path string, p Partition) ([]string, error) {
	f, err := openSettled(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	fs, err := ext4.Open(f, 0, p.Size)
	switch {
	case errors.Is(err, ext4.ErrNone) && p.Label == LabelData:
		if err := marked(f, p.Size); err != nil {
			return nil, fmt.Errorf("%s on %s: %w", p.Label, path, err)
		}
		cmd := tools.Command(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-i", "65536", "-L", p.Label, path)
		if err := run(cmd, "mke2fs"); err != nil {
			return nil, fmt.Errorf("make the file system %s: %w", p.Label, err)
		}
		return []string{"made the file system " + p.Label}, unmark(path, p.Size)
	case err != nil:
		return nil, fmt.Errorf("%s on %s: %w", p.Label, path, err)
	case fs.Label() != p.Label:
		return nil, fmt.Errorf("the file system on %s is labelled %q, not %s: it is left alone", path, fs.Label(), p.Label)
	case p.Size-fs.Size() < mib:
		return nil, nil
	}
	if m.MountPoint(filepath.Base(path)) == "" {
		if err := check(ctx, tools, path); err != nil {
			return nil, fmt.Errorf("grow the file system %s: %w", p.Label, err)
		}
	}
	if err := run(tools.Command(ctx, "resize2fs", path), "resize2fs"); err != nil {
		return nil, fmt.Errorf("grow the file system %s: %w", p.Label, err)
	}
	return []string{fmt.Sprintf("grew the file system %s from %s to %s", p.Label, disk.HumanSize(fs.Size()), disk.HumanSize(p.Size))}, nil
}

// check runs e2fsck, which resize2fs asks for where nothing is mounted. Status
// 1 says that it put something right.
func check(ctx context.Context, tools Tools, path string) error {
	err := run(tools.Command(ctx, "e2fsck", "-f", "-p", path), "e2fsck")
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	return err
}

// marked refuses a partition without a file system that was not made here.
func marked(f *os.File, size int64) error {
	b := make([]byte, len(mark))
	if _, err := f.ReadAt(b, size-markFromEnd); err != nil {
		return err
	}
	if string(b) != mark {
		return errors.New("it holds no ext4 file system, and is left alone: make one, or delete the partition")
	}
	return nil
}

func unmark(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, len(mark)), size-markFromEnd); err != nil {
		return err
	}
	return f.Sync()
}

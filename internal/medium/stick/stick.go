// Package stick writes an image to a drive: it looks who uses the drive first,
// writes what matters, and reads back all of it.
package stick

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
)

// Target is where an image goes: a disk, or a file.
type Target struct {
	Path     string
	Disk     *disk.Disk     // nil for a file
	Contents []disk.Content // what is there and will be lost
	Size     int64          // of the disk, or that the file will have
	Exists   bool           // the file
}

// Look describes the target that path names, and refuses what must not be
// overwritten. A file gets size bytes, 0 as many as the image takes. force
// takes disks that are part of an array or volume group that is not running.
// running are the names of the disks that this system booted from.
func Look(m disk.Machine, path string, imageSize, size int64, force bool, running []string) (Target, error) {
	st, err := os.Stat(path)
	switch {
	case err == nil && st.Mode()&os.ModeDevice != 0 && st.Mode()&os.ModeCharDevice == 0:
		if size != 0 {
			return Target{}, fmt.Errorf("%s is a disk: it has the size that it has", path)
		}
		return lookDisk(m, path, imageSize, force, running)
	case err == nil && !st.Mode().IsRegular():
		return Target{}, fmt.Errorf("%s is neither a disk nor a file", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Target{}, err
	case err != nil && filepath.Dir(filepath.Clean(path)) == "/dev":
		return Target{}, fmt.Errorf("there is no disk %s: is it plugged in?", path) // rather than fill memory with a file of that name
	}
	if size != 0 && size < imageSize {
		return Target{}, fmt.Errorf("the image takes %d bytes, more than the %d that %s is to have", imageSize, size, path)
	}
	return Target{Path: path, Size: max(size, imageSize), Exists: err == nil}, nil
}

func lookDisk(m disk.Machine, path string, imageSize int64, force bool, running []string) (Target, error) {
	d, err := m.Look(path)
	if err != nil {
		return Target{}, err
	}
	t := Target{Path: d.Path, Disk: &d, Size: d.Size}
	switch {
	case d.ReadOnly:
		return t, fmt.Errorf("%s is write-protected", d)
	case d.SectorSize != medium.SectorSize:
		return t, fmt.Errorf("%s has sectors of %d bytes, and a medium needs %d: take another drive", d, d.SectorSize, medium.SectorSize)
	case d.Size < imageSize:
		return t, fmt.Errorf("%s is too small: the image takes %s", d, disk.HumanSize(imageSize))
	case len(d.Uses) > 0:
		return t, fmt.Errorf("%s is in use: %s; unmount it, or take another drive", d, d.Uses[0])
	}
	for _, name := range running {
		if name == d.Name {
			return t, fmt.Errorf("%s is what this system was started from; 'esos upgrade' writes to it", d)
		}
	}
	f, err := os.Open(d.Path)
	if err != nil {
		return t, fmt.Errorf("open disk %s: %w", d.Path, err)
	}
	defer f.Close()
	if t.Contents, err = disk.Contents(f, d.Size); err != nil {
		return t, fmt.Errorf("look what is on %s: %w", d, err)
	}
	for _, c := range t.Contents {
		if c.Member && !force {
			return t, fmt.Errorf("%s: %s, whose other disks would miss it; --force overwrites it all the same", d, c)
		}
	}
	return t, nil
}

// Progress hears what is being done, and how many of how many bytes.
type Progress func(step string, done, total int64)

// Write writes the copy to the target and reads back what it wrote.
func Write(ctx context.Context, c *medium.Copy, t Target, progress Progress) error {
	if t.Disk == nil {
		return writeFile(ctx, c, t, progress)
	}
	f, err := disk.Claim(t.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	// First what makes it a medium, or anything else, goes: if it is pulled
	// halfway nobody takes it for whole.
	zero := make([]byte, 1<<20)
	for _, at := range []int64{0, t.Size - int64(len(zero))} {
		if _, err := f.WriteAt(zero, at); err != nil {
			return fmt.Errorf("write to %s: %w", t.Path, err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write to %s: %w", t.Path, err)
	}
	if err := write(ctx, c, f, progress); err != nil {
		return err
	}
	if err := verify(ctx, c, f, progress); err != nil {
		return err
	}
	// The kernel shows the new partitions; that it cannot is no harm, they
	// come with the next plugging in.
	_ = unix.IoctlSetInt(int(f.Fd()), unix.BLKRRPART, 0)
	return nil
}

// writeFile gives the file its name when it is complete.
func writeFile(ctx context.Context, c *medium.Copy, t Target, progress Progress) error {
	hidden := t.Path + ".new"
	f, err := os.OpenFile(hidden, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("make %s: %w", t.Path, err)
	}
	defer f.Close()
	err = f.Truncate(t.Size)
	if err == nil {
		err = write(ctx, c, f, progress)
	}
	if err == nil {
		err = verify(ctx, c, f, progress)
	}
	if err == nil {
		err = os.Rename(hidden, t.Path)
	}
	if err == nil {
		err = host.SyncDir(filepath.Dir(t.Path))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make %s: %w", t.Path, err), os.RemoveAll(hidden))
	}
	return nil
}

const (
	piece = 4 << 20
	// flushEach bounds what waits in memory: the progress is then the drive's,
	// and the end does not take minutes.
	flushEach = 32 << 20
)

// write writes all extents; the first MiB, with the partition table, last.
func write(ctx context.Context, c *medium.Copy, f *os.File, progress Progress) error {
	var done, unflushed int64
	extents, sum := c.Extents(), c.Written()
	buf := make([]byte, piece)
	table := medium.Extent{At: 0, Size: min(1<<20, extents[0].Size)}
	order := []medium.Extent{{At: table.End(), Size: extents[0].End() - table.End()}}
	order = append(append(order, extents[1:]...), table)
	st, err := f.Stat()
	if err != nil {
		return err
	}
	sparse := st.Mode().IsRegular()
	for _, e := range order {
		for at := e.At; at < e.End(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := buf[:min(piece, e.End()-at)]
			if _, err := c.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read the image at byte %d: %w", at, err)
			}
			if !sparse || len(bytes.Trim(b, "\x00")) > 0 {
				if _, err := f.WriteAt(b, at); err != nil {
					return fmt.Errorf("write to %s at byte %d: %w", f.Name(), at, err)
				}
			}
			at += int64(len(b))
			done += int64(len(b))
			if unflushed += int64(len(b)); unflushed >= flushEach {
				unflushed = 0
				if err := unix.Fdatasync(int(f.Fd())); err != nil {
					return fmt.Errorf("write to %s: %w", f.Name(), err)
				}
			}
			progress("write", done, sum)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write to %s: %w", f.Name(), err)
	}
	return nil
}

// verify reads all extents back, past the cache, and compares them.
func verify(ctx context.Context, c *medium.Copy, f *os.File, progress Progress) error {
	r, direct, err := reader(f)
	if err != nil {
		return err
	}
	defer r.Close()
	var done int64
	sum := c.Written()
	want, got := aligned(piece), aligned(piece)
	for _, e := range c.Extents() {
		for at := e.At; at < e.End(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(piece, e.End()-at)
			if _, err := c.ReadAt(want[:n], at); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read the image at byte %d: %w", at, err)
			}
			from := r
			if direct && n%512 != 0 {
				from = f
			}
			if _, err := from.ReadAt(got[:n], at); err != nil {
				return fmt.Errorf("read back from %s at byte %d: %w; the drive may be broken: take another one", f.Name(), at, err)
			}
			if !bytes.Equal(want[:n], got[:n]) {
				return fmt.Errorf("%s gives back other bytes than were written, near byte %d: the drive is broken, or smaller than it says: take another one", f.Name(), at)
			}
			at += n
			done += n
			progress("verify", done, sum)
		}
	}
	return nil
}

// reader opens f again for direct I/O; where that is not to be had, as on a
// tmpfs, its cached pages are dropped.
func reader(f *os.File) (*os.File, bool, error) {
	r, err := os.OpenFile(f.Name(), os.O_RDONLY|unix.O_DIRECT, 0)
	if err == nil {
		probe := aligned(4096)
		if _, err = r.ReadAt(probe, 0); err == nil {
			return r, true, nil
		}
		_ = r.Close()
	}
	if err := medium.DropCache(f); err != nil {
		return nil, false, err
	}
	r, err = os.Open(f.Name())
	if err != nil {
		return nil, false, fmt.Errorf("read back from %s: %w", f.Name(), err)
	}
	return r, false, nil
}

// aligned returns size bytes at an address that direct I/O takes.
func aligned(size int) []byte {
	const to = 4096
	b := make([]byte, size+to)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (to - 1))
	return b[skip : skip+size : skip+size]
}

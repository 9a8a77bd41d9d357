package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FileInfo is what there is at a path.
type FileInfo struct {
	Path      string
	Size      int64  // in bytes
	Allocated int64  // bytes of space that the file takes
	Block     bool   // a block device; Size is the device's
	ID        FileID // the same for every path that leads to it
}

// FileID tells files apart, whatever the paths are that lead to them; and
// block devices, whichever node stands for them.
type FileID struct {
	Device, Inode uint64 // of a block device its number, and 0
}

// Files makes, grows, looks at and removes image files. The zero value works
// on the machine's file systems.
type Files struct{}

// allocateStep is how much space is taken between two reports of progress.
const allocateStep = 256 << 20

// Stat says what is at path. A path that leads nowhere is an error that
// errors.Is fs.ErrNotExist.
func (Files) Stat(path string) (FileInfo, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return FileInfo{}, &fs.PathError{Op: "look at", Path: path, Err: err}
	}
	fi := FileInfo{Path: path, Size: st.Size, Allocated: st.Blocks * 512, ID: FileID{st.Dev, st.Ino}}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFBLK:
		size, err := blockDeviceSize(path)
		if err != nil {
			return FileInfo{}, err
		}
		fi.Size, fi.Allocated, fi.Block, fi.ID = size, size, true, FileID{Device: st.Rdev}
	default:
		return FileInfo{}, fmt.Errorf("%s is neither a file nor a block device", path)
	}
	return fi, nil
}

// Real is path without symbolic links, "" if it leads nowhere.
func Real(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	return real
}

// Create makes an image file of size bytes, readable by its owner only. With
// allocate its space is taken at once, otherwise as it is written. It never
// touches a file that exists (fs.ErrExist); a file that could not be completed
// is removed again. progress, if not nil, hears how many bytes are done.
func (f Files) Create(ctx context.Context, path string, size int64, allocate bool, progress func(done int64)) error {
	if err := MakeDir(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("create image file %s: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create image file %s: %w", path, errorOf(err))
	}
	defer file.Close()
	if err := fill(ctx, file, 0, size, allocate, progress); err != nil {
		return errors.Join(fmt.Errorf("create image file %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// Grow makes the image file at path size bytes long, and takes the space if
// allocate says so. A file that is that long or longer already is left alone:
// nothing here ever cuts one.
func (f Files) Grow(ctx context.Context, path string, size int64, allocate bool, progress func(done int64)) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("grow image file %s: %w", path, errorOf(err))
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return fmt.Errorf("grow image file %s: %w", path, errorOf(err))
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("grow image file %s: it is not a file", path)
	}
	if st.Size() >= size {
		return nil
	}
	if err := fill(ctx, file, st.Size(), size, allocate, progress); err != nil {
		return fmt.Errorf("grow image file %s from %d to %d bytes: %w", path, st.Size(), size, err)
	}
	return nil
}

// Remove deletes the image file at path; one that is gone already is no error.
// It refuses everything but regular files.
func (Files) Remove(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("remove image file %s: %w", path, errorOf(err))
	case !st.Mode().IsRegular():
		return fmt.Errorf("remove image file %s: it is not a file", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove image file %s: %w", path, errorOf(err))
	}
	return SyncDir(filepath.Dir(path))
}

// fill brings file from old to size bytes and makes that durable.
func fill(ctx context.Context, file *os.File, old, size int64, allocate bool, progress func(int64)) error {
	if progress == nil {
		progress = func(int64) {}
	}
	if allocate {
		// The space is taken in steps, so that a cancel is heard in between;
		// the file has its length only when all of it is there, so that a
		// crash leaves nothing that looks complete.
		for off := old; off < size; off += allocateStep {
			if err := ctx.Err(); err != nil {
				return errors.Join(err, file.Truncate(old))
			}
			n := min(allocateStep, size-off)
			if err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, n); err != nil {
				// Truncating to the old length gives back what was taken.
				return errors.Join(fmt.Errorf("take %d bytes of space: %w", size-old, err), file.Truncate(old))
			}
			progress(off + n)
		}
	}
	if err := file.Truncate(size); err != nil {
		return errorOf(err)
	}
	progress(size)
	if err := file.Sync(); err != nil {
		return errorOf(err)
	}
	return SyncDir(filepath.Dir(file.Name()))
}

// MakeDir makes a directory and those above it that are missing, durably:
// without their names what is in them is gone after a power cut.
func MakeDir(dir string, mode fs.FileMode) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := MakeDir(parent, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(filepath.Dir(dir))
}

// SyncDir makes the names in a directory durable: without it a file that was
// made or renamed can be gone after a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, errorOf(err))
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, errorOf(err))
	}
	return nil
}

// errorOf drops the path from a PathError, for messages that name it already.
func errorOf(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

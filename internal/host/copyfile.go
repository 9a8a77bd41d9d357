package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyStep is how much is copied between two looks at whether to go on.
const copyStep = 8 << 20

// CopyOptions say how a file is copied.
type CopyOptions struct {
	// ShareOnly refuses a copy that does not share blocks: somebody writes to
	// the file, and only shared blocks are of one moment.
	ShareOnly string // why
	// Most is how many bytes of space the copy may take.
	Most int64
	// Progress, if not nil, hears how many bytes of how many are done.
	Progress func(done, of int64)
	// Before is asked before the copy gets its name; an error discards it.
	Before func() error
}

// Copy copies the file from of the directory tree fromRoot to the file to of
// toRoot, durably; both paths stay below their roots whatever symbolic links
// there are. It shares blocks where the file system can, and leaves holes. It
// never takes the place of a file (fs.ErrExist), and leaves nothing of a copy
// that failed.
func (Files) Copy(ctx context.Context, fromRoot, from, toRoot, to string, o CopyOptions) error {
	if err := copyFile(ctx, fromRoot, from, toRoot, to, o); err != nil {
		return fmt.Errorf("copy %s to %s: %w", filepath.Join(fromRoot, from), filepath.Join(toRoot, to), err)
	}
	return nil
}

func copyFile(ctx context.Context, fromRoot, from, toRoot, to string, o CopyOptions) error {
	source, err := openBelow(fromRoot, from)
	if err != nil {
		return err
	}
	defer source.Close()
	root, err := os.OpenRoot(toRoot)
	if err != nil {
		return errorOf(err)
	}
	defer root.Close()
	if err := source.Sync(); err != nil {
		return errorOf(err)
	}
	f, err := beginFile(root, to)
	if err != nil {
		return errorOf(err)
	}
	defer f.Close()
	if err := unix.IoctlFileClone(int(f.Fd()), int(source.Fd())); err != nil {
		if o.ShareOnly != "" {
			return fmt.Errorf("%s, and a copy that takes time would be of no moment (blocks cannot be shared: %w)", o.ShareOnly, err)
		}
		// The lock is the one of who serves image files; whoever comes while
		// it is copied is told that it is in use.
		if err := unix.Flock(int(source.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
			return fmt.Errorf("it is being served: %w", err)
		}
		if err := copyData(ctx, f.File, source, o); err != nil {
			return err
		}
	}
	if o.Before != nil {
		if err := o.Before(); err != nil {
			return err
		}
	}
	return f.commit()
}

// openBelow opens a regular file below a directory for reading.
func openBelow(dir, path string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errorOf(err)
	}
	defer root.Close()
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, errorOf(err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		f.Close()
		return nil, errorOf(err)
	}
	return f, nil
}

// copyData copies what a file holds, and leaves its holes (lseek(2), SEEK_DATA).
func copyData(ctx context.Context, to, from *os.File, o CopyOptions) error {
	st, err := from.Stat()
	if err != nil {
		return errorOf(err)
	}
	size := st.Size()
	var written int64
	for at := int64(0); at < size; {
		start, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // only a hole follows
			break
		}
		if err != nil {
			return fmt.Errorf("look for data: %w", err)
		}
		end, err := unix.Seek(int(from.Fd()), start, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("look for data: %w", err)
		}
		for at = start; at < end; {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(copyStep, end-at)
			if written += n; written > o.Most {
				return fmt.Errorf("it holds more than the %d bytes that there is room for: %w", o.Most, unix.ENOSPC)
			}
			if err := copyRange(to, from, at, n); err != nil {
				return err
			}
			at += n
			if o.Progress != nil {
				o.Progress(at, size)
			}
		}
	}
	return errorOf(to.Truncate(size))
}

// copyRange copies n bytes; by the kernel itself where that can.
func copyRange(to, from *os.File, at, n int64) error {
	for done := int64(0); done < n; {
		in, out := at+done, at+done
		k, err := unix.CopyFileRange(int(from.Fd()), &in, int(to.Fd()), &out, int(n-done), 0)
		if err == nil && k > 0 {
			done += int64(k)
			continue
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil && !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
			return err
		}
		// Of two kinds of file system, or the file was cut meanwhile.
		if _, err := io.Copy(io.NewOffsetWriter(to, at+done), io.NewSectionReader(from, at+done, n-done)); err != nil {
			return errorOf(err)
		}
		return nil
	}
	return nil
}

// ReceiveOptions say how a file is received.
type ReceiveOptions struct {
	Most   int64  // bytes that it may have
	SHA256 string // that it must have, in hex; any if empty
}

// ErrTooLarge is wrapped when a file does not fit.
var ErrTooLarge = errors.New("too large")

// Receive writes what r gives to the file path of a directory tree, durably,
// and returns its length and its SHA-256 in hex. It never takes the place of a
// file (fs.ErrExist), and leaves nothing of one that failed.
func (Files) Receive(ctx context.Context, dir, path string, r io.Reader, o ReceiveOptions) (int64, string, error) {
	n, sum, err := receive(ctx, dir, path, r, o)
	if err != nil {
		return 0, "", fmt.Errorf("receive %s: %w", filepath.Join(dir, path), err)
	}
	return n, sum, nil
}

func receive(ctx context.Context, dir, path string, r io.Reader, o ReceiveOptions) (int64, string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, "", errorOf(err)
	}
	defer root.Close()
	f, err := beginFile(root, path)
	if err != nil {
		return 0, "", errorOf(err)
	}
	defer f.Close()
	sum := sha256.New()
	buf := make([]byte, 1<<20)
	var done int64
	for {
		if err := ctx.Err(); err != nil {
			return 0, "", err
		}
		n, err := r.Read(buf)
		if done += int64(n); done > o.Most {
			return 0, "", fmt.Errorf("it has more than the %d bytes that there is room for: %w", o.Most, ErrTooLarge)
		}
		sum.Write(buf[:n])
		if _, werr := f.Write(buf[:n]); werr != nil {
			return 0, "", errorOf(werr)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, "", fmt.Errorf("after %d bytes: %w", done, err)
		}
	}
	got := hex.EncodeToString(sum.Sum(nil))
	if o.SHA256 != "" && got != o.SHA256 {
		return 0, "", fmt.Errorf("its SHA-256 is %s, not %s: it was damaged on the way, or is another file", got, o.SHA256)
	}
	return done, got, f.commit()
}

// RemoveBelow deletes a regular file below a directory, durably.
func (Files) RemoveBelow(dir, path string) error {
	f, err := openBelow(dir, path)
	if err != nil {
		return fmt.Errorf("delete %s: %w", filepath.Join(dir, path), err)
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("delete %s: %w", filepath.Join(dir, path), errorOf(err))
	}
	defer root.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("delete %s: it is being served: %w", filepath.Join(dir, path), err)
	}
	if err := root.Remove(path); err != nil {
		return fmt.Errorf("delete %s: %w", filepath.Join(dir, path), errorOf(err))
	}
	return SyncDir(filepath.Dir(filepath.Join(dir, path)))
}

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// attributePrefix is what extended attributes begin with that files' owners
// may set (xattr(7)).
const attributePrefix = "user."

// Clone makes a file that shares the blocks of another one, as these are at one
// moment, durably and with attributes. It never takes the place of a file
// (fs.ErrExist). Both are in one directory or in one below that; the directory
// is made if it is missing.
func (Files) Clone(ctx context.Context, from, to string, attributes map[string]string) error {
	err := clone(ctx, from, to, attributes)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) {
		err = fmt.Errorf("its file system has no files that share blocks (xfs and btrfs have): %w", err)
	}
	if err != nil {
		return fmt.Errorf("clone %s to %s: %w", from, to, err)
	}
	return nil
}

func clone(ctx context.Context, from, to string, attributes map[string]string) error {
	root, err := os.OpenRoot(filepath.Dir(from))
	if err != nil {
		return errorOf(err)
	}
	defer root.Close()
	below, err := filepath.Rel(filepath.Dir(from), to)
	if err != nil || !filepath.IsLocal(below) {
		return errors.New("it is not below the directory of what is cloned")
	}
	source, err := root.OpenFile(filepath.Base(from), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return errorOf(err)
	}
	defer source.Close()
	st, err := source.Stat()
	if err != nil {
		return errorOf(err)
	}
	if !st.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	// What is in memory goes to the disk now, not while writes are held.
	if err := source.Sync(); err != nil {
		return errorOf(err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := beginFile(root, below)
	if err != nil {
		return errorOf(err)
	}
	defer f.Close()
	if err := unix.IoctlFileClone(int(f.Fd()), int(source.Fd())); err != nil {
		return err
	}
	for k, v := range attributes {
		if err := unix.Fsetxattr(int(f.Fd()), attributePrefix+k, []byte(v), 0); err != nil {
			return fmt.Errorf("set its attribute %s: %w", k, err)
		}
	}
	return f.commit()
}

// mostAttributes is how much of a file's attributes is read, in bytes.
const mostAttributes = 64 << 10

// Attributes are the extended attributes of a file that its owner set. A
// symbolic link has none.
func (Files) Attributes(path string) (map[string]string, error) {
	buf := make([]byte, mostAttributes)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return nil, &fs.PathError{Op: "list the attributes of", Path: path, Err: err}
	}
	all := map[string]string{}
	for name := range strings.SplitSeq(string(buf[:n]), "\x00") {
		short, ours := strings.CutPrefix(name, attributePrefix)
		if !ours {
			continue
		}
		value := make([]byte, mostAttributes)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, &fs.PathError{Op: "read the attributes of", Path: path, Err: err}
		}
		all[short] = string(value[:n])
	}
	return all, nil
}

// Names lists the regular files in a directory, in order; none if there is no
// such directory, or if it is a symbolic link.
func (Files) Names(dir string) ([]string, error) {
	st, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// FileSystem is the kind of file system that a path is on: xfs, btrfs, ext4, ...
func (Files) FileSystem(path string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "", fmt.Errorf("ask for the file system of %s: %w", path, err)
	}
	switch st.Type {
	case unix.XFS_SUPER_MAGIC:
		return "xfs", nil
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", nil
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", nil
	}
	if kind := volatileType(st.Type); kind != "" {
		return kind, nil
	}
	return fmt.Sprintf("a file system of type %#x", st.Type), nil
}

package persist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// item is one thing to be put into a tree.
type item struct {
	path   string // relative, clean
	mode   uint32 // type and permissions, as in stat(2)
	uid    int
	gid    int
	mtime  time.Time
	link   string // of a symbolic link its target, of a hard link its other path
	hard   bool   // a hard link; of the rest only link counts
	rdev   uint64
	xattrs map[string]string
}

// tree puts items below a directory. Nothing it does leaves that directory:
// each item's parent has to be a directory that was put before it, and what is
// in the way of one, a symbolic link say, is replaced.
type tree struct {
	root  string
	dirs  map[string]item // get their metadata last: what is put into them changes it
	files map[string]bool // regular files, which hard links may lead to
	made  []string        // what was not there before, in this order
	count int
	lost  []Skipped // metadata that the file system does not take
}

func newTree(root string) *tree {
	return &tree{root: root, dirs: map[string]item{}, files: map[string]bool{}}
}

// put makes one item; data is that of a regular file.
func (t *tree) put(ctx context.Context, it item, data io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.check(it); err != nil {
		return fmt.Errorf("%q: %w", it.path, err)
	}
	full := filepath.Join(t.root, it.path)
	if err := t.place(full, it, data); err != nil {
		return fmt.Errorf("put %s: %w", it.path, err)
	}
	t.count++
	if it.hard {
		return nil // its metadata is that of the other path
	}
	if it.mode&unix.S_IFMT == unix.S_IFDIR {
		t.dirs[it.path] = it
		return nil
	}
	if it.mode&unix.S_IFMT == unix.S_IFREG {
		t.files[it.path] = true
	}
	if err := t.describe(full, it); err != nil {
		return fmt.Errorf("put %s: %w", it.path, err)
	}
	return nil
}

// check refuses what leads, or could lead, out of the tree.
func (t *tree) check(it item) error {
	switch parent := path.Dir(it.path); {
	case !filepath.IsLocal(it.path) || path.Clean(it.path) != it.path || it.path == ".":
		return errors.New("refused: no path within the tree")
	case !kept(it.path):
		return errors.New("refused: not below a directory that is kept")
	case parent != "." && t.dirs[parent].path == "":
		return fmt.Errorf("refused: %s is no directory that came before it", parent)
	case it.hard && !t.files[it.link]:
		return fmt.Errorf("refused: a hard link to %q, which is no file that came before it", it.link)
	}
	return nil
}

// place makes the item at full, without its metadata.
func (t *tree) place(full string, it item, data io.Reader) error {
	st, err := os.Lstat(full)
	switch {
	case err == nil && st.IsDir() && !it.hard && it.mode&unix.S_IFMT == unix.S_IFDIR:
		return nil // shared with what is there
	case err == nil:
		if err := os.RemoveAll(full); err != nil {
			return err
		}
		t.forget(it.path)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	t.made = append(t.made, full)
	if it.hard {
		return os.Link(filepath.Join(t.root, it.link), full)
	}
	switch it.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return os.Mkdir(full, 0o700)
	case unix.S_IFREG:
		f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, data)
		return errors.Join(err, f.Close())
	case unix.S_IFLNK:
		return os.Symlink(it.link, full)
	case unix.S_IFIFO, unix.S_IFCHR, unix.S_IFBLK:
		return unix.Mknod(full, it.mode&unix.S_IFMT|0o600, int(it.rdev))
	}
	return fmt.Errorf("refused: a thing of mode %o", it.mode)
}

// forget drops what was known of a path that was replaced.
func (t *tree) forget(p string) {
	gone := func(q string) bool { return q == p || len(q) > len(p) && q[:len(p)+1] == p+"/" }
	maps.DeleteFunc(t.dirs, func(q string, _ item) bool { return gone(q) })
	maps.DeleteFunc(t.files, func(q string, _ bool) bool { return gone(q) })
}

// describe gives what is at full its owner, mode, attributes and time. The
// order matters: a new owner drops capabilities, a new mode changes an ACL.
func (t *tree) describe(full string, it item) error {
	var st unix.Stat_t
	if err := unix.Lstat(full, &st); err != nil {
		return err
	}
	if int(st.Uid) != it.uid || int(st.Gid) != it.gid {
		if err := os.Lchown(full, it.uid, it.gid); err != nil {
			return err
		}
	}
	if it.mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(full, it.mode&0o7777); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(it.xattrs)) {
		if err := unix.Lsetxattr(full, name, []byte(it.xattrs[name]), 0); err != nil {
			t.lost = append(t.lost, Skipped{Name: it.path, Why: fmt.Sprintf("its attribute %s could not be set: %v", name, err)})
		}
	}
	when := unix.NsecToTimespec(it.mtime.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, full, []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW)
}

// finish gives the directories their metadata, the deepest first.
func (t *tree) finish() error {
	for _, p := range slices.Backward(slices.Sorted(maps.Keys(t.dirs))) {
		if err := t.describe(filepath.Join(t.root, p), t.dirs[p]); err != nil {
			return fmt.Errorf("put %s: %w", p, err)
		}
	}
	return nil
}

// undo removes what was made.
func (t *tree) undo() error {
	var errs []error
	for _, full := range slices.Backward(t.made) {
		if err := os.Remove(full); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

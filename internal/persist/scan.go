package persist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// found is one thing in the upper directory.
type found struct {
	path   string
	st     unix.Stat_t
	xattrs map[string]string
	link   string // a symbolic link's target
}

func (f found) is(kind uint32) bool { return f.st.Mode&unix.S_IFMT == kind }

// TooLargeError says that the settings are more than a medium should hold.
type TooLargeError struct {
	Size, Limit int64
	Largest     []string // with their sizes
}

// Error names the files to look at.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the settings have %s, more than the %s that are kept on the medium; remove or move away the largest (an absolute path outside of %s is not kept): %s",
		human(e.Size), human(e.Limit), strings.Join(Roots(), ", "), strings.Join(e.Largest, ", "))
}

// scan lists what is to be saved, each directory before what is in it.
// A thing that vanishes meanwhile is left out.
func scan(ctx context.Context, upper string) ([]found, error) {
	var list []found
	seen := map[string]bool{}
	for _, root := range Roots() {
		// The directories that lead to it keep their owner and mode, too; if
		// one is deleted or a link, that is what is kept.
		parts := strings.Split(root, "/")
		for i := range parts {
			p := path.Join(parts[:i+1]...)
			if seen[p] {
				continue
			}
			f, err := lookAt(upper, p)
			if errors.Is(err, unix.ENOENT) {
				break
			}
			if err != nil {
				return nil, err
			}
			seen[p] = true
			list = append(list, f)
			if !f.is(unix.S_IFDIR) {
				break
			}
			if p == root {
				if list, err = scanBelow(ctx, upper, p, list); err != nil {
					return nil, err
				}
			}
		}
	}
	return list, nil
}

func scanBelow(ctx context.Context, upper, dir string, list []found) ([]found, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(upper, dir)) // sorted
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		if match(excluded(), p) {
			continue
		}
		f, err := lookAt(upper, p)
		switch {
		case errors.Is(err, unix.ENOENT):
			continue
		case err != nil:
			return nil, err
		case f.is(unix.S_IFSOCK):
			continue // whoever listens makes it anew
		}
		list = append(list, f)
		if f.is(unix.S_IFDIR) {
			if list, err = scanBelow(ctx, upper, p, list); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func lookAt(upper, p string) (found, error) {
	f, full := found{path: p}, filepath.Join(upper, p)
	if err := unix.Lstat(full, &f.st); err != nil {
		return f, fmt.Errorf("look at /%s: %w", p, err)
	}
	var err error
	if f.is(unix.S_IFLNK) {
		if f.link, err = os.Readlink(full); err != nil {
			return f, fmt.Errorf("look at /%s: %w", p, err)
		}
	}
	f.xattrs, err = attributes(full)
	if err != nil {
		return f, fmt.Errorf("read the attributes of /%s: %w", p, err)
	}
	for _, name := range []string{"redirect", "metacopy"} {
		if _, ok := f.xattrs[overlayXattr+name]; ok {
			// Its contents are elsewhere: saved like this it would be lost.
			return f, fmt.Errorf("/%s is not whole in the overlay's upper directory (%s%s); the root must be mounted with %s: report this", p, overlayXattr, name, OverlayOptions)
		}
	}
	return f, nil
}

// overlayXattr begins the names of the overlay's own attributes.
const overlayXattr = "trusted.overlay."

// attributes reads the extended attributes. Those are left out that tell the
// overlay of files of this boot's image.
func attributes(full string) (map[string]string, error) {
	names, err := xattr(func(b []byte) (int, error) { return unix.Llistxattr(full, b) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all map[string]string
	for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		switch strings.TrimPrefix(name, overlayXattr) {
		case "", "origin", "impure", "nlink", "uuid", "upper":
			continue
		}
		value, err := xattr(func(b []byte) (int, error) { return unix.Lgetxattr(full, name, b) })
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if all == nil {
			all = map[string]string{}
		}
		all[name] = string(value)
	}
	return all, nil
}

// xattr calls read with a buffer that is large enough.
func xattr(read func([]byte) (int, error)) ([]byte, error) {
	const largest = 64 << 10 // XATTR_SIZE_MAX and XATTR_LIST_MAX
	buf := make([]byte, 256)
	n, err := read(buf)
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, largest)
		n, err = read(buf)
	}
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// largeFile is what is told of, though it is saved.
const largeFile = 16 << 20

// checkSize adds up what would be saved.
func checkSize(list []found, limit int64) (warnings []string, err error) {
	var total int64
	counted := map[[2]uint64]bool{} // a file with several names is saved once
	var files []found
	for _, f := range list {
		if !f.is(unix.S_IFREG) || counted[inode(f.st)] {
			continue
		}
		counted[inode(f.st)] = true
		files = append(files, f)
		total += f.st.Size
	}
	slices.SortFunc(files, func(a, b found) int { return cmp.Compare(b.st.Size, a.st.Size) })
	tell := func(f found) string { return fmt.Sprintf("/%s (%s)", f.path, human(f.st.Size)) }
	if total > limit {
		e := &TooLargeError{Size: total, Limit: limit}
		for _, f := range files[:min(5, len(files))] {
			e.Largest = append(e.Largest, tell(f))
		}
		return nil, e
	}
	for _, f := range files {
		if f.st.Size < largeFile {
			break
		}
		warnings = append(warnings, tell(f)+" is large for a setting; it is saved with every generation")
	}
	return warnings, nil
}

func inode(st unix.Stat_t) [2]uint64 { return [2]uint64{st.Dev, st.Ino} }

func human(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
	return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20)
}

// changed lists what is not the same in two looks at the tree. began is when
// the first one was: what was written shortly before could be written again
// within the same tick of the file system's clock.
func changed(before, after []found, began time.Time) []string {
	const tick = 20 * time.Millisecond
	var paths []string
	note := func(p string) {
		if !matchBelow(volatile(), p) {
			paths = append(paths, p)
		}
	}
	was := make(map[string]unix.Stat_t, len(before))
	for _, f := range before {
		was[f.path] = f.st
	}
	for _, f := range after {
		old, ok := was[f.path]
		delete(was, f.path)
		ctime := time.Unix(f.st.Ctim.Unix())
		if !ok || old.Ino != f.st.Ino || old.Ctim != f.st.Ctim || old.Size != f.st.Size || old.Mode != f.st.Mode ||
			!f.is(unix.S_IFDIR) && ctime.After(began.Add(-tick)) {
			note(f.path)
		}
	}
	for p := range was {
		note(p)
	}
	slices.Sort(paths)
	return paths
}

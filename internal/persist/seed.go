package persist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// plant copies the tree seed below upper. All of it becomes root's: whoever
// made the medium need not have been root. A file that cannot be read is lost
// and told; the rest is planted.
func plant(ctx context.Context, seed, upper string) (files int, lost []Skipped, err error) {
	t := newTree(upper)
	defer func() {
		if err != nil {
			err = errors.Join(err, t.undo())
		}
	}()
	lose := func(rel, why string) { lost = append(lost, Skipped{Name: "seed/" + rel, Why: why}) }
	err = filepath.WalkDir(seed, func(full string, d fs.DirEntry, walkErr error) error {
		rel, err := filepath.Rel(seed, full)
		if err != nil {
			return err
		}
		if rel == "." {
			return walkErr
		}
		if walkErr != nil {
			lose(rel, walkErr.Error())
			return nil
		}
		if !kept(rel) {
			lose(rel, "not below a directory that is kept: "+strings.Join(Roots(), ", "))
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		it, data, err := seedling(full, rel)
		if err != nil {
			lose(rel, err.Error())
			return nil
		}
		return t.put(ctx, it, bytes.NewReader(data))
	})
	if err == nil {
		err = t.finish()
	}
	return t.count, append(lost, t.lost...), err
}

// seedling is a file of the seed as it is to be.
func seedling(full, rel string) (it item, data []byte, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(full, &st); err != nil {
		return item{}, nil, err
	}
	it = item{path: rel, mode: st.Mode}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		// The image has these, and a stranger's umask must not close them.
		if rel == "root" {
			it.mode = unix.S_IFDIR | 0o700
		} else if slices.Contains(Roots(), rel) || kept(rel) && !strings.Contains(rel, "/") {
			it.mode = unix.S_IFDIR | 0o755
		}
	case unix.S_IFLNK:
		it.link, err = os.Readlink(full)
	case unix.S_IFREG:
		data, err = os.ReadFile(full)
	default:
		err = fmt.Errorf("neither a file nor a directory nor a symbolic link (mode %o)", st.Mode)
	}
	it.mtime = time.Unix(st.Mtim.Unix())
	return it, data, err
}

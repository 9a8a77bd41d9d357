package image

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// archive writes the "newc" archive that the kernel takes as initramfs
// (Documentation/driver-api/early-userspace/buffer-format.rst): entries in the
// order in which they are added, all of time 0 and owner 0, so that the same
// contents are the same bytes. Directories above an entry are made when they
// are missing. The first error stays and is told by close.
type archive struct {
	w    cpio.RecordWriter
	seen map[string]bool
	ino  uint64
	err  error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: cpio.Newc.Writer(w), seen: map[string]bool{}}
}

func (a *archive) dir(name string) {
	if a.seen[name] || name == "." {
		return
	}
	a.add(cpio.Directory(name, 0o755))
}

func (a *archive) file(name string, mode fs.FileMode, data []byte) {
	a.add(cpio.StaticFile(name, string(data), uint64(mode.Perm())))
}

func (a *archive) link(name, to string) { a.add(cpio.Symlink(name, to)) }

func (a *archive) device(name string, major, minor uint64) {
	a.add(cpio.CharDev(name, 0o600, major, minor))
}

// tree adds the files below from, in the order of their names.
func (a *archive) tree(from, to string) error {
	return filepath.WalkDir(from, func(full string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, full)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		a.file(path.Join(to, rel), 0o644, data)
		return nil
	})
}

func (a *archive) add(r cpio.Record) {
	if a.err != nil || a.seen[r.Name] {
		return
	}
	if up := path.Dir(r.Name); up != "." && !a.under(up) {
		a.dir(up)
	}
	a.seen[r.Name] = true
	a.ino++
	r.Ino, r.NLink = a.ino, 1
	if err := a.w.WriteRecord(r); err != nil {
		a.err = fmt.Errorf("add %s to the archive: %w", r.Name, err)
	}
}

// under tells whether a directory is there already, as itself.
func (a *archive) under(name string) bool { return a.seen[strings.TrimSuffix(name, "/")] }

func (a *archive) close() error {
	if a.err != nil {
		return a.err
	}
	return cpio.WriteTrailer(a.w)
}

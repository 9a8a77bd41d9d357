package raidcli

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// tree is what one archive holds of interest: programs of the wanted names,
// libraries, and links to these. Paths are from the archive's root.
type tree struct {
	where string // the way to it, for people: "a.zip: b.rpm"
	files map[string]*os.File
	links map[string]string // to what they point
}

// unpacker looks into archives of archives. Nothing is written under a name
// from an archive: what matters goes to numbered files of one directory.
type unpacker struct {
	dir    string
	wanted map[string]bool // names of programs
	trees  []*tree

	entries, numbers int
	left             int64 // bytes that may still be unpacked
}

func newUnpacker(dir string, wanted []string) *unpacker {
	u := &unpacker{dir: dir, wanted: map[string]bool{}, left: maxTotal}
	for _, w := range wanted {
		u.wanted[w] = true
	}
	return u
}

// close ends the use of the files.
func (u *unpacker) close() {
	for _, t := range u.trees {
		for _, f := range t.files {
			f.Close()
		}
	}
}

// open looks into a file, by what its first bytes say it is. base is its name.
// What is no archive and no ELF file is of no interest.
func (u *unpacker) open(ctx context.Context, where, base string, f *os.File, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: archives within archives, more than %d deep", where, maxDepth)
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", where, err)
	}
	head = head[:n]
	t := &tree{where: where, files: map[string]*os.File{}, links: map[string]string{}}
	r := bufio.NewReader(io.NewSectionReader(f, 0, st.Size()))
	switch {
	case strings.HasPrefix(string(head), "PK\x03\x04"), strings.HasPrefix(string(head), "PK\x05\x06"):
		err = u.zip(ctx, t, f, st.Size(), depth)
	case strings.HasPrefix(string(head), arMagic):
		err = u.deb(ctx, t, r, depth)
	case strings.HasPrefix(string(head), rpmMagic):
		if err = skipToPayload(r); err == nil {
			err = u.stream(ctx, t, base, r, depth)
		}
	default:
		err = u.stream(ctx, t, base, r, depth)
	}
	u.trees = append(u.trees, t)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// stream looks into what may be compressed: a tar, a cpio archive, or one file.
func (u *unpacker) stream(ctx context.Context, t *tree, base string, r *bufio.Reader, depth int) error {
	head, err := r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	d, err := decompress(ctx, head, r)
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
		r = bufio.NewReader(&cappedReader{r: d, left: maxTotal})
		base = strings.TrimSuffix(base, path.Ext(base))
		if head, err = r.Peek(512); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	switch {
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return u.tar(ctx, t, r, depth)
	case strings.HasPrefix(string(head), "07070"):
		return u.cpio(ctx, t, r, depth)
	case strings.HasPrefix(string(head), "\x7fELF") || d != nil:
		// A single file. What was only compressed may be an archive still.
		return u.keep(ctx, t, base, r, depth)
	}
	return nil
}

func (u *unpacker) zip(ctx context.Context, t *tree, f *os.File, size int64, depth int) error {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return fmt.Errorf("read the zip: %w", err)
	}
	for _, e := range z.File {
		if e.FileInfo().IsDir() {
			continue
		}
		if err := u.zipEntry(ctx, t, e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipEntry(ctx context.Context, t *tree, e *zip.File, depth int) error {
	if e.Mode()&fs.ModeSymlink == 0 && !u.interesting(e.Name) {
		return u.skip(ctx, e.Name) // without decompressing it
	}
	if e.Flags&1 != 0 {
		return fmt.Errorf("%s is encrypted: unpack it first", e.Name)
	}
	r, err := e.Open()
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Name, err)
	}
	defer r.Close()
	if e.Mode()&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(r, maxName))
		if err != nil {
			return fmt.Errorf("read %s: %w", e.Name, err)
		}
		return u.link(ctx, t, e.Name, string(target))
	}
	return u.entry(ctx, t, e.Name, r, depth)
}

// deb looks into the data of a deb: data.tar, compressed or not.
func (u *unpacker) deb(ctx context.Context, t *tree, r io.Reader, depth int) error {
	a, err := newArReader(r)
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		name, _, err := a.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case first && name != "debian-binary":
			return nil // another use of ar: VMware's packages, static libraries
		case strings.HasPrefix(name, "data.tar"):
			if err := u.stream(ctx, t, name, bufio.NewReader(a), depth); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
}

func (u *unpacker) tar(ctx context.Context, t *tree, r io.Reader, depth int) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the tar: %w", err)
		case h.Typeflag == tar.TypeSymlink:
			err = u.link(ctx, t, h.Name, h.Linkname)
		case h.Typeflag == tar.TypeLink:
			// The other name is a file of this archive: a link as good as any.
			err = u.link(ctx, t, h.Name, "/"+h.Linkname)
		case h.Typeflag == tar.TypeReg:
			err = u.entry(ctx, t, h.Name, tr, depth)
		default:
			err = u.skip(ctx, h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacker) cpio(ctx context.Context, t *tree, r io.Reader, depth int) error {
	for c := (&cpioReader{r: r}); ; {
		e, err := c.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case e.Mode&fs.ModeSymlink != 0 && e.Size <= maxName:
			target := make([]byte, e.Size)
			if _, err := io.ReadFull(c, target); err != nil {
				return fmt.Errorf("read %s: %w", e.Name, err)
			}
			err = u.link(ctx, t, e.Name, string(target))
			if err != nil {
				return err
			}
		case e.Mode.IsRegular():
			if err := u.entry(ctx, t, e.Name, c, depth); err != nil {
				return err
			}
		default:
			if err := u.skip(ctx, e.Name); err != nil {
				return err
			}
		}
	}
}

// skip counts an entry that is of no interest.
func (u *unpacker) skip(ctx context.Context, name string) error {
	if u.entries++; u.entries > maxEntries {
		return fmt.Errorf("more than %d files", maxEntries)
	}
	if _, err := cleanName(name); err != nil {
		return err
	}
	return ctx.Err()
}

// link remembers a link of an archive.
func (u *unpacker) link(ctx context.Context, t *tree, name, target string) error {
	if err := u.skip(ctx, name); err != nil {
		return err
	}
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	// Where it leads does not matter unless a file of the same tree is there:
	// links are looked up, never made as they are.
	if !path.IsAbs(target) {
		target = path.Join("/", path.Dir(name), target)
	}
	t.links[name] = strings.TrimPrefix(path.Clean(target), "/")
	return nil
}

// entry looks at a file of an archive, if its name says that it matters.
func (u *unpacker) entry(ctx context.Context, t *tree, name string, r io.Reader, depth int) error {
	if !u.interesting(name) {
		return u.skip(ctx, name)
	}
	return u.keep(ctx, t, name, r, depth)
}

// keep keeps an ELF file, and looks into an archive.
func (u *unpacker) keep(ctx context.Context, t *tree, name string, r io.Reader, depth int) error {
	if err := u.skip(ctx, name); err != nil {
		return err
	}
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	f, err := u.spool(name, r)
	if err != nil {
		return err
	}
	magic := make([]byte, 4)
	if _, err := f.ReadAt(magic, 0); err == nil && string(magic) == "\x7fELF" {
		t.files[name] = f
		return nil
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return u.open(ctx, t.where+": "+name, path.Base(name), f, depth+1)
}

// spool writes a file of an archive to a numbered file.
func (u *unpacker) spool(name string, r io.Reader) (*os.File, error) {
	u.numbers++
	f, err := os.OpenFile(filepath.Join(u.dir, strconv.Itoa(u.numbers)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	c := &cappedReader{r: r, left: min(u.left, maxFile)}
	n, err := io.Copy(f, c)
	u.left -= n
	if err != nil {
		if errors.Is(err, errTooLarge) && u.left > 0 {
			err = fmt.Errorf("it has more than %d MiB", maxFile>>20)
		}
		return nil, errors.Join(fmt.Errorf("unpack %s: %w", name, err), f.Close())
	}
	return f, nil
}

// interesting reports whether a file of an archive may be what is wanted or
// hold it, by its name.
func (u *unpacker) interesting(name string) bool {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	if u.wanted[base] || isLibrary(base) {
		return true
	}
	for _, end := range []string{".zip", ".rpm", ".deb", ".tar", ".tgz", ".txz", ".tbz", ".gz", ".xz", ".bz2", ".zst", ".lzma"} {
		if strings.HasSuffix(strings.ToLower(base), end) {
			return true
		}
	}
	return false
}

// isLibrary reports whether a file's name is a shared library's: libx.so,
// libx.so.1.2.
func isLibrary(base string) bool {
	return strings.HasSuffix(base, ".so") || strings.Contains(base, ".so.")
}

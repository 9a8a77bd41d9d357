package persist

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// packTries is how often the tree is read while it changes under the reader.
const packTries = 4

// packPause lets a writer finish.
const packPause = 60 * time.Millisecond

// largeRead is from which size on a file is not read into memory.
const largeRead = 1 << 20

// pack reads the upper directory into an archive. to is given a function that
// writes one, and calls it with where that goes; it may be called again. g has
// the archive's sizes and digests.
//
// Files may change while they are read. If a second look at the tree differs
// from the one before the reading, all is read again: the archive is then the
// tree as it was at one moment. A tree that never rests is saved as it was
// read, with a warning that names the files; of what is replaced by rename,
// and of any small file, one state as a whole is in the archive even then.
func pack(ctx context.Context, upper string, limit int64, to func(write func(io.Writer) error) error) (g Generation, warnings []string, err error) {
	for try := 1; ; try++ {
		var restless []string
		if err := to(func(out io.Writer) (err error) {
			g, warnings, restless, err = packOnce(ctx, upper, limit, out)
			return err
		}); err != nil {
			return g, nil, err
		}
		if len(restless) == 0 {
			return g, warnings, nil
		}
		if try == packTries {
			return g, append(warnings, "changed while it was read, and may be saved between two changes: /"+strings.Join(restless[:min(5, len(restless))], ", /")), nil
		}
		select {
		case <-time.After(packPause):
		case <-ctx.Done():
			return g, nil, ctx.Err()
		}
	}
}

// toNobody is where pack's archive goes if only its sizes and digests matter.
func toNobody(write func(io.Writer) error) error { return write(io.Discard) }

// packOnce is one try of pack. restless is what changed meanwhile.
func packOnce(ctx context.Context, upper string, limit int64, out io.Writer) (g Generation, warnings, restless []string, err error) {
	began := time.Now()
	before, err := scan(ctx, upper)
	if err != nil {
		return g, nil, nil, err
	}
	if warnings, err = checkSize(before, limit); err != nil {
		return g, nil, nil, err
	}
	if g, err = write(ctx, upper, before, limit, out); err != nil {
		return g, nil, nil, err
	}
	after, err := scan(ctx, upper)
	if err != nil {
		return g, nil, nil, err
	}
	return g, warnings, changed(before, after, began), nil
}

// packer writes entries into the archive and into the digests.
type packer struct {
	upper    string
	contents *tar.Writer       // to the archive
	settings *tar.Writer       // to a digest only: without times, and what is volatile
	xattrKey *strings.Replacer // in tar, an = would end a name; as GNU tar does it
	first    map[[2]uint64]string
	files    int
	left     int64 // of the limit
}

func write(ctx context.Context, upper string, list []found, limit int64, out io.Writer) (Generation, error) {
	archive := &counted{hash: sha256.New(), next: out}
	z, err := zstd.NewWriter(archive, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return Generation{}, err
	}
	defer z.Close()
	all, settings := &counted{hash: sha256.New(), next: z}, sha256.New()
	p := packer{upper: upper, contents: tar.NewWriter(all), settings: tar.NewWriter(settings), xattrKey: strings.NewReplacer("%", "%25", "=", "%3D"), first: map[[2]uint64]string{}, left: limit}
	for _, f := range list {
		if err := ctx.Err(); err != nil {
			return Generation{}, err
		}
		if err := p.add(f); err != nil {
			return Generation{}, fmt.Errorf("put /%s into the archive: %w", f.path, err)
		}
	}
	if err := errors.Join(p.contents.Close(), p.settings.Close(), z.Close()); err != nil {
		return Generation{}, err
	}
	return Generation{Files: p.files, Size: all.n, Archive: archive.n, SHA256: archive.sum(), Contents: all.sum(), Settings: hex.EncodeToString(settings.Sum(nil))}, nil
}

// add writes one entry; a file that is gone meanwhile is left out.
func (p *packer) add(f found) error {
	var data io.Reader
	var size int64
	if f.is(unix.S_IFREG) {
		if first, ok := p.first[inode(f.st)]; ok && f.st.Nlink > 1 {
			return p.put(f, &tar.Header{Typeflag: tar.TypeLink, Linkname: first}, nil)
		}
		file, err := openFile(filepath.Join(p.upper, f.path), p.left)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
			return nil // gone, or replaced: the second look at the tree tells
		}
		if err != nil {
			return err
		}
		defer file.Close()
		if f.st = file.st; !f.is(unix.S_IFREG) {
			return nil
		}
		data, size = file, file.size
		p.left -= size
		p.first[inode(f.st)] = f.path
	}
	h := &tar.Header{Linkname: f.link, Size: size}
	switch f.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		h.Typeflag = tar.TypeReg
	case unix.S_IFDIR:
		h.Typeflag = tar.TypeDir
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR:
		h.Typeflag = tar.TypeChar
	case unix.S_IFBLK:
		h.Typeflag = tar.TypeBlock
	default:
		return fmt.Errorf("a thing of mode %o cannot be saved", f.st.Mode)
	}
	if f.is(unix.S_IFCHR) || f.is(unix.S_IFBLK) {
		h.Devmajor, h.Devminor = int64(unix.Major(f.st.Rdev)), int64(unix.Minor(f.st.Rdev))
	}
	return p.put(f, h, data)
}

func (p *packer) put(f found, h *tar.Header, data io.Reader) error {
	h.Name, h.Format = f.path, tar.FormatPAX
	if f.is(unix.S_IFDIR) {
		h.Name += "/"
	}
	h.Mode, h.Uid, h.Gid = int64(f.st.Mode&0o7777), int(f.st.Uid), int(f.st.Gid)
	h.ModTime = time.Unix(f.st.Mtim.Unix())
	if h.Typeflag != tar.TypeLink && len(f.xattrs) > 0 {
		h.PAXRecords = make(map[string]string, len(f.xattrs))
		for name, value := range f.xattrs {
			h.PAXRecords[xattrRecord+p.xattrKey.Replace(name)] = value
		}
	}
	p.files++
	writers := []*tar.Writer{p.contents}
	if !matchBelow(volatile(), f.path) {
		writers = append(writers, p.settings)
	}
	to := make([]io.Writer, 0, len(writers))
	for _, w := range writers {
		header := *h
		if w == p.settings {
			header.ModTime = time.Unix(0, 0)
		}
		if err := w.WriteHeader(&header); err != nil {
			return err
		}
		to = append(to, w)
	}
	if h.Size == 0 {
		return nil
	}
	_, err := io.CopyN(io.MultiWriter(to...), data, h.Size)
	return err
}

// counted is a writer that counts and hashes what goes through it.
type counted struct {
	hash hash.Hash
	next io.Writer
	n    int64
}

func (c *counted) Write(b []byte) (int, error) {
	c.hash.Write(b)
	n, err := c.next.Write(b)
	c.n += int64(n)
	return n, err
}

func (c *counted) sum() string { return hex.EncodeToString(c.hash.Sum(nil)) }

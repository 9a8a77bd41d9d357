package persist

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
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

// pack reads the upper directory into an archive, in memory: a medium is
// written to in one go, and only if there is something new. g has the
// archive's sizes and digests.
//
// Files may change while they are read. Each is read whole before anything of
// it is in the archive, and if a second look at the tree differs from the one
// before the reading, all is read again: the archive is then the tree as it
// was at one moment. A tree that never rests is saved as it was read, with a
// warning that names the files.
func pack(ctx context.Context, upper string, limit int64) (archive []byte, g Generation, warnings []string, err error) {
	for try := 1; ; try++ {
		began := time.Now()
		before, err := scan(ctx, upper)
		if err != nil {
			return nil, g, nil, err
		}
		if warnings, err = checkSize(before, limit); err != nil {
			return nil, g, nil, err
		}
		if archive, g, err = write(ctx, upper, before, limit); err != nil {
			return nil, g, nil, err
		}
		after, err := scan(ctx, upper)
		if err != nil {
			return nil, g, nil, err
		}
		restless := changed(before, after, began)
		if len(restless) == 0 {
			return archive, g, warnings, nil
		}
		if try == packTries {
			return archive, g, append(warnings, "changed while it was read, and may be saved between two changes: /"+strings.Join(restless[:min(5, len(restless))], ", /")), nil
		}
		select {
		case <-time.After(packPause):
		case <-ctx.Done():
			return nil, g, nil, ctx.Err()
		}
	}
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

func write(ctx context.Context, upper string, list []found, limit int64) ([]byte, Generation, error) {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, Generation{}, err
	}
	defer z.Close()
	all, settings := &counted{hash: sha256.New(), next: z}, sha256.New()
	p := packer{upper: upper, contents: tar.NewWriter(all), settings: tar.NewWriter(settings), xattrKey: strings.NewReplacer("%", "%25", "=", "%3D"), first: map[[2]uint64]string{}, left: limit}
	for _, f := range list {
		if err := ctx.Err(); err != nil {
			return nil, Generation{}, err
		}
		if err := p.add(f); err != nil {
			return nil, Generation{}, fmt.Errorf("read /%s: %w", f.path, err)
		}
	}
	if err := errors.Join(p.contents.Close(), p.settings.Close(), z.Close()); err != nil {
		return nil, Generation{}, err
	}
	return out.Bytes(), Generation{Files: p.files, Size: all.n, Archive: int64(out.Len()), SHA256: digestOf(out.Bytes()),
		Contents: hex.EncodeToString(all.hash.Sum(nil)), Settings: hex.EncodeToString(settings.Sum(nil))}, nil
}

// add writes one entry; a file that is gone meanwhile is left out.
func (p *packer) add(f found) error {
	var data []byte
	if f.is(unix.S_IFREG) {
		if first, ok := p.first[inode(f.st)]; ok && f.st.Nlink > 1 {
			return p.put(f, &tar.Header{Typeflag: tar.TypeLink, Linkname: first}, nil)
		}
		var err error
		if data, f.st, err = readWhole(filepath.Join(p.upper, f.path), p.left); err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
				return nil // gone, or replaced: the second look at the tree tells
			}
			return err
		}
		if !f.is(unix.S_IFREG) {
			return nil
		}
		p.left -= int64(len(data))
		p.first[inode(f.st)] = f.path
	}
	h := &tar.Header{Linkname: f.link, Size: int64(len(data))}
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

func (p *packer) put(f found, h *tar.Header, data []byte) error {
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
	for _, w := range writers {
		header := *h
		if w == p.settings {
			header.ModTime = time.Unix(0, 0)
		}
		if err := w.WriteHeader(&header); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// readWhole reads a file that may be written to meanwhile: again, if it is not
// the same after the reading as before.
func readWhole(full string, limit int64) (data []byte, st unix.Stat_t, err error) {
	for range packTries {
		f, err := os.OpenFile(full, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err != nil {
			return nil, st, err
		}
		data, st, err = readOnce(f, limit)
		f.Close()
		if !errors.Is(err, errRestless) {
			return data, st, err
		}
	}
	return data, st, nil // the second look at the tree tells
}

// errRestless says that a file changed while it was read.
var errRestless = errors.New("it changed while it was read")

func readOnce(f *os.File, limit int64) (data []byte, after unix.Stat_t, err error) {
	var before unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &before); err != nil {
		return nil, before, err
	}
	if before.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, before, nil // replaced meanwhile
	}
	buf := bytes.NewBuffer(make([]byte, 0, min(before.Size, limit)+bytes.MinRead))
	if _, err = buf.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, before, err
	}
	data = buf.Bytes()
	if int64(len(data)) > limit {
		return nil, before, errors.New("it grows while it is read; the settings are more than are kept on the medium")
	}
	if err := unix.Fstat(int(f.Fd()), &after); err != nil {
		return nil, before, err
	}
	if before.Ctim != after.Ctim || before.Size != after.Size || int64(len(data)) != after.Size {
		return data, after, errRestless
	}
	return data, after, nil
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

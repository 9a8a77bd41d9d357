package persist

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const (
	// window is how far the compression looks back; whoever unpacks needs as
	// much memory.
	window      = 4 << 20
	xattrRecord = "SCHILY.xattr." // of tar's extended headers, as GNU tar has it
)

// unpack brings an archive back below upper, all of it or nothing. lost is
// what the file system there did not take.
func unpack(ctx context.Context, r io.Reader, g Generation, upper string) (files int, lost []Skipped, err error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return 0, nil, fmt.Errorf("unpack its archive: %w", err)
	}
	defer z.Close()
	t := newTree(upper)
	defer func() {
		if err != nil {
			err = errors.Join(err, t.undo())
		}
	}()
	// One byte more than there may be shows that there is more.
	hash := sha256.New()
	stream := io.TeeReader(io.LimitReader(z, g.Size+1), hash)
	if err := unpackTar(ctx, tar.NewReader(stream), g.Size, t); err != nil {
		return 0, nil, fmt.Errorf("unpack its archive: %w", err)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return 0, nil, fmt.Errorf("unpack its archive: %w", err)
	}
	if hex.EncodeToString(hash.Sum(nil)) != g.Contents {
		// The medium gave other bytes than a moment ago, when its archive had
		// the right digest.
		return 0, nil, errors.New("what was unpacked does not have the digest of its record")
	}
	if err := t.finish(); err != nil {
		return 0, nil, err
	}
	return t.count, t.lost, nil
}

// unpackTar puts what a tar stream has into a tree. size is that of the whole
// stream: files that pretend to hold more are refused.
func unpackTar(ctx context.Context, r *tar.Reader, size int64, t *tree) error {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if size -= h.Size; h.Size < 0 || size < 0 {
			return fmt.Errorf("%q: refused: it is larger than the archive", h.Name)
		}
		it, err := itemOf(h)
		if err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
		if err := t.put(ctx, it, r); err != nil {
			return err
		}
	}
}

// itemOf reads a header.
func itemOf(h *tar.Header) (item, error) {
	it := item{path: strings.TrimSuffix(h.Name, "/"), uid: h.Uid, gid: h.Gid, mtime: h.ModTime, link: h.Linkname,
		mode: uint32(h.Mode) & 0o7777}
	switch h.Typeflag {
	case tar.TypeReg:
		it.mode |= unix.S_IFREG
	case tar.TypeDir:
		it.mode |= unix.S_IFDIR
	case tar.TypeSymlink:
		it.mode |= unix.S_IFLNK
	case tar.TypeLink:
		it.hard = true
	case tar.TypeFifo:
		it.mode |= unix.S_IFIFO
	case tar.TypeChar:
		it.mode |= unix.S_IFCHR
	case tar.TypeBlock:
		it.mode |= unix.S_IFBLK
	default:
		return item{}, fmt.Errorf("refused: an entry of type %q", h.Typeflag)
	}
	if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
		if h.Devmajor < 0 || h.Devmajor > 1<<20 || h.Devminor < 0 || h.Devminor > 1<<20 {
			return item{}, fmt.Errorf("refused: a device of number %d:%d", h.Devmajor, h.Devminor)
		}
		it.rdev = unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
	}
	xattrName := strings.NewReplacer("%3D", "=", "%25", "%")
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, xattrRecord); ok {
			if it.xattrs == nil {
				it.xattrs = map[string]string{}
			}
			it.xattrs[xattrName.Replace(name)] = value
		}
	}
	return it, nil
}

// Package upgrade puts another version of ESOS on the medium, beside the one
// that runs, and sees to the way back. A slot that was written is on trial: it
// becomes the default when the system in it says that it is healthy, and GRUB
// returns to the older one by itself if it does not.
//
//	Bundle     the file that a new version comes as
//	Machine    writes the slot that does not run, and goes back to it
//	Boots      what GRUB is told: the default, and the slot on trial
//	Record     what is tried, and what came of it
package upgrade

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

// Suffix ends the names of bundles.
const Suffix = ".upgrade"

// Bundle is a version of ESOS in one stream: a tar archive of the manifest,
// its signature, and then the parts as the manifest has them. It is read from
// front to end, so that it can come from a pipe or over the network; nothing of
// it is believed that the signed manifest does not vouch for.
type Bundle struct {
	Manifest  slot.Manifest
	Data, Sig []byte // the manifest and its signature, as they stand

	tar *tar.Reader
}

// Open reads the beginning of a bundle, and checks who signed it.
func Open(r io.Reader, trusted []slot.PublicKey) (*Bundle, error) {
	b, err := open(r, trusted)
	if err != nil {
		return nil, fmt.Errorf("read the upgrade: %w", err)
	}
	return b, nil
}

// errNoBundle is told of files that are something else.
var errNoBundle = errors.New("this is no upgrade of ESOS: want a file that ends in " + Suffix + ", as `mkesos build` writes it")

func open(r io.Reader, trusted []slot.PublicKey) (*Bundle, error) {
	b := &Bundle{tar: tar.NewReader(r)}
	for _, m := range []struct {
		name string
		max  int64
		into *[]byte
	}{{slot.ManifestFile, slot.MaxManifest, &b.Data}, {slot.SignatureFile, 1024, &b.Sig}} {
		h, err := b.tar.Next()
		if err != nil || h.Name != m.name || h.Typeflag != tar.TypeReg {
			return nil, errors.Join(errNoBundle, unlessEnd(err))
		}
		if h.Size > m.max {
			return nil, fmt.Errorf("its %s has %d bytes, want %d at most", m.name, h.Size, m.max)
		}
		if *m.into, err = io.ReadAll(b.tar); err != nil {
			return nil, truncated(err)
		}
	}
	var err error
	if b.Manifest, err = slot.Open(b.Data, b.Sig, trusted); err != nil {
		return nil, err
	}
	for _, name := range []string{slot.RootFile, slot.KernelFile, slot.InitrdFile} {
		if _, err := b.Manifest.Part(name); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func unlessEnd(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, tar.ErrHeader) {
		return nil
	}
	return err
}

func truncated(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the file is not complete: it ends too early; fetch it again")
	}
	return err
}

// Parts reads the parts, in order, and hands each checked chunk to what create
// made for it. It ends when the last one was complete; an error says what was
// wrong with the bundle, or what create said.
func (b *Bundle) Parts(ctx context.Context, create func(p slot.Part) (io.WriteCloser, error), progress func(done int64)) error {
	var before int64
	for _, p := range b.Manifest.Parts {
		h, err := b.tar.Next()
		if err != nil {
			return fmt.Errorf("read the upgrade: %s: %w", p.Name, truncated(err))
		}
		if h.Name != p.Name || h.Size != p.Size || h.Typeflag != tar.TypeReg {
			return fmt.Errorf("read the upgrade: found %.60q of %d bytes, and its manifest has %s of %d there", h.Name, h.Size, p.Name, p.Size)
		}
		w, err := create(p)
		if err != nil {
			return err
		}
		err = p.Stream(ctx, w, b.tar, func(done int64) { progress(before + done) })
		if err := errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("read the upgrade: %w", err)
		}
		before += p.Size
	}
	return nil
}

// verify reads a bundle to its end, and writes nothing.
func (b *Bundle) verify(ctx context.Context, progress func(done int64)) error {
	return b.Parts(ctx, func(slot.Part) (io.WriteCloser, error) { return discard{}, nil }, progress)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// Size is how many bytes the parts have.
func (b *Bundle) Size() int64 {
	var n int64
	for _, p := range b.Manifest.Parts {
		n += p.Size
	}
	return n
}

// Total is how many bytes the whole file has: heads, paddings and the end, too.
func (b *Bundle) Total() int64 {
	const block = 512
	whole := func(n int64) int64 { return block + (n+block-1)/block*block }
	n := whole(int64(len(b.Data))) + whole(int64(len(b.Sig)))
	for _, p := range b.Manifest.Parts {
		n += whole(p.Size)
	}
	return n + 2*block
}

// WriteBundle makes a bundle of a slot's directory, as a build leaves it. The
// same directory gives the same bytes.
func WriteBundle(w io.Writer, dir string, trusted []slot.PublicKey) error {
	if err := writeBundle(w, os.DirFS(dir), trusted); err != nil {
		return fmt.Errorf("write the upgrade of %s: %w", filepath.Base(dir), err)
	}
	return nil
}

func writeBundle(w io.Writer, dir fs.FS, trusted []slot.PublicKey) error {
	data, err := fs.ReadFile(dir, slot.ManifestFile)
	if err != nil {
		return err
	}
	sig, err := fs.ReadFile(dir, slot.SignatureFile)
	if err != nil {
		return err
	}
	m, err := slot.Open(data, sig, trusted)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	put := func(name string, size int64, r io.Reader) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(m.Built, 0), Format: tar.FormatUSTAR}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		n, err := io.Copy(out, r)
		if err == nil && n != size {
			err = fmt.Errorf("%s has %d bytes, and its manifest says %d", name, n, size)
		}
		return err
	}
	if err := errors.Join(put(slot.ManifestFile, int64(len(data)), bytes.NewReader(data)), put(slot.SignatureFile, int64(len(sig)), bytes.NewReader(sig))); err != nil {
		return err
	}
	for _, p := range m.Parts {
		f, err := dir.Open(p.Name)
		if err != nil {
			return err
		}
		if err := errors.Join(put(p.Name, p.Size, f), f.Close()); err != nil {
			return err
		}
	}
	return out.Close()
}

// isBootPart says whether a part lies where GRUB reads it.
func isBootPart(name string) bool {
	switch name {
	case grub.Kernel, grub.Initrd, grub.DebugKernel, grub.DebugInitrd:
		return true
	}
	return false
}

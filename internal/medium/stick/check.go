package stick

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

// Check checks both slots of a medium: that a trusted key signed the manifest,
// and that every part is what the manifest says. It returns the manifest of
// the first.
func Check(ctx context.Context, f *os.File, trusted []slot.PublicKey, progress func(step string, done, total int64)) (slot.Manifest, error) {
	c, err := medium.Open(f)
	if err != nil {
		return slot.Manifest{}, fmt.Errorf("check the image %s: %w", f.Name(), err)
	}
	var first slot.Manifest
	for i, name := range grub.Slots() {
		m, err := checkSlot(ctx, c, name, trusted, progress)
		if err != nil {
			return slot.Manifest{}, fmt.Errorf("check the image %s: slot %s: %w", f.Name(), name, err)
		}
		if i == 0 {
			first = m
		}
	}
	return first, nil
}

func checkSlot(ctx context.Context, c *medium.Contents, name string, trusted []slot.PublicKey, progress func(string, int64, int64)) (slot.Manifest, error) {
	text, err := small(c, name, slot.ManifestFile, slot.MaxManifest)
	if err != nil {
		return slot.Manifest{}, err
	}
	sig, err := small(c, name, slot.SignatureFile, 4096)
	if err != nil {
		return slot.Manifest{}, err
	}
	m, err := slot.Open(text, sig, trusted)
	if err != nil {
		return slot.Manifest{}, err
	}
	for _, p := range m.Parts {
		r, err := c.Slot(name, p.Name)
		if err != nil {
			return slot.Manifest{}, err
		}
		at, ok := r.(io.ReaderAt)
		if !ok { // a kernel, from FAT
			b, err := io.ReadAll(io.LimitReader(r, p.Size+1))
			if err != nil {
				return slot.Manifest{}, fmt.Errorf("read %s: %w", p.Name, err)
			}
			at = bytes.NewReader(b)
		}
		err = p.Verify(ctx, at, runtime.NumCPU(), func(done int64) { progress("check "+name+"/"+p.Name, done, p.Size) })
		if err != nil {
			return slot.Manifest{}, err
		}
	}
	return m, nil
}

// small reads a file of a slot that must not be large.
func small(c *medium.Contents, name, file string, limit int64) ([]byte, error) {
	r, err := c.Slot(name, file)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return b, nil
}

package medium

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	diskfile "github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"github.com/esos-project/esos/internal/medium/ext4"
	"github.com/esos-project/esos/internal/medium/grub"
)

// Contents reads the files of a medium without mounting it.
type Contents struct {
	parts []Partition
	boot  *fat32.FileSystem
	root  *ext4.FS
}

// Open reads the medium in f, an image file or a disk.
func Open(f *os.File) (*Contents, error) {
	parts, err := ReadLayout(f)
	if err != nil {
		return nil, err
	}
	c := &Contents{parts: parts}
	boot, _ := Labelled(parts, LabelBoot)
	if c.boot, err = fat32.Read(diskfile.New(f, true), boot.Size, boot.Start, SectorSize); err != nil {
		return nil, fmt.Errorf("read the file system %s of %s: %w", LabelBoot, f.Name(), err)
	}
	c.root, err = openRoot(f, parts)
	return c, err
}

func openRoot(f *os.File, parts []Partition) (*ext4.FS, error) {
	root, _ := Labelled(parts, LabelRoot)
	fs, err := ext4.Open(f, root.Start, root.Size)
	if err != nil {
		return nil, fmt.Errorf("read the file system %s of %s: %w", LabelRoot, f.Name(), err)
	}
	return fs, nil
}

// IsMedium says whether f, a disk or an image file, has the partitions of a
// medium.
func IsMedium(f *os.File) bool {
	_, err := ReadLayout(f)
	return err == nil
}

// MadeOf is the signature of the slot that the medium in f was made of. It reads
// esos_root only: ESOS_BOOT may be as a power cut left it.
func MadeOf(f *os.File) ([]byte, error) {
	parts, err := ReadLayout(f)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(f, parts)
	if err != nil {
		return nil, err
	}
	r, err := root.Open(MadeOfFile)
	if err != nil {
		return nil, fmt.Errorf("read what %s was made of: %w", f.Name(), err)
	}
	signature, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read what %s was made of: %w", f.Name(), err)
	}
	return signature, nil
}

// Partitions are those of the medium.
func (c *Contents) Partitions() []Partition { return c.parts }

// Slot opens a file of a slot, whichever partition it is in.
func (c *Contents) Slot(slot, name string) (io.Reader, error) {
	switch name {
	case grub.Kernel, grub.Initrd, grub.DebugKernel, grub.DebugInitrd:
		return c.Boot(slot + "/" + name)
	}
	f, err := c.root.Open(slot + "/" + name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", LabelRoot, err)
	}
	return f, nil
}

// Boot opens a file of ESOS_BOOT by its path from there.
func (c *Contents) Boot(path string) (io.Reader, error) {
	f, err := c.boot.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s in %s: %w", path, LabelBoot, err)
	}
	return f, nil
}

// Verify reads back every file that Build put on target and compares it with
// where it came from. Reads come from the drive, not from memory, if target is
// a block device.
func Verify(ctx context.Context, p Plan, target string) error {
	f, err := os.Open(target)
	if err != nil {
		return fmt.Errorf("verify the medium: %w", err)
	}
	defer f.Close()
	if err := DropCache(f); err != nil {
		return err
	}
	c, err := Open(f)
	if err != nil {
		return fmt.Errorf("verify the medium: %w", err)
	}
	debug, err := p.debugFiles()
	if err != nil {
		return err
	}
	more, err := MoreFiles(p.Slot)
	if err != nil {
		return err
	}
	names := append(append(SlotFiles(), debug...), more...)
	var total, done int64
	for _, name := range names {
		st, err := os.Stat(filepath.Join(p.Slot, name))
		if err != nil {
			return fmt.Errorf("verify the medium: %w", err)
		}
		total += st.Size() * int64(len(grub.Slots()))
	}
	for _, slot := range grub.Slots() {
		for _, name := range names {
			got, err := c.Slot(slot, name)
			if err != nil {
				return fmt.Errorf("verify the medium %s: %w", target, err)
			}
			err = same(ctx, got, filepath.Join(p.Slot, name), func(n int64) {
				done += n
				p.progress("verify "+target, done, total)
			})
			if err != nil {
				return fmt.Errorf("verify the medium %s: %s/%s: %w; the drive may be broken: take another one", target, slot, name, err)
			}
		}
	}
	got, err := c.Boot("EFI/BOOT/BOOTX64.EFI")
	if err == nil {
		err = same(ctx, got, filepath.Join(p.GRUB, grub.EFIImage), func(int64) {})
	}
	if err != nil {
		return fmt.Errorf("verify the medium %s: GRUB for UEFI: %w", target, err)
	}
	part, _ := Labelled(c.parts, LabelGRUB)
	_, core, err := grub.Embed(p.GRUB, uint64(part.Start/SectorSize), part.Size)
	if err != nil {
		return err
	}
	have := make([]byte, len(core))
	if _, err := f.ReadAt(have, part.Start); err != nil {
		return fmt.Errorf("verify the medium %s: read GRUB for BIOS: %w", target, err)
	}
	if !bytes.Equal(have, core) {
		return fmt.Errorf("verify the medium %s: GRUB for BIOS differs from what was written; the drive may be broken: take another one", target)
	}
	return nil
}

// same compares a file of the medium with one of the host.
func same(ctx context.Context, got io.Reader, path string, compared func(n int64)) error {
	want, err := os.Open(path)
	if err != nil {
		return err
	}
	defer want.Close()
	a, b := make([]byte, mib), make([]byte, mib)
	for at := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(want, a)
		end := n < len(a)
		if err != nil && !end {
			return err
		}
		m, err := io.ReadFull(got, b[:n])
		if err != nil && n > 0 {
			return fmt.Errorf("read back at byte %d: %w", at+int64(m), err)
		}
		if !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("differs from what was written near byte %d", at)
		}
		at += int64(n)
		compared(int64(n))
		if end {
			if n, _ := got.Read(b[:1]); n > 0 {
				return fmt.Errorf("is longer than what was written, %d bytes", at)
			}
			return nil
		}
	}
}

package medium

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/esos-project/esos/internal/medium/ext4"
	"github.com/esos-project/esos/internal/medium/fat"
)

// Copy is an image as it is to be written to another drive: the partition
// table's backup at that drive's end, and with an identity of its own. Two
// sticks of one image in one machine are then two media, to Linux, to GRUB and
// to esos-init.
type Copy struct {
	image   *os.File
	size    int64 // of the drive
	length  int64 // of the image
	patches []patch
	extents []Extent
}

type patch struct {
	at    int64
	bytes []byte
}

// NewCopy prepares a copy of image for a drive of size bytes. Without an
// identity the copy keeps the image's.
func NewCopy(image *os.File, id Identity, size int64) (*Copy, error) {
	length, err := deviceSize(image)
	if err != nil {
		return nil, err
	}
	parts, err := ReadLayout(image)
	if err != nil {
		return nil, fmt.Errorf("read the image %s: %w", image.Name(), err)
	}
	c := &Copy{image: image, size: size, length: length}
	var last int64
	for _, p := range parts {
		last = max(last, p.End())
		// What a superblock of something else may hide in is written, zeroes
		// or not.
		c.extents = append(c.extents, Extent{p.Start, min(mib, p.Size)}, Extent{max(p.Start, p.End()-mib), min(mib, p.Size)})
		if err := c.partition(p, id); err != nil {
			return nil, fmt.Errorf("read partition %s of the image %s: %w", p.Label, image.Name(), err)
		}
	}
	if last+gptEnd > size {
		return nil, fmt.Errorf("the image takes %d MiB, and there are %d MiB: take a larger drive", (last+gptEnd)/mib+1, size/mib)
	}
	if err := c.table(id); err != nil {
		return nil, fmt.Errorf("read the image %s: %w", image.Name(), err)
	}
	c.extents = merge(append(c.extents, Extent{0, align}, Extent{max(last, size-mib), size - max(last, size-mib)}), size)
	return c, nil
}

// partition notes what of a partition matters and what is to change.
func (c *Copy) partition(p Partition, id Identity) error {
	switch p.Label {
	case LabelGRUB:
		c.extents = append(c.extents, Extent{p.Start, p.Size})
		return nil
	case LabelBoot:
		fs, err := fat.Open(c.image, p.Start, p.Size)
		if err != nil {
			return err
		}
		used, err := fs.Used()
		if err != nil {
			return err
		}
		for _, e := range used {
			c.extents = append(c.extents, Extent(e))
		}
		if id != "" {
			for _, change := range fs.WithVolume(id.volume()) {
				c.patches = append(c.patches, patch{change.At, change.Bytes})
			}
		}
		return nil
	}
	fs, err := ext4.Open(c.image, p.Start, p.Size)
	if err != nil {
		return err
	}
	used, err := fs.Used()
	if err != nil {
		return err
	}
	for _, e := range used {
		c.extents = append(c.extents, Extent(e))
	}
	if id == "" {
		return nil
	}
	changes, err := fs.WithUUID(id.UUID("fs/" + p.Label))
	if err != nil {
		return err
	}
	for _, change := range changes {
		c.patches = append(c.patches, patch{change.At, change.Bytes})
	}
	return nil
}

// table makes the partition table for the drive's size.
func (c *Copy) table(id Identity) error {
	t, err := readTable(c.image)
	if err != nil {
		return err
	}
	t.ProtectiveMBR = true
	t.Resize(uint64(c.size))
	if id != "" {
		t.GUID = guid(id, "disk")
		for _, p := range t.Partitions {
			p.GUID = guid(id, "partition/"+p.Name)
		}
	}
	// The image's own backup, in the middle of a larger drive, is forgotten.
	if c.length < c.size {
		c.patches = append(c.patches, patch{c.length - gptEnd, make([]byte, gptEnd)})
	}
	var w tableWrites
	if err := writeTable(&w, t, c.size); err != nil {
		return err
	}
	c.patches = append(c.patches, w.patches...)
	return nil
}

// Extents are what has to be written: the rest nobody reads.
func (c *Copy) Extents() []Extent { return c.extents }

// Written is how many bytes the extents have.
func (c *Copy) Written() int64 {
	var n int64
	for _, e := range c.extents {
		n += e.Size
	}
	return n
}

// ReadAt reads the drive as it is to be. What is behind the image is zero.
func (c *Copy) ReadAt(b []byte, at int64) (int, error) {
	n := 0
	if at < c.length {
		var err error
		n, err = c.image.ReadAt(b[:min(int64(len(b)), c.length-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
	}
	clear(b[n:])
	for _, p := range c.patches {
		from, to := max(p.at, at), min(p.at+int64(len(p.bytes)), at+int64(len(b)))
		if from < to {
			copy(b[from-at:to-at], p.bytes[from-p.at:to-p.at])
		}
	}
	if over := at + int64(len(b)) - c.size; over > 0 {
		return max(0, len(b)-int(over)), io.EOF
	}
	return len(b), nil
}

// IdentityOf returns the UUIDs of a medium, by what has them: the disk, and
// each file system.
func IdentityOf(f *os.File) (map[string]string, error) {
	t, err := readTable(f)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{"disk": strings.ToLower(t.GUID)}
	for _, p := range partitions(t) {
		switch p.Label {
		case LabelGRUB:
		case LabelBoot:
			fs, err := fat.Open(f, p.Start, p.Size)
			if err != nil {
				return nil, err
			}
			ids[p.Label] = volumeText(fs.Volume())
		default:
			fs, err := ext4.Open(f, p.Start, p.Size)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", p.Label, err)
			}
			ids[p.Label] = uuid.UUID(fs.UUID()).String()
		}
	}
	return ids, nil
}

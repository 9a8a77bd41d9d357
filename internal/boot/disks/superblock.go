package disks

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kinds of file systems that are looked for.
const (
	Ext4    = "ext4"
	VFAT    = "vfat"
	ISO9660 = "iso9660"
)

// Content is what a device's own bytes say about it.
type Content struct {
	Type  string // one of the kinds, or "" for what is none of them
	Label string
	UUID  string // as blkid shows it
	// Check says why the file system has to be checked before it is mounted;
	// "" if it was left in order.
	Check string
	// Member says that the device is part of a Linux software RAID: what else
	// is seen on it belongs to the array.
	Member bool
}

// Read looks at a device of size bytes.
func Read(r io.ReaderAt, size int64) (Content, error) {
	var c Content
	head := make([]byte, 4096)
	if err := readAt(r, head, 0, size); err != nil {
		return Content{}, err
	}
	switch {
	case readExt(&c, head[1024:]):
	case readFAT(&c, head):
	default:
		volume := make([]byte, 2048)
		if err := readAt(r, volume, 16*2048, size); err != nil {
			return Content{}, err
		}
		readISO(&c, volume)
	}
	member, err := isMember(r, size)
	c.Member = member
	return c, err
}

// readAt fills b with what is at off, and with zeros where the device ends.
func readAt(r io.ReaderAt, b []byte, off, size int64) error {
	if off < 0 || off >= size {
		return nil
	}
	n := int(min(int64(len(b)), size-off))
	if got, err := r.ReadAt(b[:n], off); got < n && err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %d bytes at %d: %w", n, off, err)
	}
	return nil
}

// The ext4 superblock, Documentation/filesystems/ext4/super.rst.
const (
	extMagic           = 0xef53
	extClean           = 1
	extErrors          = 2
	extIncompatRecover = 4
)

func readExt(c *Content, sb []byte) bool {
	le := binary.LittleEndian
	if le.Uint16(sb[0x38:]) != extMagic {
		return false
	}
	c.Type = Ext4
	c.Label = text(sb[0x78:0x88])
	c.UUID = uuid(sb[0x68:0x78])
	state := le.Uint16(sb[0x3a:])
	mounts, most := le.Uint16(sb[0x34:]), int16(le.Uint16(sb[0x36:]))
	switch {
	case state&extErrors != 0:
		c.Check = "it has errors"
	case le.Uint32(sb[0x60:])&extIncompatRecover != 0:
		c.Check = "it was not unmounted"
	case state&extClean == 0:
		c.Check = "it is not marked clean"
	case most > 0 && mounts >= uint16(most):
		c.Check = fmt.Sprintf("it was mounted %d times since the last check", mounts)
	}
	return true
}

func readFAT(c *Content, sb []byte) bool {
	if sb[510] != 0x55 || sb[511] != 0xaa {
		return false
	}
	var at int
	switch {
	case string(sb[0x52:0x5a]) == "FAT32   ":
		at = 0x43
	case string(sb[0x36:0x3e]) == "FAT16   ", string(sb[0x36:0x3e]) == "FAT12   ":
		at = 0x27
	default:
		return false
	}
	id := binary.LittleEndian.Uint32(sb[at:])
	c.Type = VFAT
	c.UUID = fmt.Sprintf("%04X-%04X", id>>16, id&0xffff)
	if c.Label = text(sb[at+4 : at+15]); c.Label == "NO NAME" {
		c.Label = ""
	}
	return true
}

// readISO reads the primary volume descriptor, ECMA-119 section 8.4.
func readISO(c *Content, volume []byte) {
	if volume[0] != 1 || string(volume[1:6]) != "CD001" {
		return
	}
	c.Type = ISO9660
	c.Label = text(volume[40:72])
	// The time of its making, to the hundredth: what blkid takes for a UUID.
	t := text(volume[813:829])
	if len(t) == 16 {
		c.UUID = strings.Join([]string{t[0:4], t[4:6], t[6:8], t[8:10], t[10:12], t[12:14], t[14:16]}, "-")
	}
}

// isMember looks for a superblock of md, drivers/md/md.c. Version 1.0 is the
// one that leaves the beginning to what is inside: its file system can be seen
// on each member.
func isMember(r io.ReaderAt, size int64) (bool, error) {
	const magic = 0xa92b4efc
	sectors := size / 512
	for _, at := range []struct {
		sector  int64
		version uint32
	}{
		{(sectors - 16) &^ 7, 1},    // 1.0
		{0, 1},                      // 1.1
		{8, 1},                      // 1.2
		{(sectors &^ 127) - 128, 0}, // 0.90
	} {
		sb := make([]byte, 256)
		if err := readAt(r, sb, at.sector*512, size); err != nil {
			return false, err
		}
		le := binary.LittleEndian
		if le.Uint32(sb) != magic || le.Uint32(sb[4:]) != at.version {
			continue
		}
		// One of version 1 says where it is, which tells the superblock of a
		// disk from that of its last partition. One of 0.90 does not.
		if at.version == 0 || int64(le.Uint64(sb[144:])) == at.sector {
			return true, nil
		}
	}
	return false, nil
}

// text is a field padded with zeros or spaces; what cannot be printed is not
// let through to the consoles.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	s = strings.TrimRight(s, " ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

func uuid(b []byte) string {
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

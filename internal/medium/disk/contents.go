package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Content is something that was found on a disk.
type Content struct {
	Where string // "the disk", "partition 2"
	What  string // "an ext file system"
	// Member says that it is part of something larger, whose other disks would
	// miss it.
	Member bool
}

func (c Content) String() string { return c.Where + " holds " + c.What }

// signature is how something is recognised: by bytes at a place from the
// start, or from the end if at is negative.
type signature struct {
	at     int64
	magic  string
	what   string
	member bool
}

// round is what md's format 0.90 counts its place in, from the end.
const round = 64 << 10

const (
	mdMagic     = "\xfc\x4e\x2b\xa9"
	bcacheMagic = "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"
)

var signatures = []signature{
	{0x438, "\x53\xef", "an ext file system", false},
	{0, "XFSB", "an XFS file system", false},
	{0x10040, "_BHRfS_M", "a btrfs file system", false},
	{3, "NTFS    ", "an NTFS file system", false},
	{3, "EXFAT   ", "an exFAT file system", false},
	{82, "FAT32   ", "a FAT file system", false},
	{54, "FAT1", "a FAT file system", false},
	{0x8001, "CD001", "an ISO file system", false},
	{0, "hsqs", "a squashfs file system", false},
	{4086, "SWAPSPACE2", "swap space", false},
	{0, "LUKS\xba\xbe", "encrypted data (LUKS)", false},
	{0, "LABELONE", "an LVM physical volume", true},
	{512, "LABELONE", "an LVM physical volume", true},
	{1024, "LABELONE", "an LVM physical volume", true},
	{1536, "LABELONE", "an LVM physical volume", true},
	{0, mdMagic, "a member of a RAID array (md)", true},
	{4096, mdMagic, "a member of a RAID array (md)", true},
	{-8192, mdMagic, "a member of a RAID array (md)", true},
	{4096 + 24, bcacheMagic, "a bcache device", true},
}

// Contents says what is on a disk of size bytes: file systems, partitions and
// what is in them; or bytes that are none of these. Nothing means that the
// disk is blank, as far as its first and last MiB tell.
func Contents(r io.ReaderAt, size int64) ([]Content, error) {
	found, err := probe(r, 0, size, "the disk")
	if err != nil {
		return nil, err
	}
	parts, table, err := tableOf(r, size)
	if err != nil {
		return nil, err
	}
	if table != "" {
		found = append(found, Content{Where: "the disk", What: fmt.Sprintf("%s with %d partitions", table, len(parts))})
	}
	for _, p := range parts {
		if p.at <= 0 || p.size <= 0 || p.at+p.size > size {
			continue
		}
		inside, err := probe(r, p.at, p.size, fmt.Sprintf("partition %d", p.number))
		if err != nil {
			return nil, err
		}
		found = append(found, inside...)
	}
	if len(found) > 0 {
		return found, nil
	}
	for _, at := range []int64{0, max(0, size-1<<20)} {
		b, err := read(r, at, min(1<<20, size-at))
		if err != nil {
			return nil, err
		}
		if len(bytes.Trim(b, "\x00")) > 0 {
			return []Content{{Where: "the disk", What: "data of an unknown kind"}}, nil
		}
	}
	return nil, nil
}

// probe looks for signatures in a part of the disk.
func probe(r io.ReaderAt, at, size int64, where string) ([]Content, error) {
	all := append([]signature{}, signatures...)
	all = append(all, signature{-(size%round + round), mdMagic, "a member of a RAID array (md)", true})
	var found []Content
	seen := map[string]bool{}
	for _, s := range all {
		off := s.at
		if off < 0 {
			off = size + off
			if s.at == -8192 {
				off &^= 4095 // format 1.0
			}
		}
		if off < 0 || off+int64(len(s.magic)) > size {
			continue
		}
		b, err := read(r, at+off, int64(len(s.magic)))
		if err != nil {
			return nil, err
		}
		if string(b) == s.magic && !seen[s.what] {
			seen[s.what] = true
			found = append(found, Content{where, s.what, s.member})
		}
	}
	return found, nil
}

type part struct {
	number   int
	at, size int64
}

// tableOf reads a partition table roughly: enough to look into the
// partitions. Entries that make no sense are passed over.
func tableOf(r io.ReaderAt, size int64) ([]part, string, error) {
	const sector = 512
	head, err := read(r, 0, min(34*sector, size))
	if err != nil || len(head) < 3*sector {
		return nil, "", err
	}
	le := binary.LittleEndian
	if string(head[sector:sector+8]) == "EFI PART" {
		var parts []part
		for i, e := 0, head[2*sector:]; len(e) >= 128; i, e = i+1, e[128:] {
			first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
			if len(bytes.Trim(e[:16], "\x00")) > 0 && first <= last && last < 1<<50 {
				parts = append(parts, part{i + 1, int64(first) * sector, int64(last-first+1) * sector})
			}
		}
		return parts, "a GPT", nil
	}
	if le.Uint16(head[510:]) != 0xaa55 || head[0] == 0xeb && string(head[82:87]) == "FAT32" {
		return nil, "", nil
	}
	var parts []part
	for i := range 4 {
		e := head[446+16*i:][:16]
		if n := le.Uint32(e[12:]); e[4] != 0 && n > 0 && e[0]&0x7f == 0 {
			parts = append(parts, part{i + 1, int64(le.Uint32(e[8:])) * sector, int64(n) * sector})
		}
	}
	if len(parts) == 0 {
		return nil, "", nil
	}
	return parts, "a partition table (MBR)", nil
}

func read(r io.ReaderAt, at, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := r.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read what is on the disk at byte %d: %w", at, err)
	}
	return b[:got], nil
}

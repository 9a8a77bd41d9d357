// Package ext4 looks into an ext4 file system without mounting it: which bytes
// of the device matter, what is in a file, and what to change for another
// UUID. It reads what mke2fs makes for a medium (extents, no encryption, no
// bigalloc) and says so of anything else.
package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Offsets in the superblock (Linux, Documentation/filesystems/ext4/super.rst).
const (
	superOffset = 1024
	superSize   = 1024

	sbInodesCount    = 0x0
	sbBlocksLow      = 0x4
	sbFirstData      = 0x14
	sbLogBlockSize   = 0x18
	sbBlocksPerGroup = 0x20
	sbInodesPerGroup = 0x28
	sbMagic          = 0x38
	sbInodeSize      = 0x58
	sbIncompat       = 0x60
	sbROCompat       = 0x64
	sbUUID           = 0x68
	sbLabel          = 0x78
	sbReservedGDT    = 0xce
	sbDescSize       = 0xfe
	sbBlocksHigh     = 0x150
	sbChecksum       = 0x3fc

	magic = 0xef53

	incompatFiletype     = 0x2
	incompatRecover      = 0x4
	incompatExtents      = 0x40
	incompat64Bit        = 0x80
	incompatFlexBG       = 0x200
	incompatChecksumSeed = 0x2000
	incompatKnown        = incompatFiletype | incompatRecover | incompatExtents | incompat64Bit | incompatFlexBG | incompatChecksumSeed

	roSparseSuper = 0x1
	roBigalloc    = 0x200
	roChecksums   = 0x400
)

// FS is a file system within a larger file or device.
type FS struct {
	r  io.ReaderAt
	at int64 // where it begins
	sb []byte

	block      int64 // size in bytes
	blocks     int64
	firstData  int64
	perGroup   int64
	inodes     int64 // a group
	inodeSize  int64
	groups     int64
	descSize   int64
	incompat   uint32
	roCompat   uint32
	descBlocks int64 // of the group descriptors
}

// ErrNone is what Open returns where there is no ext file system.
var ErrNone = errors.New("no ext4 file system here")

// Open reads the superblock of the file system that begins at byte at of r and
// is not larger than size.
func Open(r io.ReaderAt, at, size int64) (*FS, error) {
	f := &FS{r: r, at: at, sb: make([]byte, superSize)}
	if _, err := r.ReadAt(f.sb, at+superOffset); err != nil {
		return nil, fmt.Errorf("read the superblock: %w", err)
	}
	if f.u16(sbMagic) != magic {
		return nil, ErrNone
	}
	f.incompat, f.roCompat = f.u32(sbIncompat), f.u32(sbROCompat)
	if rest := f.incompat &^ incompatKnown; rest != 0 || f.incompat&incompatExtents == 0 || f.roCompat&roBigalloc != 0 {
		return nil, fmt.Errorf("this ext4 file system has features that ESOS does not give one (incompatible %#x, read-only %#x)", f.incompat, f.roCompat)
	}
	if f.u32(sbLogBlockSize) > 6 {
		return nil, fmt.Errorf("the superblock is damaged: blocks of 2^%d KiB", f.u32(sbLogBlockSize))
	}
	f.block = 1024 << f.u32(sbLogBlockSize)
	f.blocks = int64(f.u32(sbBlocksLow))
	f.descSize = 32
	if f.incompat&incompat64Bit != 0 {
		f.blocks |= int64(f.u32(sbBlocksHigh)) << 32
		f.descSize = int64(f.u16(sbDescSize))
	}
	f.firstData, f.perGroup, f.inodes = int64(f.u32(sbFirstData)), int64(f.u32(sbBlocksPerGroup)), int64(f.u32(sbInodesPerGroup))
	f.inodeSize = int64(f.u16(sbInodeSize))
	if f.blocks <= 0 || f.blocks > size/f.block || f.perGroup < 256 || f.perGroup > 8*f.block || f.inodes <= 0 || f.inodes > 8*f.block ||
		f.inodeSize < 128 || f.inodeSize > f.block || f.descSize < 32 || f.descSize > f.block || f.firstData > 1 {
		return nil, fmt.Errorf("the superblock is damaged: %d blocks of %d bytes in %d bytes", f.blocks, f.block, size)
	}
	if f.roCompat&roChecksums != 0 && superChecksum(f.sb) != f.u32(sbChecksum) {
		return nil, errors.New("the superblock is damaged: its checksum is wrong")
	}
	f.groups = (f.blocks - f.firstData + f.perGroup - 1) / f.perGroup
	f.descBlocks = (f.groups*f.descSize + f.block - 1) / f.block
	return f, nil
}

// Label is the file system's.
func (f *FS) Label() string {
	b := f.sb[sbLabel : sbLabel+16]
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// UUID is the file system's.
func (f *FS) UUID() [16]byte { return [16]byte(f.sb[sbUUID : sbUUID+16]) }

// Size is how many bytes it takes.
func (f *FS) Size() int64 { return f.blocks * f.block }

// Patch is bytes to write at a place of the device.
type Patch struct {
	At    int64
	Bytes []byte
}

// WithUUID returns what to write for the file system to have another UUID: the
// superblock and its copies. That this is all needs the feature
// metadata_csum_seed; without it every checksum has the UUID in it.
func (f *FS) WithUUID(uuid [16]byte) ([]Patch, error) {
	if f.roCompat&roChecksums != 0 && f.incompat&incompatChecksumSeed == 0 {
		return nil, fmt.Errorf("give the file system %s another UUID: it was made without metadata_csum_seed", f.Label())
	}
	var patches []Patch
	for g := range f.groups {
		if !f.hasSuper(g) {
			continue
		}
		at := f.at + (f.firstData+g*f.perGroup)*f.block
		if g == 0 {
			at = f.at + superOffset
		}
		sb := make([]byte, superSize)
		if _, err := f.r.ReadAt(sb, at); err != nil {
			return nil, fmt.Errorf("read the superblock's copy in group %d: %w", g, err)
		}
		if binary.LittleEndian.Uint16(sb[sbMagic:]) != magic {
			return nil, fmt.Errorf("the superblock's copy in group %d is damaged", g)
		}
		copy(sb[sbUUID:], uuid[:])
		if f.roCompat&roChecksums != 0 {
			binary.LittleEndian.PutUint32(sb[sbChecksum:], superChecksum(sb))
		}
		patches = append(patches, Patch{at, sb})
	}
	return patches, nil
}

// hasSuper tells whether a group begins with a copy of the superblock and the
// group descriptors: with sparse_super, groups 0, 1 and powers of 3, 5 and 7.
func (f *FS) hasSuper(g int64) bool {
	if g <= 1 || f.roCompat&roSparseSuper == 0 {
		return true
	}
	for _, base := range []int64{3, 5, 7} {
		n := base
		for n < g {
			n *= base
		}
		if n == g {
			return true
		}
	}
	return false
}

// superChecksum is crc32c over the superblock up to its checksum, without the
// final inversion.
func superChecksum(sb []byte) uint32 {
	return ^crc32.Checksum(sb[:sbChecksum], crc32.MakeTable(crc32.Castagnoli))
}

func (f *FS) u16(at int) uint16 { return binary.LittleEndian.Uint16(f.sb[at:]) }
func (f *FS) u32(at int) uint32 { return binary.LittleEndian.Uint32(f.sb[at:]) }

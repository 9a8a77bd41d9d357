package ext4

import (
	"encoding/binary"
	"fmt"
)

// Extent is a run of bytes of the device.
type Extent struct{ At, Size int64 }

// descriptor is what a group says of itself.
type descriptor struct {
	blockBitmap, inodeBitmap, inodeTable int64
	uninitialised                        bool // the block bitmap is not on the device
}

const blockUninit = 0x2 // bg_flags

// descriptors reads the group descriptors.
func (f *FS) descriptors() ([]descriptor, error) {
	b := make([]byte, f.groups*f.descSize)
	if _, err := f.r.ReadAt(b, f.at+(f.firstData+1)*f.block); err != nil {
		return nil, fmt.Errorf("read the group descriptors: %w", err)
	}
	all := make([]descriptor, f.groups)
	for g := range all {
		d := b[int64(g)*f.descSize:][:f.descSize]
		number := func(low, high int) int64 {
			n := int64(binary.LittleEndian.Uint32(d[low:]))
			if f.descSize >= 64 {
				n |= int64(binary.LittleEndian.Uint32(d[high:])) << 32
			}
			return n
		}
		all[g] = descriptor{
			blockBitmap: number(0x0, 0x20), inodeBitmap: number(0x4, 0x24), inodeTable: number(0x8, 0x28),
			uninitialised: binary.LittleEndian.Uint16(d[0x12:])&blockUninit != 0,
		}
		for _, n := range []int64{all[g].blockBitmap, all[g].inodeBitmap, all[g].inodeTable} {
			if n <= 0 || n >= f.blocks {
				return nil, fmt.Errorf("the descriptor of group %d is damaged: block %d of %d", g, n, f.blocks)
			}
		}
	}
	return all, nil
}

// Used returns the bytes that matter, in order: metadata, and blocks that
// belong to something, whether they hold zeroes or not. What is in the others
// nobody ever reads.
func (f *FS) Used() ([]Extent, error) {
	groups, err := f.descriptors()
	if err != nil {
		return nil, err
	}
	used := make([]bool, f.blocks)
	mark := func(from, n int64) error {
		if from < 0 || n < 0 || from+n > f.blocks {
			return fmt.Errorf("blocks %d to %d are outside of the file system's %d", from, from+n, f.blocks)
		}
		for i := from; i < from+n; i++ {
			used[i] = true
		}
		return nil
	}
	if err := mark(0, f.firstData+1); err != nil { // what is before the superblock too
		return nil, err
	}
	tableBlocks := (f.inodes*f.inodeSize + f.block - 1) / f.block
	bitmap := make([]byte, f.block)
	for g, d := range groups {
		first := f.firstData + int64(g)*f.perGroup
		n := min(f.perGroup, f.blocks-first)
		runs := []Extent{{d.blockBitmap, 1}, {d.inodeBitmap, 1}, {d.inodeTable, tableBlocks}}
		if f.hasSuper(int64(g)) {
			runs = append(runs, Extent{first, min(n, 1+f.descBlocks+int64(f.u16(sbReservedGDT)))})
		}
		for _, r := range runs {
			if err := mark(r.At, r.Size); err != nil {
				return nil, err
			}
		}
		if d.uninitialised {
			continue // nothing but metadata is in this group
		}
		if _, err := f.r.ReadAt(bitmap, f.at+d.blockBitmap*f.block); err != nil {
			return nil, fmt.Errorf("read the block bitmap of group %d: %w", g, err)
		}
		for i := range n {
			if bitmap[i/8]&(1<<(i%8)) != 0 {
				used[first+i] = true
			}
		}
	}
	var runs []Extent
	for i := int64(0); i < f.blocks; i++ {
		if !used[i] {
			continue
		}
		from := i
		for i < f.blocks && used[i] {
			i++
		}
		runs = append(runs, Extent{f.at + from*f.block, (i - from) * f.block})
	}
	return runs, nil
}

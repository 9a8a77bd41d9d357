package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Inodes and what they are made of (Documentation/filesystems/ext4/inodes.rst,
// ifork.rst, directory.rst).
const (
	rootInode = 2

	inodeMode     = 0x0
	inodeSizeLow  = 0x4
	inodeFlags    = 0x20
	inodeBlock    = 0x28
	inodeSizeHigh = 0x6c

	modeType = 0xf000
	modeDir  = 0x4000
	modeFile = 0x8000

	flagExtents = 0x80000

	extentMagic   = 0xf30a
	maxDepth      = 5     // of the tree, by the kernel
	maxInit       = 32768 // a longer run is one that was never written
	maxDirectory  = 16 << 20
	maxExtentRuns = 1 << 20
)

// inode is a file's or directory's.
type inode struct {
	mode uint16
	size int64
	runs []run
}

// run are blocks of a file: count blocks from its block file on are at block
// disk of the file system. Those that were never written read as zeroes.
type run struct {
	file, disk, count int64
	unwritten         bool
}

// Open opens the regular file with a path from the root, without links.
func (f *FS) Open(path string) (*io.SectionReader, error) {
	in, err := f.inode(rootInode)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		n, err := f.find(in, name)
		if err == nil {
			in, err = f.inode(n)
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
	if in.mode&modeType != modeFile {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("it is not a file")}
	}
	return io.NewSectionReader(contents{f, in}, 0, in.size), nil
}

// inode reads an inode by its number.
func (f *FS) inode(n uint32) (inode, error) {
	groups, err := f.descriptors()
	if err != nil {
		return inode{}, err
	}
	g, i := int64(n-1)/f.inodes, int64(n-1)%f.inodes
	if n == 0 || g >= f.groups {
		return inode{}, fmt.Errorf("there is no inode %d", n)
	}
	b := make([]byte, f.inodeSize)
	if _, err := f.r.ReadAt(b, f.at+groups[g].inodeTable*f.block+i*f.inodeSize); err != nil {
		return inode{}, fmt.Errorf("read inode %d: %w", n, err)
	}
	in := inode{
		mode: binary.LittleEndian.Uint16(b[inodeMode:]),
		size: int64(binary.LittleEndian.Uint32(b[inodeSizeLow:])) | int64(binary.LittleEndian.Uint32(b[inodeSizeHigh:]))<<32,
	}
	if in.size < 0 || in.size > f.Size() {
		return inode{}, fmt.Errorf("inode %d is damaged: %d bytes", n, in.size)
	}
	if binary.LittleEndian.Uint32(b[inodeFlags:])&flagExtents == 0 {
		return inode{}, fmt.Errorf("inode %d has no extents", n)
	}
	in.runs, err = f.extents(nil, b[inodeBlock:inodeBlock+60], maxDepth)
	if err != nil {
		return inode{}, fmt.Errorf("inode %d: %w", n, err)
	}
	return in, nil
}

// extents adds what a node of the tree and those below it tell.
func (f *FS) extents(runs []run, node []byte, depth int) ([]run, error) {
	if binary.LittleEndian.Uint16(node) != extentMagic {
		return nil, errors.New("its extents are damaged")
	}
	entries, level := int(binary.LittleEndian.Uint16(node[2:])), int(binary.LittleEndian.Uint16(node[6:]))
	if 12*(entries+1) > len(node) || level > depth {
		return nil, errors.New("its extents are damaged")
	}
	for i := range entries {
		e := node[12*(i+1):][:12]
		if level > 0 {
			child := make([]byte, f.block)
			at := int64(binary.LittleEndian.Uint32(e[4:])) | int64(binary.LittleEndian.Uint16(e[8:]))<<32
			if at <= 0 || at >= f.blocks {
				return nil, errors.New("its extents are damaged")
			}
			if _, err := f.r.ReadAt(child, f.at+at*f.block); err != nil {
				return nil, fmt.Errorf("read its extents: %w", err)
			}
			var err error
			if runs, err = f.extents(runs, child, level-1); err != nil {
				return nil, err
			}
			continue
		}
		r := run{
			file: int64(binary.LittleEndian.Uint32(e)), count: int64(binary.LittleEndian.Uint16(e[4:])),
			disk: int64(binary.LittleEndian.Uint16(e[6:]))<<32 | int64(binary.LittleEndian.Uint32(e[8:])),
		}
		if r.count > maxInit {
			r.count, r.unwritten = r.count-maxInit, true
		}
		if r.disk <= 0 || r.disk+r.count > f.blocks || len(runs) >= maxExtentRuns {
			return nil, errors.New("its extents are damaged")
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// contents reads the bytes of an inode; what has no block is zero.
type contents struct {
	f  *FS
	in inode
}

func (c contents) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for _, r := range c.in.runs {
		from, to := r.file*c.f.block, (r.file+r.count)*c.f.block
		from, to = max(from, off), min(to, off+int64(len(p)))
		if from >= to || r.unwritten {
			continue
		}
		at := c.f.at + r.disk*c.f.block + from - r.file*c.f.block
		if _, err := c.f.r.ReadAt(p[from-off:to-off], at); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// find looks a name up in a directory. Also one with an index reads as a plain
// list of entries.
func (f *FS) find(dir inode, name string) (uint32, error) {
	if dir.mode&modeType != modeDir {
		return 0, fs.ErrNotExist
	}
	if dir.size > maxDirectory {
		return 0, fmt.Errorf("a directory of %d bytes is too large", dir.size)
	}
	b := make([]byte, dir.size)
	if _, err := (contents{f, dir}).ReadAt(b, 0); err != nil {
		return 0, err
	}
	for block := range int64(len(b)) / f.block {
		for e := b[block*f.block:][:f.block]; len(e) >= 8; {
			length, n := int(binary.LittleEndian.Uint16(e[4:])), int(e[6])
			if length < 8 || length > len(e) || 8+n > length {
				break
			}
			if number := binary.LittleEndian.Uint32(e); number != 0 && string(e[8:8+n]) == name {
				return number, nil
			}
			e = e[length:]
		}
	}
	return 0, fs.ErrNotExist
}

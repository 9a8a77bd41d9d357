// Package writelog reads what a virtual machine wrote to a disk, and makes the
// disk as a power cut may have left it.
//
// The log is that of QEMU's blklogwrites, which is the one of Linux's
// dm-log-writes (drivers/md/dm-log-writes.c): a sector with a superblock, then
// for each request a sector that describes it, and its data. All numbers are
// little-endian.
package writelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// SectorSize is that of the log, and the unit that a drive writes as a whole
// or not at all.
const SectorSize = 512

// Flags of an entry. QEMU logs no FUA: its block layer makes a write and a
// flush of it.
const (
	Flush   = 1 << 0
	FUA     = 1 << 1
	Discard = 1 << 2
	Mark    = 1 << 3

	knownFlags = Flush | FUA | Discard | Mark
)

const (
	magic   = 0x6a736677736872
	version = 1
)

// Entry is a request that the disk has done.
type Entry struct {
	Sector  uint64 // of the disk
	Sectors uint64
	Flags   uint64
	// Data is where the log has what was written; End is where the entry ends
	// in the log.
	Data, End int64
}

// Writes tells whether the entry changes the disk's contents.
func (e Entry) Writes() bool { return e.Sectors > 0 && e.Flags&(Discard|Mark) == 0 }

// Log is a log that has been read. Its entries are in the order in which the
// disk did them.
type Log struct {
	Entries []Entry

	data io.ReaderAt
}

// ErrFormat says that it is no log of writes.
var ErrFormat = errors.New("this is no log of writes")

// Read reads a log of so many bytes. The machine that wrote it may have been
// killed: an entry that is cut off ends the log.
func Read(r io.ReaderAt, size int64) (*Log, error) {
	var block [SectorSize]byte
	if _, err := r.ReadAt(block[:], 0); err != nil {
		return nil, fmt.Errorf("read the log of writes: %w: %w", ErrFormat, err)
	}
	le := binary.LittleEndian
	if le.Uint64(block[:]) != magic || le.Uint64(block[8:]) != version {
		return nil, fmt.Errorf("read the log of writes: %w: magic %#x, version %d", ErrFormat, le.Uint64(block[:]), le.Uint64(block[8:]))
	}
	// The superblock also counts the entries, but is written with a flush
	// only: the entries themselves tell how many there are.
	if n := le.Uint32(block[24:]); n != SectorSize {
		return nil, fmt.Errorf("read the log of writes: %w: sectors of %d bytes, want %d", ErrFormat, n, SectorSize)
	}
	l := &Log{data: r}
	for at := int64(SectorSize); at+SectorSize <= size; {
		if _, err := r.ReadAt(block[:32], at); err != nil {
			return nil, fmt.Errorf("read entry %d of the log of writes: %w", len(l.Entries), err)
		}
		e := Entry{Sector: le.Uint64(block[:]), Sectors: le.Uint64(block[8:]), Flags: le.Uint64(block[16:]), Data: at + SectorSize}
		if e.Flags&^knownFlags != 0 {
			return nil, fmt.Errorf("read entry %d of the log of writes: %w: flags %#x", len(l.Entries), ErrFormat, e.Flags)
		}
		if e == (Entry{Data: e.Data}) {
			// Nothing does nothing: the place of a request that was on its way.
			break
		}
		e.End = e.Data
		if e.Flags&Discard == 0 {
			if e.Sectors > uint64(size)/SectorSize {
				break
			}
			e.End += int64(e.Sectors) * SectorSize
		}
		if e.End > size {
			break
		}
		if e.Sector > 1<<53 {
			return nil, fmt.Errorf("read entry %d of the log of writes: %w: sector %d", len(l.Entries), ErrFormat, e.Sector)
		}
		l.Entries = append(l.Entries, e)
		at = e.End
	}
	return l, nil
}

// Before is how many entries end at or before a byte of the log: those that
// were done when the log had that size.
func (l *Log) Before(size int64) int {
	n := 0
	for n < len(l.Entries) && l.Entries[n].End <= size {
		n++
	}
	return n
}

// Flushed is how many of the first n entries the last flush among them makes
// durable, itself included: 0 if there was none.
func (l *Log) Flushed(n int) int {
	for n > 0 && l.Entries[n-1].Flags&Flush == 0 {
		n--
	}
	return n
}

package writelog

import (
	"fmt"
	"io"
	"math/rand/v2"
)

// Piece is a run of sectors that a power cut found written, or did not.
type Piece struct {
	Entry  int    // of the log
	First  uint64 // sector within what the entry wrote
	Count  uint64
	Sector uint64 // of the disk
}

// Whole is what the entries from and up to before an entry wrote, all of it.
func (l *Log) Whole(from, to int) []Piece {
	var pieces []Piece
	for i := from; i < to; i++ {
		if e := l.Entries[i]; e.Writes() {
			pieces = append(pieces, Piece{Entry: i, Count: e.Sectors, Sector: e.Sector})
		}
	}
	return pieces
}

// Torn is what a power cut after n entries may leave of those that no flush
// made durable: any of them, in any order, as a drive with a cache is free to
// have it. A sector is written as a whole or not at all.
func (l *Log) Torn(n int, r *rand.Rand) []Piece {
	var pieces []Piece
	for _, whole := range l.Whole(l.Flushed(n), n) {
		switch r.IntN(4) {
		case 0: // it is lost
		case 1: // all of it is there
			pieces = append(pieces, whole)
		case 2: // it was on its way, from its beginning
			whole.Count = r.Uint64N(whole.Count + 1)
			pieces = append(pieces, whole)
		case 3: // the drive wrote what lay best
			pieces = append(pieces, scattered(whole, r)...)
		}
	}
	return pieces
}

// scattered is every sector by itself, or not. Large writes go in runs, as the
// pages of a flash drive do.
func scattered(p Piece, r *rand.Rand) []Piece {
	var pieces []Piece
	run := max(1, p.Count/64)
	for at := uint64(0); at < p.Count; at += run {
		if r.IntN(2) == 0 {
			pieces = append(pieces, Piece{Entry: p.Entry, First: p.First + at, Count: min(run, p.Count-at), Sector: p.Sector + at})
		}
	}
	return pieces
}

// Replay writes pieces to a disk's image, in the order in which the disk was
// told to.
func (l *Log) Replay(disk io.WriterAt, pieces []Piece) error {
	for _, p := range pieces {
		if p.Count == 0 {
			continue
		}
		e := l.Entries[p.Entry]
		if p.First+p.Count > e.Sectors {
			return fmt.Errorf("replay sectors %d to %d of entry %d: it has %d", p.First, p.First+p.Count, p.Entry, e.Sectors)
		}
		from := io.NewSectionReader(l.data, e.Data+int64(p.First)*SectorSize, int64(p.Count)*SectorSize)
		if _, err := io.Copy(io.NewOffsetWriter(disk, int64(p.Sector)*SectorSize), from); err != nil {
			return fmt.Errorf("replay entry %d, a write of %d sectors to sector %d: %w", p.Entry, e.Sectors, e.Sector, err)
		}
	}
	return nil
}

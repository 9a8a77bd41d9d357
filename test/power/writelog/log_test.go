package writelog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// maker writes logs as QEMU does.
type maker struct{ bytes.Buffer }

func newMaker() *maker {
	m := &maker{}
	m.sector(magic, version, 0, SectorSize)
	return m
}

// sector is one that begins with numbers of 64 bits.
func (m *maker) sector(numbers ...uint64) {
	var b [SectorSize]byte
	for i, n := range numbers {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	m.Write(b[:])
}

// write logs a write of sectors that are full of one letter.
func (m *maker) write(sector, count uint64, letter string) *maker {
	m.sector(sector, count, 0, 0)
	m.WriteString(strings.Repeat(letter, int(count)*SectorSize))
	return m
}

func (m *maker) flush() *maker { m.sector(0, 0, Flush, 0); return m }

func (m *maker) read(t *testing.T) *Log {
	t.Helper()
	l, err := Read(bytes.NewReader(m.Bytes()), int64(m.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// drive is a disk in memory.
type drive []byte

func newDrive(sectors int) drive { return bytes.Repeat([]byte("."), sectors*SectorSize) }

func (d drive) WriteAt(b []byte, at int64) (int, error) { return copy(d[at:], b), nil }

// String is the first letter of each sector. A sector with several letters is
// a question mark.
func (d drive) String() string {
	var s strings.Builder
	for at := 0; at < len(d); at += SectorSize {
		sector := d[at : at+SectorSize]
		if bytes.Count(sector, sector[:1]) == SectorSize {
			s.WriteByte(sector[0])
		} else {
			s.WriteByte('?')
		}
	}
	return s.String()
}

func example() *maker {
	m := newMaker()
	m.write(0, 2, "a").write(4, 1, "b").flush().write(1, 2, "c")
	m.sector(0, 8, Discard, 0) // no data follows
	return m.write(7, 1, "d").flush().write(3, 1, "e")
}

func TestRead(t *testing.T) {
	l := example().read(t)
	if len(l.Entries) != 8 || l.Entries[3].Sector != 1 || l.Entries[3].Sectors != 2 || l.Entries[7].End != int64(example().Len()) {
		t.Fatalf("entries %+v", l.Entries)
	}
	for n, want := range []int{0, 0, 0, 3, 3, 3, 3, 7, 7} {
		if got := l.Flushed(n); got != want {
			t.Errorf("of %d entries %d are flushed, want %d", n, got, want)
		}
	}
	for i, e := range l.Entries {
		if got := l.Before(e.End); got != i+1 {
			t.Errorf("%d entries end at byte %d, want %d", got, e.End, i+1)
		}
		if got := l.Before(e.End - 1); got != i {
			t.Errorf("%d entries end before byte %d, want %d", got, e.End, i)
		}
	}
	d := newDrive(8)
	for _, tt := range []struct {
		n    int
		want string
	}{{2, "aa..b..."}, {4, "accxb..."}, {7, "acc.b..d"}, {8, "acceb..d"}} {
		want := strings.ReplaceAll(tt.want, "x", ".")
		if err := l.Replay(d, l.Whole(0, tt.n)); err != nil {
			t.Fatal(err)
		}
		if d.String() != want {
			t.Errorf("after %d entries: %s, want %s", tt.n, d, want)
		}
	}
	if err := l.Replay(d, []Piece{{Entry: 1, First: 1, Count: 1}}); err == nil {
		t.Error("a sector that was not written was replayed")
	}
}

// TestReadCutShort: QEMU was killed at any moment.
func TestReadCutShort(t *testing.T) {
	whole := example()
	ends := whole.read(t).Entries
	for size := SectorSize; size <= whole.Len(); size++ {
		l, err := Read(bytes.NewReader(whole.Bytes()[:size]), int64(size))
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if n := len(l.Entries); n < len(ends) && ends[n].End <= int64(size) || n > 0 && l.Entries[n-1].End > int64(size) {
			t.Fatalf("%d bytes: %d entries", size, n)
		}
	}
	m := newMaker().write(0, 1, "a")
	m.sector() // the place of a request whose data came later than the next's
	m.write(1, 1, "b")
	if l := m.read(t); len(l.Entries) != 1 {
		t.Errorf("a hole in the log: %+v", l.Entries)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, m := range map[string]*maker{
		"nothing":      {},
		"another file": (&maker{}).write(1, 1, "x"),
		"a later one":  func() *maker { m := &maker{}; m.sector(magic, 2, 0, SectorSize); return m }(),
		"4 KiB":        func() *maker { m := &maker{}; m.sector(magic, version, 0, 4096); return m }(),
		"flags":        func() *maker { m := newMaker(); m.sector(1, 0, 1<<10); return m }(),
		"a far sector": func() *maker { m := newMaker(); m.sector(1<<60, 0, Mark); return m }(),
	} {
		if _, err := Read(bytes.NewReader(m.Bytes()), int64(m.Len())); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTorn: a cut takes nothing that was flushed, invents nothing, and comes
// to every state that a drive with a cache is free to leave.
func TestTorn(t *testing.T) {
	l := newMaker().write(0, 2, "a").flush().write(0, 1, "b").write(1, 2, "c").read(t)
	seen := map[string]bool{}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 0))
		d := newDrive(3)
		for _, pieces := range [][]Piece{l.Whole(0, l.Flushed(4)), l.Torn(4, r)} {
			if err := l.Replay(d, pieces); err != nil {
				t.Fatal(err)
			}
		}
		seen[d.String()] = true
	}
	want := []string{"aa.", "aac", "ac.", "acc", "ba.", "bac", "bc.", "bcc"}
	for _, s := range want {
		if !seen[s] {
			t.Errorf("no cut left %s", s)
		}
		delete(seen, s)
	}
	if len(seen) > 0 {
		t.Errorf("what no drive would leave: %v", seen)
	}
	if p := l.Torn(2, rand.New(rand.NewPCG(1, 1))); len(p) > 0 {
		t.Errorf("after a flush %v may be lost", p)
	}
	same := func() []Piece { return l.Torn(4, rand.New(rand.NewPCG(7, 7))) }
	a, b := newDrive(3), newDrive(3)
	if err := errors.Join(l.Replay(a, same()), l.Replay(b, same())); err != nil || a.String() != b.String() {
		t.Errorf("the same seed leaves %s and %s: %v", a, b, err)
	}
}

// TestTornLarge: a large write is torn at sectors, each of which is of it or
// of what was before.
func TestTornLarge(t *testing.T) {
	l := newMaker().write(0, 1000, "a").flush().write(0, 1000, "b").read(t)
	torn := 0
	for seed := range uint64(50) {
		d := newDrive(1000)
		for _, pieces := range [][]Piece{l.Whole(0, 2), l.Torn(3, rand.New(rand.NewPCG(seed, 0)))} {
			if err := l.Replay(d, pieces); err != nil {
				t.Fatal(err)
			}
		}
		if s := d.String(); strings.Trim(s, "ab") != "" {
			t.Fatalf("seed %d: %s", seed, s)
		} else if strings.Contains(s, "a") && strings.Contains(s, "b") {
			torn++
		}
	}
	if torn < 10 {
		t.Errorf("only %d of 50 cuts tore the write", torn)
	}
}

// FuzzRead: whatever is in the log, reading ends, and what was read can be
// replayed or is refused.
func FuzzRead(f *testing.F) {
	f.Add(example().Bytes(), uint64(1))
	f.Add(newMaker().Bytes(), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		l, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		at := int64(SectorSize)
		for i, e := range l.Entries {
			if e.Data != at+SectorSize || e.End < e.Data || e.End > int64(len(data)) || e.Flags&^knownFlags != 0 {
				t.Fatalf("entry %d: %+v", i, e)
			}
			at = e.End
		}
		n := len(l.Entries)
		if l.Before(at) != n || l.Flushed(n) > n {
			t.Fatalf("%d entries, %d flushed, %d end at %d", n, l.Flushed(n), l.Before(at), at)
		}
		// A disk that takes everything: sectors may be anywhere.
		if err := l.Replay(nowhere{}, l.Whole(0, n)); err != nil {
			t.Fatal(err)
		}
		if err := l.Replay(nowhere{}, l.Torn(n, rand.New(rand.NewPCG(seed, 0)))); err != nil {
			t.Fatal(err)
		}
	})
}

type nowhere struct{}

func (nowhere) WriteAt(b []byte, at int64) (int, error) {
	if at < 0 {
		return 0, errors.New("before the disk's beginning")
	}
	return len(b), nil
}

package power

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/test/power/writelog"
)

// writes makes a log: a text is a write of sectors, each full of one letter,
// and nothing is a flush.
func writes(t *testing.T, list ...struct {
	sector  uint64
	letters string
}) *writelog.Log {
	t.Helper()
	var b bytes.Buffer
	sector := func(numbers ...uint64) {
		var s [writelog.SectorSize]byte
		for i, n := range numbers {
			binary.LittleEndian.PutUint64(s[8*i:], n)
		}
		b.Write(s[:])
	}
	sector(0x6a736677736872, 1, 0, writelog.SectorSize)
	for _, w := range list {
		if w.letters == "" {
			sector(0, 0, writelog.Flush)
			continue
		}
		sector(w.sector, uint64(len(w.letters)))
		for _, l := range w.letters {
			b.WriteString(strings.Repeat(string(l), writelog.SectorSize))
		}
	}
	l, err := writelog.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type write = struct {
	sector  uint64
	letters string
}

// sectors reads the first letter of each sector; a zero is a dot.
func sectors(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for at := 0; at < len(data); at += writelog.SectorSize {
		if data[at] == 0 {
			s.WriteByte('.')
		} else {
			s.WriteByte(data[at])
		}
	}
	return s.String()
}

func TestStick(t *testing.T) {
	const page = 8 // sectors: files have holes of whole pages
	log := writes(t, write{0, "ab"}, write{}, write{1, "c"}, write{3 * page, "d"}, write{}, write{2, "ef"})
	dir := t.TempDir()
	before := filepath.Join(dir, "before")
	if err := os.WriteFile(before, bytes.Repeat([]byte("0"), page*writelog.SectorSize), 0o600); err != nil {
		t.Fatal(err)
	}
	parts := []medium.Partition{
		{Number: 1, Label: "first", Start: 0, Size: page * writelog.SectorSize},
		{Number: 2, Label: "idle", Start: page * writelog.SectorSize, Size: page * writelog.SectorSize},
		{Number: 3, Label: "last", Start: 2 * page * writelog.SectorSize, Size: 2 * page * writelog.SectorSize},
	}
	s, err := NewStick(dir, before, 4*page*writelog.SectorSize, func(f *os.File) ([]medium.Partition, error) {
		if got := sectors(t, f.Name())[:2]; got != "ab" {
			t.Errorf("the layout is read of %q", got)
		}
		return parts, nil
	}, log, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.used) != 2 {
		t.Errorf("partitions that are written to: %+v", s.used)
	}
	idle := strings.Repeat(".", 2*page)
	for _, c := range []struct {
		n    int
		want string
	}{
		{2, "ab000000" + idle + "........"},
		{3, "ac000000" + idle + "........"},
		{4, "ac000000" + idle + "d......."},
		{5, "ac000000" + idle + "d......."},
		{6, "acef0000" + idle + "d......."},
		{6, "acef0000" + idle + "d......."},
	} {
		if err := s.Cut(Cut{N: c.n}); err != nil {
			t.Fatal(err)
		}
		if got := sectors(t, s.Image); got != c.want {
			t.Errorf("after entry %d: %s, want %s", c.n, got, c.want)
		}
		// A boot writes to it, and the next cut is of what was there before.
		if _, err := s.image.WriteAt([]byte("xxxx"), 2*writelog.SectorSize); err != nil {
			t.Fatal(err)
		}
		if _, err := s.image.WriteAt([]byte("xxxx"), (3*page+2)*writelog.SectorSize); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for seed := range uint64(200) {
		if err := s.Cut(Cut{N: 6, Seed: seed + 1}); err != nil {
			t.Fatal(err)
		}
		got := sectors(t, s.Image)
		if got[:2] != "ac" || got[3*page] != 'd' {
			t.Fatalf("seed %d takes away what was flushed: %s", seed+1, got)
		}
		seen[got[2:4]] = true
	}
	for _, want := range []string{"00", "e0", "0f", "ef"} {
		if !seen[want] {
			t.Errorf("no cut leaves %s of ef", want)
		}
	}
	if err := s.Cut(Cut{N: 3}); err == nil {
		t.Error("a cut before the last one was made")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.Image); !os.IsNotExist(err) {
		t.Errorf("the image is left: %v", err)
	}
}

func TestCuts(t *testing.T) {
	var list []write
	for i := range 100 {
		list = append(list, write{uint64(i), "x"}, write{uint64(i), "y"}, write{})
	}
	log := writes(t, list...)
	const first, last, count = 31, 240, 60
	all := cuts(log, first, last, count, 7)
	if len(all) != count {
		t.Errorf("%d cuts, want %d", len(all), count)
	}
	flushes, torn := 0, 0
	for i, c := range all {
		if c.N < first || c.N > last || i > 0 && c.N < all[i-1].N {
			t.Errorf("cut %d: %+v", i, c)
		}
		if c.Seed != 0 {
			torn++
		} else if log.Entries[c.N-1].Flags&writelog.Flush != 0 {
			flushes++
		}
	}
	if flushes < count/6 || torn < count/3 {
		t.Errorf("%d cuts at flushes, %d torn: %v", flushes, torn, all)
	}
	again := cuts(log, first, last, count, 7)
	for i := range all {
		if all[i] != again[i] {
			t.Fatalf("the same seed chose %v and %v", all[i], again[i])
		}
	}
}

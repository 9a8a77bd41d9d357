package cdrom_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
	"github.com/esos-project/esos/scsi/cdrom"
)

// answer collects a task's Data-In in rooms of an awkward size.
type answer struct{ bytes.Buffer }

func (a *answer) Room(n int) []byte {
	a.Grow(min(n, 3000))
	return a.AvailableBuffer()[:min(n, 3000)]
}

func (a *answer) Sent(n int) { a.Write(a.AvailableBuffer()[:n]) }

// run carries one CDB out as the unit would.
func run(t *testing.T, d *cdrom.Drive, path *scsi.Path, cdb ...byte) (*scsi.Task, []byte) {
	t.Helper()
	for _, c := range d.Commands() {
		if c.Op != cdb[0] {
			continue
		}
		full := make([]byte, len(c.Usage))
		copy(full, cdb)
		a := &answer{}
		task := &scsi.Task{CDB: full, Path: path, Transfer: a}
		if c.Parse != nil {
			c.Parse(task)
		}
		if task.Status == scsi.Good {
			c.Do(task)
		}
		if task.WouldBlock {
			task.WouldBlock, task.MayBlock = false, true
			c.Do(task)
		}
		return task, a.Bytes()
	}
	t.Fatalf("operation code %#x is not served", cdb[0])
	return nil, nil
}

// iso is a disc of n sectors; each is filled with its own number.
func iso(n int) *backing.Memory {
	m := backing.NewMemory(int64(n) * cdrom.SectorSize)
	for i := range n {
		_, _ = m.WriteAt(bytes.Repeat([]byte{byte(i)}, cdrom.SectorSize), int64(i)*cdrom.SectorSize)
	}
	return m
}

func newDrive(t *testing.T, store backing.Store, changed func()) *cdrom.Drive {
	t.Helper()
	d, err := cdrom.New(store, changed)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAnswers(t *testing.T) {
	small, large := newDrive(t, iso(100), nil), newDrive(t, backing.NewNull(4<<30), nil)
	for _, c := range []struct {
		name string
		d    *cdrom.Drive
		cdb  string
		want string
	}{
		{"READ CAPACITY", small, "25", "00000063 00000800"},
		{"TOC", small, "43 00 00 00 00 00 00 00 ff", "0012 01 01 00140100 00000000 0014aa00 00000064"},
		{"TOC in minutes", small, "43 02 00 00 00 00 00 00 ff", "0012 01 01 00140100 00000200 0014aa00 00000319"},
		{"TOC of the lead-out", small, "43 00 00 00 00 00 aa 00 ff", "000a 01 01 0014aa00 00000064"},
		{"TOC, allocation length", small, "43 00 00 00 00 00 00 00 04", "0012 01 01"},
		{"sessions", small, "43 00 01 00 00 00 00 00 ff", "000a 01 01 00140100 00000000"},
		{"raw TOC", small, "43 02 02 00 00 00 00 00 ff",
			"002e 01 01 01140 0a0000000000100 0001140 0a1000000000100 00 011400a200000000000319 011400010000000000 0200"},
		{"mechanism", small, "bd 00 00 00 00 00 00 00 00 08", "0000000000000000"},
		{"track", small, "52 01 00 00 00 01 00 00 24",
			"0022 0101 00 04 01 00 00000000 00000000 00000000 00000000 00000064 00000000 00000000"},
		{"no event", small, "4a 01 00 00 10 00 00 00 08", "0006 04 10 00 02 00 00"},
		{"classes not served", small, "4a 01 00 00 40 00 00 00 08", "0002 80 10"},
		{"configuration of a CD", small, "46 02 00 00 00 00 00 00 ff", "00000010 0000 0008 0000 0308 00100000 00080100"},
		{"configuration of a DVD", large, "46 02 00 00 00 00 00 00 ff", "00000010 0000 0010 0000 0308 00100100 00080000"},
		{"DVD structure", large, "ad 00 00 00 00 00 00 00 00 14", "0802 0000 010f0100 00030000 0022ffff 00000000"},
		{"DVD copyright", large, "ad 00 00 00 00 00 00 01 00 08", "0006 0000 00000000"},
		{"sub-channel", small, "42 00 00 00 00 00 00 00 04", "00150000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			task, got := run(t, c.d, nil, unhex(t, c.cdb)...)
			if task.Status != scsi.Good {
				t.Fatalf("status %#x, sense %+v", task.Status, task.Sense)
			}
			if diff := cmp.Diff(hex.Dump(unhex(t, c.want)), hex.Dump(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRead(t *testing.T) {
	d := newDrive(t, iso(100), nil)
	for name, cdb := range map[string][]byte{
		"READ(10)": {0x28, 0, 0, 0, 0, 7, 0, 0, 5},
		"READ(12)": {0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 5},
		"READ CD":  {0xbe, 0, 0, 0, 0, 7, 0, 0, 5, 0x10},
	} {
		task, got := run(t, d, nil, cdb...)
		if task.Status != scsi.Good || len(got) != 5*cdrom.SectorSize || task.InLen != len(got) {
			t.Fatalf("%s: status %#x, %d bytes", name, task.Status, len(got))
		}
		for i, b := range got {
			if int(b) != 7+i/cdrom.SectorSize {
				t.Fatalf("%s: byte %d is %d", name, i, b)
			}
		}
	}
}

func TestLastSectorIsFilledUp(t *testing.T) {
	m := backing.NewMemory(3000)
	_, _ = m.WriteAt(bytes.Repeat([]byte{9}, 3000), 0)
	_, got := run(t, newDrive(t, m, nil), nil, 0x28, 0, 0, 0, 0, 1, 0, 0, 1)
	want := make([]byte, cdrom.SectorSize)
	copy(want, bytes.Repeat([]byte{9}, 3000-cdrom.SectorSize))
	if !bytes.Equal(got, want) {
		t.Error("the rest of the last sector is not zero")
	}
}

func TestRefusals(t *testing.T) {
	d := newDrive(t, iso(100), nil)
	for _, c := range []struct {
		name string
		cdb  string
		want uint16
	}{
		{"beyond the end", "28 00 00 00 00 64 00 00 01", scsi.LBAOutOfRange},
		{"across the end", "28 00 00 00 00 63 00 00 02", scsi.LBAOutOfRange},
		{"wrapping around", "a8 00 ff ff ff ff ff ff ff ff", scsi.LBAOutOfRange},
		{"raw sectors", "be 00 00 00 00 00 00 00 01 f8", scsi.InvalidFieldInCDB},
		{"audio sectors", "be 04 00 00 00 00 00 00 01 10", 0x6400},
		{"asynchronous events", "4a 00 00 00 10 00 00 00 08", scsi.InvalidFieldInCDB},
		{"TOC format 5", "43 00 05 00 00 00 00 00 ff", scsi.InvalidFieldInCDB},
		{"track 2", "52 01 00 00 00 02 00 00 24", scsi.InvalidFieldInCDB},
		{"DVD structure of a CD", "ad 00 00 00 00 00 00 00 00 14", 0x3002},
		{"seek beyond the end", "2b 00 00 00 00 64", scsi.LBAOutOfRange},
	} {
		task, _ := run(t, d, nil, unhex(t, c.cdb)...)
		if task.Status != scsi.CheckCondition || task.Sense.Code != c.want {
			t.Errorf("%s: status %#x, sense %04x, want %04x", c.name, task.Status, task.Sense.Code, c.want)
		}
	}
}

func TestDiscsComeAndGo(t *testing.T) {
	changes := 0
	d := newDrive(t, nil, func() { changes++ })
	host := &scsi.Path{}
	ready := func(want uint16) {
		t.Helper()
		if why, not := d.Condition(); not != (want != 0) || why.Code != want {
			t.Fatalf("condition %04x, want %04x", why.Code, want)
		}
	}
	event := func(want byte) {
		t.Helper()
		_, got := run(t, d, host, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8)
		if got[4] != want {
			t.Fatalf("media event %d, want %d", got[4], want)
		}
	}
	ready(scsi.MediumNotPresentTrayClosed)
	event(0)
	if old, err := d.Insert(iso(10)); err != nil || old != nil {
		t.Fatal(old, err)
	}
	ready(0)
	event(2)
	event(0)

	run(t, d, host, 0x1e, 0, 0, 0, 1) // prevent
	if task, _ := run(t, d, host, 0x1b, 0, 0, 0, 2); task.Sense.Code != scsi.MediumRemovalPrevented {
		t.Errorf("eject although prevented: %04x", task.Sense.Code)
	}
	if _, err := d.Eject(false); !errors.Is(err, cdrom.ErrPrevented) {
		t.Errorf("eject although prevented: %v", err)
	}
	event(1)
	run(t, d, host, 0x1e, 0, 0, 0, 0) // allow

	run(t, d, host, 0x1b, 0, 0, 0, 2) // eject
	ready(scsi.MediumNotPresentTrayOpen)
	event(3)
	run(t, d, host, 0x1b, 0, 0, 0, 3) // load: the same disc comes back
	ready(0)
	event(2)

	run(t, d, host, 0x1e, 0, 0, 0, 1)
	d.NexusLost(host) // whoever held it is gone
	if old, err := d.Eject(false); err != nil || old == nil {
		t.Errorf("eject: %v, %v", old, err)
	}
	ready(scsi.MediumNotPresentTrayOpen)
	if changes != 3 {
		t.Errorf("%d changes announced, want 3: inserted, loaded, taken out", changes)
	}
}

func FuzzCDB(f *testing.F) {
	f.Add([]byte{0x28, 0, 0, 0, 0, 7, 0, 0, 5, 0, 0, 0})
	f.Add([]byte{0xbe, 0, 0, 0, 0, 7, 0, 0, 5, 0x10, 0, 0})
	f.Add([]byte{0x43, 2, 2, 0, 0, 0, 0, 0, 255, 0, 0, 0})
	f.Fuzz(func(t *testing.T, cdb []byte) {
		d := newDrive(t, iso(20), nil)
		for _, c := range d.Commands() {
			if len(cdb) < len(c.Usage) || c.Op != cdb[0] {
				continue
			}
			task, got := run(t, d, &scsi.Path{}, cdb[:len(c.Usage)]...)
			if task.Status == scsi.Good && len(got) != task.InLen {
				t.Errorf("%s: %d bytes sent, %d announced", c.Name, len(got), task.InLen)
			}
			if c.Op == 0x28 && task.Status == scsi.Good &&
				len(got) != int(binary.BigEndian.Uint16(cdb[7:]))*cdrom.SectorSize {
				t.Errorf("READ(10) sent %d bytes", len(got))
			}
		}
	})
}

package disk

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

func TestUnmap(t *testing.T) {
	r := newRig(t, mib, Options{Thin: true})
	old := pattern(64*512, 1)
	r.good(t, cdb10(0x2a, 0, 0, 64), old)
	list := unmapOf(2, 3, 10, 1, 12, 0, 2048, 0)
	r.good(t, unmapCDB(len(list)), list)
	want := bytes.Clone(old)
	clear(want[2*512 : 5*512])
	clear(want[10*512 : 11*512])
	if !bytes.Equal(r.bytes(t, 0, 64*512), want) {
		t.Error("other blocks than the list names read as zeroes")
	}
	r.good(t, unmapCDB(0), nil)
	r.good(t, unmapCDB(8), unmapOf())
}

func TestUnmapListsThatAreWrong(t *testing.T) {
	r := newRig(t, 1<<31, Options{Thin: true})
	many := make([]uint64, 2*(maxUnmapDescs+1))
	tooLong := unmapOf(0, 1)
	tooLong[3] = 17
	for _, c := range []struct {
		name string
		list []byte
		code uint16
	}{
		{"shorter than its header", make([]byte, 7), scsi.ParameterListLengthError},
		{"descriptors beyond the end", tooLong, scsi.ParameterListLengthError},
		{"too many descriptors", unmapOf(many...), scsi.InvalidFieldInParameterList},
		{"too many blocks", unmapOf(0, maxUnmap+1), scsi.InvalidFieldInParameterList},
		{"too many blocks in all", unmapOf(0, maxUnmap, maxUnmap, 1), scsi.InvalidFieldInParameterList},
		{"the second beyond the end", unmapOf(0, 1, 1<<22, 1), scsi.LBAOutOfRange},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.good(t, cdb10(0x2a, 0, 0, 1), pattern(512, 3))
			r.fails(t, unmapCDB(len(c.list)), c.list, scsi.IllegalRequest, c.code)
			if !bytes.Equal(r.bytes(t, 0, 512), pattern(512, 3)) {
				t.Error("blocks were unmapped all the same")
			}
		})
	}
	// A rest that is not a whole descriptor is ignored (SBC-4 5.35.2).
	list := append(unmapOf(0, 1), 1, 2, 3)
	list[3] += 3
	r.good(t, unmapCDB(len(list)), list)
	if !allZero(r.bytes(t, 0, 512)) {
		t.Error("the whole descriptor was not carried out")
	}
}

func TestWriteSame(t *testing.T) {
	for _, c := range []struct {
		name   string
		thin   bool
		cdb    []byte
		out    []byte
		blocks int
		unmaps bool
	}{
		{"pattern", false, cdb10(0x41, 0, 128, 100), pattern(512, 7), 100, false},
		{"zeroes", false, cdb16(0x93, 0, 128, 1000), make([]byte, 512), 1000, false},
		{"more than a piece", false, cdb16(0x93, 0, 128, 5000), pattern(512, 8), 5000, false},
		{"to the end", false, cdb16(0x93, 0, 8192-128, 0), pattern(512, 9), 128, false},
		{"UNMAP", true, cdb16(0x93, 0x08, 128, 128), make([]byte, 512), 128, true},
		{"UNMAP (10)", true, cdb10(0x41, 0x08, 128, 128), make([]byte, 512), 128, true},
		{"UNMAP, NDOB", true, cdb16(0x93, 0x09, 128, 128), nil, 128, true},
		{"NDOB alone", true, cdb16(0x93, 0x01, 128, 128), nil, 128, false},
		{"UNMAP, whatever the block", true, cdb16(0x93, 0x08, 128, 128), pattern(512, 9), 128, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 4*mib, Options{Thin: c.thin})
			all := pattern(4*mib, 1)
			for off := 0; off < len(all); off += mib {
				r.good(t, cdb16(0x8a, 0, uint64(off/512), mib/512), all[off:off+mib])
			}
			r.good(t, c.cdb, c.out)
			lba, _ := extent(c.cdb)
			for i := range c.blocks {
				block := all[(int(lba)+i)*512:][:512]
				clear(block)
				if !c.unmaps {
					copy(block, c.out)
				}
			}
			if i := difference(r.bytes(t, 0, len(all)), all); i >= 0 {
				t.Errorf("byte %d is not as it should be", i)
			}
			allocated, _, err := r.store.Extent(int64(lba)<<9, 512)
			if err != nil || allocated == c.unmaps {
				t.Errorf("allocated: %v (%v)", allocated, err)
			}
		})
	}
}

func TestWriteSameLimits(t *testing.T) {
	r := newRig(t, 2*maxWriteSame, Options{Thin: true})
	all, most := r.Blocks(), uint64(maxWriteSame/512)
	zero := make([]byte, 512)
	r.fails(t, cdb16(0x93, 0x08, 0, 0), zero, scsi.IllegalRequest, scsi.InvalidFieldInCDB)
	r.fails(t, cdb16(0x93, 0x08, all-most-1, 0), zero, scsi.IllegalRequest, scsi.InvalidFieldInCDB)
	r.fails(t, cdb16(0x93, 0x08, 0, uint32(most+1)), zero, scsi.IllegalRequest, scsi.InvalidFieldInCDB)
	r.good(t, cdb16(0x93, 0x08, all-most, 0), zero)
	r.good(t, cdb16(0x93, 0x08, 0, uint32(most)), zero)
}

// lbaStatus is one descriptor of GET LBA STATUS.
type lbaStatus struct {
	LBA    uint64
	Blocks uint32
	Status byte
}

func statuses(t *testing.T, in []byte) (found []lbaStatus) {
	t.Helper()
	if n := binary.BigEndian.Uint32(in); int(n) != len(in)-4 {
		t.Errorf("PARAMETER DATA LENGTH %d with %d bytes", n, len(in))
	}
	for in = in[8:]; len(in) >= 16; in = in[16:] {
		found = append(found, lbaStatus{binary.BigEndian.Uint64(in), binary.BigEndian.Uint32(in[8:]), in[12]})
	}
	return found
}

func TestGetLBAStatus(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(mib); err != nil {
		t.Fatal(err)
	}
	store, err := backing.NewFile(f, backing.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, bs := range []int{512, 4096} {
		per := uint64(4096 / bs)
		r := rigOn(t, store, Options{Thin: true, BlockSize: bs})
		r.good(t, cdb16(0x8a, 0, 2*per, uint32(2*per)), pattern(8192, 1))
		got := statuses(t, r.good(t, cdb16(0x9e, 0x12, 0, 4096), nil))
		want := []lbaStatus{
			{0, uint32(2 * per), deallocated},
			{2 * per, uint32(2 * per), mapped},
			{4 * per, uint32(256*per - 4*per), deallocated},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("blocks of %d:\n%s", bs, d)
		}
		// From within, and with room for one descriptor only.
		got = statuses(t, r.good(t, cdb16(0x9e, 0x12, 3*per, 24), nil))
		if d := cmp.Diff([]lbaStatus{{3 * per, uint32(per), mapped}}, got); d != "" {
			t.Error(d)
		}
		list := unmapOf(2*per, 2*per)
		r.good(t, unmapCDB(len(list)), list)
		got = statuses(t, r.good(t, cdb16(0x9e, 0x12, 0, 4096), nil))
		if d := cmp.Diff([]lbaStatus{{0, uint32(256 * per), deallocated}}, got); d != "" {
			t.Error(d)
		}
	}
	// A thick disk has all its blocks.
	r := newRig(t, mib, Options{})
	got := statuses(t, r.good(t, cdb16(0x9e, 0x12, 5, 4096), nil))
	if d := cmp.Diff([]lbaStatus{{5, 2043, mapped}}, got); d != "" {
		t.Error(d)
	}
	for n := range uint32(24) {
		if in := r.good(t, cdb16(0x9e, 0x12, 0, n), nil); len(in) != int(n) {
			t.Errorf("allocation length %d: %d bytes", n, len(in))
		}
	}
}

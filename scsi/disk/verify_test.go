package disk

import (
	"bytes"
	"testing"

	"github.com/esos-project/esos/scsi"
)

func TestVerify(t *testing.T) {
	r := newRig(t, 4*mib, Options{})
	n := scratchSize/512 + 3 // more than a piece
	data := pattern(n*512, 1)
	r.good(t, cdb16(0x8a, 0, 2, uint32(n)), data)
	same := bytes.Repeat(data[:512], 9)
	r.good(t, cdb16(0x8a, 0, 4000, 9), same)
	for _, c := range []struct {
		name string
		cdb  []byte
		out  []byte
		at   int // offset of the miscompare; -1: none
	}{
		{"medium (10)", cdb10(0x2f, 0, 2, uint16(n)), nil, -1},
		{"medium (12), DPO", cdb12(0xaf, 0x10, 2, uint32(n)), nil, -1},
		{"medium (16)", cdb16(0x8f, 0, 2, uint32(n)), nil, -1},
		{"equal (10)", cdb10(0x2f, 2, 2, uint16(n)), data, -1},
		{"equal (12)", cdb12(0xaf, 2, 2, uint32(n)), data, -1},
		{"equal (16)", cdb16(0x8f, 2, 2, uint32(n)), data, -1},
		{"first byte", cdb10(0x2f, 2, 2, uint16(n)), flip(data, 0), 0},
		{"in the second piece", cdb16(0x8f, 2, 2, uint32(n)), flip(data, scratchSize+5), scratchSize + 5},
		{"last byte", cdb12(0xaf, 2, 2, uint32(n)), flip(data, n*512-1), n*512 - 1},
		{"the same block", cdb10(0x2f, 6, 4000, 9), data[:512], -1},
		{"not the same block", cdb10(0x2f, 6, 4000, 9), flip(data[:512], 100), 100},
		{"a block too many", cdb10(0x2f, 6, 4000, 10), data[:512], 0},
		{"no block", cdb10(0x2f, 2, 0, 0), nil, -1},
		{"no same block", cdb10(0x2f, 6, 0, 0), nil, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.at < 0 {
				r.good(t, c.cdb, c.out)
				return
			}
			if s := r.fails(t, c.cdb, c.out, scsi.Miscompare, scsi.MiscompareDuringVerify); !s.HasInfo || s.Info != uint64(c.at) {
				t.Errorf("INFORMATION %d, want %d", s.Info, c.at)
			}
		})
	}
}

func flip(p []byte, at int) []byte {
	p = bytes.Clone(p)
	p[at] ^= 0x40
	return p
}

func TestWriteAndVerify(t *testing.T) {
	r := newRig(t, mib, Options{})
	for i, cdb := range [][]byte{
		cdb10(0x2e, 0, 3, 2), cdb12(0xae, 0, 3, 2), cdb16(0x8e, 0, 3, 2),
		cdb10(0x2e, 2, 3, 2), cdb12(0xae, 2, 3, 2), cdb16(0x8e, 0x12, 3, 2),
	} {
		want := pattern(1024, byte(i+1))
		r.good(t, cdb, want)
		if !bytes.Equal(r.bytes(t, 3*512, 1024), want) {
			t.Errorf("% x: not written", cdb)
		}
	}
}

package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseAHS(t *testing.T) {
	tests := []struct {
		name, hex string
		want      AHS
		bad       bool
	}{
		{name: "none"},
		{name: "extended CDB of 32 bytes", hex: "0011 01 00 000102030405060708090a0b0c0d0e0f",
			want: AHS{ExtendedCDB: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}},
		{name: "padded extended CDB", hex: "0003 01 00 aabb0000", want: AHS{ExtendedCDB: []byte{0xaa, 0xbb}}},
		{name: "bidirectional read", hex: "0005 02 00 00100000", want: AHS{BidiRead: true, BidiReadLength: 1 << 20}},
		{name: "both", hex: "0003 01 00 aabb0000 0005 02 00 00000200",
			want: AHS{ExtendedCDB: []byte{0xaa, 0xbb}, BidiRead: true, BidiReadLength: 512}},
		{name: "length 0", hex: "0000 01 00", bad: true},
		{name: "longer than there is", hex: "0011 01 00 00010203", bad: true},
		{name: "empty extended CDB", hex: "0001 01 00", bad: true},
		{name: "CDB of 264 bytes", hex: "00f9 01 00" + strings.Repeat("00", 248), bad: true},
		{name: "short bidirectional read", hex: "0004 02 00 00100000", bad: true},
		{name: "twice", hex: "0005 02 00 00100000 0005 02 00 00100000", bad: true},
		{name: "unknown type", hex: "0005 03 00 00100000", bad: true},
		{name: "cut", hex: "0005", bad: true},
	}
	for _, c := range tests {
		p, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseAHS(p)
		if c.bad != errors.Is(err, ErrAHS) {
			t.Errorf("%s: error %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func FuzzAHS(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendBidiRead(AppendExtendedCDB(nil, []byte("0123456789")), 4096))
	f.Fuzz(func(t *testing.T, p []byte) {
		a, err := ParseAHS(p)
		if err != nil {
			return
		}
		if len(a.ExtendedCDB) > MaxCDBLength-16 {
			t.Errorf("extended CDB of %d bytes", len(a.ExtendedCDB))
		}
		var again []byte
		if a.ExtendedCDB != nil {
			again = AppendExtendedCDB(again, a.ExtendedCDB)
		}
		if a.BidiRead {
			again = AppendBidiRead(again, a.BidiReadLength)
		}
		b, err := ParseAHS(again)
		if err != nil || !bytes.Equal(a.ExtendedCDB, b.ExtendedCDB) || a.BidiReadLength != b.BidiReadLength {
			t.Errorf("%x is read as %+v, that as %+v: %v", p, a, b, err)
		}
	})
}

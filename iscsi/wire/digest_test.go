package wire

import (
	"encoding/hex"
	"strings"
	"testing"
)

// The examples of RFC 3720 B.4 (RFC 7143 A.4), with the digest as it stands on
// the wire.
func TestDigestVectors(t *testing.T) {
	up, down := make([]byte, 32), make([]byte, 32)
	for i := range up {
		up[i], down[i] = byte(i), byte(31-i)
	}
	read10, err := hex.DecodeString(strings.ReplaceAll("01c00000 00000000 00000000 00000000 14000000 00000400"+
		"00000014 00000018 28000000 00000000 02000000 00000000", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"32 bytes of zeros", make([]byte, 32), "aa36918a"},
		{"32 bytes of ones", []byte(strings.Repeat("\xff", 32)), "43aba862"},
		{"incrementing bytes", up, "4e79dd46"},
		{"decrementing bytes", down, "5cdb3f11"},
		{"SCSI Read (10) command PDU", read10, "563a96d9"},
	}
	for _, c := range tests {
		var p [4]byte
		PutDigest(p[:], Digest(c.data))
		if got := hex.EncodeToString(p[:]); got != c.want {
			t.Errorf("%s: digest %s, want %s", c.name, got, c.want)
		}
		if ReadDigest(p[:]) != Digest(c.data) {
			t.Errorf("%s: digest is read as %08x", c.name, ReadDigest(p[:]))
		}
		if got := UpdateDigest(Digest(c.data[:7]), c.data[7:]); got != Digest(c.data) {
			t.Errorf("%s: digest in two parts %08x, whole %08x", c.name, got, Digest(c.data))
		}
	}
}

func TestDataDigestCountsPadding(t *testing.T) {
	data := []byte("hello")
	if got, want := DataDigest(data), Digest([]byte("hello\x00\x00\x00")); got != want {
		t.Errorf("digest %08x, want %08x", got, want)
	}
	if got, want := DataDigest(data[:4]), Digest(data[:4]); got != want {
		t.Errorf("digest without padding %08x, want %08x", got, want)
	}
}

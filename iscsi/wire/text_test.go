package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseText(t *testing.T) {
	long := strings.Repeat("x", 256)
	var many strings.Builder
	for i := range MaxTextPairs + 1 {
		fmt.Fprintf(&many, "X-%d=1\x00", i)
	}
	tests := []struct {
		name, text string
		want       Text
		err        error
	}{
		{name: "empty"},
		{name: "pairs", text: "InitiatorName=iqn.a\x00SessionType=Normal\x00", want: Text{{"InitiatorName", "iqn.a"}, {"SessionType", "Normal"}}},
		{name: "no zero at the end", text: "A=1\x00B=2", want: Text{{"A", "1"}, {"B", "2"}}},
		{name: "padding", text: "A=1\x00\x00\x00", want: Text{{"A", "1"}}},
		{name: "= in the value", text: "CHAP_C=0bAA==\x00", want: Text{{"CHAP_C", "0bAA=="}}},
		{name: "empty value", text: "SendTargets=\x00", want: Text{{"SendTargets", ""}}},
		{name: "private key", text: "X-com.example@a_b+c=1\x00X#Node=2\x00", want: Text{{"X-com.example@a_b+c", "1"}, {"X#Node", "2"}}},
		{name: "small letter of RFC 7143 13.24", text: "iSCSIProtocolLevel=1\x00", want: Text{{"iSCSIProtocolLevel", "1"}}},
		{name: "UTF-8", text: "InitiatorAlias=Zürich 1\x00", want: Text{{"InitiatorAlias", "Zürich 1"}}},
		{name: "value of 255 bytes", text: "A=" + long[1:] + "\x00", want: Text{{"A", long[1:]}}},
		{name: "list of long values", text: "A=" + long[1:] + "," + long[1:] + "\x00", want: Text{{"A", long[1:] + "," + long[1:]}}},
		{name: "long binary value", text: "A=0x" + strings.Repeat("ab", 1024) + "\x00", want: Text{{"A", "0x" + strings.Repeat("ab", 1024)}}},
		{name: "value of 256 bytes", text: "A=" + long + "\x00", err: ErrText},
		{name: "too long binary value", text: "A=0x" + strings.Repeat("ab", 1025) + "\x00", err: ErrText},
		{name: "key of 63 bytes", text: strings.Repeat("K", 63) + "=1\x00", want: Text{{strings.Repeat("K", 63), "1"}}},
		{name: "key of 64 bytes", text: strings.Repeat("K", 64) + "=1\x00", err: ErrText},
		{name: "no key", text: "=1\x00", err: ErrText},
		{name: "no =", text: "Key\x00", err: ErrText},
		{name: "small letter first", text: "key=1\x00", err: ErrText},
		{name: "space in the key", text: "Key a=1\x00", err: ErrText},
		{name: "control character", text: "A=1\n2\x00", err: ErrText},
		{name: "no UTF-8", text: "A=\xff\x00", err: ErrText},
		{name: "twice", text: "A=1\x00A=1\x00", err: ErrDuplicateKey},
		{name: "many", text: many.String(), err: ErrText},
		{name: "long", text: strings.Repeat("\x00", MaxTextLength+1), err: ErrText},
	}
	for _, c := range tests {
		got, err := ParseText([]byte(c.text))
		if !errors.Is(err, c.err) || (err != nil) != (c.err != nil) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestParseNumber(t *testing.T) {
	tests := []struct {
		s         string
		low, high uint32
		want      uint32
		ok        bool
	}{
		{"512", 512, 1 << 24, 512, true},
		{"0x1000", 512, 1 << 24, 4096, true},
		{"0XFF", 0, 255, 255, true},
		{"511", 512, 1 << 24, 0, false},
		{"16777216", 512, 1<<24 - 1, 0, false},
		{"4294967295", 0, 1<<32 - 1, 1<<32 - 1, true},
		{"4294967296", 0, 1<<32 - 1, 0, false},
		{"", 0, 1, 0, false},
		{"0x", 0, 1, 0, false},
		{"-1", 0, 1, 0, false},
		{"+1", 0, 1, 0, false},
		{"1_0", 0, 100, 0, false},
		{"1 ", 0, 100, 0, false},
		{"0b1", 0, 100, 0, false},
	}
	for _, c := range tests {
		if got, ok := ParseNumber(c.s, c.low, c.high); got != c.want || ok != c.ok {
			t.Errorf("%q in %d to %d: %d, %v; want %d, %v", c.s, c.low, c.high, got, ok, c.want, c.ok)
		}
	}
}

func TestParseBinary(t *testing.T) {
	tests := []struct {
		s    string
		want string
		ok   bool
	}{
		{"0x00ff", "\x00\xff", true},
		{"0Xabc", "\x0a\xbc", true},
		{"0bAP8=", "\x00\xff", true},
		{"0BAP8", "\x00\xff", true},
		{"0x" + strings.Repeat("61", 8), "aaaaaaaa", true},
		{"0x" + strings.Repeat("61", 9), "", false},
		{"0b" + strings.Repeat("QUFB", 3), "", false},
		{"00ff", "", false},
		{"0x", "", false},
		{"0xzz", "", false},
		{"0b!!!!", "", false},
		{"", "", false},
	}
	for _, c := range tests {
		got, err := ParseBinary(c.s, 8)
		if string(got) != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %x, %v; want %x", c.s, got, err, c.want)
		}
		if c.ok {
			if back, err := ParseBinary(FormatBinary(got), 8); err != nil || string(back) != c.want {
				t.Errorf("%q: written as %s, read as %x, %v", c.s, FormatBinary(got), back, err)
			}
		}
	}
}

func TestParseBool(t *testing.T) {
	for s, want := range map[string][2]bool{"Yes": {true, true}, "No": {false, true}, "yes": {}, "": {}} {
		if v, ok := ParseBool(s); v != want[0] || ok != want[1] {
			t.Errorf("%q: %v, %v", s, v, ok)
		}
	}
	if FormatBool(true) != "Yes" || FormatBool(false) != "No" {
		t.Error("boolean values are Yes and No")
	}
}

func TestCheckName(t *testing.T) {
	good := []string{"iqn.2026-07.org.esos:disk1", "IQN.1993-08.org.Debian:01:abc", "iqn.2001-04.com.example:a_b", "iqn.2001-04.example:zürich",
		"eui.02004567A425678D", "naa.52004567BA64678D", "naa.62004567BA64678D0123456789ABCDEF", "iqn." + strings.Repeat("a", 219)}
	bad := []string{"", "iqn.", "iqn", "disk1", "iqn.a b", "iqn.a,i", "iqn.a*", "iqn.a\x00", "iqn.\xff", "eui.123", "eui.02004567A425678G",
		"naa.123", "iqn." + strings.Repeat("a", 220), "iqn." + strings.Repeat("Ⱥ", 109)}
	for _, n := range good {
		if err := CheckName(n); err != nil {
			t.Error(err)
		}
	}
	for _, n := range bad {
		if CheckName(n) == nil {
			t.Errorf("%q is taken for an iSCSI name", n)
		}
	}
	if NormalizeName("IQN.A") != "iqn.a" {
		t.Error("names compare in lower case")
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("InitiatorName=iqn.a\x00HeaderDigest=CRC32C,None\x00"))
	f.Add([]byte("CHAP_C=0x0102\x00CHAP_R=0bAP8=\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		text, err := ParseText(p)
		if err != nil {
			if !errors.Is(err, ErrText) && !errors.Is(err, ErrDuplicateKey) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		out := text.Append(nil)
		if len(out) != text.Length() {
			t.Errorf("%d bytes, Length says %d", len(out), text.Length())
		}
		if len(out) <= MaxTextLength { // a missing last zero byte may make it one longer
			again, err := ParseText(out)
			if err != nil {
				t.Fatalf("what was written is not read: %v", err)
			}
			if diff := cmp.Diff(text, again); diff != "" {
				t.Errorf("written and read again (-want +got):\n%s", diff)
			}
		}
		for _, p := range text {
			if b, err := ParseBinary(p.Value, 64); err == nil && len(b) > 64 {
				t.Errorf("binary value of %d bytes", len(b))
			}
			if n, ok := ParseNumber(p.Value, 1, 9); ok && (n < 1 || n > 9) {
				t.Errorf("number %d", n)
			}
			_ = CheckName(p.Value)
		}
	})
}

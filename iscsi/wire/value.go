package wire

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// MaxBinaryLength is the longest binary value that is taken, in bytes after
// decoding (RFC 7143 12.1.3: CHAP challenges and responses up to 1024).
const MaxBinaryLength = 1024

// Answers that stand in place of a value (RFC 7143 6.2).
const (
	Rejected      = "Reject"
	Irrelevant    = "Irrelevant"
	NotUnderstood = "NotUnderstood"
)

// ParseBool reads a boolean-value: Yes or No.
func ParseBool(s string) (v, ok bool) { return s == "Yes", s == "Yes" || s == "No" }

// FormatBool writes a boolean-value.
func FormatBool(v bool) string {
	if v {
		return "Yes"
	}
	return "No"
}

// ParseNumber reads a numerical-value (decimal, or hexadecimal behind 0x) and
// says whether it is one between low and high.
func ParseNumber(s string, low, high uint32) (v uint32, ok bool) {
	base := 10
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s, base = s[2:], 16
	}
	for i := range len(s) {
		// strconv takes signs that RFC 7143 6.1 does not have.
		if !isAlnum(s[i]) {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, base, 32)
	if err != nil || uint32(n) < low || uint32(n) > high {
		return 0, false
	}
	return uint32(n), true
}

// ParseBinary reads a binary-value: hexadecimal behind 0x, or base64 behind 0b
// (RFC 7143 6.1). An odd number of hexadecimal digits has its leading zero
// added. It refuses what decodes to more than limit bytes before decoding it.
func ParseBinary(s string, limit int) ([]byte, error) {
	if !isBinary(s) {
		return nil, fmt.Errorf("%w: binary value without 0x or 0b", ErrText)
	}
	digits := s[2:]
	if s[1] == 'x' || s[1] == 'X' {
		if len(digits)%2 == 1 {
			digits = "0" + digits
		}
		if len(digits) > 2*limit {
			return nil, fmt.Errorf("%w: binary value of %d bytes, %d are allowed", ErrText, len(digits)/2, limit)
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("%w: binary value: %w", ErrText, err)
		}
		return b, nil
	}
	digits = strings.TrimRight(digits, "=")
	if n := base64.RawStdEncoding.DecodedLen(len(digits)); n > limit {
		return nil, fmt.Errorf("%w: binary value of %d bytes, %d are allowed", ErrText, n, limit)
	}
	b, err := base64.RawStdEncoding.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%w: binary value: %w", ErrText, err)
	}
	return b, nil
}

// FormatBinary writes a binary-value in hexadecimal, which every initiator
// reads.
func FormatBinary(p []byte) string { return "0x" + hex.EncodeToString(p) }

func isBinary(s string) bool {
	return len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X' || s[1] == 'b' || s[1] == 'B')
}

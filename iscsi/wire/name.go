package wire

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameLength is the length of the longest iSCSI name in bytes (RFC 7143
// 4.2.7.2).
const MaxNameLength = 223

// NormalizeName returns the form of an iSCSI name in which names compare
// equal: in lower case (RFC 3722 3).
func NormalizeName(name string) string { return strings.ToLower(name) }

// CheckName says what is wrong with an iSCSI name (RFC 7143 4.2.7): iqn. with
// a naming authority, eui. with 16 or naa. with 16 or 32 hexadecimal digits.
// Underscores are taken though the RFC has none, because names with them are
// in use.
func CheckName(name string) error {
	// Some letters take more bytes in lower case.
	if len(name) > MaxNameLength || len(NormalizeName(name)) > MaxNameLength {
		return fmt.Errorf("iSCSI name of more than %d bytes", MaxNameLength)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("iSCSI name %q is no UTF-8", name)
	}
	kind, rest, _ := strings.Cut(NormalizeName(name), ".")
	switch kind {
	case "iqn":
		if rest == "" {
			return fmt.Errorf("iSCSI name %q has nothing behind iqn.", name)
		}
		for _, r := range rest {
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-.:_", r) {
				return fmt.Errorf("iSCSI name %q has the character %q; letters, digits and - . : are allowed", name, r)
			}
		}
	case "eui":
		if len(rest) != 16 || !isHex(rest) {
			return fmt.Errorf("iSCSI name %q: 16 hexadecimal digits follow eui.", name)
		}
	case "naa":
		if len(rest) != 16 && len(rest) != 32 || !isHex(rest) {
			return fmt.Errorf("iSCSI name %q: 16 or 32 hexadecimal digits follow naa.", name)
		}
	default:
		return fmt.Errorf("iSCSI name %q does not begin with iqn., eui. or naa.", name)
	}
	return nil
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

package wire

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits on the text of one negotiation or text request.
const (
	// MaxTextLength is the most text that is taken, over all PDUs of a
	// continued sequence. RFC 7143 6.2 wants 8192 bytes at least.
	MaxTextLength = 16384
	// MaxTextPairs is the most pairs that are taken; the keys of RFC 7143 and
	// RFC 7144 are 38.
	MaxTextPairs = 128
	// MaxKeyLength and MaxValueLength are RFC 7143 6.1: a key name, and a simple value
	// (an item of a list). Large binary values may be as long as
	// MaxBinaryLength allows.
	MaxKeyLength   = 63
	MaxValueLength = 255
)

// ErrText says that key=value text is malformed or too large: a protocol error.
var ErrText = errors.New("malformed key=value text")

// ErrDuplicateKey says that a key came twice (RFC 7143 6.3).
var ErrDuplicateKey = errors.New("key given more than once")

// Pair is one key=value pair.
type Pair struct {
	Key, Value string
}

// Text is key=value pairs in the order they were sent (RFC 7143 6.1).
type Text []Pair

// ParseText reads the data of a login or text PDU, or the joined data of
// continued ones. Pairs end with a zero byte; the last one may lack it, and
// empty ones are skipped, as some initiators pad so. Errors wrap ErrText or
// ErrDuplicateKey.
func ParseText(p []byte) (Text, error) {
	if len(p) > MaxTextLength {
		return nil, fmt.Errorf("%w: %d bytes, %d are taken", ErrText, len(p), MaxTextLength)
	}
	var t Text
	rest, more := string(p), true
	for more {
		var item string
		item, rest, more = strings.Cut(rest, "\x00")
		if item == "" {
			continue
		}
		key, value, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("%w: no = in %.80q", ErrText, item)
		}
		if err := checkPair(key, value); err != nil {
			return nil, err
		}
		if _, twice := t.Get(key); twice {
			return nil, fmt.Errorf("%w: %s", ErrDuplicateKey, key)
		}
		if len(t) == MaxTextPairs {
			return nil, fmt.Errorf("%w: more than %d keys", ErrText, MaxTextPairs)
		}
		t = append(t, Pair{key, value})
	}
	return t, nil
}

// Get returns the value of key and whether it is there.
func (t Text) Get(key string) (string, bool) {
	for _, p := range t {
		if p.Key == key {
			return p.Value, true
		}
	}
	return "", false
}

// Add appends a pair.
func (t *Text) Add(key, value string) { *t = append(*t, Pair{key, value}) }

// Append appends the pairs to dst as they go into a data segment.
func (t Text) Append(dst []byte) []byte {
	for _, p := range t {
		dst = append(dst, p.Key...)
		dst = append(dst, '=')
		dst = append(dst, p.Value...)
		dst = append(dst, 0)
	}
	return dst
}

// Length returns how many bytes Append appends.
func (t Text) Length() int {
	n := 0
	for _, p := range t {
		n += len(p.Key) + len(p.Value) + 2
	}
	return n
}

// checkPair looks at the form of a pair: what is in it depends on the key.
func checkPair(key, value string) error {
	if key == "" || len(key) > MaxKeyLength {
		return fmt.Errorf("%w: key of %d bytes, 1 to %d are allowed", ErrText, len(key), MaxKeyLength)
	}
	// RFC 7143 6.1 wants a capital letter first, and has in 13.24 one key
	// without.
	if (key[0] < 'A' || key[0] > 'Z') && key != "iSCSIProtocolLevel" {
		return fmt.Errorf("%w: key %q does not begin with a capital letter", ErrText, key)
	}
	// X# begins the registered extension keys (RFC 7143 13.26), though 6.1 has
	// no # in its alphabet.
	for i := range len(key) {
		if c := key[i]; !isAlnum(c) && !strings.ContainsRune(".-+@_#", rune(c)) {
			return fmt.Errorf("%w: key %q", ErrText, key)
		}
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("%w: value of %s is no UTF-8", ErrText, key)
	}
	for i := range len(value) {
		if value[i] < 0x20 || value[i] == 0x7f {
			return fmt.Errorf("%w: control character in the value of %s", ErrText, key)
		}
	}
	if isBinary(value) {
		if len(value) > 2+2*MaxBinaryLength {
			return fmt.Errorf("%w: binary value of %s has %d bytes", ErrText, key, len(value))
		}
		return nil
	}
	for item := range strings.SplitSeq(value, ",") {
		if len(item) > MaxValueLength {
			return fmt.Errorf("%w: value of %s has %d bytes, %d are allowed", ErrText, key, len(item), MaxValueLength)
		}
	}
	return nil
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

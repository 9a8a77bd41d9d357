package hwraid

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a program may print: many times what the largest controller
// has.
const (
	mostOutput      = 16 << 20 // bytes
	mostWord        = 200      // runes of one fact
	mostControllers = 64
	mostThings      = 4096 // drives, and volumes, of a controller
)

// clean makes text from outside fit to be shown: of one line, without what
// steers a terminal, and not long.
func clean(s string) string {
	s = strings.TrimSpace(s)
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > mostWord {
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) { // blanks other than ' ' and marks of direction, too
			r = '?'
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// word is a value of a program's JSON, whose type differs from version to
// version: as text. What is no single value is none.
type word string

// UnmarshalJSON takes text, numbers and yes or no.
func (w *word) UnmarshalJSON(b []byte) error {
	*w = ""
	if len(b) == 0 {
		return nil
	}
	switch b[0] {
	case '{', '[', 'n':
		return nil
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("read a text: %w", err)
		}
		*w = word(clean(s))
	default:
		*w = word(clean(string(b)))
	}
	return nil
}

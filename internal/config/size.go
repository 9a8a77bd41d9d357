package config

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. In documents it is a number with an optional
// unit: 10GiB, 500MB, 1073741824. JSON gives it as a number of bytes and
// takes both forms.
type Size int64

// unit is a suffix of a size and what it multiplies by.
type unit struct {
	suffix string
	bytes  int64
}

// binaryUnits returns the powers of 1024, largest first: what sizes print in.
func binaryUnits() []unit {
	return []unit{{"PiB", 1 << 50}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}

// units returns every unit that is read. K, M, G... alone are powers of 1024,
// as storage tools take them; with a B they are the powers of 1000 of the SI.
func units() []unit {
	return append(binaryUnits(),
		unit{"PB", 1e15}, unit{"TB", 1e12}, unit{"GB", 1e9}, unit{"MB", 1e6}, unit{"kB", 1e3}, unit{"KB", 1e3},
		unit{"P", 1 << 50}, unit{"T", 1 << 40}, unit{"G", 1 << 30}, unit{"M", 1 << 20}, unit{"K", 1 << 10}, unit{"k", 1 << 10},
		unit{"B", 1})
}

// ParseSize reads a size: digits, an optional fraction (only with a unit) and
// an optional unit. The result must be a whole number of bytes.
func ParseSize(s string) (Size, error) {
	t := strings.TrimSpace(s)
	factor := int64(1)
	number := t
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(t, u.suffix); ok {
			factor, number = u.bytes, strings.TrimSpace(rest)
			break
		}
	}
	whole, fraction, hasPoint := strings.Cut(number, ".")
	if !digits(whole) || hasPoint && (!digits(fraction) || len(fraction) > 6) {
		return 0, fmt.Errorf("%q is no size; write bytes or a number with a unit, like 10GiB, 1.5TiB or 500MB", clip(s))
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("size %q is too large; the most is %s", clip(s), Size(math.MaxInt64))
	}
	n *= factor
	if hasPoint {
		f, _ := strconv.ParseInt(fraction, 10, 64) // at most six digits: cannot fail
		scale := int64(math.Pow10(len(fraction)))
		// factor is below 2^50 and f below 2^20, so split to stay in range.
		part := factor/scale*f + factor%scale*f/scale
		if factor%scale*f%scale != 0 {
			return 0, fmt.Errorf("size %q is no whole number of bytes", clip(s))
		}
		if n > math.MaxInt64-part {
			return 0, fmt.Errorf("size %q is too large; the most is %s", clip(s), Size(math.MaxInt64))
		}
		n += part
	}
	return Size(n), nil
}

func digits(s string) bool {
	if s == "" || len(s) > 19 {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// clip shortens text from outside for an error message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// String prints the size exactly, in the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range binaryUnits() {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Human prints the size for people, rounded to one decimal: 3.2 GiB.
func (s Size) Human() string {
	for _, u := range binaryUnits() {
		if int64(s) >= u.bytes {
			t := strconv.FormatFloat(float64(s)/float64(u.bytes), 'f', 1, 64)
			return strings.TrimSuffix(t, ".0") + " " + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + " bytes"
}

// MarshalYAML writes the size with its unit.
func (s Size) MarshalYAML() (any, error) {
	if t := s.String(); !digits(t) {
		return t, nil
	}
	return int64(s), nil
}

// UnmarshalJSON takes a number of bytes or a string with a unit.
func (s *Size) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	if text == "null" {
		return nil
	}
	n, err := ParseSize(text)
	if err != nil {
		return err
	}
	*s = n
	return nil
}

package frame

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Field is one line of a form. Exactly one of Text, Lines, Yes, One, Many and
// Note is set; what the pointer leads to is the field's value, before and
// after.
type Field struct {
	Label string
	Hint  string // shown while the field has the keys: what it is for, what is safe
	// Show says whether the field is there now; always if nil. It may look at
	// the values of others.
	Show func() bool

	Text   *string            // typed
	Check  func(string) error // of Text or Lines, after each key
	Secret bool               // of Text: not shown

	Lines *string // typed, several lines

	Yes *bool

	One  *string // the Value of one of the options
	Many *[]string
	// Options are what One and Many are chosen from; Load reads them when the
	// field is opened, if they are not known before.
	Options []Option
	Load    func(context.Context) ([]Option, error)
	Columns []string // titles over the options' cells

	Note string // a sentence between fields
	// Changed is called after the value changed.
	Changed func()
}

// Option is something that can be chosen.
type Option struct {
	Value string
	Cells []string // what is shown; Value if there are none
	// Why it cannot be chosen: a sentence. Nothing if it can.
	Why string
}

// Options are options that are shown as they are.
func Options(values ...string) []Option {
	var o []Option
	for _, v := range values {
		o = append(o, Option{Value: v})
	}
	return o
}

func (o Option) cells() []string {
	if len(o.Cells) == 0 {
		return []string{o.Value}
	}
	return o.Cells
}

// Needed refuses nothing typed.
func Needed(s string) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("this is needed")
	}
	return nil
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// Name returns a check of a new name: letters, digits and . _ -, not one of
// those that are taken.
func Name(longest int, taken []string) func(string) error {
	return func(s string) error {
		switch {
		case s == "":
			return fmt.Errorf("a name is needed")
		case len(s) > longest:
			return fmt.Errorf("%d characters are too many; %d at most", len(s), longest)
		case !name.MatchString(s):
			return fmt.Errorf("letters, digits and . _ - only, a letter or digit first")
		case slices.Contains(taken, s):
			return fmt.Errorf("%s is there already", s)
		}
		return nil
	}
}

// Size checks a size in any unit; nothing typed is allowed if optional.
func Size(optional bool) func(string) error {
	return func(s string) error {
		if s == "" && optional {
			return nil
		}
		v, err := config.ParseSize(s)
		if err != nil {
			return fmt.Errorf("a size such as 10GiB, 1.5TB or 512MiB")
		}
		if v <= 0 {
			return fmt.Errorf("more than nothing")
		}
		return nil
	}
}

// Number returns a check of a whole number.
func Number(least, most int) func(string) error {
	return func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return fmt.Errorf("a whole number from %d to %d", least, most)
		}
		return nil
	}
}

// Address checks an IPv4 or IPv6 address.
func Address(s string) error {
	if _, err := netip.ParseAddr(s); err != nil {
		return fmt.Errorf("an address such as 192.0.2.10 or 2001:db8::10")
	}
	return nil
}

// Prefix checks an address with the length of its network.
func Prefix(s string) error {
	if _, err := netip.ParsePrefix(s); err != nil {
		return fmt.Errorf("an address with its network's length, such as 192.0.2.10/24 or 2001:db8::10/64")
	}
	return nil
}

// Each returns a check of words with commas or blanks between them, each of
// which each passes.
func Each(each func(string) error) func(string) error {
	return func(s string) error {
		for _, w := range Words(s) {
			if err := each(w); err != nil {
				return fmt.Errorf("%s: %w", w, err)
			}
		}
		return nil
	}
}

// Words are the words of a text, with commas or blanks between them.
func Words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

// Optional lets nothing pass, and all else that check lets.
func Optional(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

// Same refuses what differs from what was typed before.
func Same(as *string) func(string) error {
	return func(s string) error {
		if s != *as {
			return fmt.Errorf("not the same as above")
		}
		return nil
	}
}

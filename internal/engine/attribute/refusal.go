package attribute

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// refused says what the kernel does not take.
func refused(name, value, now string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "; it can only be read"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ERANGE):
		hint = "; the value is none that it can have, or cannot change while the object is in use"
	case errors.Is(err, unix.EBUSY):
		hint = "; it cannot change while the object is in use"
	}
	return fmt.Errorf("set attribute %s to %q: %w (it reads %q%s)", name, value, err, now, hint)
}

// unknown refuses a name that the kernel does not have, and tells those that it
// has, the nearest ones first.
func unknown(name string, names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("the kernel has no attribute %s here, nor any other; remove it", name)
	}
	near := slices.Clone(names)
	slices.Sort(near)
	slices.SortStableFunc(near, func(a, b string) int { return distance(name, a) - distance(name, b) })
	return fmt.Errorf("the kernel has no attribute %s here; it has %s", name, strings.Join(near, ", "))
}

// distance is the number of single edits from a to b, a part of the other
// counting less than other edits.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	if strings.Contains(a, b) || strings.Contains(b, a) {
		return row[len(b)] / 2
	}
	return row[len(b)]
}

// Owned are attributes that ESOS sets itself, each with what says it: a key of
// the document, or a reason that begins with a blank.
type Owned map[string]string

// Problem says why a document may not name an attribute, "" if it may.
func (o Owned) Problem(name string) string {
	by, owned := o[name]
	switch {
	case !owned:
		return ""
	case strings.HasPrefix(by, " "):
		return fmt.Sprintf("attribute %s is ESOS's own:%s; remove it", name, by)
	}
	return fmt.Sprintf("attribute %s is said by %s; write that instead", name, by)
}

// Problems says why a document may not name some of its attributes.
func (o Owned) Problems(attributes map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if why := o.Problem(name); why != "" {
			all = append(all, why)
		}
	}
	return all
}

// Unknown says which attributes an object that is there does not have, before
// anything is changed. What cannot be looked at is seen when it is put.
func Unknown(o Object, attributes map[string]string) []error {
	if len(attributes) == 0 {
		return nil
	}
	names, err := o.Names()
	if err != nil || len(names) == 0 {
		return nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if !slices.Contains(names, name) {
			errs = append(errs, unknown(name, names))
		}
	}
	return errs
}

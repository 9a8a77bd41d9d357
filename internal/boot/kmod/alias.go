package kmod

import (
	"slices"
	"strings"
)

// aliases finds the patterns that match a device among thousands. They are
// kept by what stands before their first wildcard, so that a look-up compares
// with the few patterns whose beginning is right.
type aliases struct {
	byPrefix map[string][]alias
	lengths  []int // of the prefixes there are, ascending
}

type alias struct {
	rest string // of the pattern, after the prefix
	name string // of the module
}

func (a *aliases) add(pattern, name string) {
	// In modules.alias a dash stands for itself in device aliases only; in the
	// aliases of names (fs-ext4, crypto-sha256) depmod keeps it as well.
	n := strings.IndexAny(pattern, `*?[\`)
	if n < 0 {
		n = len(pattern)
	}
	if a.byPrefix == nil {
		a.byPrefix = map[string][]alias{}
	}
	if i, found := slices.BinarySearch(a.lengths, n); !found {
		a.lengths = slices.Insert(a.lengths, i, n)
	}
	a.byPrefix[pattern[:n]] = append(a.byPrefix[pattern[:n]], alias{pattern[n:], name})
}

// match returns the names of the modules whose aliases match s, each once, in
// the order of the list.
func (a *aliases) match(s string) []string {
	var names []string
	for _, n := range a.lengths {
		if n > len(s) {
			break
		}
		for _, c := range a.byPrefix[s[:n]] {
			if !slices.Contains(names, c.name) && glob(c.rest, s[n:]) {
				names = append(names, c.name)
			}
		}
	}
	return names
}

// glob matches as fnmatch(3) does without flags: modules.alias has *, ? and
// [a-z], and * matches any character.
func glob(pattern, s string) bool {
	// Where to go on when what follows the last * does not fit: one character
	// later. Only the last star matters, so this takes len(pattern)*len(s) at most.
	starPattern, starText := "", ""
	star := false
	for {
		if pattern == "" && s == "" {
			return true
		}
		if pattern != "" && pattern[0] == '*' {
			pattern = pattern[1:]
			starPattern, starText, star = pattern, s, true
			continue
		}
		if rest, ok := one(pattern, s); ok {
			pattern, s = rest, s[1:]
			continue
		}
		if !star || starText == "" {
			return false
		}
		starText = starText[1:]
		pattern, s = starPattern, starText
	}
}

// one tells whether the first character of s fits the first element of
// pattern, and returns the pattern after that element.
func one(pattern, s string) (rest string, ok bool) {
	if pattern == "" || s == "" {
		return "", false
	}
	switch pattern[0] {
	case '?':
		return pattern[1:], true
	case '\\':
		if len(pattern) > 1 {
			pattern = pattern[1:]
		}
	case '[':
		end := strings.IndexByte(pattern, ']')
		if end > 1 {
			return pattern[end+1:], inSet(pattern[1:end], s[0])
		}
	}
	return pattern[1:], pattern[0] == s[0]
}

// inSet tells whether c is in a set such as a-fx; ! before it negates.
func inSet(set string, c byte) bool {
	negated := set[0] == '!' || set[0] == '^'
	if negated {
		set = set[1:]
	}
	for i := 0; i < len(set); i++ {
		low, high := set[i], set[i]
		if i+2 < len(set) && set[i+1] == '-' {
			high = set[i+2]
			i += 2
		}
		if low <= c && c <= high {
			return !negated
		}
	}
	return negated
}

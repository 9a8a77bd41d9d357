package scsi

import "strings"

// pattern is one initiator of a host group, in SCST's form: a name, in which
// "*" stands for any text and "?" for any one character; a leading "!" keeps
// initiators out that the rest matches. Case does not matter: iSCSI names are
// compared after folding it (RFC 3722).
type pattern struct {
	text   string // lower case
	except bool
	wild   bool
}

func newPattern(s string) pattern {
	s = strings.ToLower(strings.TrimSpace(s))
	text, except := strings.CutPrefix(s, "!")
	return pattern{text: text, except: except, wild: strings.ContainsAny(text, "*?")}
}

// match is how a host group matches an initiator.
type match int

const (
	matchNone match = iota
	matchPattern
	matchExact
)

// matchInitiator says whether patterns take an initiator in: one of them must
// match and no "!" pattern may. A group of "!" patterns alone takes in
// nobody.
func matchInitiator(patterns []pattern, name string) match {
	name = strings.ToLower(name)
	how := matchNone
	for _, p := range patterns {
		switch {
		case p.except && glob(p.text, name):
			return matchNone
		case p.except:
		case !p.wild && p.text == name:
			how = matchExact
		case p.wild && how == matchNone && glob(p.text, name):
			how = matchPattern
		}
	}
	return how
}

// MatchInitiator says whether one of SCST's initiator patterns matches a name
// and none with a leading "!" does, as for a host group.
func MatchInitiator(patterns []string, name string) bool {
	return matchInitiator(newPatterns(patterns), name) != matchNone
}

func newPatterns(text []string) []pattern {
	all := make([]pattern, 0, len(text))
	for _, s := range text {
		all = append(all, newPattern(s))
	}
	return all
}

// glob matches s against a pattern of "*" and "?". It goes back to the last
// "*" only, so its time is bounded by the product of the lengths.
func glob(p, s string) bool {
	var i, j int
	star, mark := -1, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

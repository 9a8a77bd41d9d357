package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a document, or doubtful.
type Problem struct {
	Path    string `json:"path"`           // like targets[1].groups[0].luns[2].device; "" is the document
	Message string `json:"message"`        // a sentence for people, without a full stop
	File    string `json:"file,omitempty"` // where it was read from
	Line    int    `json:"line,omitempty"` // from 1; 0 when it was not read from text
	Column  int    `json:"column,omitempty"`
	Warning bool   `json:"warning,omitempty"` // doubtful only: the document can be applied
}

// String is "file:line:column: path: message", without the parts not known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		b.WriteByte(':')
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are all that was found, in the order of the document. As an error
// it has one line a problem.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns those that forbid to apply the document as an error (a
// Problems), nil if there are none.
func (ps Problems) Err() error {
	if errs := ps.pick(false); len(errs) > 0 {
		return errs
	}
	return nil
}

// Warnings returns those that do not forbid to apply the document.
func (ps Problems) Warnings() Problems { return ps.pick(true) }

func (ps Problems) pick(warning bool) Problems {
	var picked Problems
	for _, p := range ps {
		if p.Warning == warning {
			picked = append(picked, p)
		}
	}
	return picked
}

// nearest returns " (did you mean ...)" text for a name that is not among
// names, "" if none is near.
func nearest(name string, names []string) string {
	best, least := "", len(name)/3+1
	if len(name) > 256 {
		return ""
	}
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n), least); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of single edits (insert, delete, replace, swap of
// neighbours) from a to b; at least limit when it is limit or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(b)], limit)
}

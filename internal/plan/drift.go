package plan

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Drift is a part of the machine that is otherwise than the document in force
// says: somebody changed it by hand.
type Drift struct {
	Object string    `json:"object"`
	What   DriftKind `json:"what"`
	// Message says in words what an object of that kind is now.
	Message string `json:"message"`
	// Fields differ: Old is as declared, New as it is.
	Fields []config.FieldChange `json:"fields,omitempty"`
	// Foreign says that somebody else set the object up whole.
	Foreign bool `json:"foreign,omitempty"`
	// Left says that this plan leaves it as it is.
	Left bool `json:"left,omitempty"`
}

// DriftKind is what somebody did to an object.
type DriftKind string

// Kinds of drift.
const (
	Added   DriftKind = "added"   // it is there, and not declared
	Changed DriftKind = "changed" // it is there, with other settings
	Missing DriftKind = "missing" // it is declared, and not there
)

// String is a line with a leading +, ~ or -, and an indented line a setting.
func (d Drift) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", map[DriftKind]string{Added: "+", Changed: "~", Missing: "-"}[d.What], d.Object, d.Message)
	for _, f := range d.Fields {
		show := func(s string) string { return cmp.Or(s, "(default)") }
		b.WriteString("\n      " + f.Field + ": ")
		switch {
		case d.What == Added:
			b.WriteString(f.New)
		case f.Old == f.New:
			b.WriteString("changed") // a secret
		default:
			b.WriteString("declared " + show(f.Old) + ", is " + show(f.New))
		}
	}
	return b.String()
}

// DriftText renders what was changed by hand, under a heading of its own; ""
// if nothing was.
func (p *Plan) DriftText() string {
	if len(p.Drift) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("changed by hand, not by esos:\n")
	left := 0
	for _, d := range p.Drift {
		for line := range strings.Lines(d.String()) {
			b.WriteString("  " + line)
		}
		b.WriteByte('\n')
		if d.Left {
			left++
		}
	}
	switch {
	case left == 0:
		b.WriteString("  The steps of this plan undo it.\n")
	case left == len(p.Drift):
		b.WriteString("  It is left as it is: 'esos drift revert' undoes it, 'esos drift adopt' writes it into the document.\n")
	case left > 0:
		fmt.Fprintf(&b, "  Of this, %d of %d are left as they are: 'esos drift' tells what to do.\n", left, len(p.Drift))
	}
	return b.String()
}

package plan

import (
	"fmt"
	"strings"
)

// Text renders the plan for people: a line a step, what it changes below it,
// what it destroys marked with !!, what was changed by hand apart from that, and
// a summary at the end. destroy is what is named already.
func (p *Plan) Text(destroy []string) string {
	var b strings.Builder
	if len(p.Adopts) > 0 {
		b.WriteString("written into the document, as it is on the machine:\n")
		for _, c := range p.Adopts {
			for line := range strings.Lines(c.String()) {
				b.WriteString("  " + line)
			}
			b.WriteByte('\n')
		}
	}
	var create, change, remove int
	for i := range p.Steps {
		s := &p.Steps[i]
		sign := "~"
		switch s.Action {
		case Create:
			sign = "+"
			create++
		case Delete:
			sign = "-"
			remove++
		default:
			change++
		}
		fmt.Fprintf(&b, "%s %s\n", sign, s.Sentence)
		if s.Action == Change {
			for _, c := range s.Changes {
				fmt.Fprintf(&b, "      %s\n", c)
			}
		}
		if s.Disrupts != "" {
			fmt.Fprintf(&b, "   !  %s\n", s.Disrupts)
		}
		if s.Destroys != "" {
			fmt.Fprintf(&b, "   !! %s", s.Destroys)
			if !s.Allowed(destroy) {
				fmt.Fprintf(&b, "; refused without --destroy %s", s.consent())
			}
			b.WriteByte('\n')
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "  note: %s: %s\n", n.Object, n.Message)
	}
	for _, n := range p.Problems {
		fmt.Fprintf(&b, "  refused: %s: %s\n", n.Object, n.Message)
	}
	b.WriteString(p.DriftText())
	switch {
	case p.Empty() && (len(p.Problems) > 0 || len(p.Adopts) > 0):
	case p.Empty():
		b.WriteString("no changes\n")
	default:
		fmt.Fprintf(&b, "%s: %d to create, %d to change, %d to delete\n", count(len(p.Steps), "step"), create, change, remove)
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

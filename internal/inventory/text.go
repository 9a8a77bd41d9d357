package inventory

import (
	"fmt"
	"strings"
)

// Text is a line for each pair, with the values below each other.
func (p Pairs) Text() string {
	w := 0
	for _, x := range p {
		w = max(w, len(x.Name))
	}
	var b strings.Builder
	for _, x := range p {
		fmt.Fprintf(&b, "%-*s  %s\n", w+1, x.Name+":", x.Value)
	}
	return b.String()
}

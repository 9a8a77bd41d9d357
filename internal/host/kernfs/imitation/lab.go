package imitation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Lab is what a test does with an imitation.
type Lab struct{ objects *Objects }

// NewLab is for tests of what works on o.
func NewLab(o *Objects) Lab { return Lab{o} }

// Requests returns what changed something since the last call, one line each.
// Secrets are left out.
func (l Lab) Requests() []string {
	l.objects.Lock()
	defer l.objects.Unlock()
	log := l.objects.log
	l.objects.log = nil
	return log
}

// FailAfter has every request fail once n more were taken, as if the process
// that asks had died there; n < 0 ends that.
func (l Lab) FailAfter(n int) {
	l.objects.Lock()
	defer l.objects.Unlock()
	l.objects.fail, l.objects.once = n, false
}

// FailOnce has one request fail once n more were taken.
func (l Lab) FailOnce(n int) {
	l.objects.Lock()
	defer l.objects.Unlock()
	l.objects.fail, l.objects.once = n, true
}

// Dump is the whole tree as text, to compare two of them.
func (l Lab) Dump() string {
	l.objects.Lock()
	defer l.objects.Unlock()
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(l.objects.nodes)) {
		switch n := l.objects.nodes[p]; {
		case n.Link != "":
			fmt.Fprintf(&b, "%s -> %s\n", p, n.Link)
		case n.Dir:
			fmt.Fprintf(&b, "%s/\n", p)
		default:
			fmt.Fprintf(&b, "%s = %q\n", p, n.Text)
		}
	}
	return b.String()
}

package scstfake

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mgmt adds a file that takes requests, with the text that it reads.
func (t *Tree) mgmt(dir, help string, write func(verb string, args []string, rest string) error) {
	t.k.File(path.Join(dir, "mgmt"), strings.TrimSuffix(help, "\n"), 'b', func(text string) error {
		verb, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		return write(verb, strings.Fields(rest), rest)
	})
}

// refuse is an error of the kernel with what it writes into its log.
func (t *Tree) refuse(err unix.Errno, format string, args ...any) error {
	t.klog = append(t.klog, "scst: ***ERROR***: "+fmt.Sprintf(format, args...))
	return err
}

// Listen gives what the kernel wrote into its log since.
func (t *Tree) Listen() (func() []string, error) {
	t.k.Lock()
	defer t.k.Unlock()
	from := len(t.klog)
	return func() []string {
		t.k.Lock()
		defer t.k.Unlock()
		return slices.Clone(t.klog[from:])
	}, nil
}

// parameters splits "k=v; k=v"; what is not advertised is an error.
func (t *Tree) parameters(rest string, known []string) (map[string]string, error) {
	out := map[string]string{}
	for _, part := range strings.FieldsFunc(rest, func(r rune) bool { return r == ';' || r == '\n' }) {
		words := strings.FieldsFunc(part, func(r rune) bool { return r == '=' || r == ' ' || r == '\t' })
		if len(words) == 0 {
			continue
		}
		if !slices.Contains(known, words[0]) || slices.Contains(t.opt.Lacks, words[0]) {
			return nil, t.refuse(unix.EINVAL, "Unknown parameter %s", words[0])
		}
		out[words[0]] = ""
		if len(words) > 1 {
			out[words[0]] = words[1]
		}
	}
	return out, nil
}

// advertised are the names of a list that this SCST has.
func (t *Tree) advertised(names []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(t.opt.Lacks, n) }), ", ")
}

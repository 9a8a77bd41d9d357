package scstfake

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// add puts a node into the tree.
func (t *Tree) add(p string, n *node) {
	p = path.Clean(p)
	t.nodes[p] = n
	dir := path.Dir(p)
	if p == "." {
		return
	}
	if t.kids[dir] == nil {
		t.kids[dir] = map[string]bool{}
	}
	t.kids[dir][path.Base(p)] = true
}

func (t *Tree) dir(p string) { t.add(p, &node{dir: true}) }

func (t *Tree) link(p, to string) { t.add(p, &node{link: path.Clean(to)}) }

// file adds an attribute, unless this SCST does not have it.
func (t *Tree) file(p, text string, mode byte, write func(string) error) *node {
	n := &node{text: text, mode: mode, write: write}
	if !slices.Contains(t.opt.Lacks, path.Base(p)) {
		t.add(p, n)
	}
	return n
}

// mgmt adds a file that takes requests, with the text that it reads.
func (t *Tree) mgmt(dir, help string, write func(verb string, args []string, rest string) error) {
	t.file(path.Join(dir, "mgmt"), strings.TrimSuffix(help, "\n"), 'b', func(text string) error {
		verb, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		return write(verb, strings.Fields(rest), rest)
	})
}

// children lists the names below a directory, sorted.
func (t *Tree) children(p string) []string { return slices.Sorted(maps.Keys(t.kids[p])) }

// drop removes a node with all that is below it.
func (t *Tree) drop(p string) {
	for name := range t.kids[p] {
		t.drop(path.Join(p, name))
	}
	delete(t.kids, p)
	delete(t.nodes, p)
	delete(t.kids[path.Dir(p)], path.Base(p))
}

func (t *Tree) there(p string) bool { return t.nodes[path.Clean(p)] != nil }

// refuse is an error of the kernel with what it writes into its log.
func (t *Tree) refuse(err unix.Errno, format string, args ...any) error {
	t.klog = append(t.klog, "scst: ***ERROR***: "+fmt.Sprintf(format, args...))
	return err
}

// Listen gives what the kernel wrote into its log since.
func (t *Tree) Listen() (func() []string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := len(t.klog)
	return func() []string {
		t.mu.Lock()
		defer t.mu.Unlock()
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

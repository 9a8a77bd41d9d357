package nvmetfake

import (
	"maps"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

func (t *Tree) fixedDir(p string) { t.add(p, &node{dir: true, fixed: true}) }

// file adds a setting, unless this kernel does not have it.
func (t *Tree) file(p, text string, mode byte, write func(string) error) {
	if !slices.Contains(t.opt.Lacks, path.Base(p)) {
		t.add(p, &node{text: text, mode: mode, perm: 0o644, write: write})
	}
}

// text reads a setting; "" if there is none.
func (t *Tree) text(p string) string {
	if n := t.nodes[p]; n != nil {
		return n.text
	}
	return ""
}

// add puts a node into the tree.
func (t *Tree) add(p string, n *node) {
	t.nodes[p] = n
	dir := path.Dir(p)
	if t.kids[dir] == nil {
		t.kids[dir] = map[string]bool{}
	}
	t.kids[dir][path.Base(p)] = true
	if n.link != "" {
		t.leads[n.link]++
	}
}

// del takes one node out of the tree.
func (t *Tree) del(p string) {
	if n := t.nodes[p]; n != nil && n.link != "" {
		t.leads[n.link]--
	}
	delete(t.nodes, p)
	delete(t.kids[path.Dir(p)], path.Base(p))
}

// children lists the names below a directory, sorted.
func (t *Tree) children(p string) []string { return slices.Sorted(maps.Keys(t.kids[p])) }

// drop removes a directory with what came along with it.
func (t *Tree) drop(p string) {
	for name := range t.kids[p] {
		t.drop(path.Join(p, name))
	}
	delete(t.kids, p)
	t.del(p)
}

// busy says why a directory cannot be removed: a link leads to it, or
// something that somebody made is in it (configfs_detach_prep).
func (t *Tree) busy(p string) error {
	if t.leads[p] > 0 {
		return unix.EBUSY
	}
	for name := range t.kids[p] {
		q := path.Join(p, name)
		switch n := t.nodes[q]; {
		case n.link != "", n.dir && !n.fixed:
			return unix.ENOTEMPTY
		case n.dir:
			if err := t.busy(q); err != nil {
				return err
			}
		}
	}
	return nil
}

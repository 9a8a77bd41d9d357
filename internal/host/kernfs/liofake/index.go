package liofake

import (
	"maps"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

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

// busy says why a directory cannot be removed: a link leads to it or is in
// it, or an object that somebody made is in it. Links to what came along with
// it (a LUN's statistics, say) do not exist.
func (t *Tree) busy(p string) error {
	if t.leads[p] > 0 {
		return unix.EBUSY
	}
	for name := range t.kids[p] {
		q := path.Join(p, name)
		n := t.nodes[q]
		switch {
		case n.link != "":
			return unix.EBUSY
		case n.dir && !n.fixed:
			return unix.ENOTEMPTY
		case n.dir:
			if err := t.busy(q); err != nil {
				return err
			}
		}
	}
	return nil
}

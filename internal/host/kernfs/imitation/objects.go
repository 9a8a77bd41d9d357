// Package imitation imitates file systems of the kernel's own in memory, for
// the packages that say which kernel it is (liofake, nvmetfake, scstfake): what
// objects there are, what is asked of them, and what configfs answers by itself.
// Requests are counted, and can be made to fail.
package imitation

import (
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Objects are the directories, files and links of a kernel's tree, by path.
// Who uses them holds their lock.
type Objects struct {
	sync.Mutex
	lacks []string
	nodes map[string]*Node
	kids  map[string]map[string]bool // names in a directory
	leads map[string]int             // links to an object

	log  []string // requests that changed something
	fail int      // how many more requests are taken before all fail; < 0: no end
	once bool     // only one of them fails
}

// Node is a directory, a file or a link.
type Node struct {
	Dir   bool
	Fixed bool   // came with its parent: nobody makes or removes it
	Link  string // where a link leads
	Text  string // what a file reads
	Key   bool   // of SCST: marked as one that must be kept
	Mode  byte   // 'r', 'w', or 'b' for both
	Perm  fs.FileMode
	Read  func() string // instead of Text
	// Unreadable says why reading fails, if it does.
	Unreadable func() error
	Write      func(text string) error
	Unlink     func()
}

// NewObjects makes an empty tree, of a kernel without the files of some names.
func NewObjects(lacks []string) *Objects {
	return &Objects{
		lacks: lacks, fail: -1, leads: map[string]int{}, kids: map[string]map[string]bool{},
		nodes: map[string]*Node{".": {Dir: true, Fixed: true}},
	}
}

// At is the node of a path, nil if there is none.
func (o *Objects) At(p string) *Node { return o.nodes[path.Clean(p)] }

// There says whether there is a node.
func (o *Objects) There(p string) bool { return o.At(p) != nil }

// All are the nodes by their paths, in no order.
func (o *Objects) All() iter.Seq2[string, *Node] { return maps.All(o.nodes) }

// Text is what a file holds, "" if there is none.
func (o *Objects) Text(p string) string {
	if n := o.At(p); n != nil {
		return n.Text
	}
	return ""
}

// Children lists the names below a directory, sorted.
func (o *Objects) Children(p string) []string { return slices.Sorted(maps.Keys(o.kids[p])) }

// Leads says whether a link leads to an object.
func (o *Objects) Leads(p string) bool { return o.leads[p] > 0 }

// Add puts a node into the tree.
func (o *Objects) Add(p string, n *Node) {
	p = path.Clean(p)
	if old := o.nodes[p]; old != nil && old.Link != "" {
		o.leads[old.Link]--
	}
	o.nodes[p] = n
	dir := path.Dir(p)
	if o.kids[dir] == nil {
		o.kids[dir] = map[string]bool{}
	}
	o.kids[dir][path.Base(p)] = true
	if n.Link != "" {
		o.leads[n.Link]++
	}
}

// Dir adds a directory that comes with its parent.
func (o *Objects) Dir(p string) { o.Add(p, &Node{Dir: true, Fixed: true}) }

// Link adds a link.
func (o *Objects) Link(p, to string) { o.Add(p, &Node{Link: path.Clean(to)}) }

// File adds a file, unless this kernel does not have it.
func (o *Objects) File(p, text string, mode byte, write func(string) error) *Node {
	n := &Node{Text: text, Mode: mode, Perm: 0o644, Write: write}
	if !slices.Contains(o.lacks, path.Base(p)) {
		o.Add(p, n)
	}
	return n
}

// Drop removes a node with all that is below it.
func (o *Objects) Drop(p string) {
	for name := range o.kids[p] {
		o.Drop(path.Join(p, name))
	}
	if n := o.nodes[p]; n != nil && n.Link != "" {
		o.leads[n.Link]--
	}
	delete(o.kids, p)
	delete(o.nodes, p)
	delete(o.kids[path.Dir(p)], path.Base(p))
}

// Fails counts a request, and says whether it is one that fails.
func (o *Objects) Fails() bool {
	if o.fail == 0 {
		if o.once {
			o.fail = -1
		}
		return true
	}
	if o.fail > 0 {
		o.fail--
	}
	return false
}

// Note takes note of a request.
func (o *Objects) Note(op, p, what string) {
	o.log = append(o.log, strings.TrimSpace(op+" "+p+" "+what))
}

// Take takes a request, or fails it.
func (o *Objects) Take(op, p, what string) error {
	if o.Fails() {
		return Refusal(op, p, unix.EIO)
	}
	o.Note(op, p, what)
	return nil
}

// Refuse takes back the last request: the kernel did nothing of it.
func (o *Objects) Refuse(op, p string, err error) error {
	o.log = o.log[:len(o.log)-1]
	return Refusal(op, p, err)
}

// Refusal is an error as the system calls have it.
func Refusal(op, p string, err error) error { return &fs.PathError{Op: op, Path: p, Err: err} }

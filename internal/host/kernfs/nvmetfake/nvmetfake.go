// Package nvmetfake imitates the configfs tree of the kernel's NVMe target in
// memory, as drivers/nvme/target/configfs.c and core.c have it: which files an
// object comes with, what each accepts and when, which links and removals are
// refused. Hosts connect to it, and are told what real ones are. It counts
// every request that changes something.
package nvmetfake

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Options say which kernel is imitated.
type Options struct {
	// NoAuth: built without CONFIG_NVME_TARGET_AUTH.
	NoAuth bool
	// NoDebug: it tells of no controllers (before Linux 6.11).
	NoDebug bool
	// Lacks are names of attributes that this kernel does not have.
	Lacks []string
	// Foreign are addresses that are not this machine's.
	Foreign []string
}

// Tree is nvmet's tree. Its methods are kernfs.Tree's.
type Tree struct {
	opt Options

	mu         sync.Mutex
	nodes      map[string]*node
	kids       map[string]map[string]bool // names in a directory
	leads      map[string]int             // links to an object
	log        []string                   // requests that changed something
	fail       int                        // how many more requests are taken before all fail; < 0: no end
	once       bool                       // only one of them fails
	discovered map[string]bool            // subsystems that a host has seen
	sizes      map[string]int64           // of enabled namespaces, by their directory
	hosts      []*Connection
	next       int // controller
	made       int // namespaces so far
}

// node is a directory, a file or a link.
type node struct {
	dir    bool
	fixed  bool   // came with its parent: nobody makes or removes it
	link   string // where a link leads
	text   string // what a file reads
	perm   fs.FileMode
	mode   byte // 'r', 'w', or 'b' for both
	write  func(text string) error
	unlink func()
}

// New makes the tree of a kernel that has just loaded nvmet.
func New(opt Options) *Tree {
	t := &Tree{opt: opt, nodes: map[string]*node{}, kids: map[string]map[string]bool{}, leads: map[string]int{}, fail: -1,
		discovered: map[string]bool{}, sizes: map[string]int64{}}
	t.nodes["."] = &node{dir: true, fixed: true}
	for _, dir := range []string{"hosts", "ports", "subsystems"} {
		t.fixedDir(dir)
	}
	t.file("discovery_nqn", discoveryNQN, 'b', nil)
	return t
}

const discoveryNQN = "nqn.2014-08.org.nvmexpress.discovery"

// Requests returns what changed something since the last call, one line each.
// Secrets are left out.
func (t *Tree) Requests() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.log
	t.log = nil
	return l
}

// FailAfter has every request fail once n more were taken, as if the process
// had died there; n < 0 ends that.
func (t *Tree) FailAfter(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail, t.once = n, false
}

// FailOnce has one request fail once n more were taken.
func (t *Tree) FailOnce(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail, t.once = n, true
}

// Dump is the whole tree as text, to compare two of them.
func (t *Tree) Dump() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(t.nodes)) {
		switch n := t.nodes[p]; {
		case n.link != "":
			fmt.Fprintf(&b, "%s -> %s\n", p, n.link)
		case n.dir:
			fmt.Fprintf(&b, "%s/\n", p)
		default:
			fmt.Fprintf(&b, "%s = %q\n", p, n.text)
		}
	}
	return b.String()
}

// change takes a request, or fails it. The caller holds mu.
func (t *Tree) change(op, p, what string) error {
	if t.fail == 0 {
		if t.once {
			t.fail = -1
		}
		return fail(op, p, unix.EIO)
	}
	if t.fail > 0 {
		t.fail--
	}
	t.log = append(t.log, strings.TrimSpace(op+" "+p+" "+what))
	return nil
}

// refused takes back the last request: the kernel did nothing of it.
func (t *Tree) refused(op, p string, err error) error {
	t.log = t.log[:len(t.log)-1]
	return fail(op, p, err)
}

func fail(op, p string, err error) error { return &fs.PathError{Op: op, Path: p, Err: err} }

// Mkdir makes an object, if there are objects of its kind there.
func (t *Tree) Mkdir(p string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	parent := t.nodes[path.Dir(p)]
	switch {
	case parent == nil:
		return fail("mkdir", p, unix.ENOENT)
	case !parent.dir:
		return fail("mkdir", p, unix.ENOTDIR)
	case t.nodes[p] != nil:
		return fail("mkdir", p, unix.EEXIST)
	}
	if err := t.change("mkdir", p, ""); err != nil {
		return err
	}
	if err := t.make(p); err != nil {
		t.drop(p)
		return t.refused("mkdir", p, err)
	}
	return nil
}

// Rmdir ends an object that nothing is in and nothing leads to.
func (t *Tree) Rmdir(p string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	n := t.nodes[p]
	switch {
	case n == nil:
		return fail("rmdir", p, unix.ENOENT)
	case !n.dir:
		return fail("rmdir", p, unix.ENOTDIR)
	case n.fixed:
		return fail("rmdir", p, unix.EPERM)
	}
	if err := t.busy(p); err != nil {
		return fail("rmdir", p, err)
	}
	if err := t.change("rmdir", p, ""); err != nil {
		return err
	}
	t.removed(p)
	t.drop(p)
	return nil
}

// WriteFile sets a setting.
func (t *Tree) WriteFile(p, text string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	n := t.nodes[p]
	switch {
	case n == nil:
		return fail("open", p, unix.ENOENT)
	case n.dir:
		return fail("open", p, unix.EISDIR)
	case n.mode == 'r':
		return fail("open", p, unix.EACCES)
	case len(text) >= 4096:
		return fail("write", p, unix.EINVAL)
	case text == "":
		return nil // write(2) of no bytes is no request
	}
	shown := text
	if strings.HasSuffix(p, "_key") {
		shown = "(secret)"
	}
	if err := t.change("write", p, shown); err != nil {
		return err
	}
	if n.write == nil {
		n.text = strings.TrimRight(text, "\n")
		return nil
	}
	if err := n.write(text); err != nil {
		return t.refused("write", p, err)
	}
	return nil
}

// ReadFile reads a setting.
func (t *Tree) ReadFile(p string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	n := t.nodes[p]
	switch {
	case n == nil:
		return "", fail("open", p, unix.ENOENT)
	case n.dir:
		return "", fail("read", p, unix.EISDIR)
	case n.mode == 'w':
		return "", fail("open", p, unix.EACCES)
	}
	return n.text + "\n", nil
}

// Chmod sets who may read and write a setting.
func (t *Tree) Chmod(p string, mode fs.FileMode) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[path.Clean(p)]
	if n == nil {
		return fail("chmod", p, unix.ENOENT)
	}
	if n.perm == mode {
		return nil
	}
	if err := t.change("chmod", p, fmt.Sprintf("%o", mode)); err != nil {
		return err
	}
	n.perm = mode
	return nil
}

// Mode is who may read and write a setting.
func (t *Tree) Mode(p string) fs.FileMode {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[path.Clean(p)]; n != nil {
		return n.perm
	}
	return 0
}

// Symlink relates two objects.
func (t *Tree) Symlink(target, p string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	target, p = path.Clean(target), path.Clean(p)
	parent := t.nodes[path.Dir(p)]
	switch {
	case parent == nil || t.nodes[target] == nil:
		return fail("symlink", p, unix.ENOENT)
	case !parent.dir:
		return fail("symlink", p, unix.ENOTDIR)
	case t.nodes[p] != nil:
		return fail("symlink", p, unix.EEXIST)
	}
	if err := t.change("symlink", p, "-> "+target); err != nil {
		return err
	}
	if err := t.relate(target, p); err != nil {
		return t.refused("symlink", p, err)
	}
	return nil
}

// Readlink says where a link leads.
func (t *Tree) Readlink(p string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[path.Clean(p)]
	switch {
	case n == nil:
		return "", fail("readlink", p, unix.ENOENT)
	case n.link == "":
		return "", fail("readlink", p, unix.EINVAL)
	}
	return n.link, nil
}

// Remove takes a link away.
func (t *Tree) Remove(p string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	n := t.nodes[p]
	switch {
	case n == nil:
		return fail("unlink", p, unix.ENOENT)
	case n.link == "":
		return fail("unlink", p, unix.EPERM)
	}
	if err := t.change("unlink", p, ""); err != nil {
		return err
	}
	t.del(p)
	if n.unlink != nil {
		n.unlink()
	}
	return nil
}

// ReadDir lists an object.
func (t *Tree) ReadDir(p string) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	n := t.nodes[p]
	switch {
	case n == nil:
		return nil, fail("open", p, unix.ENOENT)
	case !n.dir:
		return nil, fail("readdir", p, unix.ENOTDIR)
	}
	return t.children(p), nil
}

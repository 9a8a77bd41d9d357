// Package liofake imitates the configfs tree of the kernel's target (LIO) in
// memory, as its sources document it: which files an object comes with, what
// each accepts and when, which links and removals are refused. It counts every
// request that changes something.
package liofake

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
	// RTPI: portal groups have a relative target port identifier that can be
	// set (Linux 6.5 and later).
	RTPI bool
	// NoTransitioning: the access state "transitioning" is not taken.
	NoTransitioning bool
	// Lacks are names of attributes that this kernel does not have.
	Lacks []string
	// Absent are modules that this machine does not have.
	Absent []string
	// Ports are those that it could serve at: GIDs as 0x and 32 hex digits,
	// WWPNs with colons.
	Ports []string
	// RDMA are addresses of RDMA devices.
	RDMA []string
	// SCSI are the types of its SCSI devices by HOST:CHANNEL:ID:LUN.
	SCSI map[string]int
}

// Tree is LIO's tree. Its methods are kernfs.Tree's.
type Tree struct {
	opt Options

	mu       sync.Mutex
	nodes    map[string]*node
	kids     map[string]map[string]bool // names in a directory
	leads    map[string]int             // links to an object
	restored map[string][]string        // registrations by storage object
	log      []string                   // requests that changed something
	fail     int                        // how many more requests are taken before all fail; < 0: no end
	sid      int
	sessions []Session
	modules  map[string]bool
	looped   map[string]int  // LUNs that a loopback portal group counts
	devices  map[string]bool // its LUNs: whether its SCSI host made a device of them
}

// node is a directory, a file or a link.
type node struct {
	dir   bool
	fixed bool   // came with its parent: nobody makes or removes it
	link  string // where a link leads
	text  string // what a file reads
	mode  byte   // 'r', 'w', or 'b' for both
	read  func() string
	// unreadable says why reading fails, if it does.
	unreadable func() error
	write      func(text string) error
	unlink     func()
}

// New makes the tree of a kernel that has just loaded target_core_mod.
func New(opt Options) *Tree {
	t := &Tree{opt: opt, nodes: map[string]*node{}, kids: map[string]map[string]bool{}, leads: map[string]int{}, restored: map[string][]string{}, fail: -1,
		modules: map[string]bool{}, looped: map[string]int{}, devices: map[string]bool{}}
	t.nodes["."] = &node{dir: true, fixed: true}
	t.fixedDir("core")
	t.fixedDir("core/alua")
	t.fixedDir("core/alua/lu_gps")
	t.fixedDir("core/alua/lu_gps/default_lu_gp")
	t.file("version", "Target Engine Core ConfigFS Infrastructure v5.0 on Linux/x86_64 on 6.12.0", 'r', nil)
	t.file("dbroot", "/var/target", 'b', t.setDBRoot)
	return t
}

// Requests returns what changed something since the last call, one line each.
// Secrets are left out.
func (t *Tree) Requests() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.log
	t.log = nil
	return l
}

// FailAfter has every request fail once n more were taken, as if the engine's
// process had died there; n < 0 ends that.
func (t *Tree) FailAfter(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = n
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
		return fail(op, p, unix.EIO)
	}
	if t.fail > 0 {
		t.fail--
	}
	t.log = append(t.log, strings.TrimSpace(op+" "+p+" "+what))
	return nil
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
		t.log = t.log[:len(t.log)-1]
		return fail("mkdir", p, err)
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
	case len(text) > 4096:
		return fail("write", p, unix.EINVAL)
	case text == "":
		return nil // write(2) of no bytes is no request
	}
	shown := text
	if strings.Contains(path.Base(p), "password") {
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
		t.log = t.log[:len(t.log)-1]
		return fail("write", p, err)
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
		return "", fail("open", p, unix.EACCES) // EACCES is what a mode of 0200 comes to
	case n.unreadable != nil && n.unreadable() != nil:
		return "", fail("read", p, n.unreadable())
	case n.read != nil:
		return n.read(), nil
	}
	return n.text + "\n", nil
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
		t.log = t.log[:len(t.log)-1]
		return fail("symlink", p, err)
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

func (t *Tree) fixedDir(p string) { t.add(p, &node{dir: true, fixed: true}) }

// file adds a setting, unless this kernel does not have it.
func (t *Tree) file(p, text string, mode byte, write func(string) error) *node {
	n := &node{text: text, mode: mode, write: write}
	if !slices.Contains(t.opt.Lacks, path.Base(p)) {
		t.add(p, n)
	}
	return n
}

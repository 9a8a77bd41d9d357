// Package scstfake imitates SCST's sysfs tree in memory, as SCST's documents
// and sources describe it: which objects come and go by which request, what
// each attribute accepts and when, and what SCST lets pass that it should not.
// It counts every request that changes something.
package scstfake

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Options say which SCST is imitated.
type Options struct {
	// EAGAIN answers EAGAIN to every write and to three of four reads, as
	// SCST's build option CONFIG_SCST_DEBUG_SYSFS_EAGAIN does.
	EAGAIN bool
	// Reassign moves sessions to the group that they match when groups
	// change; otherwise they stay in the one that they logged in to.
	Reassign bool
	// PRDir says whether the directory for persistent reservations is there;
	// nil for always.
	PRDir func() bool
	// Lacks are names of create parameters and attributes that this SCST does
	// not have.
	Lacks []string
	// Stat looks at backing files: their size, or fs.ErrNotExist.
	Stat func(path string) (int64, error)
	// Ports are the hardware targets, by driver.
	Ports map[string][]string
	// SCSI are the SCSI devices of the machine, H:C:I:L, by pass-through handler.
	SCSI map[string][]string
	// Linger is how often a session that was told to close is still there when
	// sessions are listed.
	Linger int
}

// Tree is SCST's tree. Its methods are kernfs.Tree's.
type Tree struct {
	opt Options

	mu    sync.Mutex
	nodes map[string]*node
	kids  map[string]map[string]bool // names in a directory
	log   []string                   // requests that changed something
	klog  []string                   // what the kernel wrote into its log
	fail  int                        // how many more requests are taken before all fail; < 0: no end

	work    func() error // accepted, still running
	polls   int          // how often it was asked for since
	last    int          // result of the last work
	raced   int          // requests that came before the last one's end
	reads   int
	exports int                 // number of the next exportN
	groups  map[string][]string // host groups of a target in the order of their making, by the target's path
	order   map[string][]string // initiators of a group in the same order, by the group's path
	daemon  bool
	ending  map[string]int // sessions that were told to close, and how often they are still seen
	gone    map[string]bool
}

// node is a directory, a file or a link.
type node struct {
	dir   bool
	link  string // where a link leads
	text  string // what a file reads
	key   bool   // marked as one that must be kept
	mode  byte   // 'r', 'w', or 'b' for both
	read  func() string
	write func(text string) error
}

// New makes the tree of a kernel that has just loaded SCST with its vdisk
// handlers, iSCSI and local target drivers.
func New(opt Options) *Tree {
	if opt.PRDir == nil {
		opt.PRDir = func() bool { return true }
	}
	if opt.Stat == nil {
		opt.Stat = func(string) (int64, error) { return 0, unix.ENOENT }
	}
	t := &Tree{
		opt: opt, nodes: map[string]*node{}, kids: map[string]map[string]bool{}, fail: -1, groups: map[string][]string{},
		order: map[string][]string{}, ending: map[string]int{}, gone: map[string]bool{},
	}
	for _, dir := range []string{".", "devices", "handlers", "targets", "device_groups", "sgv"} {
		t.dir(dir)
	}
	t.file("version", "3.11.0-pre\nSCST_TRACING", 'r', nil)
	t.file("setup_id", "0x0", 'b', nil)
	t.file("suspend", "0", 'b', nil)
	t.file("threads", "2", 'b', nil)
	t.handlers()
	t.drivers()
	t.deviceGroups()
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

// Raced counts requests that came while another one was running, and so took
// the place of its result.
func (t *Tree) Raced() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.raced
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

func fail(op, p string, err error) error { return &fs.PathError{Op: op, Path: p, Err: err} }

// WriteFile asks for something with one write(2).
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
	if t.fail == 0 {
		return fail("write", p, unix.EIO)
	}
	if t.fail > 0 {
		t.fail--
	}
	work := func() error {
		if err := t.perform(p, n, text); err != nil {
			return err
		}
		t.log = append(t.log, strings.TrimSpace("write "+p+" "+shown(text)))
		return nil
	}
	if t.opt.EAGAIN {
		if t.work != nil { // a second writer's result takes the first one's place
			t.raced++
			t.finish()
		}
		t.work, t.polls = work, 0
		return fail("write", p, unix.EAGAIN)
	}
	err := work()
	t.last = -int(errno(err))
	if err != nil {
		return fail("write", p, err)
	}
	return nil
}

// shown is a request as it is logged.
func shown(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		if (w == "IncomingUser" || w == "OutgoingUser") && i+2 < len(words) {
			words[i+2] = "(secret)"
		}
	}
	return strings.Join(words, " ")
}

func errno(err error) unix.Errno {
	var no unix.Errno
	if errors.As(err, &no) {
		return no
	}
	return 0
}

func (t *Tree) perform(p string, n *node, text string) error {
	if t.nodes[p] != n {
		return unix.ENOENT // it went in the meantime
	}
	text = strings.TrimSuffix(text, "\n")
	if n.write == nil {
		n.text, n.key = text, true
		return nil
	}
	return n.write(text)
}

// finish does what was accepted.
func (t *Tree) finish() {
	if t.work == nil {
		return
	}
	work := t.work
	t.work = nil
	t.last = -int(errno(work()))
}

// result is what last_sysfs_mgmt_res reads: the result is global, and told
// only when nothing is at work any more.
func (t *Tree) result() (string, error) {
	if t.work != nil {
		if t.polls++; t.polls < 3 {
			return "", fail("read", "last_sysfs_mgmt_res", unix.EAGAIN)
		}
		t.finish()
	}
	return strconv.Itoa(t.last) + "\n", nil
}

// ReadFile reads an attribute.
func (t *Tree) ReadFile(p string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	if p == "last_sysfs_mgmt_res" {
		return t.result()
	}
	n := t.nodes[p]
	switch {
	case n == nil || t.hidden(p):
		return "", fail("open", p, unix.ENOENT)
	case n.dir:
		return "", fail("read", p, unix.EISDIR)
	case n.mode == 'w':
		return "", fail("open", p, unix.EACCES)
	}
	if t.reads++; t.opt.EAGAIN && t.reads%4 != 0 {
		return "", fail("read", p, unix.EAGAIN)
	}
	text := n.text + "\n"
	if n.read != nil {
		text = n.read() + "\n"
	}
	if n.key {
		text += "[key]\n"
	}
	return text, nil
}

// Readlink says where a link leads.
func (t *Tree) Readlink(p string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	n := t.nodes[p]
	switch {
	case n == nil || t.hidden(p):
		return "", fail("readlink", p, unix.ENOENT)
	case n.link == "":
		return "", fail("readlink", p, unix.EINVAL)
	}
	return n.link, nil
}

// ReadDir lists an object.
func (t *Tree) ReadDir(p string) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = path.Clean(p)
	if n := t.nodes[p]; n != nil && n.link != "" {
		p = n.link
	}
	n := t.nodes[p]
	switch {
	case n == nil || t.hidden(p):
		return nil, fail("open", p, unix.ENOENT)
	case !n.dir:
		return nil, fail("readdir", p, unix.ENOTDIR)
	}
	if path.Base(p) == "sessions" {
		t.linger(p)
	}
	return t.children(p), nil
}

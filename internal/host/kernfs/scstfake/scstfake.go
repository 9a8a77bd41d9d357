// Package scstfake imitates SCST's sysfs tree in memory, as SCST's documents
// and sources describe it: which objects come and go by which request, what
// each attribute accepts and when, and what SCST lets pass that it should not.
// It counts every request that changes something.
package scstfake

import (
	"errors"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
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
	imitation.Lab
	k   *imitation.Objects
	opt Options

	klog []string // what the kernel wrote into its log

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
		opt: opt, k: imitation.NewObjects(opt.Lacks), groups: map[string][]string{},
		order: map[string][]string{}, ending: map[string]int{}, gone: map[string]bool{},
	}
	t.Lab = imitation.NewLab(t.k)
	for _, dir := range []string{"devices", "handlers", "targets", "device_groups", "sgv"} {
		t.k.Dir(dir)
	}
	t.k.File("version", "3.11.0-pre\nSCST_TRACING", 'r', nil)
	t.k.File("setup_id", "0x0", 'b', nil)
	t.k.File("suspend", "0", 'b', nil)
	t.k.File("threads", "2", 'b', nil)
	t.handlers()
	t.drivers()
	t.deviceGroups()
	return t
}

// Raced counts requests that came while another one was running, and so took
// the place of its result.
func (t *Tree) Raced() int {
	t.k.Lock()
	defer t.k.Unlock()
	return t.raced
}

// WriteFile asks for something with one write(2).
func (t *Tree) WriteFile(p, text string) error {
	t.k.Lock()
	defer t.k.Unlock()
	p = path.Clean(p)
	n := t.k.At(p)
	switch {
	case n == nil:
		return imitation.Refusal("open", p, unix.ENOENT)
	case n.Dir:
		return imitation.Refusal("open", p, unix.EISDIR)
	case n.Mode == 'r':
		return imitation.Refusal("open", p, unix.EACCES)
	case len(text) > 4096:
		return imitation.Refusal("write", p, unix.EINVAL)
	case text == "":
		return nil // write(2) of no bytes is no request
	}
	if t.k.Fails() {
		return imitation.Refusal("write", p, unix.EIO)
	}
	work := func() error {
		if err := t.perform(p, n, text); err != nil {
			return err
		}
		t.k.Note("write", p, shown(text))
		return nil
	}
	if t.opt.EAGAIN {
		if t.work != nil { // a second writer's result takes the first one's place
			t.raced++
			t.finish()
		}
		t.work, t.polls = work, 0
		return imitation.Refusal("write", p, unix.EAGAIN)
	}
	err := work()
	t.last = -int(errno(err))
	if err != nil {
		return imitation.Refusal("write", p, err)
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

func (t *Tree) perform(p string, n *imitation.Node, text string) error {
	if t.k.At(p) != n {
		return unix.ENOENT // it went in the meantime
	}
	text = strings.TrimSuffix(text, "\n")
	if n.Write == nil {
		n.Text, n.Key = text, true
		return nil
	}
	return n.Write(text)
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
			return "", imitation.Refusal("read", "last_sysfs_mgmt_res", unix.EAGAIN)
		}
		t.finish()
	}
	return strconv.Itoa(t.last) + "\n", nil
}

// ReadFile reads an attribute.
func (t *Tree) ReadFile(p string) (string, error) {
	t.k.Lock()
	defer t.k.Unlock()
	p = path.Clean(p)
	if p == "last_sysfs_mgmt_res" {
		return t.result()
	}
	n := t.k.At(p)
	switch {
	case n == nil || t.hidden(p):
		return "", imitation.Refusal("open", p, unix.ENOENT)
	case n.Dir:
		return "", imitation.Refusal("read", p, unix.EISDIR)
	case n.Mode == 'w':
		return "", imitation.Refusal("open", p, unix.EACCES)
	}
	if t.reads++; t.opt.EAGAIN && t.reads%4 != 0 {
		return "", imitation.Refusal("read", p, unix.EAGAIN)
	}
	text := n.Text + "\n"
	if n.Read != nil {
		text = n.Read() + "\n"
	}
	if n.Key {
		text += "[key]\n"
	}
	return text, nil
}

// Readlink says where a link leads.
func (t *Tree) Readlink(p string) (string, error) {
	t.k.Lock()
	defer t.k.Unlock()
	p = path.Clean(p)
	n := t.k.At(p)
	switch {
	case n == nil || t.hidden(p):
		return "", imitation.Refusal("readlink", p, unix.ENOENT)
	case n.Link == "":
		return "", imitation.Refusal("readlink", p, unix.EINVAL)
	}
	return n.Link, nil
}

// ReadDir lists an object.
func (t *Tree) ReadDir(p string) ([]string, error) {
	t.k.Lock()
	defer t.k.Unlock()
	p = path.Clean(p)
	if n := t.k.At(p); n != nil && n.Link != "" {
		p = n.Link
	}
	n := t.k.At(p)
	switch {
	case n == nil || t.hidden(p):
		return nil, imitation.Refusal("open", p, unix.ENOENT)
	case !n.Dir:
		return nil, imitation.Refusal("readdir", p, unix.ENOTDIR)
	}
	if path.Base(p) == "sessions" {
		t.linger(p)
	}
	return t.k.Children(p), nil
}

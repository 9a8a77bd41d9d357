package scstfake

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Session is one initiator that is logged in.
type Session struct {
	Initiator string
	SID       string // of an iSCSI session, in hex
	Address   string // of the initiator, as SCST writes it
	Portal    string // that it came to
}

// Login logs an initiator in to a target ("iscsi/iqn..."), if it lets it, and
// returns the name of its directory.
func (t *Tree) Login(target string, s Session) string {
	t.k.Lock()
	defer t.k.Unlock()
	at := "targets/" + target
	if n := t.k.At(at + "/enabled"); !t.k.There(at) || n != nil && n.Text != "1" {
		return ""
	}
	return t.login(at, s)
}

func (t *Tree) login(at string, s Session) string {
	name := s.Initiator
	for n := 1; t.k.There(at + "/sessions/" + name); n++ {
		name = s.Initiator + "_" + strconv.Itoa(n)
	}
	dir := at + "/sessions/" + name
	t.k.Dir(dir)
	t.k.Link(dir+"/luns", t.groupFor(at, s.Initiator))
	t.k.File(dir+"/initiator_name", s.Initiator, 'r', nil)
	for _, file := range []string{"commands", "active_commands"} {
		t.k.File(dir+"/"+file, "0", 'r', nil)
	}
	for _, file := range []string{"read_cmd_count", "read_io_count_kb", "write_cmd_count", "write_io_count_kb", "bidi_cmd_count", "bidi_io_count_kb", "none_cmd_count", "unknown_cmd_count"} {
		t.k.File(dir+"/"+file, "0", 'b', nil)
	}
	t.k.File(dir+"/force_close", "", 'w', func(string) error {
		t.ending[dir] = t.opt.Linger
		if t.opt.Linger == 0 {
			t.k.Drop(dir)
		}
		return nil
	})
	if s.SID != "" {
		t.k.File(dir+"/sid", s.SID, 'r', nil)
		t.k.Dir(dir + "/" + s.Address) // one directory a connection, by its address
		t.k.File(dir+"/"+s.Address+"/ip", s.Address, 'r', nil)
		t.k.File(dir+"/"+s.Address+"/target_ip", s.Portal, 'r', nil)
		t.k.File(dir+"/"+s.Address+"/cid", "0", 'r', nil)
		t.k.File(dir+"/"+s.Address+"/state", "FULL", 'r', nil)
	}
	return name
}

// Logout ends a session.
func (t *Tree) Logout(target, name string) {
	t.k.Lock()
	defer t.k.Unlock()
	t.k.Drop("targets/" + target + "/sessions/" + name)
}

// Vanish has a session be there when sessions are listed, and gone when it is
// looked at.
func (t *Tree) Vanish(target, name string) {
	t.k.Lock()
	defer t.k.Unlock()
	t.gone["targets/"+target+"/sessions/"+name] = true
}

// linger lets sessions that were told to close end after they were seen some
// more times.
func (t *Tree) linger(sessions string) {
	for dir, left := range t.ending {
		switch {
		case !strings.HasPrefix(dir, sessions+"/"):
		case left > 0:
			t.ending[dir] = left - 1
		default:
			t.k.Drop(dir)
			delete(t.ending, dir)
		}
	}
}

// Count sets a counter or any other text of the tree.
func (t *Tree) Count(file string, n int) {
	t.k.Lock()
	defer t.k.Unlock()
	if node := t.k.At(file); node != nil {
		node.Text = strconv.Itoa(n)
	}
}

// Text is what a file holds.
func (t *Tree) Text(file string) (string, error) {
	t.k.Lock()
	defer t.k.Unlock()
	n := t.k.At(file)
	if n == nil {
		return "", fmt.Errorf("%s: %w", file, unix.ENOENT)
	}
	return n.Text, nil
}

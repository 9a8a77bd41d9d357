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
	t.mu.Lock()
	defer t.mu.Unlock()
	at := "targets/" + target
	if n := t.nodes[at+"/enabled"]; !t.there(at) || n != nil && n.text != "1" {
		return ""
	}
	return t.login(at, s)
}

func (t *Tree) login(at string, s Session) string {
	name := s.Initiator
	for n := 1; t.there(at + "/sessions/" + name); n++ {
		name = s.Initiator + "_" + strconv.Itoa(n)
	}
	dir := at + "/sessions/" + name
	t.dir(dir)
	t.link(dir+"/luns", t.groupFor(at, s.Initiator))
	t.file(dir+"/initiator_name", s.Initiator, 'r', nil)
	for _, file := range []string{"commands", "active_commands"} {
		t.file(dir+"/"+file, "0", 'r', nil)
	}
	for _, file := range []string{"read_cmd_count", "read_io_count_kb", "write_cmd_count", "write_io_count_kb", "bidi_cmd_count", "bidi_io_count_kb", "none_cmd_count", "unknown_cmd_count"} {
		t.file(dir+"/"+file, "0", 'b', nil)
	}
	t.file(dir+"/force_close", "", 'w', func(string) error {
		t.ending[dir] = t.opt.Linger
		if t.opt.Linger == 0 {
			t.drop(dir)
		}
		return nil
	})
	if s.SID != "" {
		t.file(dir+"/sid", s.SID, 'r', nil)
		t.dir(dir + "/" + s.Address) // one directory a connection, by its address
		t.file(dir+"/"+s.Address+"/ip", s.Address, 'r', nil)
		t.file(dir+"/"+s.Address+"/target_ip", s.Portal, 'r', nil)
		t.file(dir+"/"+s.Address+"/cid", "0", 'r', nil)
		t.file(dir+"/"+s.Address+"/state", "FULL", 'r', nil)
	}
	return name
}

// Logout ends a session.
func (t *Tree) Logout(target, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop("targets/" + target + "/sessions/" + name)
}

// Vanish has a session be there when sessions are listed, and gone when it is
// looked at.
func (t *Tree) Vanish(target, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
			t.drop(dir)
			delete(t.ending, dir)
		}
	}
}

// Count sets a counter or any other text of the tree.
func (t *Tree) Count(file string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if node := t.nodes[file]; node != nil {
		node.text = strconv.Itoa(n)
	}
}

// Text is what a file holds.
func (t *Tree) Text(file string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[file]
	if n == nil {
		return "", fmt.Errorf("%s: %w", file, unix.ENOENT)
	}
	return n.text, nil
}

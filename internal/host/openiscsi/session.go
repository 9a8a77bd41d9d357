// Package openiscsi is the gate to Linux's iSCSI initiator: what it is logged
// in to, by sysfs, and open-iscsi's iscsiadm and node records (iscsiadm(8)),
// by which it logs in and out.
package openiscsi

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Session is a login to a target through one of its portals.
type Session struct {
	ID     int    `json:"id"` // the kernel's: session3 is 3
	Target string `json:"target"`
	// Portal is the address that was logged in to; a target may have sent the
	// connection on to another one.
	Portal netip.AddrPort `json:"portal"`
	State  string         `json:"state"` // the kernel's word
	User   string         `json:"user,omitempty"`
	Disks  []string       `json:"disks,omitempty"` // by the kernel's names, in order
}

// LoggedIn is the state of a session that works (scsi_transport_iscsi.c).
const LoggedIn = "LOGGED_IN"

// Reader reads the kernel's files (host.Linux).
type Reader interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
}

// sessions is where the kernel shows them; the directory is there once the
// module is loaded.
const sessions = "/sys/class/iscsi_session"

// Sessions reads what the machine is logged in to.
func Sessions(m Reader) ([]Session, error) {
	names, err := m.ReadDir(sessions)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the iSCSI sessions: %w", err)
	}
	var found []Session
	for _, n := range names {
		id, err := strconv.Atoi(strings.TrimPrefix(n, "session"))
		if err != nil {
			continue
		}
		s, err := read(m, n, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("look at iSCSI session %d: %w", id, err)
		}
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b Session) int { return a.ID - b.ID })
	return found, nil
}

func read(m Reader, name string, id int) (Session, error) {
	var failed error
	text := func(file string) string {
		t, err := m.ReadFile(file)
		if err != nil && failed == nil {
			failed = err
		}
		return known(string(t))
	}
	// All of them have one connection (MaxConnections is 1), of this name.
	connection := "/sys/class/iscsi_connection/connection" + strconv.Itoa(id) + ":0/"
	s := Session{ID: id, Target: text(path.Join(sessions, name, "targetname")), State: text(path.Join(sessions, name, "state"))}
	address, port := text(connection+"persistent_address"), text(connection+"persistent_port")
	if failed != nil {
		return s, failed
	}
	user, err := m.ReadFile(path.Join(sessions, name, "username")) // root's
	if err == nil {
		s.User = known(string(user))
	}
	// A name, of a session that somebody else made, is no portal of ours.
	if a, err := netip.ParseAddr(address); err == nil {
		p, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return s, fmt.Errorf("its port is %q", port)
		}
		s.Portal = netip.AddrPortFrom(a.Unmap(), uint16(p))
	}
	s.Disks, err = disks(m, path.Join(sessions, name, "device"))
	return s, err
}

// known is what a file of sysfs says; nothing is shown as (null) or <NULL>.
func known(text string) string {
	text = strings.TrimSpace(text)
	if text == "(null)" || text == "<NULL>" {
		return ""
	}
	return text
}

// disks finds a session's block devices below its device:
// target2:0:0/2:0:0:1/block/sdb.
func disks(m Reader, dir string) ([]string, error) {
	list := func(dir, prefix string) ([]string, error) {
		names, err := m.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return slices.DeleteFunc(names, func(n string) bool {
			return !strings.HasPrefix(n, prefix) || prefix == "" && strings.Count(n, ":") != 3
		}), err
	}
	var found []string
	targets, err := list(dir, "target")
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		units, err := list(path.Join(dir, t), "")
		if err != nil {
			return nil, err
		}
		for _, u := range units {
			names, err := m.ReadDir(path.Join(dir, t, u, "block"))
			if errors.Is(err, fs.ErrNotExist) {
				continue // no disk, or it is being set up
			}
			if err != nil {
				return nil, err
			}
			found = append(found, names...)
		}
	}
	slices.Sort(found)
	return found, nil
}

// String names a session for people.
func (s Session) String() string { return fmt.Sprintf("%s at %s", s.Target, s.Portal) }

// InitiatorFile has the name by which targets know this machine. The first
// boot makes it.
const InitiatorFile = "/etc/iscsi/initiatorname.iscsi"

// InitiatorName reads that name.
func InitiatorName(m Reader) (string, error) {
	text, err := m.ReadFile(InitiatorFile)
	if err != nil {
		return "", fmt.Errorf("read this machine's name as an iSCSI initiator: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "InitiatorName="); ok && name != "" {
			return strings.TrimSpace(name), nil
		}
	}
	return "", fmt.Errorf("this machine has no name as an iSCSI initiator yet (%s); 'esos first-boot' makes one", InitiatorFile)
}

package openiscsi

import (
	"fmt"
	"net/netip"
	"path"
	"strings"
)

// Nodes is where open-iscsi keeps its records of targets (Debian 13's
// iscsiadm has it compiled in).
const Nodes = "/var/lib/iscsi/nodes"

// Node is a target's portal and what is logged in with.
type Node struct {
	Remote string // the name of the object in the document
	Target string
	Portal netip.AddrPort
	user   string
	secret string
}

// WithCHAP returns the node with the name and the secret that it logs in with.
// They go into the record's file, and nowhere else.
func (n Node) WithCHAP(user, secret string) Node {
	n.user, n.secret = user, secret
	return n
}

// String is the node for people, without its secret.
func (n Node) String() string { return fmt.Sprintf("%s at %s", n.Target, n.Portal) }

// marked begins the first line of a record that ESOS wrote; the name of the
// object follows.
const marked = "# Written by ESOS, for storage.remote "

// Times of a record, in seconds. A login that finds nobody ends soon: it is
// tried again later, and a boot does not wait for it.
const (
	loginTimeout = 8
	// replaceTimeout is how long I/O waits for a lost session before it fails.
	// multipathd sets it to seconds where there is another path.
	replaceTimeout = 120
)

// Path is the record's file. It is the form of a portal whose group tag nobody
// asked for (idbm.c, idbm_rec_read: "old style portal as config"), so that no
// discovery is needed to write it; iscsiadm and iscsid read both.
func (n Node) Path() string { return recordPath(n.Target, n.Portal) }

func recordPath(target string, portal netip.AddrPort) string {
	return path.Join(Nodes, target, fmt.Sprintf("%s,%d", portal.Addr(), portal.Port()))
}

// RecordOf is the file of the record that a session was made by, if ESOS
// made it.
func RecordOf(s Session) string { return recordPath(s.Target, s.Portal) }

// Record is the record's text: what differs from iscsid.conf, and what must
// not depend on it. It is written whole, rather than set by iscsiadm, since
// iscsiadm takes the secret as an argument, which every user of the machine
// can read. It holds the secret: mode 0600.
func (n Node) Record() string {
	var b strings.Builder
	b.WriteString(marked + n.Remote + "\n")
	set := func(key string, value any) { fmt.Fprintf(&b, "%s = %v\n", key, value) }
	set("node.name", n.Target)
	set("node.startup", "manual") // ESOS logs in, in its own order
	set("node.discovery_type", "static")
	set("iface.iscsi_ifacename", "default")
	set("iface.transport_name", "tcp")
	set("node.session.initial_login_retry_max", 1)
	set("node.session.nr_sessions", 1)
	set("node.session.scan", "auto")
	set("node.session.reopen_max", 0) // a session that was lost is tried again for ever
	set("node.session.timeo.replacement_timeout", replaceTimeout)
	if n.user == "" {
		set("node.session.auth.authmethod", "None")
	} else {
		set("node.session.auth.authmethod", "CHAP")
		set("node.session.auth.username", n.user)
		set("node.session.auth.password", n.secret)
	}
	set("node.conn[0].address", n.Portal.Addr())
	set("node.conn[0].port", n.Portal.Port())
	set("node.conn[0].startup", "manual")
	set("node.conn[0].timeo.login_timeout", loginTimeout)
	return b.String()
}

// Writer returns the name of the object that a record was written for, "" if
// somebody else wrote it.
func Writer(record string) string {
	first, _, _ := strings.Cut(record, "\n")
	name, ok := strings.CutPrefix(first, marked)
	if !ok {
		return ""
	}
	return strings.TrimSpace(name)
}

// SameCHAP says whether two records log in with the same name and secret.
func SameCHAP(a, b string) bool { return chap(a) == chap(b) }

// chap are the lines of a record that say with what it logs in.
func chap(record string) string {
	var lines strings.Builder
	for line := range strings.Lines(record) {
		for _, key := range []string{"username", "password"} { // without them nothing is proved
			if strings.HasPrefix(line, "node.session.auth."+key+" = ") {
				lines.WriteString(strings.TrimSpace(line) + "\n")
			}
		}
	}
	return lines.String()
}

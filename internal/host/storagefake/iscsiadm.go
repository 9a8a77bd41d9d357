package storagefake

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Target is an iSCSI target of an array elsewhere.
type Target struct {
	Name         string
	User, Secret string // what it wants to see, "" if it lets everybody in
	LUNs         []*RemoteDisk
}

// session is a login.
type session struct {
	id     int
	target *Target
	portal string // as in records: ADDRESS,PORT
	disks  map[string]*RemoteDisk
}

// Target adds an iSCSI target elsewhere, with its disks; Portal has its
// addresses answer.
func (m *Machine) Target(name string, luns ...*RemoteDisk) *Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &Target{Name: name, LUNs: luns}
	for _, l := range luns {
		if l.Device == nil {
			l.Device = &Device{Super: map[string]any{}}
		}
	}
	m.remotes.targets[name] = t
	return t
}

// iscsiadm logs in and out as open-iscsi does.
func iscsiadm(m *Machine, args []string, _ string) (string, error) {
	value := func(flag string) string {
		if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
			return args[i+1]
		}
		return ""
	}
	no := func(code int, format string, a ...any) (string, error) {
		return "", fails("iscsiadm", code, "iscsiadm: "+format, a...)
	}
	switch value("--mode") {
	case "node":
		host, port := portalParts(value("--portal"))
		target, portal := value("--targetname"), host+","+port
		record, ok := m.files[path.Join("/var/lib/iscsi/nodes", target, portal)]
		switch {
		case !ok:
			return no(21, "No records found")
		case !m.units.running["iscsid.service"]:
			return no(20, "can not connect to iSCSI daemon (111)!")
		case !slices.Contains(args, "--login"):
			return no(7, "the imitation does not know %q", args)
		}
		return "", m.login(m.remotes.targets[target], host, port, string(record))
	case "session":
		id, _ := strconv.Atoi(value("--sid")) // 0 is none
		s := m.remotes.sessions[id]
		switch {
		case s == nil:
			return no(22, "Could not get session info for sid %d", id)
		case slices.Contains(args, "--rescan"):
			m.scan(s)
			return "", nil
		case slices.Contains(args, "--logout"):
			m.logout(s)
			return "", nil
		}
	}
	return no(7, "the imitation does not know %q", args)
}

// portalParts takes the brackets off the address of a portal.
func portalParts(portal string) (host, port string) {
	i := strings.LastIndex(portal, ":")
	if i < 0 {
		return portal, "3260"
	}
	return strings.Trim(portal[:i], "[]"), portal[i+1:]
}

func (m *Machine) login(t *Target, host, port, record string) error {
	joined := host + ":" + port
	if strings.Contains(host, ":") {
		joined = "[" + host + "]:" + port
	}
	for _, s := range m.remotes.sessions {
		if s.target == t && s.portal == host+","+port {
			return fails("iscsiadm", 15, "iscsiadm: session exists")
		}
	}
	set := map[string]string{}
	for line := range strings.Lines(record) {
		if key, v, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && !strings.HasPrefix(line, "#") {
			set[key] = v
		}
	}
	switch {
	case t == nil || !m.remotes.up[joined]:
		return fails("iscsiadm", 8, "iscsiadm: initiator reported error (8 - connection timed out)")
	case t.User != "" && (set["node.session.auth.username"] != t.User || set["node.session.auth.password"] != t.Secret):
		return fails("iscsiadm", 24, "iscsiadm: initiator reported error (24 - iSCSI login failed due to authorization failure)")
	}
	m.remotes.next++
	s := &session{id: m.remotes.next, target: t, portal: host + "," + port, disks: map[string]*RemoteDisk{}}
	m.remotes.sessions[s.id] = s
	name := "session" + strconv.Itoa(s.id)
	m.putKernel("/sys/class/iscsi_session/"+name, map[string]string{"targetname": t.Name, "state": "LOGGED_IN", "username": cmp.Or(set["node.session.auth.username"], "(null)")})
	m.putKernel(fmt.Sprintf("/sys/class/iscsi_connection/connection%d:0", s.id), map[string]string{"persistent_address": host, "persistent_port": port})
	m.scan(s)
	return nil
}

// scan brings the disks that a target shows.
func (m *Machine) scan(s *session) {
	host, port, _ := strings.Cut(s.portal, ",")
	for lun, r := range s.target.LUNs {
		if slices.ContainsFunc(r.paths, func(p string) bool { return s.disks[p] == r }) {
			continue
		}
		name := m.letter()
		s.disks[name] = r
		m.appear(r, name, "iscsi", fmt.Sprintf("/dev/disk/by-path/ip-%s:%s-iscsi-%s-lun-%d", host, port, s.target.Name, lun),
			"/dev/disk/by-id/scsi-"+r.WWID)
		m.dirs[fmt.Sprintf("/sys/class/iscsi_session/session%d/device/target%d:0:0/%d:0:0:%d/block/%s", s.id, s.id, s.id, lun, name)] = true
	}
	m.heard()
}

func (m *Machine) logout(s *session) {
	for name, r := range s.disks {
		m.vanish(r, name)
	}
	delete(m.remotes.sessions, s.id)
	m.dropKernel(fmt.Sprintf("/sys/class/iscsi_session/session%d", s.id))
	m.dropKernel(fmt.Sprintf("/sys/class/iscsi_connection/connection%d:0", s.id))
	m.heard()
}

// heard has those who hear of disks that come and go do what they do; locked.
func (m *Machine) heard() {
	m.follow()
	if m.units.running["multipathd.service"] {
		m.gather()
	}
}

// address is where a session is logged in, as Portal knows it.
func (s *session) address() string {
	host, port, _ := strings.Cut(s.portal, ",")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// letter is the kernel's next name of a SCSI disk; locked.
func (m *Machine) letter() string {
	for c := 'b'; ; c++ {
		if name := "sd" + string(c); m.devs[name] == nil {
			return name
		}
	}
}

// Logout ends a session as somebody at the shell does; Login makes one.
func (m *Machine) Logout(target string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.remotes.sessions {
		if s.target.Name == target {
			m.logout(s)
		}
	}
}

// Login makes a session that ESOS did not ask for.
func (m *Machine) Login(target, portal string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	host, port := portalParts(portal)
	return m.login(m.remotes.targets[target], host, port, "")
}

// Lock has a target let in only who knows a name and a secret.
func (t *Target) Lock(user, secret string) { t.User, t.Secret = user, secret }

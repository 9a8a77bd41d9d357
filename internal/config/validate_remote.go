package config

import (
	"fmt"
	"regexp"
	"strings"
)

// checkRemote checks what this machine logs in to.
func (c *checker) checkRemote(r Remote, names map[string]string) {
	paths := map[string]string{} // where a path to a target is declared first
	once := func(at, path string) {
		if first, twice := paths[path]; twice {
			c.error(at, "it is the same as %s", first)
			return
		}
		paths[path] = at
	}
	for i, t := range r.ISCSI {
		at := fmt.Sprintf("storage.remote.iscsi[%d]", i)
		c.storageName(at+".name", "remote", t.Name, 64, names)
		if err := CheckRemoteTarget(t.Target); err != nil {
			c.error(at+".target", "%v", err)
		}
		if e, err := endpoint(t.Portal, portISCSI); err != nil {
			c.error(at+".portal", "%q: %v", clip(t.Portal), err)
		} else {
			once(at, "iscsi "+t.Target+" "+e.String())
		}
		c.checkRemoteCHAP(at, t)
	}
	for i, n := range r.NVMe {
		at := fmt.Sprintf("storage.remote.nvme[%d]", i)
		c.storageName(at+".name", "remote", n.Name, 64, names)
		if err := CheckRemoteSubsystem(n.Subsystem); err != nil {
			c.error(at+".subsystem", "%v", err)
		}
		if n.Transport == "" {
			c.error(at+".transport", "missing; tcp or rdma")
		}
		if e, err := endpoint(n.Address, portNVMe); err != nil {
			c.error(at+".address", "%q: %v", clip(n.Address), err)
		} else {
			once(at, "nvme "+n.Subsystem+" "+n.Transport+" "+e.String())
		}
	}
}

// iscsiName matches the names of targets in the form that they are compared
// in (RFC 7143 4.2.7.2, RFC 3722). It becomes a directory of open-iscsi's and
// a part of disks' names.
var iscsiName = regexp.MustCompile(`^(iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.:-]+|eui\.[0-9A-Fa-f]{16}|naa\.([0-9A-Fa-f]{16}|[0-9A-Fa-f]{32}))$`)

// CheckRemoteTarget checks the name of an iSCSI target elsewhere.
func CheckRemoteTarget(name string) error {
	if !iscsiName.MatchString(name) || len(name) > 223 {
		return fmt.Errorf("%q is no iSCSI name, such as iqn.2026-11.com.example:array2", clip(name))
	}
	return nil
}

// CheckRemoteSubsystem checks the NQN of an NVMe subsystem elsewhere.
func CheckRemoteSubsystem(nqn string) error {
	if !strings.HasPrefix(nqn, "nqn.") || len(nqn) > 223 || strings.ContainsAny(nqn, " \t\n/") {
		return fmt.Errorf("%q is no NQN", clip(nqn))
	}
	return nil
}

// CheckRemoteAddress checks where an array elsewhere listens: ADDRESS,
// ADDRESS:PORT, V6 or [V6]:PORT.
func CheckRemoteAddress(address string) error {
	_, err := endpoint(address, portISCSI)
	return err
}

func (c *checker) checkRemoteCHAP(at string, t RemoteISCSI) {
	if (t.User == "") != (t.Secret == "") {
		c.error(at, "user and secret go together")
	}
	// A line of open-iscsi's record, of 256 bytes with its end; what stands at
	// either end of it is trimmed (idbm.c).
	line := func(key, text string) {
		if len(text) > 255 || strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			c.error(at+"."+key, "must be at most 255 bytes, without control characters and without spaces at its ends")
		}
	}
	line("user", t.User)
	line("secret", string(t.Secret))
	if t.Secret == Hidden {
		c.error(at+".secret", "is only a stand-in for a secret; write the secret itself")
	}
}

// wwid matches identifiers of disks: udev's ID_SERIAL or ID_WWN of them.
var wwid = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// checkMultipath checks the disks that are reached by several paths.
func (c *checker) checkMultipath(m Multipath, names map[string]string) {
	disks := map[string]string{}
	for i, m := range m.Maps {
		at := fmt.Sprintf("storage.multipath.maps[%d]", i)
		c.storageName(at+".name", "mapper", m.Name, 64, names)
		if !wwid.MatchString(m.WWID) {
			c.error(at+".wwid", "%q is no identifier of a disk; 'esos multipath list' shows those of disks that are reached by several paths", clip(m.WWID))
		}
		if first, twice := disks[m.WWID]; twice {
			c.error(at+".wwid", "the disk has a name at %s already", first)
		}
		disks[m.WWID] = at
	}
	if len(m.Maps) > 0 && !m.Enabled {
		c.error("storage.multipath.enabled", "must be true where maps are declared")
	}
	for i, s := range c.doc.Services {
		if s.Name == "multipath" && !s.Enabled && m.Enabled {
			c.error(fmt.Sprintf("services[%d]", i), "storage.multipath needs service multipath; take the service out of the document")
		}
	}
}

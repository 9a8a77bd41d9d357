package config

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNSID is how many namespaces the kernel serves in a subsystem
// (NVMET_MAX_NAMESPACES); numbers need not be higher.
const maxNSID = 1024

// maxANAGroup is one less than the kernel says (NVMET_MAX_ANAGRPS): it takes
// 128 for 0 (array_index_nospec).
const maxANAGroup = 127

// DiscoveryNQN is the discovery service's own (NVMe Base 3.1.3.3).
const DiscoveryNQN = "nqn.2014-08.org.nvmexpress.discovery"

func (c *checker) checkNVMe() {
	ports := c.checkNVMePorts()
	names, serials, uuids, nguids, devices := map[string]int{}, map[string]int{}, map[string]string{}, map[string]string{}, map[string]string{}
	hosts := map[string]NVMeHost{}
	for i, s := range c.doc.NVMe.Subsystems {
		at := fmt.Sprintf("nvme.subsystems[%d]", i)
		c.nqn(at+".nqn", s.NQN)
		c.unique(names, at+".nqn", "nvme.subsystems", s.NQN, i)
		c.nvmeText(at+".serial", s.Serial, 20)
		c.nvmeText(at+".model", s.Model, 40)
		if s.Serial != "" {
			c.unique(serials, at+".serial", "nvme.subsystems", s.Serial, i)
		}
		for j, p := range s.Ports {
			if _, ok := ports[p]; !ok {
				c.error(fmt.Sprintf("%s.ports[%d]", at, j), "no NVMe port %q%s", clip(p), nearest(p, slices.Sorted(maps.Keys(ports))))
			}
		}
		c.checkNVMeHosts(at, s, hosts)
		nsids := map[int]bool{}
		for j, ns := range s.Namespaces {
			nat := fmt.Sprintf("%s.namespaces[%d]", at, j)
			switch {
			case ns.NSID < 1 || ns.NSID > maxNSID:
				c.error(nat+".nsid", "must be 1 to %d, not %d", maxNSID, ns.NSID)
			case nsids[ns.NSID]:
				c.error(nat+".nsid", "%d is given twice in this subsystem", ns.NSID)
			}
			nsids[ns.NSID] = true
			c.checkNamespace(nat, s, ns)
			object := NamespaceObject(s.NQN, ns.NSID)
			once := func(seen map[string]string, field, value, why string) {
				if other, ok := seen[value]; ok && value != "" {
					c.error(nat+"."+field, "%q is already that of %s; %s", clip(value), other, why)
					return
				}
				seen[value] = object
			}
			once(devices, "device", ns.Device, "hosts take two namespaces on one device for two disks, which destroys its data")
			once(uuids, "uuid", strings.ToLower(ns.UUID), "hosts take two namespaces with one identity for one disk, which destroys its data")
			once(nguids, "nguid", strings.ToLower(ns.NGUID), "hosts take two namespaces with one identity for one disk, which destroys its data")
		}
		c.warnInaccessible(at, s)
	}
	if len(c.doc.NVMe.Subsystems) > 0 && len(c.doc.NVMe.Ports) == 0 {
		c.warn("nvme.ports", "there is no port, so no host can connect; add one, like {name: front, transport: tcp, address: \"192.0.2.10:4420\"}")
	}
}

func (c *checker) checkNVMePorts() map[string]int {
	ports, ids, addresses := map[string]int{}, map[int]int{}, map[string]int{}
	for i, p := range c.doc.NVMe.Ports {
		at := fmt.Sprintf("nvme.ports[%d]", i)
		c.name(at+".name", p.Name)
		c.unique(ports, at+".name", "nvme.ports", p.Name, i)
		if p.ID < 0 || p.ID > 65535 {
			c.error(at+".id", "must be 1 to 65535, not %d", p.ID)
		} else if other, ok := ids[p.ID]; ok && p.ID != 0 {
			c.error(at+".id", "%d is already the number of nvme.ports[%d]", p.ID, other)
		}
		ids[p.ID] = i
		switch {
		case p.Transport == "":
			c.error(at+".transport", "missing; it is tcp, rdma or fc")
		case p.Transport == NVMeFC && !isFCAddress(p.Address):
			c.error(at+".address", "%q is no FC address; write the adapter's names like nn-0x20000024ff000001:pn-0x21000024ff000001 (/sys/class/fc_host/host*/node_name, port_name)", clip(p.Address))
		case p.Transport != NVMeFC:
			c.listenAddress(at+".address", p.Address)
			if _, port, err := net.SplitHostPort(p.Address); err == nil && port != "" && strings.Trim(port, "0") == "" {
				c.error(at+".address", "the kernel's NVMe target cannot pick a port; write one, like 4420")
			}
		}
		if address, err := p.Canonical(); err == nil {
			key := p.Transport + " " + address
			if other, ok := addresses[key]; ok {
				c.error(at+".address", "%q is already the address of nvme.ports[%d]", clip(p.Address), other)
			}
			addresses[key] = i
		}
		if p.InCapsuleSize < 0 || p.InCapsuleSize%4096 != 0 || p.InCapsuleSize > 1<<20 {
			c.error(at+".in_capsule_size", "must be a multiple of 4096 up to 1048576, not %d", p.InCapsuleSize)
		} else if p.InCapsuleSize != 0 && p.Transport == NVMeFC {
			c.error(at+".in_capsule_size", "fc has none; remove it")
		}
		groups := map[int]bool{}
		for j, g := range p.ANAGroups {
			gat := fmt.Sprintf("%s.ana_groups[%d]", at, j)
			if g.ID < 1 || g.ID > maxANAGroup {
				c.error(gat+".id", "must be 1 to %d, not %d", maxANAGroup, g.ID)
			} else if groups[g.ID] {
				c.error(gat+".id", "%d is given twice at this port", g.ID)
			}
			groups[g.ID] = true
			if g.State == "" {
				c.error(gat+".state", "missing; it is optimized, non-optimized, inaccessible, persistent-loss or change")
			}
		}
	}
	return ports
}

func (c *checker) checkNVMeHosts(at string, s NVMeSubsystem, known map[string]NVMeHost) {
	if s.AllowAnyHost && len(s.Hosts) > 0 {
		c.error(at+".allow_any_host", "lets every host in, without authentication, so that hosts would mean nothing; remove one of the two")
	}
	if s.AllowAnyHost {
		c.warn(at+".allow_any_host", "every machine that reaches a port sees these namespaces; name hosts instead")
	} else if len(s.Hosts) == 0 {
		c.warn(at+".hosts", "there is none, so nobody can connect; name hosts, or write allow_any_host: true")
	}
	seen := map[string]int{}
	for j, h := range s.Hosts {
		hat := fmt.Sprintf("%s.hosts[%d]", at, j)
		c.nqn(hat+".nqn", h.NQN)
		c.unique(seen, hat+".nqn", at+".hosts", h.NQN, j)
		for _, k := range []struct {
			field string
			key   Secret
		}{{"dhchap_key", h.DHCHAPKey}, {"dhchap_ctrl_key", h.DHCHAPCtrlKey}} {
			if err := CheckDHCHAPKey(k.key); k.key != "" && err != nil {
				c.error(hat+"."+k.field, "%v", err)
			}
		}
		if h.DHCHAPKey == "" && (h.DHCHAPCtrlKey != "" || h.DHCHAPHash != "" || h.DHCHAPDHGroup != "") {
			c.error(hat+".dhchap_key", "missing; the array proves itself to hosts that prove themselves only")
		}
		if other, ok := known[h.NQN]; ok && other != h {
			c.error(hat, "%s has another key or other settings of authentication at another subsystem; the kernel has one of each host", clip(h.NQN))
		}
		known[h.NQN] = h
	}
}

// checkNamespace looks at what a namespace leads to.
func (c *checker) checkNamespace(at string, s NVMeSubsystem, ns NVMeNamespace) {
	if ns.UUID != "" && (!isUUID(ns.UUID) || strings.Trim(ns.UUID, "0-") == "") {
		c.error(at+".uuid", "%q is no UUID; leave it out to have one made", clip(ns.UUID))
	}
	if n := strings.ToLower(ns.NGUID); n != "" && (len(n) != 32 || strings.Trim(n, "0123456789abcdef") != "" || strings.Trim(n, "0") == "") {
		c.error(at+".nguid", "%q is no NGUID: 32 hex digits, not all 0; leave it out to have one made", clip(ns.NGUID))
	}
	if ns.ANAGroup < 0 || ns.ANAGroup > maxANAGroup {
		c.error(at+".ana_group", "must be 1 to %d, not %d", maxANAGroup, ns.ANAGroup)
	}
	i, ok := c.devices[ns.Device]
	if !ok {
		c.error(at+".device", "no device %q%s", clip(ns.Device), nearest(ns.Device, slices.Sorted(maps.Keys(c.devices))))
		return
	}
	d := c.doc.Devices[i]
	for _, why := range nvmeProblems(d) {
		c.error(at+".device", "device %q cannot be a namespace: %s", clip(d.Name), why)
	}
	c.doc.eachMap(func(target, group string, luns *[]LUN) {
		for _, l := range *luns {
			if l.Device == d.Name {
				c.error(at+".device", "%s leads to device %q, too; SCSI and NVMe know nothing of each other's reservations and write caches, so that hosts would destroy each other's data: keep one of the two", LUNObject(target, group, l.LUN), clip(d.Name))
			}
		}
	})
	for _, g := range c.doc.DeviceGroups {
		if slices.Contains(g.Devices, d.Name) {
			c.error(at+".device", "device %q is in device group %q, which is SCSI's (ALUA); take it out there, NVMe's access states are ana_groups of ports", clip(d.Name), g.Name)
		}
	}
}

// nvmeProblems says why the kernel's NVMe target cannot serve a device as it
// is declared.
func nvmeProblems(d Device) []string {
	var why []string
	add := func(is bool, reason string) {
		if is {
			why = append(why, reason)
		}
	}
	if d.Handler != FileIO && d.Handler != BlockIO {
		return []string{fmt.Sprintf("the kernel's NVMe target serves vdisk_fileio and vdisk_blockio only, not %s", d.Handler)}
	}
	add(d.ReadOnly, "the kernel's NVMe target has no read-only namespaces (it opens for writing); remove read_only, or map it as a LUN")
	add(d.WriteThrough, "the kernel's NVMe target always reports a write cache, which hosts flush; remove write_through")
	add(d.Removable, "NVMe has no removable media; remove removable")
	add(d.Handler == FileIO && d.BlockSize != 0 && d.BlockSize != 4096,
		"the kernel's NVMe target serves files in the blocks of their file system, 4096 bytes as a rule; remove block_size")
	add(strings.ContainsAny(d.Path, "\n"), "the kernel takes no path with a line break in it; rename the file")
	return why
}

// warnInaccessible tells of namespaces that nobody reaches through a port.
func (c *checker) warnInaccessible(at string, s NVMeSubsystem) {
	for j, ns := range s.Namespaces {
		if ns.ANAGroup <= 1 {
			continue
		}
		for _, p := range c.doc.NVMe.PortsOf(s) {
			if !slices.ContainsFunc(p.ANAGroups, func(g ANAGroup) bool { return g.ID == ns.ANAGroup }) {
				c.warn(fmt.Sprintf("%s.namespaces[%d].ana_group", at, j), "port %q has no group %d, so that the namespace is inaccessible through it", p.Name, ns.ANAGroup)
			}
		}
	}
}

// nvmeText checks text of an Identify structure: printable ASCII (NVMe Base 1.4.2).
func (c *checker) nvmeText(at, s string, most int) {
	if len(s) > most {
		c.error(at, "is longer than %d characters", most)
	}
	if strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		c.error(at, "%q may have printable ASCII characters only, without blanks at its ends", clip(s))
	}
}

func (c *checker) nqn(at, nqn string) {
	if nqn == "" {
		c.error(at, "missing; write one like nqn.2026-11.com.example:%s", c.doc.Name)
	} else if err := CheckNQN(nqn); err != nil {
		c.error(at, "%v", err)
	}
}

// CheckNQN says whether s is an NVMe qualified name (NVMe Base 4.5) that can
// be a subsystem's or a host's: nqn.YYYY-MM.DOMAIN:NAME, or
// nqn.2014-08.org.nvmexpress:uuid:UUID.
func CheckNQN(s string) error {
	rest, _ := strings.CutPrefix(s, "nqn.")
	uuid, isUUIDForm := strings.CutPrefix(rest, "2014-08.org.nvmexpress:uuid:")
	date, name, dated := strings.Cut(rest, ".")
	domain, _, _ := strings.Cut(name, ":")
	switch {
	case len(s) > 223:
		return fmt.Errorf("%q is longer than 223 bytes", clip(s))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return fmt.Errorf("%q is no NQN: it has blanks or control characters", clip(s))
	case strings.Contains(s, "/"):
		return fmt.Errorf("%q has a slash, which the kernel cannot have in a name", clip(s))
	case s == DiscoveryNQN:
		return fmt.Errorf("%q is the discovery service's own", s)
	case isUUIDForm && !isUUID(uuid):
		return fmt.Errorf("%q is no NQN: behind uuid: stands no UUID", clip(s))
	case rest == s || !dated || !isYearMonth(date) || domain == "" || strings.Trim(domain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != "":
		return fmt.Errorf("%q is no NQN; write one like nqn.2026-11.com.example:NAME", clip(s))
	}
	return nil
}

func isYearMonth(s string) bool {
	if len(s) != 7 || s[4] != '-' || strings.Trim(s[:4]+s[5:], "0123456789") != "" {
		return false
	}
	return s[5:] >= "01" && s[5:] <= "12"
}

// isFCAddress says whether s is a pair of FC names as the kernel takes it.
func isFCAddress(s string) bool {
	ok, err := regexp.MatchString(`^nn-0x[0-9a-f]{16}:pn-0x[0-9a-f]{16}$`, strings.ToLower(s))
	return err == nil && ok
}

// CheckDHCHAPKey says what is wrong with a key of DH-HMAC-CHAP, without
// telling it: DHHC-1:HH:BASE64:, where the last four bytes are a checksum of
// those before (NVMe Base 8.13.5.8).
func CheckDHCHAPKey(key Secret) error {
	parts := strings.Split(string(key), ":")
	if len(parts) != 4 || parts[0] != "DHHC-1" || parts[3] != "" {
		return errors.New("is no key of DH-HMAC-CHAP; they are like DHHC-1:00:...: (made by nvme gen-dhchap-key)")
	}
	length, ok := map[string]int{"00": 0, "01": 32, "02": 48, "03": 64}[parts[1]]
	if !ok {
		return errors.New("is a key with an unknown transformation; behind DHHC-1: stands 00, 01, 02 or 03")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(b) != 36 && len(b) != 52 && len(b) != 68 {
		return errors.New("is a damaged key: it is not 32, 48 or 64 bytes and a checksum in base64; copy it anew")
	}
	secret, sum := b[:len(b)-4], b[len(b)-4:]
	if length != 0 && length != len(secret) {
		return fmt.Errorf("is a key of %d bytes, but its transformation %s takes %d", len(secret), parts[1], length)
	}
	if binary.LittleEndian.Uint32(sum) != crc32.ChecksumIEEE(secret) {
		return errors.New("is a damaged key: its checksum is wrong; copy it anew")
	}
	return nil
}

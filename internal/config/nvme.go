package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// NVMe is what is served over NVMe-oF, by the kernel's NVMe target (nvmet)
// beside whichever engine serves SCSI.
type NVMe struct {
	Ports      []NVMePort      `yaml:"ports,omitempty" json:"ports,omitempty" doc:"addresses that hosts connect to"`
	Subsystems []NVMeSubsystem `yaml:"subsystems,omitempty" json:"subsystems,omitempty" doc:"what hosts connect to: namespaces and who may use them"`
}

// NVMePort is an address that NVMe hosts connect to.
type NVMePort struct {
	Name      string `yaml:"name" json:"name" doc:"unique name"`
	ID        int    `yaml:"id,omitempty" json:"id,omitempty" doc:"the kernel's number of the port, 1 to 65535; completed when left out"`
	Transport string `yaml:"transport" json:"transport" enum:"tcp,rdma,fc" doc:"how hosts connect: tcp, rdma (RoCE, InfiniBand, iWARP) or fc (Fibre Channel)"`
	Address   string `yaml:"address" json:"address" doc:"host:port or [v6]:port, 4420 as a rule; an empty host is every IPv4 address; for fc nn-0xWWNN:pn-0xWWPN of the adapter's port"`
	// InCapsuleSize is param_inline_data_size: a write up to it comes with its
	// command and saves a round trip.
	InCapsuleSize int        `yaml:"in_capsule_size,omitempty" json:"in_capsule_size,omitempty" doc:"bytes of data that may come with a command, multiple of 4096; the transport's default when 0"`
	ANAGroups     []ANAGroup `yaml:"ana_groups,omitempty" json:"ana_groups,omitempty" doc:"access states through this port (ANA); group 1 is optimized and others are inaccessible when left out"`
}

// ANAGroup is the access state of a group of namespaces through a port.
type ANAGroup struct {
	ID    int    `yaml:"id" json:"id" doc:"ANA group, 1 to 127"`
	State string `yaml:"state" json:"state" enum:"optimized,non-optimized,inaccessible,persistent-loss,change" doc:"access state through this port"`
}

// NVMeSubsystem is what an NVMe host connects to.
type NVMeSubsystem struct {
	NQN          string          `yaml:"nqn" json:"nqn" doc:"NVMe qualified name, unique"`
	Serial       string          `yaml:"serial,omitempty" json:"serial,omitempty" doc:"serial number, up to 20 characters; completed once and then stays"`
	Model        string          `yaml:"model,omitempty" json:"model,omitempty" doc:"model number, up to 40 characters; ESOS by default"`
	Ports        []string        `yaml:"ports,omitempty" json:"ports,omitempty" doc:"names of NVMe ports it is reached by; all when empty"`
	AllowAnyHost bool            `yaml:"allow_any_host,omitempty" json:"allow_any_host,omitempty" doc:"let every host in, without authentication; not together with hosts"`
	Hosts        []NVMeHost      `yaml:"hosts,omitempty" json:"hosts,omitempty" doc:"who may connect; nobody when empty"`
	Namespaces   []NVMeNamespace `yaml:"namespaces,omitempty" json:"namespaces,omitempty" doc:"what hosts see as disks"`
}

// NVMeHost may connect to a subsystem.
type NVMeHost struct {
	NQN           string `yaml:"nqn" json:"nqn" doc:"the host's NQN (its /etc/nvme/hostnqn)"`
	DHCHAPKey     Secret `yaml:"dhchap_key,omitempty" json:"dhchap_key,omitempty" doc:"key that the host proves to have (DH-HMAC-CHAP), like DHHC-1:...; a host has one in the whole array"`
	DHCHAPCtrlKey Secret `yaml:"dhchap_ctrl_key,omitempty" json:"dhchap_ctrl_key,omitempty" doc:"key that the array proves to have when the host asks"`
	DHCHAPHash    string `yaml:"dhchap_hash,omitempty" json:"dhchap_hash,omitempty" enum:"sha256,sha384,sha512" doc:"hash of the authentication; sha256 by default"`
	DHCHAPDHGroup string `yaml:"dhchap_dhgroup,omitempty" json:"dhchap_dhgroup,omitempty" enum:"ffdhe2048,ffdhe3072,ffdhe4096,ffdhe6144,ffdhe8192" doc:"Diffie-Hellman group of the authentication; none by default"`
}

// NVMeNamespace is a device as NVMe hosts see it.
type NVMeNamespace struct {
	NSID         int    `yaml:"nsid" json:"nsid" doc:"namespace identifier, 1 to 1024"`
	Device       string `yaml:"device" json:"device" doc:"name of a device (vdisk_fileio or vdisk_blockio) that no LUN leads to"`
	UUID         string `yaml:"uuid,omitempty" json:"uuid,omitempty" doc:"what hosts know it by; completed once and then stays"`
	NGUID        string `yaml:"nguid,omitempty" json:"nguid,omitempty" doc:"globally unique identifier, 32 hex digits; completed once and then stays"`
	ANAGroup     int    `yaml:"ana_group,omitempty" json:"ana_group,omitempty" doc:"ANA group, 1 to 127; 1 by default"`
	Reservations bool   `yaml:"reservations,omitempty" json:"reservations,omitempty" doc:"offer persistent reservations to hosts (Linux 6.13 and later)"`
}

// Values of NVMePort.Transport.
const (
	NVMeTCP  = "tcp"
	NVMeRDMA = "rdma"
	NVMeFC   = "fc"
)

// Declared says whether the document says anything about NVMe.
func (n NVMe) Declared() bool { return len(n.Ports)+len(n.Subsystems) > 0 }

// Clone returns a deep copy.
func (n NVMe) Clone() NVMe {
	n.Ports = append([]NVMePort(nil), n.Ports...)
	for i := range n.Ports {
		n.Ports[i].ANAGroups = append([]ANAGroup(nil), n.Ports[i].ANAGroups...)
	}
	n.Subsystems = append([]NVMeSubsystem(nil), n.Subsystems...)
	for i := range n.Subsystems {
		s := &n.Subsystems[i]
		s.Ports = append([]string(nil), s.Ports...)
		s.Hosts = append([]NVMeHost(nil), s.Hosts...)
		s.Namespaces = append([]NVMeNamespace(nil), s.Namespaces...)
	}
	return n
}

// walk visits the parts of the section by their names: nvme-port/P,
// nvme-subsystem/NQN, nvme-namespace/NQN/NSID.
func (n NVMe) walk(visit func(name string, object any)) {
	for _, p := range n.Ports {
		visit("nvme-port/"+p.Name, p)
	}
	for _, s := range n.Subsystems {
		own := s
		own.Namespaces = nil
		visit("nvme-subsystem/"+s.NQN, own)
		for _, ns := range s.Namespaces {
			visit(NamespaceObject(s.NQN, ns.NSID), ns)
		}
	}
}

// NamespaceObject names a namespace: nvme-namespace/NQN/NSID.
func NamespaceObject(nqn string, nsid int) string {
	return fmt.Sprintf("nvme-namespace/%s/%d", nqn, nsid)
}

// NamespaceOf returns the first namespace that leads to a device.
func (n NVMe) NamespaceOf(device string) (object string, ok bool) {
	for _, s := range n.Subsystems {
		for _, ns := range s.Namespaces {
			if ns.Device == device {
				return NamespaceObject(s.NQN, ns.NSID), true
			}
		}
	}
	return "", false
}

// SCSI is the document as the engines see it: without the devices that NVMe
// namespaces lead to. Engines open what they serve for themselves alone, and
// one store is served by one of the two only.
func (d *Document) SCSI() *Document {
	used := map[string]bool{}
	for _, s := range d.NVMe.Subsystems {
		for _, ns := range s.Namespaces {
			used[ns.Device] = true
		}
	}
	if len(used) == 0 {
		return d
	}
	c := *d
	c.Devices = nil
	for _, dev := range d.Devices {
		if !used[dev.Name] {
			c.Devices = append(c.Devices, dev)
		}
	}
	return &c
}

// PortsOf are the NVMe ports that a subsystem is reached by.
func (n NVMe) PortsOf(s NVMeSubsystem) []NVMePort {
	named := map[string]bool{}
	for _, p := range s.Ports {
		named[p] = true
	}
	var ports []NVMePort
	for _, p := range n.Ports {
		if len(s.Ports) == 0 || named[p.Name] {
			ports = append(ports, p)
		}
	}
	return ports
}

// Canonical is the port's address as the kernel has it, for comparisons:
// an IP address and a port, or an FC name in lower case.
func (p NVMePort) Canonical() (string, error) {
	if p.Transport == NVMeFC {
		return strings.ToLower(p.Address), nil
	}
	host, port, err := net.SplitHostPort(p.Address)
	if err != nil {
		return "", err
	}
	if host == "" {
		host = "0.0.0.0"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(ip.Unmap().String(), strings.TrimLeft(port, "0")), nil
}

package config

import (
	"fmt"
	"strings"
)

// Service says whether a service of the machine runs.
type Service struct {
	Name    string `yaml:"name" json:"name" doc:"one of those that 'esos service list' shows"`
	Enabled bool   `yaml:"enabled" json:"enabled" doc:"started now and at each boot, or stopped and kept from starting"`
}

// ServiceKind is a service that there is.
type ServiceKind struct {
	Name  string
	Does  string   // what it is for, a sentence without a full stop
	Units []string // systemd's; the first one is what is looked at
}

// FindService returns the service of that name.
func (d *Document) FindService(name string) (*Service, error) {
	return find(d.Services, "service", name, func(s Service) string { return s.Name })
}

// ServiceKinds are the services that a document can name, by name.
func ServiceKinds() []ServiceKind {
	return []ServiceKind{
		{"corosync", "Cluster membership and messages", []string{"corosync.service"}},
		{"corosync-qdevice", "A vote of a host outside of the cluster", []string{"corosync-qdevice.service"}},
		{"cron", "Jobs at given times (/etc/cron.d, crontab)", []string{"cron.service"}},
		{"dlm", "Locks that a cluster shares", []string{"dlm.service"}},
		{"drbd", "Block devices mirrored over the network (/etc/drbd.d)", []string{"drbd.service"}},
		{"fcoe", "Fibre Channel over Ethernet", []string{"fcoe-utils.service", "fcoemon.socket"}},
		{"iperf3", "A server to measure the network with", []string{"iperf3.service"}},
		{"ipmievd", "Events of the machine's management controller into the log", []string{"ipmievd.service"}},
		{"iscsi-initiator", "Disks of other iSCSI targets, logged in to at boot", []string{"open-iscsi.service", "iscsid.service", "iscsid.socket"}},
		{"isns", "iSNS server: initiators ask it for targets", []string{"isnsd.service"}},
		{"isns-discovery", "Targets found at an iSNS server", []string{"isnsdd.service"}},
		{"ledmon", "Lights of drive bays", []string{"ledmon.service"}},
		{"lldpad", "Data Center Bridging and LLDP, which FCoE needs", []string{"lldpad.service", "lldpad.socket"}},
		{"lvm-monitor", "Snapshots, thin pools and mirrors of LVM watched and grown", []string{"lvm2-monitor.service"}},
		{"lvmlockd", "Volume groups that several hosts share", []string{"lvmlockd.service", "lvmlocks.service"}},
		{"msmtpd", "A mail server on this machine that hands on to the relay", []string{"msmtpd.service"}},
		{"multipath", "Disks reached on more than one path", []string{"multipathd.service", "multipathd.socket"}},
		{"munin", "An agent for Munin's graphs", []string{"munin-node-c.socket"}},
		{"nsca", "Results of Nagios checks taken from other hosts", []string{"nsca.service"}},
		{"nvme-initiator", "Namespaces of other NVMe subsystems, connected at boot", []string{"nvmf-autoconnect.service"}},
		{"opensm", "Subnet manager of an InfiniBand fabric", []string{"opensm.service"}},
		{"pacemaker", "Cluster resources; it needs corosync", []string{"pacemaker.service"}},
		{"rasdaemon", "Memory and bus errors into the log", []string{"rasdaemon.service"}},
		{"rsync", "An rsync server (/etc/rsyncd.conf)", []string{"rsync.service"}},
		{"rsyslog", "Logs in /var/log, and to another host", []string{"rsyslog.service", "syslog.socket"}},
		{"smart", "Health of disks watched (smartd)", []string{"smartmontools.service"}},
		{"snmp", "An SNMP agent (/etc/snmp/snmpd.conf)", []string{"snmpd.service"}},
		{"srp-initiator", "Disks of other SRP targets over InfiniBand", []string{"srp_daemon.service"}},
		{"ssh", "Logins over the network", []string{"ssh.service"}},
		{"sysstat", "Load over time (sar)", []string{"sysstat.service", "sysstat-collect.timer", "sysstat-summary.timer", "sysstat-rotate.timer"}},
		{"vmware-tools", "What VMware wants of its guests", []string{"open-vm-tools.service", "vgauth.service"}},
	}
}

// KindOfService returns what there is to know of a service; nil if there is no
// such one.
func KindOfService(name string) *ServiceKind {
	for _, k := range ServiceKinds() {
		if k.Name == name {
			return &k
		}
	}
	return nil
}

// needed tells why a service is not the document's to switch: ESOS itself
// needs it, or another section says what becomes of it.
func needed(name string) string {
	switch base, _, _ := strings.Cut(strings.TrimSuffix(name, ".service"), "@"); base {
	case "esos", "esos-target", "systemd-udevd", "udev", "dbus", "systemd-journald", "systemd-logind", "esos-save", "esos-sync":
		return "ESOS needs it and keeps it running"
	case "systemd-networkd", "systemd-resolved", "network", "networking":
		return "ESOS needs it; the section network says what it does"
	case "systemd-timesyncd", "ntp", "ntpd", "chrony", "timesyncd":
		return "the section clock says whether time servers are asked (clock.ntp, clock.ntp_disabled)"
	}
	return ""
}

func (c *checker) checkServices() {
	seen := map[string]int{}
	var names []string
	for _, k := range ServiceKinds() {
		names = append(names, k.Name)
	}
	for i, s := range c.doc.Services {
		at := fmt.Sprintf("services[%d].name", i)
		c.unique(seen, at, "services", s.Name, i)
		switch {
		case s.Name == "":
			c.error(at, "missing; one of %s", strings.Join(names, ", "))
		case KindOfService(s.Name) != nil:
		case needed(s.Name) != "":
			c.error(at, "%s is not switched on and off here: %s", s.Name, needed(s.Name))
		default:
			// A unit's name says what is meant, too.
			hint := nearest(s.Name, names)
			for _, k := range ServiceKinds() {
				for _, u := range k.Units {
					if unit, _, _ := strings.Cut(u, "."); u == s.Name || unit == s.Name {
						hint = fmt.Sprintf("; did you mean %q?", k.Name)
					}
				}
			}
			c.error(at, "there is no service %q%s; there are %s", clip(s.Name), hint, strings.Join(names, ", "))
		}
	}
}

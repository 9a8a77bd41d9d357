package persist

import (
	"path"
	"slices"
	"strings"
)

// Roots returns the directories that are kept, relative to /. All else of the
// running system is the image's, or made anew at each boot.
func Roots() []string { return []string{"etc", "var/lib", "opt", "root"} }

// rule is a path below a root with the reason why it is special. The path may
// have the wildcards of path.Match; what is below it goes with it.
type rule struct{ path, why string }

// excluded lists what is not saved though it is below a root.
func excluded() []rule {
	return []rule{
		{"var/lib/dpkg", "tells which packages are in the image: an older list over a newer image would lie"},
		{"var/lib/apt", "package lists, fetched again when asked for"},
		{"var/lib/ucf", "tells which configuration files came with the image's packages"},
		{"etc/ld.so.cache", "made from the image's libraries; that of another image would hide its own"},
		{"etc/udev/hwdb.bin", "made from the image's hardware database"},
		{"var/lib/systemd/catalog", "made from the image's message catalogs"},
		{"var/lib/systemd/coredump", "crashed programs' memory: large, and no settings"},
		{"var/lib/systemd/rfkill", "radio switches of this boot's hardware"},
		{"var/lib/pacemaker/cores", "crashed programs' memory"},
		{"var/lib/pacemaker/blackbox", "traces for debugging"},
		{"var/lib/corosync/fdata*", "traces for debugging, megabytes of them"},
		{"var/lib/esos/devices", "image files: they belong on mounted file systems, and are refused here"},
		{"var/lib/esos/run", "sockets of this boot"},
		{"var/lib/esos/lock", "held by this boot's daemon"},
		{"var/lib/esos/revisions/.new-*", "revisions that are being written"},
		{"root/.cache", "caches"},
	}
}

// volatile lists what changes by itself. It is saved like all else, so that a
// clock's drift and the entropy seed outlive a reboot; but a generation that
// differs from the one before in nothing else does not push older ones out.
func volatile() []rule {
	return []rule{
		{"var/lib/esos/events.jsonl*", "grows with every event"},
		{"var/lib/esos/upkeep.json", "when each job of upkeep was done last"},
		{"var/lib/esos/smart.json", "how disks were at the last look"},
		{"var/lib/esos/raid-checks.json", "when RAID arrays were checked, and what that found"},
		{"var/lib/esos/mail", "mail that waits for the server, and which alerts were mailed"},
		{"var/lib/systemd/random-seed", "new at each shutdown"},
		{"var/lib/systemd/timers", "when each timer ran last"},
		{"var/lib/systemd/timesync", "the time of the last synchronization"},
		{"var/lib/chrony", "the clock's drift"},
		{"var/lib/ntpsec", "the clock's drift"},
		{"var/lib/logrotate", "when each log was turned over"},
		{"var/lib/smartmontools", "the disks' last readings"},
		{"var/lib/dhcp", "leases"},
		{"var/lib/snmp", "counts its starts"},
		{"var/lib/sudo", "who was lectured"},
		{"root/.bash_history", "typed commands"},
		{"root/.lesshst", "typed searches"},
	}
}

// match says whether a rule is about p itself; the walk does not go below a
// directory that is excluded.
func match(rules []rule, p string) bool {
	return slices.ContainsFunc(rules, func(r rule) bool {
		ok, err := path.Match(r.path, p)
		return ok && err == nil
	})
}

// matchBelow says whether a rule is about p or something above it.
func matchBelow(rules []rule, p string) bool {
	for ; p != "."; p = path.Dir(p) {
		if match(rules, p) {
			return true
		}
	}
	return false
}

// kept says whether a path is a root, below one, or a directory that leads to
// one.
func kept(p string) bool {
	return slices.ContainsFunc(Roots(), func(root string) bool {
		return p == root || strings.HasPrefix(p, root+"/") || strings.HasPrefix(root, p+"/")
	})
}

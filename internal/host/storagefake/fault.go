package storagefake

import (
	"errors"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// fault is a failure that is to come.
type fault struct {
	at    int  // of the changes from now on, from 1; 0 never
	after bool // it fails after it did its work
}

// ErrInjected is what a call fails with that FailAt chose.
var ErrInjected = errors.New("injected failure")

// FailAt has the nth change from now on fail: a program that changes
// something, or a file that is written. With after it does its work first, and
// its success is not told. Nothing fails for n 0. All later changes succeed.
func (m *Machine) FailAt(n int, after bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault{n, after}
}

// Injected says whether the failure that FailAt chose has happened.
func (m *Machine) Injected() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fault.at < 0
}

// change carries a change out, unless it is to fail.
func (m *Machine) change(what string, do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	failing := false
	if m.fault.at > 0 {
		if m.fault.at--; m.fault.at == 0 {
			m.fault.at, failing = -1, true
		}
	}
	if failing && !m.fault.after {
		return ErrInjected
	}
	m.calls = append(m.calls, what)
	err := do()
	if failing && err == nil {
		err = ErrInjected
	}
	return err
}

// reads says whether a call only looks: it is no change, and never chosen to
// fail.
func reads(c host.Call) bool {
	has := func(words ...string) bool {
		return slices.ContainsFunc(c.Args, func(a string) bool { return slices.Contains(words, a) })
	}
	switch c.Name {
	case "lsblk", "udevadm", "blkid", "findmnt", "smartctl", "vdostats", "xfs_info", "xfs_db", "dumpe2fs", "find":
		return true
	case "wipefs":
		return has("--no-act")
	case "mdadm":
		return has("--detail", "--examine", "-D", "-E")
	case "lvm":
		return len(c.Args) > 0 && (c.Args[0] == "fullreport" || c.Args[0] == "lvs" || c.Args[0] == "vgs" || c.Args[0] == "pvs")
	case "lvs", "vgs", "pvs":
		return true
	case "dmsetup":
		return len(c.Args) > 0 && slices.Contains([]string{"info", "status", "table", "ls"}, c.Args[0])
	case "cryptsetup":
		return has("luksDump", "status", "isLuks", "luksUUID")
	case "multipathd":
		return has("show")
	case "multipath":
		return has("-ll", "-l")
	case "nvme":
		return has("list", "list-subsys")
	case "iscsiadm":
		return !strings.Contains(strings.Join(c.Args, " "), "--op") && !has("--login", "--logout", "--rescan", "-o")
	case "systemctl":
		return has("is-active")
	case "xfs_growfs", "xfs_repair":
		return has("-n")
	case "btrfs":
		return has("show", "usage", "list")
	}
	return false
}

// OnCall has something done before a program runs, the next time.
func (m *Machine) OnCall(name string, do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = map[string]func(){name: do}
}

// called does what OnCall wants.
func (m *Machine) called(name string) {
	m.mu.Lock()
	do := m.before[name]
	delete(m.before, name)
	m.mu.Unlock()
	if do != nil {
		do()
	}
}

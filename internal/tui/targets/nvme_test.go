package targets_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/targets"
)

const (
	host = "nqn.2026-11.com.example:host1"
	key  = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:"
)

// TestNVMe makes a subsystem with all that belongs to it, and takes it away.
func TestNVMe(t *testing.T) {
	t.Parallel()
	a, c := array(t, `version: 1
name: vault
devices:
  - {name: db01, handler: vdisk_nullio, size: 10GiB}
  - {name: fast, handler: vdisk_blockio, path: /dev/disk/by-id/virtio-d1}
`)
	c.Entry(targets.Menu(), "NVMe Ports")
	c.Type("a")
	c.Golden("add-nvme-port")
	c.Field("front")
	c.Type(" ")
	c.Golden("choose-transport")
	c.Escape()
	c.Press(tcell.KeyTab)
	c.Field("2001:db8::10")
	c.Press(tcell.KeyTab)
	c.Type("2=bad")
	c.Shows("the states are optimized")
	c.Field("1=optimized, 2=non-optimized")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.Shows("esos nvme port create front '[2001:db8::10]:4420' --transport tcp")
	c.CarryOut()
	if p, err := a.Document().FindNVMePort("front"); err != nil || p.Address != "[2001:db8::10]:4420" || len(p.ANAGroups) != 2 {
		t.Fatalf("made %+v %v", p, err)
	}
	c.Golden("nvme-ports")
	c.Type("c")
	c.Golden("nvme-port")
	c.Escape()

	c.Entry(targets.Menu(), "NVMe Subsystems")
	c.Type("a")
	c.Golden("add-subsystem")
	c.Field("mail")
	c.Type(" ")
	c.Golden("choose-ports")
	c.Escape()
	c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
	c.Field("SN-1")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.CarryOut()
	nqn := config.OurNQNs + "mail"
	if s, err := a.Document().FindNVMeSubsystem(nqn); err != nil || s.Serial != "SN-1" {
		t.Fatalf("made %+v %v", s, err)
	}
	c.Shows("Nobody may connect")
	c.Golden("subsystems")
	c.Type("c")
	c.Golden("subsystem")
	c.Escape()

	c.Type("h")
	c.Type("a")
	c.Field(host)
	c.Type(" ")
	c.Golden("choose-key")
	c.Escape()
	c.Choose("typed")
	c.Type("secret")
	c.Press(tcell.KeyTab, tcell.KeyBacktab)
	c.Golden("add-nvme-host")
	c.Field(key)
	c.Press(tcell.KeyTab)
	c.Type(" ")
	c.Golden("choose-hash")
	c.Escape()
	c.Press(tcell.KeyTab)
	c.Type(" ")
	c.Golden("choose-dh-group")
	c.Escape()
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.Shows("esos nvme host create " + nqn)
	if strings.Contains(c.Text(), "DHHC") {
		t.Errorf("a key is shown:\n%s", c.Text())
	}
	c.CarryOut()
	if h, err := a.Document().FindNVMeHost(nqn, host); err != nil || string(h.DHCHAPKey) != key {
		t.Errorf("host %v", err)
	}
	c.Golden("nvme-hosts")
	c.Type("k")
	c.Golden("key-of")
	c.Choose("none")
	c.Enter()
	c.CarryOut()
	if h, err := a.Document().FindNVMeHost(nqn, host); err != nil || h.DHCHAPKey != "" {
		t.Errorf("the key is still there: %v", err)
	}

	c.Entry(targets.Menu(), "NVMe Subsystems")
	c.Type("n")
	c.Type("a")
	c.Golden("add-namespace")
	c.Type(" ")
	c.Type("db01")
	c.Shows("NVMe serves files and block devices only")
	c.Escape()
	c.Golden("servable")
	c.Picked("fast")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	c.Field("2")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	// The kernel's target wants a real block device: the imitation has none, so
	// the plan is all that can be seen of namespaces here.
	c.Shows("Create namespace 1 of NVMe subsystem " + nqn)
	c.Shows("--ana-group 2")
	c.Escape()
	c.Escape()
	c.Golden("namespaces")
	c.Entry(targets.Menu(), "NVMe Subsystems")
	c.Type("d")
	carryOut(c)
	if slices.ContainsFunc(a.Document().NVMe.Subsystems, func(s config.NVMeSubsystem) bool { return s.NQN == nqn }) {
		t.Error("the subsystem is still there")
	}
}

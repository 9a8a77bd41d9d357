package appliance

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

// TestInstall boots an ISO that installs without asking onto a blank disk; the
// machine then starts from the disk.
func TestInstall(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, 3*bootTimeout)
	l, _ := lab(t)
	file, err := l.ISO(ctx, "install", "install_tran=sata", "wipe_devs=1")
	if err != nil {
		t.Fatal(err)
	}
	// The firmware tries the disk first, which is blank until ESOS is on it.
	// The data disk is on another bus, and none of the installer's business.
	m := start(ctx, t, Options{
		Boot:   vm.Drive{File: blank(t, 8<<30), Bus: vm.SATA, Serial: "blank"},
		Others: []vm.Drive{{File: file, Bus: vm.CD}},
	})
	if err := m.WaitFor(ctx, "Installing on "); err != nil {
		t.Fatal(err)
	}
	m.Console().Forget()
	served(ctx, t, m)
	r := login(ctx, t, m)
	if line := run(ctx, t, r, "cat /proc/cmdline"); strings.Contains(line, "esos_iso") {
		t.Fatalf("the machine started from the ISO again: %s", line)
	}
	if b := bootReport(ctx, t, r); b.Slot != "PRIMARY" || b.Restored.From == "" {
		t.Errorf("booted slot %q, settings from %q", b.Slot, b.Restored.From)
	}
	if got := run(ctx, t, r, "lsblk -dno TRAN $(readlink -f /dev/disk/by-label/esos_root | sed 's/[0-9]*$//')"); strings.TrimSpace(got) != "sata" {
		t.Errorf("the medium is on a disk of transport %q, want sata", got)
	}
	t.Logf("esos sync: %s", run(ctx, t, r, "esos sync"))
}

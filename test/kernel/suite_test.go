package kernel

import (
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestSuite runs the suite that every engine has to pass on LIO in the
// appliance's kernel, initiators included, and then has the daemon serve with
// it across a restart and a reboot.
func TestSuite(t *testing.T) {
	level.Require(t, level.Smoke)
	ctx := stand.Timeout(t, 20*time.Minute)
	a := newArray(ctx, t, "lio", appliance.Options{})
	a.tests(ctx, "./internal/engine/lio", "lio.test")
	out, err := a.Remote.Run(ctx, "cd /tmp && ESOS_LIO_TREE=/sys/kernel/config/target ./lio.test -test.v -test.run '^TestSuiteOnKernel$'")
	if err != nil {
		t.Error(err)
	}
	passed, skipped := strings.Count(out, "    --- PASS: "), strings.Count(out, "    --- SKIP: ")
	t.Logf("the engines' suite on LIO: %d tests passed, %d skipped", passed, skipped)
	if passed < 19 || skipped > 0 {
		t.Errorf("too few of the suite's tests ran:\n%s", out)
	}

	const doc = `
devices:
  - {name: disk, handler: vdisk_fileio, path: ` + images + `/disk.img, size: 64MiB}
iscsi:
  portals:
    - {name: all, address: "0.0.0.0:3260"}
targets:
  - name: iqn.2026-11.org.esos-project.test:lio
    groups:
      - {name: all, initiators: ["*"], luns: [{lun: 0, device: disk}]}
`
	a.apply(ctx, doc)
	tree := a.Run(ctx, "cd /sys/kernel/config/target && find . | sort | grep -v statistics")
	a.Run(ctx, "systemctl restart esos")
	a.Until(ctx, "esos status", "Engine:       lio")
	if again := a.Run(ctx, "cd /sys/kernel/config/target && find . | sort | grep -v statistics"); again != tree {
		t.Errorf("the kernel's tree changed when the daemon was restarted:\nbefore:\n%s\nafter:\n%s", tree, again)
	}

	// What somebody changes by hand is shown, left by the next daemon, and
	// undone or taken over when asked.
	const alias = "/sys/kernel/config/target/iscsi/iqn.2026-11.org.esos-project.test:lio/tpgt_1/param/TargetAlias"
	byHand := func(text string) {
		t.Helper()
		a.Run(ctx, "printf '"+text+"' > "+alias+"; systemctl restart esos")
		a.Until(ctx, "esos status", "Engine:       lio")
		if said := a.Run(ctx, "esos plan"); !strings.Contains(said, "changed by hand") || !strings.Contains(said, text) {
			t.Errorf("a change by hand is told as:\n%s", said)
		}
		if now := a.Run(ctx, "cat "+alias); !strings.Contains(now, text) {
			t.Errorf("the next daemon made of %q: %s", text, now)
		}
	}
	byHand("one")
	a.Run(ctx, "esos drift revert -y")
	if now := a.Run(ctx, "cat "+alias); strings.Contains(now, "one") {
		t.Errorf("after it was undone it reads %s", now)
	}
	byHand("two")
	a.Run(ctx, "esos drift adopt -y")
	if said := a.Run(ctx, "esos plan; esos config show"); !strings.Contains(said, "no changes") || !strings.Contains(said, "alias: two") {
		t.Errorf("after it was adopted:\n%s", said)
	}

	// Attributes of the kernel's own, and back to what it began with.
	const caw, login = "/sys/kernel/config/target/core/fileio_0/disk/attrib/emulate_caw", "/sys/kernel/config/target/iscsi/iqn.2026-11.org.esos-project.test:lio/tpgt_1/attrib/login_timeout"
	read := func() string { return a.Run(ctx, "cat "+caw+" "+login) }
	began := read()
	a.Run(ctx, "esos device set -y disk --attribute emulate_caw=0 && esos target set -y iqn.2026-11.org.esos-project.test:lio --attribute login_timeout=20")
	if now := read(); now != "0\n20\n" {
		t.Errorf("attributes that were set read %q", now)
	}
	if out, err := a.Remote.Run(ctx, "esos device set -y disk --attribute emulate_cow=0"); err == nil || !strings.Contains(out, "emulate_caw") {
		t.Errorf("an attribute that is not there: %v\n%s", err, out)
	}
	a.Run(ctx, "esos device set -y disk --attribute emulate_caw= && esos target set -y iqn.2026-11.org.esos-project.test:lio --attribute login_timeout=")
	if now := read(); now != began {
		t.Errorf("attributes that were taken out again read %q, not %q", now, began)
	}
}

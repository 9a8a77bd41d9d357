package upgrade

import (
	"context"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestNoKernel: GRUB cannot load what is on trial.
func TestNoKernel(t *testing.T) {
	level.Require(t, level.Full)
	for _, uefi := range []bool{false, true} {
		t.Run(map[bool]string{false: "BIOS", true: "UEFI"}[uefi], func(t *testing.T) {
			bad := variant(t, "9.9.3-no-kernel", map[string]string{slot.KernelFile: garbage(t, 8<<20)})
			fallBack(t, uefi, bad, "GRUB could not load it")
		})
	}
}

// TestPanics: the kernel on trial finds no init, and panics; twice.
func TestPanics(t *testing.T) {
	level.Require(t, level.Full)
	bad := variant(t, "9.9.4-panics", map[string]string{slot.InitrdFile: garbage(t, 1<<20)})
	fallBack(t, false, bad, "was booted 2 times")
}

// TestNoInit: the root on trial has no init. esos-init waits for somebody at the
// console, gives up, and leaves word of why.
func TestNoInit(t *testing.T) {
	level.Require(t, level.Full)
	bad := variant(t, "9.9.7-no-init", map[string]string{slot.RootFile: squash(t, t.TempDir(), 0)})
	fallBack(t, false, bad, "the system has no /sbin/init")
}

// TestNeverHealthy: the system on trial boots, but its daemon does not start.
// It is given two minutes, twice, and leaves word of why.
func TestNeverHealthy(t *testing.T) {
	level.Require(t, level.Full)
	bad := variant(t, "9.9.5-sick", map[string]string{slot.RootFile: sickRoot(t)})
	fallBack(t, false, bad, "esos.service failed")
}

// TestDamagedOnTrial: what was written well is damaged when it is booted.
func TestDamagedOnTrial(t *testing.T) {
	level.Require(t, level.Full)
	good := variant(t, "9.9.6-damaged", nil)
	ctx, s := newStand(t, 3, false)
	shortTrial(ctx, s, 3)
	s.Run(ctx, "esos upgrade --yes "+stand.At(stand.Serve(t, good), good))
	s.Run(ctx, `set -e
mkdir -p /run/damage; mount /dev/disk/by-partlabel/esos_root /run/damage
printf damage | dd of=/run/damage/SECONDARY/root.squashfs bs=1 seek=50000000 conv=notrunc 2>/dev/null
umount /run/damage`)
	cold(ctx, s)
	s.Served(ctx)
	fellBack(ctx, s, "SECONDARY", "SHA-256")
	outlivesTrial(ctx, s, 3)
	coldAgain(ctx, s)
}

// fallBack upgrades to a version that fails, boots it from power-off, and wants
// the old system to come back by itself, and to stay.
func fallBack(t *testing.T, uefi bool, bad, why string) {
	t.Helper()
	ctx, s := newStand(t, 6, uefi)
	s.Run(ctx, "echo before the upgrade >/etc/motd")
	shortTrial(ctx, s, 3)
	s.Run(ctx, "esos upgrade --yes "+stand.At(stand.Serve(t, bad), bad))
	cold(ctx, s)
	s.ServedWithin(ctx, 3*stand.BootTimeout) // it is tried twice before
	fellBack(ctx, s, "SECONDARY", why)
	if got := s.Run(ctx, "cat /etc/motd"); got != "before the upgrade\n" {
		t.Errorf("the settings of before are not there: /etc/motd is %q", got)
	}
	coldAgain(ctx, s)
	s.Run(ctx, "esos upgrade dismiss")
	stand.Pause(ctx, s.T, 15*time.Second)
	if a, there := s.Alert(ctx, "upgrade.failed"); there {
		t.Errorf("the alert is still there: %+v", a)
	}
}

// coldAgain boots once more: nothing is tried, and the alert is there until
// somebody saw it.
func coldAgain(ctx context.Context, s *stand.Stand) {
	s.T.Helper()
	s.Off() // the plug
	s.On(ctx)
	s.Served(ctx)
	r := report(ctx, s)
	if r.Slot != "PRIMARY" || r.Options.Trial || r.Options.FellBack != "" {
		s.T.Errorf("the boot after it: %+v", r)
	}
	fellBack(ctx, s, "SECONDARY", "")
}

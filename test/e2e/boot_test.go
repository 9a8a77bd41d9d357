package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/array"
	"github.com/esos-project/esos/test/guest"
	"github.com/esos-project/esos/test/level"
)

const (
	bootTarget = "iqn.2026-11.org.esos-project.test:boot"
	initiator  = "iqn.2026-11.org.esos-project.test:vm"
)

// TestBootFromLUN is bar 2: a bootable disk image goes onto a LUN, a virtual
// machine boots from it over iSCSI, and the image reads back unchanged.
func TestBootFromLUN(t *testing.T) {
	level.Require(t, level.Smoke)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	image, err := guest.Build(ctx, level.Cache(t), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(image.Disk)
	if err != nil {
		t.Fatal(err)
	}
	portal := array.FreeAddress(t)
	a := array.Start(t, array.Options{Document: fmt.Sprintf(`version: 1
name: boot
iscsi:
  portals:
  - name: p0
    address: %s
devices:
- name: os
  handler: vdisk_fileio
  path: os.img
  size: %d
targets:
- name: %s
  groups:
  - name: vms
    initiators: ['%s', 'iqn.2008-11.org.linux-kvm*']
    luns:
    - lun: 0
      device: os
`, portal, info.Size(), bootTarget, initiator)})
	lun := fmt.Sprintf("iscsi://%s/%s/0", portal, bootTarget)

	copyOnto(ctx, t, image.Disk, lun)
	want := hashFile(t, image.Disk)
	if got := readBack(ctx, t, lun); got != want {
		t.Fatalf("the image reads back as SHA-256 %s before the boot, want %s", got, want)
	}
	// The guest's writes go to a temporary file, so that the LUN must be the same after.
	bootOnce(ctx, t, lun, true, "test -b /dev/vda1 && grep -q ' / ext4 ' /proc/mounts")
	if got := readBack(ctx, t, lun); got != want {
		t.Errorf("the image reads back as SHA-256 %s after the boot, want %s", got, want)
	}
	a.CheckProcesses(t)

	if have, err := level.Of(); err != nil || have < level.Full {
		return
	}
	// What a guest writes to its disk is there when it boots again, also when
	// the array was stopped in between.
	bootOnce(ctx, t, lun, false, "mount -o remount,rw / ; echo written by the guest >/root/note && sync")
	a.Stop(t)
	a.Restart(t)
	bootOnce(ctx, t, lun, false, "grep -qx 'written by the guest' /root/note")
}

func bootOnce(ctx context.Context, t *testing.T, lun string, snapshot bool, script string) {
	t.Helper()
	m, err := vm.Start(ctx, vm.Config{
		Name: "boot", Dir: level.ShortDir(t), Memory: 512, CPUs: 2,
		Drives: []vm.Drive{{File: lun, Snapshot: snapshot, Initiator: initiator}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := m.WaitFor(ctx, guest.Marker); err != nil {
		t.Fatal(err)
	}
	t.Logf("booted from %s in %.0f s", lun, time.Since(start).Seconds())
	sh, err := m.Shell(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer sh.Close()
	if _, err := sh.Run(ctx, script); err != nil {
		t.Error(err)
	}
	// poweroff ends the guest before the agent can answer.
	if _, err := sh.Run(ctx, "sync; (sleep 0.2; poweroff -f) &"); err != nil {
		t.Error(err)
	}
	if err := m.Wait(ctx); err != nil {
		t.Error(err)
	}
}

// copyOnto writes a raw image to a LUN. -n: the LUN is there already.
func copyOnto(ctx context.Context, t *testing.T, image, lun string) {
	t.Helper()
	start := time.Now()
	out, err := exec.CommandContext(ctx, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", image, lun).CombinedOutput()
	if err != nil {
		t.Fatalf("copy the image to the LUN: %v\n%s", err, out)
	}
	t.Logf("copied the image to the LUN in %.1f s", time.Since(start).Seconds())
}

func readBack(ctx context.Context, t *testing.T, lun string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "back.img")
	out, err := exec.CommandContext(ctx, "qemu-img", "convert", "-f", "raw", "-O", "raw", lun, name).CombinedOutput()
	if err != nil {
		t.Fatalf("read the LUN back: %v\n%s", err, out)
	}
	defer os.Remove(name)
	return hashFile(t, name)
}

func hashFile(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

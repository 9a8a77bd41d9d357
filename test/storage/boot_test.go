package storage

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// bootDocument has two mirrors, each served by a target of its own; the disks
// of the second one are on USB, so that they can be plugged in while it runs.
const bootDocument = `version: 1
name: boot
storage:
  arrays:
    - {name: kept, level: "1", disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2]}
    - {name: late, level: "1", disks: [/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_u1-0:0, /dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_u2-0:0]}
devices:
  - {name: kept, handler: vdisk_blockio, path: /dev/md/kept}
  - {name: late, handler: vdisk_blockio, path: /dev/md/late}
iscsi:
  portals: [{name: san, address: "0.0.0.0:3260"}]
targets:
  - name: iqn.2026-11.org.esos-project.test:kept
    luns: [{lun: 0, device: kept}]
  - name: iqn.2026-11.org.esos-project.test:late
    luns: [{lun: 0, device: late}]
`

const (
	keptTarget = "iqn.2026-11.org.esos-project.test:kept"
	lateTarget = "iqn.2026-11.org.esos-project.test:late"
)

// TestBootWithoutDisks boots with one array degraded, one missing and one that
// is somebody else's: what is possible is served about as soon as at a clean
// boot, each is told by name, and the missing one comes up when its disks do.
func TestBootWithoutDisks(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 40*time.Minute)
	usb := make([]vm.Drive, 2)
	for i, serial := range []string{"u1", "u2"} {
		file, err := shared.Lab(t).Blank(t.Name()+serial, 512<<20)
		if err != nil {
			t.Fatal(err)
		}
		usb[i] = vm.Drive{File: file, Serial: serial, Bus: vm.USB}
	}
	a := newArray(ctx, t, 4, 512<<20, appliance.Options{Memory: 2048})
	disks := a.disks
	a.ShutDown(ctx)
	a.Options.Others = append(append([]vm.Drive{}, disks...), usb...)
	a.Boot(ctx)
	a.apply(ctx, bootDocument)
	data := bytes.Repeat([]byte("kept"), 1024)
	for _, target := range []string{keptTarget, lateTarget} {
		s := a.waitLogin(ctx, database, target)
		if err := s.Write(0, 64, data, 512, true); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	}
	a.Until(ctx, "cat /proc/mdstat; ! grep -qE 'resync|recovery' /proc/mdstat && echo in sync", "in sync")

	clean := a.bootTime(ctx, keptTarget)
	a.shell(ctx)
	// Somebody else's, on the disks that are left: nothing of ours.
	a.Run(ctx, "mdadm --create /dev/md/old --metadata=1.2 --bitmap=internal --homehost=elsewhere --name=old --level=1 --raid-devices=2 /dev/disk/by-id/virtio-d3 /dev/disk/by-id/virtio-d4 </dev/null && mkfs.ext4 -q /dev/md/old && mdadm --stop /dev/md/old")

	a.Options.Others = []vm.Drive{disks[0], disks[2], disks[3]} // d2, u1 and u2 stay out
	broken := a.bootTime(ctx, keptTarget)
	t.Logf("served %.1f s after the kernel's first line at a clean boot, %.1f s with one array degraded, one missing, one foreign", clean.Seconds(), broken.Seconds())
	if broken > clean+20*time.Second {
		t.Errorf("what is possible is served %.1f s later than at a clean boot, want at most 20 s", (broken - clean).Seconds())
	}
	a.shell(ctx)
	status := a.Until(ctx, "esos status", "array/late")
	t.Log(status)
	for _, want := range []string{"array/kept", "virtio-d2", "array/late", "device/late"} {
		if !strings.Contains(status, want) {
			t.Errorf("status does not tell of %s", want)
		}
	}
	if plan := a.Pipe(ctx, "esos plan -f -", bootDocument); !strings.Contains(plan, "old") {
		t.Errorf("the plan does not tell of the foreign array old:\n%s", plan)
	}
	if md := a.Run(ctx, "cat /proc/mdstat"); strings.Count(md, "active") != 1 {
		t.Errorf("arrays that run:\n%s", md)
	}

	began := time.Now()
	for _, d := range usb {
		if err := a.Plug(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	s := a.waitLogin(ctx, database, lateTarget)
	t.Logf("the missing array was served %.0f s after its disks were plugged in", time.Since(began).Seconds())
	if got, err := s.Read(0, 64, 8, 512); err != nil || !bytes.Equal(got, data) {
		t.Errorf("what was written before the disks were out is not there: %v", err)
	}
	_ = s.Close()
}

// bootTime starts the appliance anew and returns how long it takes from the
// kernel's first line until a LUN of a target is read.
func (a *array) bootTime(ctx context.Context, target string) time.Duration {
	a.T.Helper()
	a.restart(ctx)
	if err := a.WaitFor(ctx, appliance.KernelMarker); err != nil {
		a.T.Fatal(err)
	}
	began := time.Now()
	s := a.waitLogin(ctx, database, target)
	took := time.Since(began)
	if got, err := s.Read(0, 64, 8, 512); err != nil || !bytes.HasPrefix(got, []byte("kept")) {
		a.T.Errorf("what was written before is not there: %v", err)
	}
	_ = s.Close()
	return took
}

package storage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/guest"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// liveDocument is a RAID 6 with thin volumes, served to one Linux server.
type liveDocument struct {
	last  string // the array's fourth disk
	size  string // of the volume
	clone string // what the second volume is a clone of; none when empty
}

const liveTarget = "iqn.2026-11.org.esos-project.test:live"

func (d liveDocument) String() string {
	var b strings.Builder
	b.WriteString("version: 1\nname: live\nengine: lio\nstorage:\n  arrays:\n    - {name: r6, level: \"6\", chunk: 64KiB, disks: [/dev/disk/by-id/virtio-d1, /dev/disk/by-id/virtio-d2, /dev/disk/by-id/virtio-d3, /dev/disk/by-id/virtio-" + d.last + "]}\n" +
		"  volume_groups:\n    - name: vg0\n      devices: [/dev/md/r6]\n      volumes:\n        - {name: pool, type: thin_pool, size: 1200MiB}\n        - {name: db01, type: thin, pool: pool, size: " + d.size + "}\n")
	if d.clone != "" {
		b.WriteString("        - {name: copy, type: thin, pool: pool, clone_of: " + d.clone + "}\n")
	}
	b.WriteString("devices:\n  - {name: db01, handler: vdisk_blockio, path: /dev/vg0/db01}\n")
	if d.clone != "" {
		b.WriteString("  - {name: copy, handler: vdisk_blockio, path: /dev/vg0/copy}\n")
	}
	b.WriteString("iscsi:\n  portals: [{name: san, address: '" + stand.ArrayAddress + ":3260'}]\ntargets:\n  - name: " + liveTarget + "\n    groups:\n    - name: servers\n      initiators: ['" + stand.ServerName + "']\n      luns:\n      - {lun: 0, device: db01}\n")
	if d.clone != "" {
		b.WriteString("      - {lun: 1, device: copy}\n")
	}
	return b.String()
}

// TestLive has a Linux server write and verify while a disk of the array fails
// and is replaced, the volume grows, a snapshot of it is rolled out as a clone,
// the array is checked, and the daemon is restarted and killed: no I/O fails.
func TestLive(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 60*time.Minute)
	o := appliance.Options{Memory: 2048}
	cable := stand.Cable(t, &o)
	a := newArray(ctx, t, 5, 1<<30, o)
	a.Run(ctx, "true")
	s, _ := a.Connect(ctx, cable)
	doc := liveDocument{last: "d4", size: "1GiB"}
	a.apply(ctx, doc.String())
	s.Run(t, "iscsiadm -m discovery -t st -p "+stand.ArrayAddress+" && iscsiadm -m node --login")
	disk := "/dev/disk/by-path/ip-" + stand.ArrayAddress + ":3260-iscsi-" + liveTarget + "-lun-0"
	s.Eventually(t, "the disk", time.Minute, "udevadm settle; test -b "+disk, "ls -l /dev/disk/by-path; dmesg | tail")
	sessions := a.Run(ctx, "esos session list")

	// fio takes a colon for the end of a name.
	t.Cleanup(func() {
		if t.Failed() && a.Remote != nil {
			said, err := a.Remote.Run(context.WithoutCancel(ctx), "uptime; esos status; esos crash list; cat /proc/mdstat; dmesg | tail -50")
			t.Logf("the array, after it failed: %v\n%s", err, said)
		}
	})
	load := s.Load(t, strings.TrimSpace(s.Run(t, "readlink -f "+disk)), 8*time.Minute)
	during := func(what string, do func()) {
		t.Helper()
		began := time.Now()
		do()
		load.Runs(t)
		t.Logf("%s: %.0f s", what, time.Since(began).Seconds())
	}
	during("a disk failed", func() {
		a.Run(ctx, "mdadm --fail /dev/md/r6 /dev/disk/by-id/virtio-d4")
		a.Until(ctx, "esos status", "array/r6")
	})
	during("the disk replaced", func() {
		doc.last = "d5"
		a.applied(ctx, doc)
		a.inSync(ctx)
	})
	during("the volume grown", func() {
		doc.size = "1536MiB"
		a.applied(ctx, doc)
		s.Eventually(t, "the new size", 2*time.Minute, fmt.Sprintf("iscsiadm -m session -R >/dev/null; test $(blockdev --getsize64 %s) = %d", disk, 1536<<20), "blockdev --getsize64 "+disk)
	})
	during("a snapshot rolled out as a clone", func() { a.cloned(ctx, s, &doc) })
	during("the array checked", func() {
		a.Run(ctx, "esos array check r6")
		a.Until(ctx, "cat /sys/block/$(basename $(readlink -f /dev/md/r6))/md/sync_action", "idle")
		if n := strings.TrimSpace(a.Run(ctx, "cat /sys/block/$(basename $(readlink -f /dev/md/r6))/md/mismatch_cnt")); n != "0" {
			t.Errorf("the check found %s mismatches", n)
		}
	})
	during("the daemon restarted", func() {
		a.Run(ctx, "systemctl restart esos")
		a.Until(ctx, "esos status", "live")
	})
	during("the daemon killed", func() {
		a.Run(ctx, "systemctl kill -s KILL esos")
		a.Until(ctx, "esos status", "live")
		a.applied(ctx, doc)
	})
	load.Wait(t)
	if again := a.Run(ctx, "esos session list"); strings.Count(again, stand.ServerName) != strings.Count(sessions, stand.ServerName) {
		t.Errorf("sessions before:\n%s\nand after:\n%s", sessions, again)
	}
	if said := s.Run(t, "dmesg | grep -iE 'i/o error|detected conn error|session recovery' || true"); said != "" {
		t.Errorf("the server's kernel says:\n%s", said)
	}
}

func (a *array) applied(ctx context.Context, doc liveDocument) {
	a.T.Helper()
	a.apply(ctx, doc.String())
}

// inSync waits until the array has all of its redundancy back.
func (a *array) inSync(ctx context.Context) {
	a.T.Helper()
	a.Until(ctx, "cat /proc/mdstat; grep -q '\\[UUUU\\]' /proc/mdstat && ! grep -qE 'resync|recovery|reshape' /proc/mdstat && echo in sync", "in sync")
}

// cloned takes a snapshot of the disk under I/O and shows a clone of it to the
// server, which must be able to read all of it, and to write.
func (a *array) cloned(ctx context.Context, s *guest.Server, doc *liveDocument) {
	a.T.Helper()
	a.Run(ctx, "esos snapshot create before db01")
	var list []struct {
		Volume string `json:"volume"`
	}
	a.Into(ctx, &list, "esos snapshot list -o json")
	if len(list) != 1 {
		a.T.Fatalf("snapshots: %+v", list)
	}
	doc.clone = list[0].Volume
	a.applied(ctx, *doc)
	clone := "/dev/disk/by-path/ip-" + stand.ArrayAddress + ":3260-iscsi-" + liveTarget + "-lun-1"
	s.Eventually(a.T, "the clone", time.Minute, "iscsiadm -m session -R >/dev/null; udevadm settle; test -b "+clone, "ls -l /dev/disk/by-path")
	s.Run(a.T, "dd if="+clone+" of=/dev/null bs=1M iflag=direct && dd if=/dev/zero of="+clone+" bs=1M count=16 seek=900 oflag=direct")
}

package kernel

import (
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// liveDocument is an array with two targets that lead to one disk, so that
// their access states can be told apart.
type liveDocument struct {
	one, two string // access states
	size     string // of the disk
	lun      bool   // a second disk is mapped
	portal   bool   // a third portal is open
}

func (d liveDocument) String() string {
	var b strings.Builder
	b.WriteString("devices:\n  - {name: disk, handler: vdisk_fileio, path: " + images + "/disk.img, size: " + d.size + "}\n" +
		"  - {name: more, handler: vdisk_fileio, path: " + images + "/more.img, size: 16MiB}\n" +
		"iscsi:\n  portals:\n    - {name: one, address: '192.0.2.1:3260'}\n    - {name: two, address: '192.0.2.1:3261'}\n")
	if d.portal {
		b.WriteString("    - {name: three, address: '192.0.2.1:3262'}\n")
	}
	b.WriteString("targets:\n")
	for _, name := range []string{"one", "two"} {
		portals := name
		if d.portal {
			portals += ", three"
		}
		b.WriteString("  - name: iqn.2026-11.org.esos-project.test:" + name + "\n    portals: [" + portals + "]\n" +
			"    groups:\n    - name: servers\n      initiators: ['" + serverName + "']\n      luns:\n      - {lun: 0, device: disk}\n")
		if d.lun {
			b.WriteString("      - {lun: 1, device: more}\n")
		}
	}
	b.WriteString("device_groups:\n  - name: all\n    devices: [disk]\n    target_groups:\n" +
		"    - {name: one, id: 1, state: " + d.one + ", targets: [{name: 'iqn.2026-11.org.esos-project.test:one'}]}\n" +
		"    - {name: two, id: 2, state: " + d.two + ", targets: [{name: 'iqn.2026-11.org.esos-project.test:two'}]}\n")
	return b.String()
}

// TestLiveChange has a Linux server write and verify over two paths while the
// array changes under it: no I/O may fail, and no session may end.
func TestLiveChange(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 40*time.Minute)
	p := newPair(ctx, t, "lio", appliance.Options{})
	doc := liveDocument{one: "active", two: "nonoptimized", size: "256MiB"}
	p.apply(ctx, doc.String())
	s := p.server
	s.Run(t, `set -e
for m in dm_multipath dm_service_time scsi_dh_alua; do modprobe $m; done
cat >/etc/multipath.conf <<'CONF'
defaults {
	find_multipaths no
	user_friendly_names no
	polling_interval 2
	max_polling_interval 4
	no_path_retry 30
	path_grouping_policy group_by_prio
	prio alua
	failback immediate
}
CONF
multipathd
for p in 3260 3261; do iscsiadm -m discovery -t st -p `+arrayAddress+`:$p; done
iscsiadm -m node --login`)
	s.Eventually(t, "two paths", time.Minute, `[ "$(multipathd show paths raw format '%m %t' | grep -c ' active$')" = 2 ]`, "multipathd show paths; iscsiadm -m session")
	disk := "/dev/mapper/" + strings.TrimSpace(s.Run(t, "multipathd show maps raw format '%n' 2>/dev/null"))
	s.Eventually(t, "the multipath disk "+disk, time.Minute, "udevadm settle; test -b "+disk, "ls -l /dev/mapper; multipathd show topology")
	sessions := p.Run(ctx, "esos session list -o json | grep -E '\"(id|since)\"'")
	if strings.Count(sessions, `"id"`) != 2 {
		t.Fatalf("sessions before the load: %s", sessions)
	}

	const lasts = 3 * time.Minute
	load := s.Load(t, disk, lasts)
	change := func(name string, f func()) {
		began := time.Now()
		f()
		load.Runs(t)
		t.Logf("%s: %.0f s", name, time.Since(began).Seconds())
		time.Sleep(3 * time.Second)
	}
	change("a LUN is added", func() {
		doc.lun = true
		p.apply(ctx, doc.String())
	})
	s.Eventually(t, "the second disk", time.Minute, "iscsiadm -m session --rescan >/dev/null; [ $(lsscsi 2>/dev/null | wc -l) -ge 4 ] || [ $(ls -d /sys/class/scsi_disk/* | wc -l) -ge 4 ]", "ls /sys/class/scsi_disk")
	change("a portal is added", func() {
		doc.portal = true
		p.apply(ctx, doc.String())
	})
	if out := s.Run(t, "iscsiadm -m discovery -t st -p "+arrayAddress+":3262"); strings.Count(out, ":3262") != 2 {
		t.Errorf("the new portal shows: %s", out)
	}
	change("the device grows", func() {
		doc.size = "384MiB"
		p.apply(ctx, doc.String())
	})
	s.Run(t, "iscsiadm -m session --rescan >/dev/null; udevadm settle; multipathd resize map "+strings.TrimPrefix(disk, "/dev/mapper/"))
	s.Eventually(t, "the map grows", time.Minute, `[ "$(blockdev --getsize64 `+disk+`)" = 402653184 ]`, "multipathd show maps")
	for _, states := range [][2]string{{"nonoptimized", "active"}, {"standby", "active"}, {"active", "standby"}, {"active", "nonoptimized"}} {
		change("access states "+states[0]+" and "+states[1], func() {
			doc.one, doc.two = states[0], states[1]
			p.apply(ctx, doc.String())
		})
	}
	change("the daemon is restarted", func() {
		p.Run(ctx, "systemctl restart esos")
		p.Until(ctx, "esos status", "Engine:       lio")
	})
	change("the daemon is killed", func() {
		p.Run(ctx, "systemctl kill -s KILL esos")
		p.Until(ctx, "esos status", "Engine:       lio")
	})
	if out := p.Pipe(ctx, "esos plan -f -", p.document(doc.String())); !strings.HasPrefix(out, "no changes") {
		t.Errorf("after all of it something is to be done:\n%s", out)
	}
	load.Runs(t)
	load.Wait(t)
	if after := p.Run(ctx, "esos session list -o json | grep '\"id\"'"); after != grep(sessions, `"id"`) {
		t.Errorf("sessions before:\n%safter:\n%s", sessions, after)
	}
	// A path that is in standby refuses what is under way, which multipath then
	// sends by the other one: that is no error of the disk.
	if out, code := s.Status(t, "dmesg | grep -E 'I/O error, dev dm|Buffer I/O|detected conn error|session recovery timed out'"); code == 0 {
		t.Errorf("the server's kernel saw errors:\n%s", out)
	}
}

// grep returns the lines that have a text.
func grep(text, has string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, has) {
			b.WriteString(line)
		}
	}
	return b.String()
}

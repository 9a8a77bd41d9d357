package boot

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/boot/disks"
)

// mirrors puts together the software RAIDs that the medium is on, and no
// others: arrays of data are the running system's to start.
type mirrors struct {
	b       *Boot
	given   map[string]bool // members that mdadm has, by name
	last    time.Time       // when it got one
	started bool            // those with members missing
}

// assemble gives mdadm the members that are new. It starts an array when it
// has all of its members; after a while, also when one is missing.
func (m *mirrors) assemble(ctx context.Context, devices []disks.Device) {
	active := false
	for _, d := range devices {
		active = active || d.Transport == "md" && d.Content.Label == labelRoot
		if m.given[d.Name] || !ours(devices, d) {
			continue
		}
		if m.given == nil {
			m.given = map[string]bool{}
			if err := m.b.modules.need("raid1"); err != nil {
				m.b.warn("the medium is a mirror: %v", err)
			}
			// mdadm keeps there which arrays it is putting together.
			if err := os.MkdirAll(m.b.path("/run/mdadm"), 0o755); err != nil {
				m.b.warn("the medium is a mirror: %v", err)
			}
		}
		m.given[d.Name] = true
		m.last = time.Now()
		m.mdadm(ctx, "--incremental", d.Path)
	}
	if len(m.given) > 0 && !active && !m.started && time.Since(m.last) >= m.b.times.degraded {
		m.started = true
		m.b.warn("a member of the medium's mirror is missing: starting the mirror without it")
		m.mdadm(ctx, "--incremental", "--run", "--scan")
	}
}

// mdadm runs it. Its exit status says little: it complains of udev, which is
// not running, when all went well. The array's appearance is what counts.
func (m *mirrors) mdadm(ctx context.Context, args ...string) {
	out, status, err := m.b.Linux.Run(ctx, "mdadm", args...)
	if err != nil {
		m.b.warn("the medium is a mirror: run mdadm %s: %v", strings.Join(args, " "), err)
		return
	}
	m.b.Log.Info("mdadm "+strings.Join(args, " "), "status", status, "output", out)
}

// ours tells whether a member holds a medium: its content can be seen on it,
// on itself or, of a whole disk, on the partitions in it.
func ours(devices []disks.Device, d disks.Device) bool {
	if !d.Content.Member {
		return false
	}
	for _, o := range devices {
		if o.Name != d.Name && (o.Disk != d.Name || d.Name != d.Disk) {
			continue
		}
		switch o.Content.Label {
		case labelRoot, labelConf, labelLogs, labelBoot, labelData:
			return true
		}
	}
	return false
}

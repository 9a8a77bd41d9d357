package storage

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// scaleDocument has 20 disks in 5 arrays with 200 volumes.
func scaleDocument() string {
	var b strings.Builder
	b.WriteString("version: 1\nname: scale\nstorage:\n  arrays:\n")
	for i := range 5 {
		var disks []string
		for k := range 4 {
			disks = append(disks, fmt.Sprintf("/dev/disk/by-id/virtio-d%d", 4*i+k+1))
		}
		fmt.Fprintf(&b, "    - {name: r%d, level: \"5\", chunk: 64KiB, disks: [%s]}\n", i, strings.Join(disks, ", "))
	}
	b.WriteString("  volume_groups:\n")
	for i := range 5 {
		fmt.Fprintf(&b, "    - name: vg%d\n      devices: [/dev/md/r%d]\n      volumes:\n", i, i)
		for k := range 40 {
			fmt.Fprintf(&b, "        - {name: v%02d, size: 8MiB}\n", k)
		}
	}
	return b.String()
}

// TestScale plans with nothing to do over 20 disks, 5 arrays and 200 volumes:
// the time that the tools themselves take is in it. The bound is on idle
// machines; the figure is what counts.
func TestScale(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 60*time.Minute)
	a := newArray(ctx, t, 20, 256<<20, appliance.Options{Memory: 2048})
	doc := scaleDocument()
	a.Pipe(ctx, "cat > /tmp/scale.yaml", doc)
	began := time.Now()
	a.Run(ctx, "(esos apply -y -f /tmp/scale.yaml >/tmp/applied 2>&1; echo status $? >>/tmp/applied) >/dev/null 2>&1 &")
	for {
		said := a.Run(ctx, "tail -3 /tmp/applied")
		if strings.Contains(said, "status 0") {
			break
		}
		if strings.Contains(said, "status ") {
			t.Fatalf("apply failed:\n%s", said)
		}
		stand.Pause(ctx, t, 2*time.Second)
	}
	t.Logf("20 disks, 5 arrays, 200 volumes made in %.0f s", time.Since(began).Seconds())
	a.Until(ctx, "cat /proc/mdstat; grep -qE 'resync|recovery' /proc/mdstat || echo in sync", "in sync")
	seconds := regexp.MustCompile(`real\s+0m([0-9.]+)s`)
	var times []string
	for range 5 {
		out := a.Run(ctx, "bash -c 'time esos plan -f /tmp/scale.yaml' 2>&1")
		if !strings.Contains(out, "no changes") {
			t.Fatalf("there is something to do:\n%s", out)
		}
		if m := seconds.FindStringSubmatch(out); m != nil {
			times = append(times, m[1])
		}
	}
	t.Logf("esos plan with nothing to do, in an emulated machine: %s s", strings.Join(times, ", "))
	t.Log(a.Run(ctx, "bash -c 'time lvm fullreport --devicesfile \"\" --reportformat json >/dev/null; time lsblk --json -O >/dev/null' 2>&1"))
}

package kernel

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// largeDocument has 1,000 LUNs of 200 groups on 50 targets.
func largeDocument() string {
	var b strings.Builder
	b.WriteString("devices:\n")
	for d := range 1000 {
		fmt.Fprintf(&b, "  - {name: d%03d, handler: vdisk_nullio, size: 1GiB}\n", d)
	}
	b.WriteString("iscsi: {portals: [{name: all, address: '0.0.0.0:3260'}]}\ntargets:\n")
	for t := range 50 {
		fmt.Fprintf(&b, "  - name: iqn.2026-11.com.example:t%02d\n    groups:\n", t)
		for g := range 4 {
			fmt.Fprintf(&b, "    - name: g%d\n      initiators: ['iqn.1993-08.org.debian:h%d-%d']\n      luns:\n", g, t, g)
			for l := range 5 {
				fmt.Fprintf(&b, "      - {lun: %d, device: d%03d}\n", l, t*20+g*5+l)
			}
		}
	}
	return b.String()
}

// TestScale has LIO serve 1,000 LUNs, changes one line, and restarts the
// daemon. What of the time is the machine's is seen beside it.
func TestScale(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 30*time.Minute)
	a := newArray(ctx, t, "lio", appliance.Options{})
	took := func(what string, limit time.Duration, f func()) {
		t.Helper()
		began := time.Now()
		f()
		d := time.Since(began)
		t.Logf("%s: %.1f s", what, d.Seconds())
		if d > limit {
			t.Errorf("%s took %.1f s, want %s at most", what, d.Seconds(), limit)
		}
	}
	doc := largeDocument()
	took("1,000 LUNs on 50 targets with 200 groups", time.Minute, func() {
		a.Pipe(ctx, "esos apply -y -f -", a.document(doc))
	})
	if n := strings.TrimSpace(a.Run(ctx, "ls -d /sys/kernel/config/target/iscsi/*/tpgt_1/acls/*/lun_* | wc -l")); n != "1000" {
		t.Errorf("the kernel has %s LUNs, want 1000", n)
	}
	took("nothing to do", 20*time.Second, func() {
		if out := a.Pipe(ctx, "esos plan -f -", a.document(doc)); !strings.HasPrefix(out, "no changes") {
			t.Errorf("planned again:\n%.2000s", out)
		}
	})
	doc = strings.Replace(doc, "{lun: 4, device: d999}", "{lun: 5, device: d999}", 1)
	took("another number of one LUN", 20*time.Second, func() {
		a.Pipe(ctx, "esos apply -y -f -", a.document(doc))
	})
	took("the daemon is restarted", time.Minute, func() {
		a.Run(ctx, "systemctl restart esos")
		a.Until(ctx, "esos status", "LUNs:         1000")
	})
	took("nothing is served any more", 2*time.Minute, func() { a.Pipe(ctx, "esos apply -y -f -", a.document("")) })
}

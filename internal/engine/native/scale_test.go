package native

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
)

const largeDevices = 1000

// putArray puts a large array: 1,000 devices on 50 targets with 200 groups,
// four LUNs of the default map and sixteen of groups a target.
func putArray(t testing.TB, e *Engine) {
	t.Helper()
	ctx := t.Context()
	for i := range largeDevices {
		d := config.Device{Name: fmt.Sprintf("disk%04d", i), Handler: config.FileIO}
		d.Path = d.Name + ".img"
		d.Identity = config.Identity{NAA: fmt.Sprintf("3%015x", i), Serial: fmt.Sprint(i)}
		ok(t, e.PutDevice(ctx, d))
	}
	for i := range 50 {
		name := fmt.Sprintf("iqn.2026-11.org.esos-project:t%02d", i)
		ok(t, e.PutTarget(ctx, config.Target{Name: name, RelativeIDs: map[int]int{1: i + 1}}))
		for l := range 4 {
			ok(t, e.PutLUN(ctx, name, "", config.LUN{LUN: l, Device: fmt.Sprintf("disk%04d", i*20+l)}))
		}
		for g := range 4 {
			group := fmt.Sprintf("g%d", g)
			ok(t, e.PutGroup(ctx, name, config.Group{Name: group, Initiators: []string{fmt.Sprintf("iqn.2026-11.com.example:h%d-%d", i, g)}}))
			for l := range 4 {
				ok(t, e.PutLUN(ctx, name, group, config.LUN{LUN: l, Device: fmt.Sprintf("disk%04d", i*20+4+g*4+l)}))
			}
		}
	}
	ok(t, e.PutPortal(ctx, config.Portal{Name: "p", Address: "127.0.0.1:0"}))
}

// TestLargeArray: everything is put in well under 3 s, observed in under 50
// ms, and brought back in a second or two; the log of the test says what it
// was. The limits here are ten times that: they hold under the race detector
// on a machine that runs other tests too, and still find what takes a time
// that grows with the square.
func TestLargeArray(t *testing.T) {
	opt := options(t)
	e := begin(t, opt)
	for i := range largeDevices {
		path := filepath.Join(opt.DataDir, fmt.Sprintf("disk%04d.img", i))
		ok(t, os.WriteFile(path, nil, 0o600))
		ok(t, os.Truncate(path, 1<<30))
	}
	begun := time.Now()
	putArray(t, e)
	put := time.Since(begun)

	fastest := time.Hour
	for range 5 {
		begun = time.Now()
		st, err := e.Observe(t.Context())
		ok(t, err)
		fastest = min(fastest, time.Since(begun))
		if len(st.Devices) != 1000 || len(st.Targets) != 50 {
			t.Fatalf("observed %d devices and %d targets", len(st.Devices), len(st.Targets))
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.PID()))
	ok(t, err)
	rss := 0
	for line := range lines(status) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &rss); err == nil {
			break
		}
	}
	events, err := e.Events(t.Context())
	ok(t, err)
	begun = time.Now()
	ok(t, syscall.Kill(e.PID(), syscall.SIGKILL))
	for ev := range events {
		if ev.Kind == "target.restarted" {
			break
		}
	}
	back := time.Since(begun)
	t.Logf("put in %v, observed in %v, brought back in %v; the process takes %d MiB", put, fastest, back, rss/1024)
	if put > 30*time.Second || fastest > 500*time.Millisecond || back > 20*time.Second {
		t.Error("that is too slow")
	}
	if rss > 256<<10 {
		t.Errorf("the process takes %d MiB", rss/1024)
	}
}

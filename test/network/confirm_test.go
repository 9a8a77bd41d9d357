package network

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/level"
)

// TestCutOff has one machine administer another over a cable, and cut itself
// off: the change is undone within the minute, at once when the daemon was
// killed or the power was cut in between, and stays when it was confirmed.
func TestCutOff(t *testing.T) {
	level.Require(t, level.Full)
	ctx := timeout(t, 40*time.Minute)
	cable := filepath.Join(level.ShortDir(t), "c")
	a, b := newArray(ctx, t, "array", 0, cable), newArray(ctx, t, "caller", 1, cable)
	a.start(ctx)
	b.start(ctx)
	a.login(ctx)
	b.login(ctx)
	const home, gone, other = "10.77.0.1", "10.99.0.1", "10.77.0.3"
	set := func(address string) string {
		return fmt.Sprintf("esos network interface set %s --address %s/24", a.nics[0], address)
	}
	t.Logf("the array: %s", a.run(ctx, set(home)+" && esos network confirm"))
	b.run(ctx, fmt.Sprintf("esos network interface set %s --address 10.77.0.2/24 && esos network confirm", b.nics[0]))
	key := b.run(ctx, "mkdir -p /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 && cat /root/.ssh/id_ed25519.pub")
	a.run(ctx, "cat >>/root/.ssh/authorized_keys <<'END'\n"+key+"END")
	const ssh = "timeout 20 ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=10 "
	b.until(ctx, "the caller gets in over the cable", ssh+home+" true")
	// The command's own connection is what it cuts.
	change := func(address string) {
		t.Helper()
		out, _ := b.try(ctx, ssh+home+" '"+set(address)+"'")
		t.Logf("the caller's change to %s: %q", address, out)
	}
	cut := func() {
		t.Helper()
		if out, in := b.try(ctx, "ping -c 2 -W 2 "+home); in {
			t.Errorf("the caller is not cut off:\n%s\n%s", out, a.state())
		}
		if out := a.run(ctx, "esos network status; ip -br addr show "+a.nics[0]); !strings.Contains(out, gone) || !strings.Contains(out, "unless it is confirmed") {
			t.Errorf("the array while it waits:\n%s", out)
		}
	}
	back := func(began time.Time, why string) {
		t.Helper()
		b.until(ctx, "the caller gets in again", ssh+home+" true")
		t.Logf("reachable again %.1f s after the change began", time.Since(began).Seconds())
		if out := a.run(ctx, "esos config history; ip -br addr show "+a.nics[0]); !strings.Contains(out, why) || strings.Contains(out, gone) {
			t.Errorf("after it was undone:\n%s", out)
		}
		if out := a.run(ctx, "esos network status; ls /var/lib/esos"); strings.Contains(out, "network-unconfirmed") {
			t.Errorf("the change still waits:\n%s", out)
		}
	}

	began := time.Now()
	change(gone)
	cut()
	a.until(ctx, "there is an alert", "esos alert list | grep -q network.unconfirmed || esos network status | grep -q '^no change'")
	t.Logf("alerts: %s", a.run(ctx, "esos alert list"))
	if out, ok := a.try(ctx, set("10.98.0.1")); ok || !strings.Contains(out, "waits to be confirmed") {
		t.Errorf("a second change of the network while the first waits: %s", out)
	}
	a.run(ctx, "esos device create other --handler vdisk_nullio --size 1GiB") // is not the network's business
	back(began, "undone: not confirmed in time")
	if took := time.Since(began); took > 90*time.Second {
		t.Errorf("it took %v", took)
	}
	if out := a.run(ctx, "esos events --since 0 2>/dev/null || esos events"); !strings.Contains(out, "network.undone") {
		t.Errorf("no event tells of it:\n%s", out)
	}

	// The daemon is killed while the change waits.
	began = time.Now()
	change(gone)
	a.run(ctx, "systemctl kill -s KILL esos.service")
	back(began, "started anew before it was confirmed")
	if took := time.Since(began); took > 75*time.Second {
		t.Errorf("it took %v", took)
	}

	// The plug is pulled while the change waits, and is saved as such.
	change(gone)
	a.run(ctx, "esos sync")
	cut()
	if err := a.m.Close(); err != nil {
		t.Fatal(err)
	}
	a.start(ctx)
	a.login(ctx)
	back(time.Now(), "started anew before it was confirmed")

	// Confirmed by whoever gets in by the new address, it stays.
	change(other)
	b.until(ctx, "the caller gets in by the new address", ssh+other+" esos network confirm")
	time.Sleep(65 * time.Second)
	b.run(ctx, ssh+other+" esos network status")
	if err := a.m.Close(); err != nil {
		t.Fatal(err)
	}
	a.start(ctx)
	a.login(ctx)
	b.until(ctx, "the caller gets in by the new address after a power cut", ssh+other+" true")
}

package appliance

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/level"
)

// TestOneGiB: 1 GiB of memory is enough to save, too, not only to boot and
// serve, which TestBoots does with it; what was saved is there after the plug was pulled, and what was not saved by hand is
// there after a reboot.
func TestOneGiB(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, 4*bootTimeout)
	o := Options{Memory: 1024, Boot: overlay(ctx, t, 8<<30), Dir: level.ShortDir(t), Data: blank(t, 1<<30)}
	m := start(ctx, t, o)
	served(ctx, t, m)
	r := login(ctx, t, m)
	t.Logf("memory after boot, of 1 GiB:\n%s", run(ctx, t, r, "free -m; cat /proc/meminfo | head -3; df -m / /run/esos/image"))
	bootReport(ctx, t, r)

	run(ctx, t, r, "echo kept by hand >/etc/motd; esos device create second --handler vdisk_nullio --size 1GiB")
	t.Logf("esos sync: %s", run(ctx, t, r, "esos sync"))
	if err := m.Close(); err != nil { // the plug
		t.Fatal(err)
	}

	m = start(ctx, t, o)
	served(ctx, t, m)
	r = login(ctx, t, m)
	if got := run(ctx, t, r, "cat /etc/motd"); got != "kept by hand\n" {
		t.Errorf("/etc/motd after the plug was pulled: %q", got)
	}
	if got := run(ctx, t, r, "esos device list"); !strings.Contains(got, "second") {
		t.Errorf("the device made before the plug was pulled is not there:\n%s", got)
	}
	run(ctx, t, r, "echo kept by the shutdown >/etc/motd")
	m.Console().Forget()
	// The connection ends before the command does.
	_, _ = r.Run(ctx, "systemctl reboot")
	served(ctx, t, m)
	r = login(ctx, t, m)
	if got := run(ctx, t, r, "cat /etc/motd"); got != "kept by the shutdown\n" {
		t.Errorf("/etc/motd after a reboot: %q", got)
	}
	if used := run(ctx, t, r, "free -m"); strings.Contains(run(ctx, t, r, "journalctl -k -b"), "Out of memory") {
		t.Errorf("the kernel ran out of memory:\n%s", used)
	}
}

// TestPlugPulledWhileSaving cuts the power while settings are saved again and
// again: the appliance boots, serves, and has the last that was said to be
// saved, or one that was on its way.
func TestPlugPulledWhileSaving(t *testing.T) {
	level.Require(t, level.Full)
	const cuts = 3
	ctx := withTimeout(t, (cuts+1)*bootTimeout)
	o := Options{Boot: overlay(ctx, t, 8<<30), Dir: level.ShortDir(t), Data: blank(t, 1<<30)}
	saved := 0
	for cut := range cuts + 1 {
		m := start(ctx, t, o)
		served(ctx, t, m)
		r := login(ctx, t, m)
		if cut > 0 {
			text := strings.TrimSpace(run(ctx, t, r, "cat /etc/esos-test"))
			if got, err := strconv.Atoi(text); err != nil || got < saved {
				t.Errorf("cut %d: the appliance has state %q, and state %d was saved", cut, text, saved)
			}
		}
		if cut == cuts {
			break
		}
		// The cut comes in the middle of a save, later in it each time.
		enough := saved + 2
		states := make(chan int, 1000)
		go saveUntilCut(ctx, r, saved, states)
		for saved < enough {
			n, more := <-states
			if !more {
				t.Fatalf("state %d was not saved, though nobody had cut the power", saved+1)
			}
			saved = n
		}
		pause(ctx, t, time.Duration(30+70*cut)*time.Millisecond)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		for n := range states {
			saved = n
		}
		t.Logf("cut %d: state %d was saved last", cut+1, saved)
	}
}

// saveUntilCut saves one state after the other, and tells each that the
// appliance said was saved.
func saveUntilCut(ctx context.Context, r *Remote, saved int, states chan<- int) {
	defer close(states)
	for {
		saved++
		if _, err := r.Run(ctx, fmt.Sprintf("echo %d >/etc/esos-test && esos sync", saved)); err != nil {
			return
		}
		states <- saved
	}
}

package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/esos-project/esos/test/level"
)

// alert is what the test reads of `esos alert list -o json`.
type alert struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

// TestStickPulled takes the USB stick off under I/O: no initiator notices, the
// alert is raised, and the appliance goes on being administered.
func TestStickPulled(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, 2*bootTimeout)
	m := start(ctx, t, Options{Boot: overlay(ctx, t, 8<<30)})
	served(ctx, t, m)
	r := login(ctx, t, m)
	if got := alerts(ctx, t, r); find(got, "medium.lost") {
		t.Fatalf("the medium counts as lost before it is: %+v", got)
	}
	v, err := m.Verify(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Abandon() })
	pause(ctx, t, 10*time.Second)
	before := time.Now()
	if err := m.Unplug(ctx, 0); err != nil {
		t.Fatal(err)
	}
	t.Log("stick pulled")
	for !find(alerts(ctx, t, r), "medium.lost") {
		if time.Since(before) > 2*time.Minute {
			t.Fatalf("no alert medium.lost two minutes after the stick was pulled: %+v", alerts(ctx, t, r))
		}
		pause(ctx, t, time.Second)
	}
	t.Logf("alert raised %.0f s after the stick was pulled: %+v", time.Since(before).Seconds(), alerts(ctx, t, r))
	pause(ctx, t, 20*time.Second)
	if err := v.Stop(); err != nil {
		t.Errorf("the initiator has an error: %v", err)
	}
	t.Log(v)
	// Whatever the appliance needs, it has in memory: also what was never used.
	run(ctx, t, login(ctx, t, m), "esos status && iscsiadm --version && lvm version && smartctl --version")
	_, err = r.Run(ctx, "echo changed >/etc/motd; esos sync")
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Status != 9 {
		t.Errorf("esos sync without a medium: %v, want exit status 9", err)
	}
}

func alerts(ctx context.Context, t *testing.T, r *Remote) []alert {
	t.Helper()
	text := run(ctx, t, r, "esos alert list -o json")
	var all []alert
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("esos alert list: %v\n%s", err, text)
	}
	return all
}

func find(all []alert, id string) bool {
	for _, a := range all {
		if a.ID == id {
			return true
		}
	}
	return false
}

func pause(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

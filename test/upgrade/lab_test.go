package upgrade

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/stand"
)

var shared stand.Shared

func TestMain(m *testing.M) { shared.Main(m) }

// newStand boots an appliance; boots is how often it will be booted at most.
func newStand(t *testing.T, boots int, uefi bool) (context.Context, *stand.Stand) {
	t.Helper()
	shared.Lab(t) // building it is not the test's time
	ctx := stand.Timeout(t, time.Duration(boots)*stand.BootTimeout)
	s := shared.New(ctx, t, appliance.Options{UEFI: uefi})
	s.Boot(ctx)
	return ctx, s
}

// cold shuts the machine down, switches it off, and on again.
func cold(ctx context.Context, s *stand.Stand) {
	s.T.Helper()
	s.ShutDown(ctx)
	s.On(ctx)
}

// report is what the first process of the boot left.
func report(ctx context.Context, s *stand.Stand) boot.Report {
	s.T.Helper()
	r := s.Report(ctx)
	s.T.Logf("booted: slot %s, version %s, %+v, warnings %v", r.Slot, r.Version, r.Options, r.Warnings)
	return r
}

// state is what the tests read of `esos upgrade status`.
type state struct {
	Running   string   `json:"running"`
	Default   string   `json:"default"`
	Trial     string   `json:"trial"`
	BootsLeft *int     `json:"boots_left"`
	OnTrial   bool     `json:"on_trial"`
	Waits     []string `json:"waits"`
	Last      *struct {
		Version string `json:"version"`
		Failed  *struct {
			Why string `json:"why"`
		} `json:"failed"`
	} `json:"last"`
}

func stateOf(ctx context.Context, s *stand.Stand) state {
	s.T.Helper()
	var st state
	s.Into(ctx, &st, "esos upgrade status -o json")
	return st
}

// confirmed waits until the slot that runs is the default and nothing is on
// trial.
func confirmed(ctx context.Context, s *stand.Stand, slot string) {
	s.T.Helper()
	began := time.Now()
	for {
		st := stateOf(ctx, s)
		if st.Default == slot && st.Trial == "" {
			s.T.Logf("slot %s is the default %.0f s later", slot, time.Since(began).Seconds())
			return
		}
		if time.Since(began) > 5*time.Minute {
			s.T.Fatalf("slot %s is not the default: %+v\n%s", slot, st, s.Run(ctx, "journalctl -u esos.service --no-pager | tail -30; systemctl --failed; systemctl list-jobs"))
		}
		stand.Pause(ctx, s.T, 3*time.Second)
	}
}

// fellBack wants the old system to run, to say why, and not to try again.
func fellBack(ctx context.Context, s *stand.Stand, failed, why string) {
	s.T.Helper()
	r := report(ctx, s)
	// What was to be tried, and found damaged, is still in the boot's options.
	if string(r.Slot) == failed || r.Options.Trial && r.Options.Slot == r.Slot {
		s.T.Fatalf("slot %s runs, on trial: %t", r.Slot, r.Options.Trial)
	}
	s.WaitAlert(ctx, "upgrade.failed", why)
	confirmed(ctx, s, string(r.Slot))
}

// shortTrial is how many minutes a system in slot SECONDARY may be on trial: the
// usual ten, twice, are too long for a test.
func shortTrial(ctx context.Context, s *stand.Stand, minutes int) {
	s.T.Helper()
	s.Run(ctx, fmt.Sprintf(`set -e
mkdir -p /run/minutes; mount /dev/disk/by-partlabel/ESOS_BOOT /run/minutes
sed -i 's/ slot=SECONDARY / slot=SECONDARY esos_trial_minutes=%d /' /run/minutes/grub/grub.cfg
umount /run/minutes`, minutes))
}

// outlivesTrial wants a system that is not on trial, or not any more, to run on
// when the time of the trial is over.
func outlivesTrial(ctx context.Context, s *stand.Stand, minutes int) {
	s.T.Helper()
	const boot = "cat /proc/sys/kernel/random/boot_id"
	was := s.Run(ctx, boot)
	past := s.Until(ctx, fmt.Sprintf("cut -d. -f1 /proc/uptime; awk '{exit $1 < %d}' /proc/uptime && echo past", 60*minutes+20), "past")
	if now := s.Run(ctx, boot); now != was {
		s.T.Errorf("the machine was booted anew though nothing is on trial")
	}
	s.T.Logf("it runs on, %s s after its start", strings.Fields(past)[0])
}

// medium is a digest of each of the medium's partitions that boot, read in the
// appliance from the drive; bytes that no file has count, too. What a mount
// changes of itself does not: it is left out by looking at files.
func medium(ctx context.Context, s *stand.Stand) string {
	s.T.Helper()
	return s.Run(ctx, `set -e
for label in ESOS_BOOT esos_root; do
	mkdir -p /run/look
	mount -o ro "/dev/disk/by-partlabel/$label" /run/look
	(cd /run/look; find . -type f -printf '%p %s %T@ ' -exec sha256sum {} \; | sort)
	umount /run/look
done`)
}

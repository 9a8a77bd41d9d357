package upgrade

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestUpgradeAndBack: another version is fetched, written and booted from
// power-off; it finds itself healthy and is what boots from then on. Then, at
// the full level, the way back, by hand.
func TestUpgradeAndBack(t *testing.T) {
	level.Require(t, level.Smoke)
	for _, uefi := range []bool{false, true} {
		name := "BIOS"
		if uefi {
			name = "UEFI"
		}
		t.Run(name, func(t *testing.T) {
			if uefi {
				level.Require(t, level.Full)
			}
			upgradeAndBack(t, uefi)
		})
	}
}

func upgradeAndBack(t *testing.T, uefi bool) {
	second := variant(t, "9.9.1-second", nil)
	ctx, s := newStand(t, 4, uefi)
	first := report(ctx, s)
	shortTrial(ctx, s, 6)
	s.Run(ctx, "echo before the upgrade >/etc/motd")
	t.Logf("esos upgrade: %s", s.Run(ctx, "esos upgrade --yes "+stand.At(stand.Serve(t, second), second)))
	if st := stateOf(ctx, s); st.Default != "PRIMARY" || st.Trial != "SECONDARY" || st.BootsLeft == nil || *st.BootsLeft != 2 {
		t.Fatalf("after the upgrade: %+v", st)
	}
	cold(ctx, s)
	s.Served(ctx)
	if r := report(ctx, s); r.Slot != "SECONDARY" || r.Version != "9.9.1-second" || !r.Options.Trial {
		t.Fatalf("the newer version does not run on trial: %+v", r)
	}
	if got := s.Run(ctx, "cat /etc/motd"); got != "before the upgrade\n" {
		t.Errorf("the settings did not come along: /etc/motd is %q", got)
	}
	confirmed(ctx, s, "SECONDARY")
	if have, err := level.Of(); err != nil || have < level.Full {
		return // the way back takes as long again
	}
	outlivesTrial(ctx, s, 6)
	t.Logf("slots:\n%s", s.Run(ctx, "esos slot list --verify 2>/dev/null"))
	s.Run(ctx, "echo after the upgrade >/etc/motd; esos sync")

	t.Logf("esos rollback: %s", s.Run(ctx, "esos rollback --settings then"))
	cold(ctx, s)
	s.Served(ctx)
	if r := report(ctx, s); r.Slot != "PRIMARY" || r.Version != first.Version || !r.Options.Trial || !r.Options.OwnSettings {
		t.Fatalf("the older version does not run: %+v", r)
	}
	if got := s.Run(ctx, "cat /etc/motd"); got != "before the upgrade\n" {
		t.Errorf("the settings of then are not back: /etc/motd is %q", got)
	}
	confirmed(ctx, s, "PRIMARY")
	if out := s.Run(ctx, "esos alert list"); strings.Contains(out, "upgrade.") {
		t.Errorf("an alert after all went well:\n%s", out)
	}
}

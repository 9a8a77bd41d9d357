package boot

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

func TestTrialOptions(t *testing.T) {
	o, warnings := ParseOptions("slot=SECONDARY esos_trial esos_trial_minutes=3 esos_settings=slot")
	if !o.Trial || o.TrialMinutes != 3 || !o.OwnSettings || len(warnings) > 0 {
		t.Errorf("%+v, %q", o, warnings)
	}
	o, warnings = ParseOptions("slot=PRIMARY esos_fell_back=SECONDARY")
	if o.Trial || o.FellBack != slot.Secondary || len(warnings) > 0 {
		t.Errorf("%+v, %q", o, warnings)
	}
	for _, bad := range []string{"esos_trial_minutes=0", "esos_trial_minutes=x", "esos_trial_minutes=100000", "esos_fell_back=THIRD", "esos_settings=old"} {
		if o, warnings := ParseOptions(bad); len(warnings) != 1 || o.TrialMinutes != 0 || o.FellBack != "" || o.OwnSettings {
			t.Errorf("%s: %+v, %q", bad, o, warnings)
		}
	}
}

// onTrial is a machine whose slot SECONDARY is on trial.
func onTrial(t *testing.T, words string) (m *machine, slots string) {
	t.Helper()
	m = newMachine(t, "slot=SECONDARY esos_trial "+words)
	slots = m.medium(usbPlace, "sda", 1)
	m.fill(slots, slot.Primary, "1")
	m.fill(slots, slot.Secondary, "2")
	return m, slots
}

func TestTrial(t *testing.T) {
	m, _ := onTrial(t, "esos_trial_minutes=3")
	r := m.booted()
	if r.Slot != slot.Secondary || !r.Options.Trial {
		t.Errorf("booted %s, %+v", r.Slot, r.Options)
	}
	if got := m.read("/run/systemd/system/esos-trial.timer.d/50-minutes.conf"); got != "[Timer]\nOnBootSec=\nOnBootSec=3min\n" {
		t.Errorf("the timer's time: %q", got)
	}
	if got := m.read("/run/systemd/system.conf.d/50-esos-trial.conf"); !strings.Contains(got, "RuntimeWatchdogSec=2min") {
		t.Errorf("the watchdog: %q", got)
	}
	if !exists(filepath.Join(m.root, TrialFile)) {
		t.Error("nothing tells the system that it is on trial")
	}
	if diff := cmp.Diff(persist.Prefer{}, m.preferred); diff != "" {
		t.Error(diff)
	}
	// Not on trial, nothing of it is there.
	m = newMachine(t, "slot=SECONDARY")
	m.fill(m.medium(usbPlace, "sda", 1), slot.Secondary, "2")
	m.booted()
	if exists(filepath.Join(m.root, "run/systemd")) {
		t.Error("a boot that is no trial is told of one")
	}
}

// TestTrialDamaged: the other slot is what GRUB would return to, and gets its
// own settings.
func TestTrialDamaged(t *testing.T) {
	m, slots := onTrial(t, "")
	m.damage(filepath.Join(slots, "SECONDARY", slot.RootFile))
	r := m.booted()
	if r.Slot != slot.Primary || len(r.DamagedSlots) != 1 {
		t.Errorf("booted %s, damaged %v", r.Slot, r.DamagedSlots)
	}
	if exists(filepath.Join(m.root, TrialFile)) {
		t.Error("the way back is on trial: it would be restarted for want of a confirmation")
	}
	if m.preferred.Slot != "PRIMARY" {
		t.Errorf("settings of %+v", m.preferred)
	}
	if exists(filepath.Join(m.root, "run/systemd/system.conf.d")) {
		t.Error("a slot that is not on trial is given a time")
	}
}

// TestTrialGivenUp: a boot on trial that fails restarts the machine, and leaves
// word of why.
func TestTrialGivenUp(t *testing.T) {
	m, _ := onTrial(t, "")
	m.fail["switch"] = errors.New("it has no init")
	m.boot()
	if !m.did("wait for a person") || !m.did("restart") || len(m.rescued) > 0 {
		t.Errorf("calls %q, rescued %q", m.calls, m.rescued)
	}
	if !m.did("mount /dev/sda3 /run/esos/note rw") {
		t.Errorf("no word is left: %q", m.calls)
	}

	// With somebody at the console it is as ever.
	m, _ = onTrial(t, "")
	m.fail["switch"] = errors.New("it has no init")
	m.attended = true
	m.boot()
	if m.did("restart") || len(m.rescued) != 1 || !strings.Contains(m.rescued[0], "it has no init") {
		t.Errorf("calls %q, rescued %q", m.calls, m.rescued)
	}
}

func TestTrialNote(t *testing.T) {
	file := filepath.Join(t.TempDir(), TrialNoteFile)
	want := TrialNote{When: time.Unix(1_700_000_000, 0).UTC(), Why: "so"}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeDurably(file, text); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTrialNote(file)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, bad := range [][]byte{nil, []byte("{"), make([]byte, maxNote+1)} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := ReadTrialNote(file); err == nil {
			t.Errorf("%.10q was read as %+v", bad, n)
		}
	}
}

// TestAttended presses Enter on a console that is a file here.
func TestAttended(t *testing.T) {
	m := newMachine(t, "")
	// Nobody: a console without input, which a pipe is.
	if Attended(t.Context(), filepath.Join(m.root, "nowhere"), 300*time.Millisecond) {
		t.Error("somebody is there without a console")
	}
	m.write("dev/ttyS0", []byte("\n"))
	if !Attended(t.Context(), m.root, time.Minute) {
		t.Error("nobody is there")
	}
}

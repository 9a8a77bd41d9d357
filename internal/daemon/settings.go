package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/persist/machine"
)

// SettingsDamaged is the alert of settings that this boot could not bring back
// as they were saved last.
const SettingsDamaged = "settings.damaged"

// bootSettings is the rule about what this boot did to bring the settings back.
// It is about the past: the alert stands until the next boot.
type bootSettings struct{ runDir string }

// Check implements alert.Rule.
func (s bootSettings) Check(_ context.Context, b *alert.Board) error {
	r, err := boot.ReadReport(filepath.Join(s.runDir, filepath.Base(boot.ReportFile)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no appliance
	}
	if err != nil {
		return err
	}
	if a, ok := settingsAlert(r); ok {
		b.Raise(a)
	}
	return nil
}

// SettingsHeld is the alert of settings that are not saved because others wait
// for the next boot.
const SettingsHeld = "settings.held"

// heldSettings is the rule about that. It was asked for, and is forgotten
// easily.
type heldSettings struct{ runDir string }

// Check implements alert.Rule.
func (h heldSettings) Check(_ context.Context, b *alert.Board) error {
	why, err := os.ReadFile(filepath.Join(h.runDir, filepath.Base(machine.HeldPath)))
	if errors.Is(err, fs.ErrNotExist) {
		b.Clear(SettingsHeld, "settings.released", "what is changed is saved again")
		return nil
	}
	if err != nil {
		return fmt.Errorf("look whether other settings wait for the next boot: %w", err)
	}
	held := machine.HeldError{Why: strings.TrimSpace(string(why))}
	b.Raise(alert.Alert{ID: SettingsHeld, Severity: alert.Warning, Object: "medium", Message: held.Error()})
	return nil
}

// settingsAlert says what is wrong with the settings that a boot brought back.
func settingsAlert(r boot.Report) (alert.Alert, bool) {
	a := alert.Alert{ID: SettingsDamaged, Severity: alert.Critical, Object: "medium"}
	if r.Mode == boot.ModeLive || r.Mode == boot.ModeInstall {
		return a, false
	}
	why := make([]string, 0, len(r.Restored.Skipped)+1)
	for _, s := range r.Restored.Skipped {
		why = append(why, s.String())
	}
	if r.SettingsProblem != "" {
		why = append(why, r.SettingsProblem)
	}
	if len(why) == 0 {
		return a, false
	}
	reasons := strings.Join(why, "; ")
	if r.Restored.Generation != nil {
		a.Severity = alert.Warning
		a.Message = fmt.Sprintf("the boot did not find all saved settings whole (%s). It took generation %d, of %s: check that what was changed later is as it should be. "+
			"The medium may be failing: write a new one and have it ready", reasons, r.Restored.Generation.Number, r.Restored.Generation.When.Format("2006-01-02 15:04:05 MST"))
	} else {
		a.Message = fmt.Sprintf("the boot found no good settings (%s): the system runs as from the factory, and serves nothing that was declared. Put a good medium in, "+
			"or bring a backup back with 'esos config restore FILE'", reasons)
	}
	return a, true
}

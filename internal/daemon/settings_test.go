package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/persist/machine"
)

func TestBootSettings(t *testing.T) {
	g := &persist.Generation{Number: 7}
	for name, tt := range map[string]struct {
		report   boot.Report
		severity alert.Severity // "" for none
		says     []string
	}{
		"first boot":      {report: boot.Report{Mode: boot.ModeMemory}},
		"all well":        {report: boot.Report{Mode: boot.ModeMemory, Restored: persist.Restored{From: persist.FromGeneration, Generation: g}}},
		"one was damaged": {boot.Report{Mode: boot.ModeMemory, Restored: persist.Restored{From: persist.FromGeneration, Generation: g, Skipped: []persist.Skipped{{Name: "generation 8", Why: "it is torn"}}}}, alert.Warning, []string{"generation 8: it is torn", "took generation 7"}},
		"all are damaged": {boot.Report{Mode: boot.ModeMemory, Restored: persist.Restored{Skipped: []persist.Skipped{{Name: "generation 8", Why: "it is torn"}}}}, alert.Critical, []string{"generation 8: it is torn", "esos config restore FILE"}},
		"no partition":    {boot.Report{Mode: boot.ModeMemory, SettingsProblem: "the medium has no esos_conf"}, alert.Critical, []string{"no esos_conf"}},
		"an ISO":          {report: boot.Report{Mode: boot.ModeLive, SettingsProblem: "the medium has no esos_conf"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text, err := json.Marshal(tt.report)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "boot.json"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			board := alert.NewBoard(func(string, string, string) {})
			if err := (bootSettings{dir}).Check(t.Context(), board); err != nil {
				t.Fatal(err)
			}
			got := board.Active()
			if tt.severity == "" {
				if len(got) > 0 {
					t.Errorf("alerts: %+v", got)
				}
				return
			}
			if len(got) != 1 || got[0].ID != SettingsDamaged || got[0].Severity != tt.severity {
				t.Fatalf("alerts: %+v", got)
			}
			for _, s := range tt.says {
				if !strings.Contains(got[0].Message, s) {
					t.Errorf("%q does not say %q", got[0].Message, s)
				}
			}
		})
	}
	if err := (bootSettings{t.TempDir()}).Check(t.Context(), alert.NewBoard(nil)); err != nil {
		t.Errorf("no appliance: %v", err)
	}
}

func TestHeldSettings(t *testing.T) {
	dir := t.TempDir()
	var told []string
	board := alert.NewBoard(func(kind, _, _ string) { told = append(told, kind) })
	check := func() {
		t.Helper()
		if err := (heldSettings{dir}).Check(t.Context(), board); err != nil {
			t.Fatal(err)
		}
	}
	check()
	if got := board.Active(); len(got) > 0 {
		t.Errorf("nothing waits, and there are alerts: %+v", got)
	}
	hold := filepath.Join(dir, filepath.Base(machine.HeldPath))
	if err := os.WriteFile(hold, []byte("the next boot takes the settings of generation 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check()
	if got := board.Active(); len(got) != 1 || got[0].Severity != alert.Warning || !strings.Contains(got[0].Message, "generation 7; reboot, or call that off") {
		t.Errorf("alerts: %+v", got)
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	check()
	if got := strings.Join(told, " "); got != "settings.held settings.released" {
		t.Errorf("told: %s", got)
	}
}

package tui_test

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/tui"
)

// functions are what users of earlier ESOS have in the text console, by ID: a
// tab, and where they find it.
//
//go:embed testdata/functions.tsv
var functions string

// elsewhere are functions that no entry of a menu stands for: what the console
// is, and where it is tested.
func elsewhere() map[string]string {
	return map[string]string{
		"T0.1":  "it starts at login: test/rootfs TestLogin",
		"T0.2":  "who sits there is at the top right: internal/tui/home; root's rights by Become Root: internal/tui/console",
		"T0.3":  "any size, SIGHUP and SIGTERM: internal/tui/frame TestTooSmall, internal/cli TestTerminals",
		"T0.4":  "the licence is under Interface, About: internal/tui/console",
		"T0.5":  "the warning box: internal/tui/home TestWarning",
		"T0.6":  "the panel Targets: internal/tui/home TestPanels",
		"T0.7":  "the panel Sessions: internal/tui/home TestPanels",
		"T0.8":  "menus and hot keys: internal/tui/home TestMenus",
		"T0.9":  "the line at the top: internal/tui/home TestPanels",
		"T0.10": "there is one console for all, with the eight entries: TestSimple",
		"T0.11": "checks of fields, while typing, IPv6 too: TestClasses",
		"T0.12": "boxes and pickers: TestDialogs",
		"T0.13": "no limits but the document's: TestNoLimits",
		"T0.14": "who came, left, and confirmed what is logged as esos_tui, facility local4: internal/cli TestConsoleLog",
	}
}

// TestParity: everything that users of earlier ESOS had has an entry.
func TestParity(t *testing.T) {
	t.Parallel()
	has := map[string]string{}
	for id, where := range elsewhere() {
		has[id] = where
	}
	for _, m := range tui.Menus() {
		for _, a := range m.Actions {
			for _, id := range a.IDs {
				has[id] = m.Title + ", " + a.Title
			}
			if a.Do == nil || a.Does == "" {
				t.Errorf("%s, %s does nothing, or does not say what", m.Title, a.Title)
			}
		}
	}
	known := map[string]bool{}
	for line := range strings.Lines(functions) {
		id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			t.Fatalf("functions.tsv: %q", line)
		}
		known[id] = true
		if has[id] == "" {
			t.Errorf("%s (%s) has no entry in any menu", id, name)
		}
	}
	for id, where := range has {
		if !known[id] {
			t.Errorf("%s (%s) is no function that there was", id, where)
		}
	}
	if len(known) < 80 {
		t.Errorf("only %d functions", len(known))
	}
}

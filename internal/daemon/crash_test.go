package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/crash"
)

func TestCrashAlerts(t *testing.T) {
	o := Options{RunDir: t.TempDir(), DataDir: t.TempDir()}
	rule := newCrashes(o)
	var events []string
	b := alert.NewBoard(func(kind, _, _ string) { events = append(events, kind) })
	check := func(ids, message string) {
		t.Helper()
		if err := rule.Check(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		var got []string
		text := ""
		for _, a := range b.Active() {
			got = append(got, a.ID)
			text += a.Message
		}
		if strings.Join(got, " ") != ids || !strings.Contains(text, message) {
			t.Errorf("alerts %q: %s; want %s: %s", got, text, ids, message)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.RunDir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check("", "") // nothing is known yet
	write("crash.json", `{"loaded": false, "error": "the medium is gone"}`)
	check("crash.unprotected", "nothing of that is saved: the medium is gone.")
	write("crash.json", `{"loaded": true}`)
	check("", "")
	write("crash.json", `{"loaded": false, "small": true}`)
	check("", "")
	dumps := []crash.Dump{{Name: "dump-1", When: time.Unix(0, 0), Complete: true, Size: 70 << 20, Reason: "Fatal exception"}}
	found := filepath.Join(o.RunDir, "crashes.json")
	if err := crash.WriteFound(found, dumps); err != nil {
		t.Fatal(err)
	}
	check("crash.dump", "crashed at 1970-01-01 00:00:00 UTC (Fatal exception); what it left is saved on the medium as dump-1, 70 MiB.")
	dumps = append(dumps, crash.Dump{Name: "dump-2", When: time.Unix(60, 0), Error: "no room"})
	if err := crash.WriteFound(found, dumps); err != nil {
		t.Fatal(err)
	}
	check("crash.dump", "as dump-2, but not all of it: no room; nobody has seen to 1 before it, either")
	if err := crash.See(filepath.Join(o.DataDir, "crashes.json"), []string{"dump-2"}, dumps); err != nil {
		t.Fatal(err)
	}
	check("crash.dump", "dump-1")
	if err := crash.WriteFound(found, nil); err != nil { // deleted
		t.Fatal(err)
	}
	check("", "")
	if got := strings.Join(events, " "); got != "crash.unprotected crash.protected crash.dump crash.seen" {
		t.Errorf("events: %s", got)
	}
	write("crashes.json", "{")
	if err := rule.Check(t.Context(), b); err == nil {
		t.Error("a file that cannot be read is taken for no dumps")
	}
}

func TestLogsAlert(t *testing.T) {
	o := Options{RunDir: t.TempDir()}
	rule := newArchivedLogs(o)
	b := alert.NewBoard(func(string, string, string) {})
	for _, step := range []struct{ state, want string }{
		{"", ""},
		{`{"error": "it was pulled", "since": "2026-11-01T08:00:00Z", "dropped": ["a", "b"]}`, "not archived since 2026-11-01 08:00:00 UTC: it was pulled."},
		{`{"name": "logs-1"}`, ""},
	} {
		if step.state != "" {
			if err := os.WriteFile(filepath.Join(o.RunDir, "logs.json"), []byte(step.state), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := rule.Check(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		active := b.Active()
		if (len(active) > 0) != (step.want != "") || len(active) > 0 && (active[0].ID != LogsNotArchived || !strings.Contains(active[0].Message, step.want)) {
			t.Errorf("%s: alerts %+v", step.state, active)
		}
	}
}

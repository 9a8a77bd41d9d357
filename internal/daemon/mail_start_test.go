package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/alert/mail"
	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/crash"
	"github.com/esos-project/esos/internal/slot"
)

// TestStartIsMailedOnce: once for each boot, of an appliance, if it is wanted.
func TestStartIsMailedOnce(t *testing.T) {
	with := config.Mail{To: []string{"a@example.com"}, Server: "mail.example.com"}
	quiet := with
	quiet.Quiet = true
	for name, tt := range map[string]struct {
		report string
		mail   config.Mail
		looks  int
		early  bool
		want   int
		fails  bool
	}{
		"once":              {report: "{}", mail: with, looks: 3, want: 1},
		"not an appliance":  {mail: with, looks: 2},
		"too early":         {report: "{}", mail: with, looks: 2, early: true},
		"quiet":             {report: "{}", mail: quiet, looks: 2},
		"nobody to mail to": {report: "{}", looks: 2},
		"a damaged report":  {report: "{", mail: with, looks: 1, fails: true},
	} {
		run, sent := t.TempDir(), 0
		if tt.report != "" {
			if err := os.WriteFile(filepath.Join(run, "boot.json"), []byte(tt.report), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now().Add(-startSettle)
		if tt.early {
			began = time.Now()
		}
		m := &mailing{o: Options{RunDir: run}, board: alert.NewBoard(nil), host: "h", began: began,
			outbox: &mail.Outbox{Dir: filepath.Join(run, "out"), Now: time.Now, Send: func(context.Context, mail.Message) error { sent++; return nil }}}
		for range tt.looks {
			if err := m.start(&config.Document{Mail: tt.mail}, 1); (err != nil) != tt.fails {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Somebody names a server an hour later.
		if name == "nobody to mail to" {
			if err := m.start(&config.Document{Mail: with}, 2); err != nil {
				t.Error(err)
			}
		}
		if _, err := m.outbox.Flush(t.Context()); err != nil || sent != tt.want {
			t.Errorf("%s: %d mails, %v, want %d", name, sent, err, tt.want)
		}
	}
}

// TestStartMail reads what it says.
func TestStartMail(t *testing.T) {
	s := startMail{host: "array1", revision: 7, now: time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC),
		report: boot.Report{Mode: boot.ModePersist, Slot: slot.Secondary, Version: "1.1", Kernel: "6.12.57", Options: boot.Options{Trial: true},
			DamagedSlots: []boot.Damage{{Slot: slot.Primary, Reason: "its digest is wrong"}}, SettingsProblem: "no partition esos_conf", Warnings: []string{"a warning"}},
		doc: &config.Document{Name: "array", Devices: []config.Device{{Name: "null", Handler: config.NullIO}},
			Targets: []config.Target{{Name: "iqn.a", Disabled: true, LUNs: []config.LUN{{}}, Groups: []config.Group{{LUNs: []config.LUN{{}, {}}}}}}},
		alerts: []alert.Alert{{ID: "crash.dump", Severity: alert.Critical, Object: "kernel", Message: "the kernel crashed"}},
		dumps:  []crash.Dump{{Name: "dump-1", Complete: true, When: time.Unix(0, 0)}, {Name: "dump-2", When: time.Unix(1, 0)}},
	}
	msg := s.message()
	if want := "[ESOS array1] System Startup - array1 (2026-11-28 08:00 UTC)"; msg.Subject != want {
		t.Errorf("subject %q, want %q", msg.Subject, want)
	}
	for _, want := range []string{"array, revision 7", "1.1", "slot SECONDARY", "6.12.57", "from the medium, which must stay", "on trial", "Alerts: 1\n  critical: crash.dump (kernel): the kernel crashed",
		"Warnings of the boot: 3", "slot PRIMARY could not be booted: its digest is wrong", "settings: no partition esos_conf", "a warning",
		"Crash dumps: 2\n  dump-1: 1970-01-01 00:00:00 UTC, memory and messages\n  dump-2: 1970-01-01 00:00:01 UTC, messages", "iqn.a: 3 LUNs, disabled", "null: vdisk_nullio\n"} {
		if !strings.Contains(msg.Body, want) {
			t.Errorf("no %q in\n%s", want, msg.Body)
		}
	}
}

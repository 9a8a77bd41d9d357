package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/alert/mail"
	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/crash"
)

// start tells of the start of an appliance, once for each boot. Who names a
// mail server later on knows that it started.
func (m *mailing) start(doc *config.Document, revision int) error {
	if time.Since(m.began) < startSettle {
		return nil
	}
	marker := filepath.Join(m.o.RunDir, "start-mailed")
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	report, err := boot.ReadReport(filepath.Join(m.o.RunDir, filepath.Base(boot.ReportFile)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no appliance: programs come and go
	}
	if err != nil {
		return err
	}
	if doc.Mail.Declared() && !doc.Mail.Quiet {
		dumps, err := crash.ReadFound(filepath.Join(m.o.RunDir, filepath.Base(crash.FoundPath)))
		if err != nil {
			report.Warnings = append(report.Warnings, err.Error()) // the mail goes all the same
		}
		s := startMail{host: m.host, report: report, doc: doc, revision: revision, alerts: m.board.Active(), dumps: dumps, now: time.Now()}
		if err := m.outbox.Put(s.message()); err != nil {
			return err
		}
	}
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return fmt.Errorf("note that the start was mailed: %w", err)
	}
	return nil
}

// startMail is what the mail of a start is made of.
type startMail struct {
	host     string
	report   boot.Report
	doc      *config.Document
	revision int
	alerts   []alert.Alert
	dumps    []crash.Dump
	now      time.Time
}

// message says what started, from what, and what it serves.
func (s startMail) message() mail.Message {
	r := s.report
	var b strings.Builder
	line := func(what, format string, a ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", what, fmt.Sprintf(format, a...))
	}
	line("Host", "%s", s.host)
	line("Array", "%s, revision %d", s.doc.Name, s.revision)
	line("ESOS", "%s, built %s, slot %s", r.Version, time.Unix(r.Built, 0).UTC().Format(time.DateOnly), r.Slot)
	line("Kernel", "%s", r.Kernel)
	line("Runs", "%s", map[boot.Mode]string{boot.ModeMemory: "from memory: the medium may be pulled", boot.ModePersist: "from the medium, which must stay", boot.ModeLive: "from an ISO: nothing is kept"}[r.Mode])
	line("Medium", "%s", strings.TrimSpace(r.Medium.Device+" "+r.Medium.Model))
	switch g := r.Restored.Generation; {
	case g != nil:
		line("Settings", "generation %d, saved %s (%s)", g.Number, g.When.Format(time.RFC1123Z), g.Reason)
	default:
		line("Settings", "those of a first boot")
	}
	if r.Options.Trial {
		line("Trial", "this version is on trial: 'esos upgrade status' shows how it fares")
	}
	s.lists(&b)
	return mail.Message{Subject: fmt.Sprintf("[ESOS %s] System Startup - %s (%s)", s.host, s.host, s.now.Format("2006-01-02 15:04 MST")), Body: b.String()}
}

// lists writes what there is several of. What somebody must see to comes first.
func (s startMail) lists(b *strings.Builder) {
	list := func(title string, always bool, items []string) {
		if len(items) == 0 && !always {
			return
		}
		fmt.Fprintf(b, "\n%s: %d\n", title, len(items))
		for _, i := range items {
			fmt.Fprintf(b, "  %s\n", i)
		}
	}
	var alerts, dumps, targets, devices []string
	for _, a := range s.alerts {
		alerts = append(alerts, fmt.Sprintf("%s: %s (%s): %s", a.Severity, a.ID, a.Object, a.Message))
	}
	for _, d := range s.dumps {
		what := "memory and messages"
		if !d.Complete {
			what = "messages"
		}
		dumps = append(dumps, fmt.Sprintf("%s: %s, %s", d.Name, d.When.UTC().Format(time.DateTime+" UTC"), what))
	}
	for _, t := range s.doc.Targets {
		luns := len(t.LUNs)
		for _, g := range t.Groups {
			luns += len(g.LUNs)
		}
		state := fmt.Sprintf("%d LUNs", luns)
		if t.Disabled {
			state += ", disabled"
		}
		targets = append(targets, t.Name+": "+state)
	}
	for _, d := range s.doc.Devices {
		devices = append(devices, strings.TrimSpace(fmt.Sprintf("%s: %s %s", d.Name, d.Handler, d.Path)))
	}
	list("Alerts", true, alerts)
	list("Warnings of the boot", false, s.warnings())
	list("Crash dumps", true, dumps)
	list("Targets", true, targets)
	list("Devices", true, devices)
}

// warnings are what went otherwise than it should at the boot.
func (s startMail) warnings() (all []string) {
	r := s.report
	if r.Options.FellBack != "" {
		all = append(all, fmt.Sprintf("slot %s was tried, and did not get healthy: this is slot %s again", r.Options.FellBack, r.Slot))
	}
	for _, d := range r.DamagedSlots {
		all = append(all, fmt.Sprintf("slot %s could not be booted: %s", d.Slot, d.Reason))
	}
	if r.SettingsProblem != "" {
		all = append(all, "settings: "+r.SettingsProblem)
	}
	return append(all, r.Warnings...)
}

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/upgrade"
)

// Alerts about upgrades.
const (
	UpgradeFailed      = "upgrade.failed"
	UpgradeUnconfirmed = "upgrade.unconfirmed"
)

// mediumRetry is how long a medium that could not be told something is left
// alone.
const mediumRetry = 15 * time.Second

// Slots is what the daemon asks of the two slots (upgrade.Machine).
type Slots interface {
	// FellBack is the slot whose trial failed before this boot.
	FellBack() slot.Name
	EndTrial(ctx context.Context) error
	Failed(ctx context.Context) error
}

// trial sees a boot on trial through: once the system has been healthy for some
// time it makes it the one that boots from now on.
type trial struct {
	slots   Slots
	version string
	record  *upgrade.Record
	board   *alert.Board
	log     *slog.Logger

	// problems are those of the array, in sentences with their object; units
	// says what of the rest of the system stands against its health.
	problems func(ctx context.Context) ([]string, error)
	units    func(ctx context.Context) []string
	// waits tells what it is waited for, passed that it is healthy.
	waits  func([]string) error
	passed func() error

	look, steady time.Duration
}

// keepTrial does what is to be done about a slot on trial, until ctx ends: this
// one, or the other one, if that failed.
func keepTrial(ctx context.Context, o Options, board *alert.Board, socket string) error {
	if !o.InMemory {
		return nil
	}
	m, err := upgrade.Here()
	if err != nil {
		o.Log.Info("there are no slots to look after", "reason", err)
		return nil
	}
	switch {
	case m.OnTrial():
		return runTrial(ctx, o, m, board, socket)
	case m.FellBack() != "":
		return noteFailure(ctx, o.Log, m)
	}
	return nil
}

func runTrial(ctx context.Context, o Options, m *upgrade.Machine, board *alert.Board, socket string) error {
	r, err := upgrade.ReadRecord(m.Record)
	if err != nil {
		o.Log.Warn("what was served before is not known", "err", err)
	}
	c, err := client.New(client.Options{Socket: socket})
	if err != nil {
		return fmt.Errorf("look after the trial: %w", err)
	}
	defer c.Close()
	t := trial{slots: m, version: m.Report.Version, record: r, board: board, log: o.Log,
		problems: func(ctx context.Context) ([]string, error) {
			s, err := c.Status(ctx)
			return s.Problems, err
		},
		units: upgrade.Units, waits: upgrade.SetWaits, passed: upgrade.Pass, look: 2 * time.Second, steady: 30 * time.Second}
	if !t.watch(ctx) || !t.confirm(ctx, mediumRetry) {
		return nil
	}
	if err := host.StopWatchdog(ctx); err != nil {
		o.Log.Warn("the watchdog of the trial stays", "err", err)
	}
	return nil
}

// watch returns true once the system has been healthy for long enough, false
// if ctx ended before.
func (t trial) watch(ctx context.Context) bool {
	t.log.Info("this system is on trial", "version", t.version, "steady", t.steady)
	tick := time.NewTicker(t.look)
	defer tick.Stop()
	var since time.Time // it is healthy
	var said []string
	for {
		waits := t.check(ctx)
		if ctx.Err() != nil {
			return false
		}
		switch {
		case len(waits) > 0:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= t.steady:
			if err := t.passed(); err != nil {
				t.log.Warn("the trial's end is not noted", "err", err)
			}
			t.log.Info("this system is healthy", "version", t.version)
			return true
		}
		if said == nil || !slices.Equal(said, waits) {
			if len(waits) > 0 {
				t.log.Warn("the trial waits", "for", strings.Join(waits, "; "))
			}
			if err := t.waits(waits); err != nil {
				t.log.Warn("what the trial waits for is not told", "err", err)
			}
			said = append([]string{}, waits...)
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// check says what stands against the system's health now.
func (t trial) check(ctx context.Context) []string {
	actx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	problems, err := t.problems(actx)
	if err != nil {
		return []string{"the array does not answer: " + err.Error()}
	}
	waits := t.record.New(t.version, problems)
	for _, a := range t.board.Active() {
		if a.ID == "document.refused" {
			waits = append(waits, a.Message)
		}
	}
	return append(waits, t.units(ctx)...)
}

// confirm makes the slot the default, as soon as the medium can be told. It
// returns false if ctx ended before.
func (t trial) confirm(ctx context.Context, retry time.Duration) bool {
	for {
		err := t.slots.EndTrial(ctx)
		if err == nil {
			t.board.Clear(UpgradeUnconfirmed, "upgrade.done", fmt.Sprintf("ESOS %s is what boots from now on", t.version))
			t.log.Info("the trial is over: this system is what boots from now on", "version", t.version)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		t.board.Raise(alert.Alert{ID: UpgradeUnconfirmed, Severity: alert.Warning, Object: "medium",
			Message: fmt.Sprintf("ESOS %s runs well, but the medium cannot be told so: after a reboot or two the machine would return to the older version. "+
				"Put the medium back, or see to it; it is tried again: %v", t.version, err)})
		select {
		case <-ctx.Done():
			return false
		case <-time.After(retry):
		}
	}
}

// noteFailure notes that the other slot failed its trial until the medium has
// it, too.
func noteFailure(ctx context.Context, log *slog.Logger, s Slots) error {
	log.Error("the other slot failed its trial", "slot", s.FellBack())
	for said := ""; ; {
		err := s.Failed(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if text := err.Error(); text != said {
			log.Warn("the failed trial is not noted on the medium yet", "err", err)
			said = text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(mediumRetry):
		}
	}
}

// failedUpgrade is the rule about an upgrade that ended on the old system.
type failedUpgrade struct{ record string }

// upgradeRule watches for such a one.
func upgradeRule() alert.Rule { return failedUpgrade{upgrade.RecordFile} }

// Check implements alert.Rule.
func (f failedUpgrade) Check(_ context.Context, b *alert.Board) error {
	r, err := upgrade.ReadRecord(f.record)
	if err != nil {
		return err
	}
	if r == nil || r.Failed == nil {
		b.Clear(UpgradeFailed, "upgrade.dismissed", "nothing is left of the upgrade that failed")
		return nil
	}
	what, version := "the upgrade", "the version in slot "+string(r.Slot)
	if r.Rollback {
		what = "the rollback"
	}
	if r.Version != "" {
		version = fmt.Sprintf("ESOS %s (slot %s)", r.Version, r.Slot)
	}
	b.Raise(alert.Alert{ID: UpgradeFailed, Severity: alert.Critical, Object: "slot/" + string(r.Slot),
		Message: fmt.Sprintf("%s to %s failed, and this machine came back to the version of before, with its settings of then. Why: %s. "+
			"See 'esos upgrade status'; upgrade again with another version, or take this alert away with 'esos upgrade dismiss'", what, version, r.Failed.Why)})
	return nil
}

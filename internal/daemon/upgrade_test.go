package daemon

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/upgrade"
)

// slots is a medium with two slots that may be away.
type slots struct {
	mu        sync.Mutex
	away      error
	confirmed time.Time
	failed    int
}

func (s *slots) FellBack() slot.Name { return slot.Secondary }

func (s *slots) EndTrial(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away == nil {
		s.confirmed = time.Now()
	}
	return s.away
}

func (s *slots) Failed(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
	return s.away
}

func (s *slots) set(away error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// state is what a system on trial looks like to its daemon.
type state struct {
	mu       sync.Mutex
	problems []string
	err      error
	units    []string
}

func (s *state) set(problems []string, err error, units []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems, s.err, s.units = problems, err, units
}

func newTrial(t *testing.T, s *slots, st *state) (trial, *[]string) {
	t.Helper()
	var said []string
	return trial{slots: s, version: "2", record: &upgrade.Record{Version: "2", Serving: &upgrade.Serving{Problems: []string{"device/old"}}},
		board: alert.NewBoard(func(string, string, string) {}), log: slog.New(slog.DiscardHandler),
		problems: func(context.Context) ([]string, error) {
			st.mu.Lock()
			defer st.mu.Unlock()
			return st.problems, st.err
		},
		units: func(context.Context) []string {
			st.mu.Lock()
			defer st.mu.Unlock()
			return st.units
		},
		waits:  func(w []string) error { said = append(said, strings.Join(w, ";")); return nil },
		passed: func() error { said = append(said, "PASSED"); return nil },
		look:   2 * time.Second, steady: 30 * time.Second}, &said
}

// TestTrial: only a system that was healthy for half a minute in a row is.
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := &slots{}, &state{err: errors.New("not yet")}
		tr, said := newTrial(t, s, st)
		done := make(chan bool)
		go func() { done <- tr.watch(t.Context()) && tr.confirm(t.Context(), time.Second) }()
		time.Sleep(time.Minute)
		st.set([]string{"device/old: gone", "device/new: gone"}, nil, nil)
		time.Sleep(time.Minute)
		st.set([]string{"device/old: gone"}, nil, []string{"ssh.service failed"})
		time.Sleep(time.Minute)
		st.set([]string{"device/old: gone"}, nil, nil)
		time.Sleep(20 * time.Second) // not long enough
		st.set(nil, errors.New("hangs"), nil)
		time.Sleep(10 * time.Second)
		began := time.Now()
		st.set(nil, nil, nil)
		if !<-done {
			t.Fatal("it did not end well")
		}
		if took := s.confirmed.Sub(began); took < tr.steady || took > tr.steady+3*tr.look {
			t.Errorf("confirmed after %v", took)
		}
		want := []string{"the array does not answer: not yet", "device/new: gone", "ssh.service failed", "", "the array does not answer: hangs", "", "PASSED"}
		if diff := cmp.Diff(want, *said); diff != "" {
			t.Error(diff)
		}
	})
}

// TestTrialRefused: the first document counts; and a daemon that ends does not.
func TestTrialRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := &slots{}, &state{}
		tr, said := newTrial(t, s, st)
		tr.board.Raise(alert.Alert{ID: "document.refused", Message: "the document is refused"})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if tr.watch(ctx) || !s.confirmed.IsZero() {
			t.Error("it is healthy")
		}
		if diff := cmp.Diff([]string{"the document is refused"}, *said); diff != "" {
			t.Error(diff)
		}
	})
}

// TestTrialMediumAway: it is tried until the medium is back, and told.
func TestTrialMediumAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := &slots{away: errors.New("the stick is gone")}, &state{}
		tr, said := newTrial(t, s, st)
		done := make(chan bool)
		go func() { done <- tr.watch(t.Context()) && tr.confirm(t.Context(), mediumRetry) }()
		time.Sleep(2 * time.Minute)
		active := tr.board.Active()
		if len(active) != 1 || active[0].ID != UpgradeUnconfirmed || !strings.Contains(active[0].Message, "the stick is gone") {
			t.Errorf("alerts: %+v", active)
		}
		if (*said)[len(*said)-1] != "PASSED" {
			t.Error("nobody is told that it is healthy") // and the timer would reboot it
		}
		s.set(nil)
		if !<-done || len(tr.board.Active()) != 0 {
			t.Errorf("alerts: %+v", tr.board.Active())
		}
	})
}

func TestNoteFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slots{away: errors.New("the stick is gone")}
		done := make(chan error)
		go func() { done <- noteFailure(t.Context(), slog.New(slog.DiscardHandler), s) }()
		time.Sleep(time.Minute)
		s.set(nil)
		if err := <-done; err != nil || s.failed < 4 {
			t.Errorf("%v after %d tries", err, s.failed)
		}
	})
}

func TestFailedUpgradeRule(t *testing.T) {
	file := filepath.Join(t.TempDir(), "upgrade.json")
	board := alert.NewBoard(func(string, string, string) {})
	check := func(want string) {
		t.Helper()
		if err := (failedUpgrade{file}).Check(t.Context(), board); err != nil {
			t.Fatal(err)
		}
		active := board.Active()
		if want == "" && len(active) == 0 {
			return
		}
		if len(active) != 1 || active[0].ID != UpgradeFailed || active[0].Severity != alert.Critical || want == "" || !strings.Contains(active[0].Message, want) {
			t.Errorf("alerts %+v, want %q", active, want)
		}
	}
	write := func(r upgrade.Record) {
		t.Helper()
		if err := upgrade.WriteRecord(file, r); err != nil {
			t.Fatal(err)
		}
	}
	check("")
	write(upgrade.Record{Slot: slot.Secondary, Version: "2"})
	check("")
	write(upgrade.Record{Slot: slot.Secondary, Version: "2", Failed: &upgrade.Failure{Why: "it is sick"}})
	check("the upgrade to ESOS 2 (slot SECONDARY) failed")
	write(upgrade.Record{Slot: slot.Secondary, Rollback: true, Failed: &upgrade.Failure{Why: "it is sick"}})
	check("the rollback to the version in slot SECONDARY failed")
	write(upgrade.Record{Slot: slot.Secondary, Version: "3"}) // the next one
	check("")
}

package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // where the machine has no time zones

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a disk of one file.
type memory struct {
	mu   sync.Mutex
	text []byte
	err  error // of reading
}

func (m *memory) ReadFile(path string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return nil, m.err
	case m.text == nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return slices.Clone(m.text), nil
}

func (m *memory) Save(_ string, data []byte, _ fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text = slices.Clone(data)
	return nil
}

// diary notes what jobs do, with the time since the test began.
type diary struct {
	mu    sync.Mutex
	began time.Time
	lines []string
	jobs  []Job
}

func newDiary() *diary { return &diary{began: time.Now()} }

func (d *diary) Jobs() []Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.jobs)
}

func (d *diary) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v ", time.Since(d.began).Round(time.Second))+fmt.Sprintf(format, args...))
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

// job is one that takes a while and may fail.
func (d *diary) job(name string, next Next, takes time.Duration, err *error) Job {
	return Job{Name: name, Next: next, Do: func(ctx context.Context) error {
		d.say("%s", name)
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			d.say("%s is cut off", name)
			return ctx.Err()
		}
		if err != nil {
			return *err
		}
		return nil
	}}
}

// run runs a keeper for a time and returns what was done.
func run(t *testing.T, d *diary, files Files, takes time.Duration, more ...func(*Keeper)) []string {
	t.Helper()
	k := New(Options{Source: d, Files: files, Path: "upkeep.json", Log: slog.New(slog.DiscardHandler),
		Ended: func(name string, err error) {
			if err != nil {
				d.say("%s failed: %v", name, err)
			}
		}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Run(ctx) }()
	for _, m := range more {
		synctest.Wait()
		m(k)
	}
	time.Sleep(takes)
	synctest.Wait()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return d.read()
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJobsComeAgainOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := newDiary(), &memory{}
		d.jobs = []Job{d.job("trim", Every(time.Hour), time.Minute, nil)}
		// Never at once: an hour after it was first heard of.
		expect(t, run(t, d, disk, 130*time.Minute), "1h0m0s trim", "2h0m0s trim")
		time.Sleep(time.Hour) // the machine is off
		expect(t, run(t, d, disk, 30*time.Second), "3h10m0s trim", "3h10m30s trim is cut off")
		// What was cut off is begun again.
		expect(t, run(t, d, disk, 2*time.Minute), "3h10m30s trim")
	})
}

func TestFailuresAreTriedAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk, err := newDiary(), &memory{}, errors.New("no disk")
		d.jobs = []Job{d.job("check", Every(6*time.Hour), 0, &err)}
		expect(t, run(t, d, disk, 6*time.Hour+20*time.Minute), "6h0m0s check", "6h0m0s check failed: no disk", "6h15m0s check", "6h15m0s check failed: no disk")
		k := New(Options{Source: d, Files: disk})
		if s := k.States(); len(s) != 1 || s[0].Error != "no disk" || s[0].Running || s[0].Next.Sub(d.began) != 6*time.Hour+30*time.Minute {
			t.Errorf("%+v", s)
		}
		err = nil
		expect(t, run(t, d, disk, 10*time.Hour), "6h30m0s check", "12h30m0s check")
	})
}

func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		heavy := func(name, kind string) Job {
			j := d.job(name, Every(time.Hour), 10*time.Minute, nil)
			j.Kind, j.Heavy = kind, kind == "check"
			return j
		}
		d.jobs = []Job{heavy("check/r6", "check"), heavy("check/r1", "check"), heavy("trim/a", "trim"), heavy("trim/b", "trim"), heavy("smart", "")}
		expect(t, sorted(run(t, d, &memory{}, 95*time.Minute)),
			"1h0m0s check/r6", "1h0m0s smart", "1h0m0s trim/a", "1h10m0s check/r1", "1h10m0s trim/b")
	})
}

// sorted puts what is said at the same time in order.
func sorted(lines []string) []string {
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(a, b) })
	return lines
}

func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := newDiary(), &memory{}
		never := func(_, _ time.Time) time.Time { return time.Time{} }
		d.jobs = []Job{d.job("check", never, time.Minute, nil)}
		got := run(t, d, disk, time.Hour, func(k *Keeper) {
			if err := k.Now("chekc"); err == nil {
				t.Error("a job that is not there is promised")
			}
			if err := k.Now("check"); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if s := k.States(); !s[0].Running {
				t.Errorf("%+v", s)
			}
			time.Sleep(2 * time.Minute)
			if err := k.Now("check"); err != nil {
				t.Error(err)
			}
		})
		expect(t, got, "0s check", "2m0s check")
	})
}

func TestNewJobsAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		got := run(t, d, &memory{}, 3*time.Minute, func(k *Keeper) {
			d.mu.Lock()
			d.jobs = []Job{d.job("snap", Every(2*time.Minute), 0, nil)}
			d.mu.Unlock()
			k.Poke()
		})
		expect(t, got, "2m0s snap")
	})
}

// TestClockSetBack: a clock that was ahead does not put jobs off until it is
// there again, and a job that is always due does not keep the machine busy.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		d.jobs = []Job{d.job("trim", Every(time.Hour), 0, nil)}
		ahead := time.Now().Add(300 * 24 * time.Hour).Format(time.RFC3339)
		disk := &memory{text: []byte(`{"trim":{"first":"` + ahead + `","heard":"` + ahead + `","done":"` + ahead + `","tried":"` + ahead + `"}}`)}
		k := New(Options{Source: d, Files: disk})
		if next := time.Until(k.States()[0].Next); next != time.Hour {
			t.Errorf("due in %v", next)
		}
		d.jobs = []Job{d.job("busy", Every(0), 0, nil)}
		if got := run(t, d, &memory{}, 10*time.Second); len(got) > 11 {
			t.Errorf("done %d times in 10 s", len(got))
		}
	})
}

func TestDamagedFile(t *testing.T) {
	for _, disk := range []*memory{{text: []byte("{")}, {text: []byte("null")}, {text: []byte(`{"trim":7}`)}, {err: errors.New("input/output error")}} {
		synctest.Test(t, func(t *testing.T) {
			d := newDiary()
			d.jobs = []Job{d.job("trim", Every(time.Hour), 0, nil)}
			expect(t, run(t, d, disk, 61*time.Minute), "1h0m0s trim")
		})
	}
}

func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, disk := newDiary(), &memory{}
		d.jobs = []Job{d.job("gone", Every(time.Hour), 0, nil)}
		run(t, d, disk, time.Minute)
		d.jobs = nil
		time.Sleep(91 * 24 * time.Hour)
		run(t, d, disk, time.Minute)
		if text, _ := disk.ReadFile(""); strings.Contains(string(text), "gone") {
			t.Errorf("it is remembered for ever: %s", text)
		}
	})
}

func TestSchedules(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	local := time.Local
	time.Local = berlin
	t.Cleanup(func() { time.Local = local })
	const form = "2006-01-02 15:04"
	for _, c := range []struct {
		next       Next
		last, want string
	}{
		{Daily(3, 0), "2026-11-28 02:59", "2026-11-28 03:00"},
		{Daily(3, 0), "2026-11-28 03:00", "2026-11-29 03:00"},
		{Daily(2, 30), "2026-03-28 12:00", "2026-03-29 03:30"}, // 02:30 is not on that day
		{Weekly(time.Sunday, 0, 0), "2026-11-28 02:59", "2026-11-29 00:00"},
		{Weekly(time.Sunday, 0, 0), "2026-11-29 00:00", "2026-12-06 00:00"},
		{Monthly(1, 15), "2026-12-01 01:15", "2027-01-01 01:15"},
		{Monthly(1, 15), "2026-12-01 01:14", "2026-12-01 01:15"},
		{Monthly(0, 0), "2028-02-01 00:00", "2028-03-01 00:00"},
		{Every(90 * time.Minute), "2026-12-01 01:14", "2026-12-01 02:44"},
	} {
		last, err := time.ParseInLocation(form, c.last, berlin)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.next(last, last).In(berlin).Format(form); got != c.want {
			t.Errorf("after %s: %s, want %s", c.last, got, c.want)
		}
	}
}
